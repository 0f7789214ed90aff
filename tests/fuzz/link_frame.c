/*
 * frame_decode() must survive any bytes; what it accepts must be of the length
 * that it says, and encode back to the very same bytes (but for what later
 * versions may add).
 */
#include <stdlib.h>
#include <string.h>

#include "link/frame.h"

static void
encode(struct buf *b, const struct frame *f)
{
	switch (f->type) {
	case FRAME_SKIP:
		break;
	case FRAME_HELLO:
		frame_put_hello(b, &f->hello);
		break;
	case FRAME_READY:
		frame_put_ready(b, f->session, f->version);
		break;
	case FRAME_MESSAGE:
		frame_put_message(b, f->number, f->data, f->len);
		break;
	case FRAME_CHUNK:
		frame_put_chunk(b, f->stream, f->offset, f->data, f->len);
		break;
	case FRAME_ACK:
		frame_put_ack(b, f->number, f->chunks);
		break;
	case FRAME_BEAT:
		frame_put_beat(b, f);
		break;
	case FRAME_ECHO:
		frame_put_echo(b, f);
		break;
	case FRAME_BYE:
		frame_put_bye(b, (enum frame_reason)f->reason);
		break;
	case FRAME_SMALL:
		frame_put_small(b, f->path);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t used;
	struct frame f;
	struct err e = ERR_INIT;

	while (frame_decode(&f, data, len, &used, &e) == 1) {
		AUTO_BUF struct buf b = BUF_INIT;

		if (used > len || used < FRAME_HEAD_BYTES)
			abort();
		encode(&b, &f);
		/* The flag "optional" is the sender's choice, HELLO has a
		 * reserved byte and may be longer. */
		if (f.type != FRAME_SKIP && f.type != FRAME_HELLO &&
		    (b.len != used || data[0] != b.data[0] ||
			memcmp(data + 2, b.data + 2, used - 2) != 0))
			abort();
		if (f.type == FRAME_HELLO && b.len > used)
			abort();
		data += used;
		len -= used;
	}
	return 0;
}
