#include "link/frame.h"

#include <string.h>

#include "base/le.h"

/* Bounds of the bodies. */
static const struct {
	uint32_t least, most;
} bounds[] = {
	[FRAME_HELLO] = { 22, FRAME_HELLO_MAX },
	[FRAME_READY] = { 10, 10 },
	[FRAME_MESSAGE] = { 8, 8 + LINK_MESSAGE_MAX },
	[FRAME_CHUNK] = { 16, 16 + LINK_CHUNK_MAX },
	[FRAME_ACK] = { 16, 16 },
	[FRAME_BEAT] = { 24, 24 + LINK_BEAT_MAX },
	[FRAME_ECHO] = { 40, 40 },
	[FRAME_BYE] = { 2, 2 },
	[FRAME_SMALL] = { 1, 1 },
};

/* A name of 1 byte length; ones that cannot be a site's set failed. */
static void
site_name(struct cursor *c, char out[LINK_SITE_BYTES])
{
	size_t len = cursor_u8(c);
	const uint8_t *p = cursor_bytes(c, len);

	if (p == NULL || len == 0 || len >= LINK_SITE_BYTES ||
	    memchr(p, '\0', len) != NULL) {
		c->failed = true;
		return;
	}
	(void)memcpy(out, p, len);
	out[len] = '\0';
}

static void
decode_hello(struct frame_hello *h, struct cursor *c)
{
	uint8_t kind;

	h->version_least = cursor_le16(c);
	h->version_most = cursor_le16(c);
	kind = cursor_u8(c);
	h->kind = kind == FRAME_KIND_BEAT ? FRAME_KIND_BEAT : FRAME_KIND_LANE;
	h->path = cursor_u8(c);
	h->lane = cursor_u8(c);
	(void)cursor_u8(c);
	h->instance = cursor_le64(c);
	h->dials = cursor_le32(c);
	site_name(c, h->from);
	site_name(c, h->to);
	if (kind > FRAME_KIND_LANE || h->path >= LINK_PATHS_MAX ||
	    h->lane >= LINK_LANES_MAX || h->version_least > h->version_most)
		c->failed = true;
}

static void
rest(struct frame *f, struct cursor *c)
{
	f->len = c->left;
	f->data = cursor_bytes(c, f->len);
}

static void
decode_times(struct frame *f, struct cursor *c)
{
	f->number = cursor_le64(c);
	f->clock_us = (int64_t)cursor_le64(c);
	f->wall_us = (int64_t)cursor_le64(c);
}

static void
decode_body(struct frame *f, struct cursor *c)
{
	switch (f->type) {
	case FRAME_HELLO:
		decode_hello(&f->hello, c);
		(void)cursor_bytes(c, c->left);
		break;
	case FRAME_READY:
		f->session = cursor_le64(c);
		f->version = cursor_le16(c);
		break;
	case FRAME_MESSAGE:
		f->number = cursor_le64(c);
		rest(f, c);
		break;
	case FRAME_CHUNK:
		f->stream = cursor_le64(c);
		f->offset = cursor_le64(c);
		rest(f, c);
		break;
	case FRAME_ACK:
		f->number = cursor_le64(c);
		f->chunks = cursor_le64(c);
		break;
	case FRAME_BEAT:
		decode_times(f, c);
		rest(f, c);
		break;
	case FRAME_ECHO:
		decode_times(f, c);
		f->came_us = (int64_t)cursor_le64(c);
		f->echoed_us = (int64_t)cursor_le64(c);
		break;
	case FRAME_BYE:
		f->reason = cursor_le16(c);
		break;
	case FRAME_SMALL:
		f->path = cursor_u8(c);
		if (f->path >= LINK_PATHS_MAX)
			c->failed = true;
		break;
	case FRAME_SKIP:
		break;
	}
}

/* What the head says, checked. */
static int
check_head(const uint8_t *p, enum frame_type *type, size_t *body, struct err *e)
{
	*body = le32_get(p + 4);
	if ((p[1] & ~FRAME_OPTIONAL) != 0 || le16_get(p + 2) != 0)
		return err_set(
		    e, ERR_CORRUPT, "frame of type %u has a bad head", p[0]);
	if (p[0] == FRAME_SKIP || p[0] >= COUNT_OF(bounds)) {
		*type = FRAME_SKIP;
		if ((p[1] & FRAME_OPTIONAL) == 0)
			return err_set(
			    e, ERR_CORRUPT, "frame of unknown type %u", p[0]);
		if (*body > FRAME_UNKNOWN_MAX)
			return err_set(e, ERR_CORRUPT,
			    "frame of unknown type %u has %zu bytes", p[0],
			    *body);
		return 0;
	}
	*type = (enum frame_type)p[0];
	if (*body < bounds[*type].least || *body > bounds[*type].most)
		return err_set(e, ERR_CORRUPT, "frame of type %u has %zu bytes",
		    p[0], *body);
	return 0;
}

