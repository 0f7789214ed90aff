/*
 * pgmanifest_parse() must survive any bytes, and what it accepts must come back
 * the same when it is written and read again.
 */

#include "pg/pgmanifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/digest.h"

#define RANGES_MAX    64
#define YEAR_9999_END 253402300799

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What was told, spelt out, and a writer that is told the same. */
struct seen {
	struct buf text;
	struct pgmanifest_writer *copy;
	struct pgmanifest_range ranges[RANGES_MAX];
	size_t count;
	uint64_t system_id;
	bool version_2;
};

static int
see_file(void *arg, const struct pgmanifest_file *f, struct err *e)
{
	struct seen *s = arg;

	buf_put_str(&s->text, f->path);
	buf_put_le64(&s->text, f->size_bytes);
	/* Later years are read, but written as the end of 9999. */
	buf_put_le64(&s->text,
	    (uint64_t)(f->mtime_s > YEAR_9999_END ? YEAR_9999_END
						  : f->mtime_s));
	buf_put_u8(&s->text, f->has_crc32c);
	buf_put_le32(&s->text, f->crc32c);
	if (strlen(f->path) == 0)
		abort();
	return s->copy == NULL ? 0 : pgmanifest_add_file(s->copy, f, e);
}

static int
see_range(void *arg, const struct pgmanifest_range *r, struct err *e)
{
	struct seen *s = arg;

	if (s->count == RANGES_MAX)
		return err_set(e, ERR_CANCELED, "too many ranges");
	s->ranges[s->count++] = *r;
	return 0;
}

static int
see_system_id(void *arg, uint64_t system_id, struct err *e)
{
	struct seen *s = arg;

	(void)e;
	s->system_id = system_id;
	s->version_2 = true;
	return 0;
}

static const struct pgmanifest_reader_ops see = { see_file, see_range,
	see_system_id };

static int
into_buf(void *arg, const void *data, size_t len, struct err *e)
{
	(void)e;
	buf_put(arg, data, len);
	return 0;
}

/* body, and behind it the last line: a fuzzer would never find a SHA-256. */
static void
seal(struct buf *out, const uint8_t *body, size_t len)
{
	uint8_t sum[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES];

	buf_put(out, body, len);
	if (len > 0 && body[len - 1] != '\n')
		buf_put_u8(out, '\n');
	sha256_of(out->data, out->len, sum);
	sha256_hex(sum, hex);
	buf_printf(out, "\"Manifest-Checksum\": \"%s\"}\n", hex);
}

static void
check_copy(const struct buf *text, struct seen *first)
{
	AUTO_BUF struct buf again = BUF_INIT;
	struct seen second = { 0 };
	struct err e = ERR_INIT;

	first->copy = pgmanifest_writer_new(
	    first->version_2 ? 2 : 1, first->system_id, into_buf, &again);
	first->count = 0;
	buf_clear(&first->text);
	if (pgmanifest_parse(text->data, text->len, &see, first, &e) == -1 ||
	    pgmanifest_finish(first->copy, first->ranges, first->count, &e) ==
		-1 ||
	    pgmanifest_parse(again.data, again.len, &see, &second, &e) == -1)
		abort();
	if (second.text.len != first->text.len ||
	    (second.text.len > 0 &&
		memcmp(second.text.data, first->text.data, second.text.len) !=
		    0) ||
	    second.count != first->count ||
	    memcmp(second.ranges, first->ranges,
		second.count * sizeof(second.ranges[0])) != 0 ||
	    second.system_id != first->system_id)
		abort();
	pgmanifest_writer_free(first->copy);
	buf_free(&second.text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct seen s = { 0 };
	struct err e = ERR_INIT;

	(void)pgmanifest_parse(data, len, &see, &s, &e); /* as it comes */
	s.count = 0;
	seal(&text, data, len);
	if (pgmanifest_parse(text.data, text.len, &see, &s, &e) == 0)
		check_copy(&text, &s);
	buf_free(&s.text);
	return 0;
}
