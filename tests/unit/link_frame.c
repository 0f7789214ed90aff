/*
 * Frames: each comes back as it was put; cut short, it waits for more; what no
 * frame may be is refused.
 */
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/le.h"
#include "link/frame.h"
#include "tap.h"

static const struct frame_hello hello = { 1, 3, FRAME_KIND_LANE, 2, 63,
	0x1122334455667788, 5, "tokyo", "osaka" };

/* One of each type. */
static void
put(struct buf *b, enum frame_type type)
{
	struct frame f = { 0 };

	f.number = 77;
	f.clock_us = -5;
	f.wall_us = INT64_MAX;
	f.came_us = 1;
	f.echoed_us = 2;
	f.data = (const uint8_t *)"payload";
	f.len = 7;
	if (type == FRAME_HELLO)
		frame_put_hello(b, &hello);
	else if (type == FRAME_READY)
		frame_put_ready(b, 99, 3);
	else if (type == FRAME_MESSAGE)
		frame_put_message(b, 4, "hello", 5);
	else if (type == FRAME_CHUNK)
		frame_put_chunk(b, 8, UINT64_MAX, "bytes", 5);
	else if (type == FRAME_ACK)
		frame_put_ack(b, 12, 34);
	else if (type == FRAME_BEAT)
		frame_put_beat(b, &f);
	else if (type == FRAME_ECHO)
		frame_put_echo(b, &f);
	else if (type == FRAME_BYE)
		frame_put_bye(b, FRAME_BYE_VERSION);
	else if (type == FRAME_SMALL)
		frame_put_small(b, 7);
}

static void
check_each(void)
{
	struct frame f;
	struct err e = ERR_INIT;
	size_t used, i;
	int type;

	for (type = FRAME_HELLO; type <= FRAME_SMALL; type++) {
		AUTO_BUF struct buf b = BUF_INIT;
		bool waits = true;

		put(&b, (enum frame_type)type);
		for (i = 0; i < b.len; i++)
			waits = waits &&
			    frame_decode(&f, b.data, i, &used, &e) == 0 &&
			    used ==
				(i < FRAME_HEAD_BYTES ? FRAME_HEAD_BYTES
						      : b.len);
		tap_ok(waits, "type %d waits for its end", type);
		buf_put(&b, "x", 1);
		tap_ok(frame_decode(&f, b.data, b.len, &used, &e) == 1 &&
			used == b.len - 1 && f.type == (enum frame_type)type,
		    "type %d is read whole", type);
		/* One byte more than its length says. */
		le32_put(b.data + 4, le32_get(b.data + 4) + 1);
		if (type != FRAME_HELLO && type != FRAME_MESSAGE &&
		    type != FRAME_CHUNK && type != FRAME_BEAT)
			tap_ok(frame_decode(&f, b.data, b.len, &used, &e) == -1,
			    "type %d has one length", type);
		b.data[1] = 2;
		tap_ok(frame_decode(&f, b.data, b.len, &used, &e) == -1,
		    "type %d with an unknown flag is refused", type);
	}
}

static void
check_members(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct frame f;
	struct err e = ERR_INIT;
	size_t used;

	put(&b, FRAME_HELLO);
	tap_ok(frame_decode(&f, b.data, b.len, &used, &e) == 1, "HELLO");
	tap_str(f.hello.from, "tokyo", "from");
	tap_str(f.hello.to, "osaka", "to");
	tap_ok(f.hello.version_least == 1 && f.hello.version_most == 3 &&
		f.hello.kind == FRAME_KIND_LANE && f.hello.path == 2 &&
		f.hello.lane == 63 && f.hello.dials == 5 &&
		f.hello.instance == hello.instance,
	    "and its numbers");
	/* What a later version adds. */
	buf_put(&b, "more", 4);
	le32_put(b.data + 4, le32_get(b.data + 4) + 4);
	tap_ok(frame_decode(&f, b.data, b.len, &used, &e) == 1 && used == b.len,
	    "HELLO may be longer");

	buf_clear(&b);
	put(&b, FRAME_CHUNK);
	tap_ok(frame_decode(&f, b.data, b.len, &used, &e) == 1 &&
		f.stream == 8 && f.offset == UINT64_MAX && f.len == 5 &&
		memcmp(f.data, "bytes", 5) == 0,
	    "CHUNK");
	buf_clear(&b);
	put(&b, FRAME_ECHO);
	tap_ok(frame_decode(&f, b.data, b.len, &used, &e) == 1 &&
		f.number == 77 && f.clock_us == -5 && f.wall_us == INT64_MAX &&
		f.came_us == 1 && f.echoed_us == 2,
	    "ECHO");
}

static int
decode_head(uint8_t type, uint8_t flags, uint32_t body, size_t *used)
{
	uint8_t head[FRAME_HEAD_BYTES] = { type, flags };
	struct frame f;
	struct err e = ERR_INIT;

	le32_put(head + 4, body);
	return frame_decode(&f, head, sizeof(head), used, &e);
}

static void
check_bounds(void)
{
	size_t used;

	tap_ok(decode_head(FRAME_CHUNK, 0, 16 + LINK_CHUNK_MAX, &used) == 0,
	    "a chunk may have 64 KiB");
	tap_ok(decode_head(FRAME_CHUNK, 0, 17 + LINK_CHUNK_MAX, &used) == -1,
	    "and no more, said by its head alone");
	tap_ok(decode_head(FRAME_MESSAGE, 0, 8 + LINK_MESSAGE_MAX, &used) == 0,
	    "a message may have 1 MiB");
	tap_ok(decode_head(FRAME_MESSAGE, 0, 9 + LINK_MESSAGE_MAX, &used) == -1,
	    "and no more");
	tap_ok(
	    decode_head(200, 0, 0, &used) == -1, "an unknown type is refused");
	tap_ok(decode_head(200, FRAME_OPTIONAL, 0, &used) == 1,
	    "and skipped when it is optional");
	tap_ok(decode_head(200, FRAME_OPTIONAL, FRAME_UNKNOWN_MAX + 1, &used) ==
		-1,
	    "but not of any length");
	tap_ok(decode_head(FRAME_SKIP, 0, 0, &used) == -1, "type 0 is none");
}

int
main(void)
{
	check_each();
	check_members();
	check_bounds();
	return tap_done();
}