int
frame_decode(
    struct frame *f, const uint8_t *p, size_t len, size_t *used, struct err *e)
{
	enum frame_type type = FRAME_SKIP;
	struct cursor c;
	size_t body = 0;

	*used = FRAME_HEAD_BYTES;
	if (len < FRAME_HEAD_BYTES)
		return 0;
	if (check_head(p, &type, &body, e) == -1)
		return -1;
	*used += body;
	if (len < *used)
		return 0;
	(void)memset(f, 0, sizeof(*f));
	f->type = type;
	if (type == FRAME_SKIP)
		return 1;
	cursor_init(&c, p + FRAME_HEAD_BYTES, body);
	decode_body(f, &c);
	if (c.failed || c.left != 0)
		return err_set(
		    e, ERR_CORRUPT, "frame of type %u has a bad body", type);
	return 1;
}

static void
put_head(struct buf *b, enum frame_type type, uint8_t flags, size_t body)
{
	buf_put_u8(b, (uint8_t)type);
	buf_put_u8(b, flags);
	buf_put_le16(b, 0);
	buf_put_le32(b, (uint32_t)body);
}

static void
put_name(struct buf *b, const char *name)
{
	size_t len = strlen(name);

	buf_put_u8(b, (uint8_t)len);
	buf_put(b, name, len);
}

void
frame_put_hello(struct buf *b, const struct frame_hello *h)
{
	put_head(b, FRAME_HELLO, 0, 22 + strlen(h->from) + strlen(h->to));
	buf_put_le16(b, h->version_least);
	buf_put_le16(b, h->version_most);
	buf_put_u8(b, (uint8_t)h->kind);
	buf_put_u8(b, h->path);
	buf_put_u8(b, h->lane);
	buf_put_u8(b, 0);
	buf_put_le64(b, h->instance);
	buf_put_le32(b, h->dials);
	put_name(b, h->from);
	put_name(b, h->to);
}

void
frame_put_ready(struct buf *b, uint64_t session, uint16_t version)
{
	put_head(b, FRAME_READY, 0, 10);
	buf_put_le64(b, session);
	buf_put_le16(b, version);
}

void
frame_put_message(struct buf *b, uint64_t number, const void *data, size_t len)
{
	put_head(b, FRAME_MESSAGE, 0, 8 + len);
	buf_put_le64(b, number);
	buf_put(b, data, len);
}

void
frame_put_chunk(struct buf *b, uint64_t stream, uint64_t offset,
    const void *data, size_t len)
{
	put_head(b, FRAME_CHUNK, 0, 16 + len);
	buf_put_le64(b, stream);
	buf_put_le64(b, offset);
	buf_put(b, data, len);
}

void
frame_put_ack(struct buf *b, uint64_t number, uint64_t chunks)
{
	put_head(b, FRAME_ACK, 0, 16);
	buf_put_le64(b, number);
	buf_put_le64(b, chunks);
}

static void
put_times(struct buf *b, const struct frame *f)
{
	buf_put_le64(b, f->number);
	buf_put_le64(b, (uint64_t)f->clock_us);
	buf_put_le64(b, (uint64_t)f->wall_us);
}

void
frame_put_beat(struct buf *b, const struct frame *f)
{
	put_head(b, FRAME_BEAT, 0, 24 + f->len);
	put_times(b, f);
	buf_put(b, f->data, f->len);
}

void
frame_put_echo(struct buf *b, const struct frame *f)
{
	put_head(b, FRAME_ECHO, 0, 40);
	put_times(b, f);
	buf_put_le64(b, (uint64_t)f->came_us);
	buf_put_le64(b, (uint64_t)f->echoed_us);
}

void
frame_put_bye(struct buf *b, enum frame_reason reason)
{
	put_head(b, FRAME_BYE, 0, 2);
	buf_put_le16(b, (uint16_t)reason);
}

void
frame_put_small(struct buf *b, uint8_t path)
{
	put_head(b, FRAME_SMALL, FRAME_OPTIONAL, 1);
	buf_put_u8(b, path);
}

const char *
frame_reason_name(uint16_t reason)
{
	static const char *const names[] = { "no reason", "closing",
		"duplicate", "bad frame", "wrong site", "version",
		"session over" };

	return reason < COUNT_OF(names) ? names[reason] : "unknown reason";
}
