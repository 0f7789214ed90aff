#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/le.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "pg/lsn.h"
#include "pg/pgmanifest.h"
#include "pg/pgmanifest_text.h"

/* Handed on when there are so many. */
#define PIECE_BYTES 65536

struct pgmanifest_writer {
	pgmanifest_emit *emit;
	void *arg;
	struct sha256 *sum; /* of what was emitted */
	struct buf out;	    /* not emitted yet */
	bool any_file;
};

struct pgmanifest_writer *
pgmanifest_writer_new(
    int version, uint64_t system_id, pgmanifest_emit *emit, void *arg)
{
	struct pgmanifest_writer *w = mem_zalloc(sizeof(*w));

	assert(version == 1 || version == 2);

	w->emit = emit;
	w->arg = arg;
	w->sum = sha256_new();
	buf_printf(&w->out, "{ \"PostgreSQL-Backup-Manifest-Version\": %d,\n",
	    version);
	if (version == 2)
		buf_printf(&w->out, "\"System-Identifier\": %" PRIu64 ",\n",
		    system_id);
	buf_printf(&w->out, "\"Files\": [");
	return w;
}

void
pgmanifest_writer_free(struct pgmanifest_writer *w)
{
	if (w == NULL)
		return;
	sha256_free(w->sum);
	buf_free(&w->out);
	free(w);
}

static int
flush(struct pgmanifest_writer *w, struct err *e)
{
	sha256_update(w->sum, w->out.data, w->out.len);
	if (w->emit(w->arg, w->out.data, w->out.len, e) == -1)
		return -1;
	buf_clear(&w->out);
	return 0;
}

static void
put_path(struct buf *out, const char *path)
{
	char hex[2 * PGMANIFEST_PATH_BYTES_MAX + 1];

	if (pgmanifest_utf8_valid(path)) {
		buf_printf(out, "{ \"Path\": ");
		pgmanifest_put_string(out, path);
	} else {
		hex_encode((const uint8_t *)path, strlen(path), hex);
		buf_printf(out, "{ \"Encoded-Path\": \"%s\"", hex);
	}
}

static void
put_crc32c(struct buf *out, uint32_t crc)
{
	uint8_t bytes[4];
	char hex[2 * sizeof(bytes) + 1];

	le32_put(bytes, crc);
	hex_encode(bytes, sizeof(bytes), hex);
	buf_printf(out,
	    ", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"%s\"", hex);
}

int
pgmanifest_add_file(
    struct pgmanifest_writer *w, const struct pgmanifest_file *f, struct err *e)
{
	struct buf *out = &w->out;

	if (strlen(f->path) > PGMANIFEST_PATH_BYTES_MAX)
		return err_set(e, ERR_USAGE,
		    "path \"%.60s...\" is too long for a backup manifest",
		    f->path);
	buf_printf(out, w->any_file ? ",\n" : "\n");
	w->any_file = true;
	put_path(out, f->path);
	buf_printf(out, ", \"Size\": %" PRIu64 ", \"Last-Modified\": \"",
	    f->size_bytes);
	pgmanifest_put_time(out, f->mtime_s);
	buf_printf(out, "\"");
	if (f->has_crc32c)
		put_crc32c(out, f->crc32c);
	buf_printf(out, " }");
	return out->len < PIECE_BYTES ? 0 : flush(w, e);
}

int
pgmanifest_finish(struct pgmanifest_writer *w,
    const struct pgmanifest_range *ranges, size_t count, struct err *e)
{
	char from[LSN_TEXT_BYTES], to[LSN_TEXT_BYTES], hex[SHA256_HEX_BYTES];
	uint8_t sum[SHA256_BYTES];
	struct buf *out = &w->out;
	size_t i;

	buf_printf(out, "\n],\n\"WAL-Ranges\": [");
	for (i = 0; i < count; i++)
		buf_printf(out,
		    "%s\n{ \"Timeline\": %" PRIu32
		    ", \"Start-LSN\": \"%s\", \"End-LSN\": \"%s\" }",
		    i == 0 ? "" : ",", ranges[i].timeline,
		    lsn_text(ranges[i].start_lsn, from),
		    lsn_text(ranges[i].end_lsn, to));
	buf_printf(out, "\n],\n");
	if (flush(w, e) == -1)
		return -1;
	sha256_peek(w->sum, sum);
	sha256_hex(sum, hex);
	buf_printf(out, "\"Manifest-Checksum\": \"%s\"}\n", hex);
	return flush(w, e);
}
