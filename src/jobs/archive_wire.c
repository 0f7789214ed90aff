/*
 * archive_wire: requests and answers of the archive socket, from and to bytes.
 */

#include "jobs/archive_wire.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/le.h"

#define VERSION	     1
#define FLAG_CONTROL 1u

static const char request_magic[8] = { 'P', 'G', 'K', 'P', 'U', 'S', 'H',
	'\n' };
static const char answer_magic[8] = { 'P', 'G', 'K', 'P', 'U', 'S', 'H', 'A' };

static bool
is_name(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!((p[i] >= '0' && p[i] <= '9') ||
			(p[i] >= 'A' && p[i] <= 'Z') ||
			(p[i] >= 'a' && p[i] <= 'z') || p[i] == '.'))
			return false;
	return len > 0 && len < ARCHIVE_NAME_BYTES && p[0] != '.';
}

static bool
decode(struct archive_request *r, struct cursor *c)
{
	const uint8_t *magic = cursor_bytes(c, sizeof(request_magic)), *name;
	uint32_t version, flags;
	unsigned int i;
	uint8_t len;

	if (magic == NULL ||
	    memcmp(magic, request_magic, sizeof(request_magic)) != 0)
		return false;
	version = cursor_le16(c);
	r->count = cursor_le16(c);
	flags = cursor_le32(c);
	r->has_control = (flags & FLAG_CONTROL) != 0;
	if (version != VERSION || (flags & ~FLAG_CONTROL) != 0 ||
	    r->count < 1 || r->count > ARCHIVE_FILES_MAX)
		return false;
	for (i = 0; i < r->count; i++) {
		len = cursor_u8(c);
		name = cursor_bytes(c, len);
		if (name == NULL || !is_name(name, len))
			return false;
		(void)memcpy(r->names[i], name, len);
		r->names[i][len] = '\0';
	}
	return !c->failed && c->left == 0;
}

int
archive_request_decode(
    struct archive_request *r, const uint8_t *in, size_t len, struct err *e)
{
	struct cursor c;

	(void)memset(r, 0, sizeof(*r));
	cursor_init(&c, in, len);
	if (decode(r, &c))
		return 0;
	(void)memset(r, 0, sizeof(*r));
	return err_set(e, ERR_CORRUPT,
	    "%zu bytes on the archive socket are no request", len);
}

size_t
archive_request_encode(
    const struct archive_request *r, uint8_t out[ARCHIVE_REQUEST_MAX])
{
	size_t at = 16, len;
	unsigned int i;

	assert(r->count >= 1 && r->count <= ARCHIVE_FILES_MAX);
	(void)memcpy(out, request_magic, sizeof(request_magic));
	le16_put(out + 8, VERSION);
	le16_put(out + 10, (uint16_t)r->count);
	le32_put(out + 12, r->has_control ? FLAG_CONTROL : 0);
	for (i = 0; i < r->count; i++) {
		len = strlen(r->names[i]);
		out[at++] = (uint8_t)len;
		(void)memcpy(out + at, r->names[i], len);
		at += len;
	}
	return at;
}

size_t
archive_answer_encode(const struct err *e, uint8_t out[ARCHIVE_ANSWER_MAX])
{
	char text[sizeof(e->text) + sizeof(e->hint) + 2];
	size_t len;

	(void)snprintf(text, sizeof(text), "%s\n%s", e->text, e->hint);
	len = e->kind == ERR_NONE ? 0 : strlen(text);
	if (len > ARCHIVE_ANSWER_TEXT_MAX)
		len = ARCHIVE_ANSWER_TEXT_MAX;
	(void)memcpy(out, answer_magic, sizeof(answer_magic));
	le16_put(out + 8, VERSION);
	/* Above 125 the archiver of the server would restart. */
	le16_put(out + 10, e->kind == ERR_NONE ? 0 : 1);
	le32_put(out + 12, 0);
	(void)memcpy(out + 16, text, len);
	return 16 + len;
}
