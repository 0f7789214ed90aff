/*
 * walstorer: writing stored WAL segments.
 */

#include <assert.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "codec/zcodec.h"
#include "repo/walstored.h"

/* A trial of levels: so many pieces, spread over the segment. */
#define SAMPLE_PIECES	   4
#define SAMPLE_PIECE_BYTES ((uint32_t)64 << 10)
/* The configured level must make the sample smaller by so much. */
#define SAMPLE_GAIN_PERCENT 10
/* So many segments go by one sample. */
#define SAMPLE_SEGMENTS 8

struct wal_storer {
	struct zcodec *zcodec;
	struct buf stored; /* of one chunk */
	struct buf footer;
	struct walfile_trailer trailer;
	int asked, chosen;     /* levels of the last sample */
	unsigned int sampled;  /* segments that still go by it */
	wal_storer_turn *turn; /* NULL: at any time */
	void *turn_arg;
};

struct wal_storer *
wal_storer_new(void)
{
	struct wal_storer *w = mem_zalloc(sizeof(*w));

	w->zcodec = zcodec_new();
	return w;
}

void
wal_storer_set_turn(struct wal_storer *w, wal_storer_turn *turn, void *arg)
{
	w->turn = turn;
	w->turn_arg = arg;
}

void
wal_storer_free(struct wal_storer *w)
{
	if (w == NULL)
		return;
	zcodec_free(w->zcodec);
	buf_free(&w->stored);
	buf_free(&w->footer);
	free(w);
}

static size_t
sample_bytes(struct wal_storer *w, const uint8_t *data, uint32_t len, int level)
{
	size_t total = 0, cap = zcodec_bound(SAMPLE_PIECE_BYTES);
	uint32_t i, stride = len / SAMPLE_PIECES;

	buf_clear(&w->stored);
	for (i = 0; i < SAMPLE_PIECES; i++)
		total += zcodec_compress(w->zcodec, level, data + i * stride,
		    SAMPLE_PIECE_BYTES, buf_reserve(&w->stored, cap), cap);
	return total;
}

/*
 * The level to spend on these bytes.  Level 3 takes twice the time of
 * ZCODEC_QUICK and more, and seldom saves more than 4 percent; often it saves
 * nothing.
 */
static int
choose_level(struct wal_storer *w, const uint8_t *data, uint32_t len, int level)
{
	size_t cheap, dear;

	if (level <= 1 || len < 2 * SAMPLE_PIECES * SAMPLE_PIECE_BYTES)
		return ZCODEC_QUICK;
	if (w->sampled == 0 || w->asked != level) {
		cheap = sample_bytes(w, data, len, ZCODEC_QUICK);
		dear = sample_bytes(w, data, len, level);
		w->asked = level;
		w->chosen = dear * 100 <= cheap * (100 - SAMPLE_GAIN_PERCENT)
		    ? level
		    : ZCODEC_QUICK;
		w->sampled = SAMPLE_SEGMENTS;
	}
	w->sampled--;
	return w->chosen;
}

/* Compress chunk i, write it, note it in the table. */
static int
write_chunk(struct wal_storer *w, struct store_writer *out, int level,
    const uint8_t *plain, uint32_t len, struct err *e)
{
	size_t cap = zcodec_bound(len), stored;
	struct walfile_chunk c;

	buf_clear(&w->stored);
	stored = zcodec_compress(
	    w->zcodec, level, plain, len, buf_reserve(&w->stored, cap), cap);
	c.stored_bytes = (uint32_t)stored;
	c.crc = crc32c(0, w->stored.data, stored);
	walfile_chunk_encode(
	    &c, buf_reserve(&w->footer, WALFILE_CHUNK_ENTRY_BYTES));
	w->footer.len += WALFILE_CHUNK_ENTRY_BYTES;
	w->trailer.body_bytes += stored;
	return store_write(out, w->stored.data, stored, e);
}

static int
write_body(struct wal_storer *w, struct store_writer *out,
    const struct walfile_header *h, const uint8_t *data, int level,
    struct err *e)
{
	uint32_t i, chunks = walfile_chunks(h);

	for (i = 0; i < chunks; i++)
		if (write_chunk(w, out, level,
			data + (size_t)i * h->chunk_bytes,
			walfile_chunk_plain(h, i), e) == -1)
			return -1;
	return 0;
}

static int
write_footer(struct wal_storer *w, struct store_writer *out,
    const struct walfile_header *h, const struct walindex *x, struct err *e)
{
	size_t table_end = w->footer.len;

	walindex_encode(x, &w->footer);
	w->trailer.index_bytes = (uint32_t)(w->footer.len - table_end);
	walfile_footer_begin(
	    w->footer.data, walfile_footer_bytes(h, w->trailer.index_bytes));
	w->trailer.footer_crc = crc32c(0, w->footer.data, w->footer.len);
	walfile_trailer_encode(
	    &w->trailer, buf_reserve(&w->footer, WALFILE_TRAILER_BYTES));
	w->footer.len += WALFILE_TRAILER_BYTES;
	return store_write(out, w->footer.data, w->footer.len, e);
}

/* Write and commit; ERR_CONFLICT when the key came to be meanwhile. */
static int
write_object(struct wal_storer *w, const struct lineage *l, const char *key,
    const struct walfile_header *h, const uint8_t *data, int level,
    const struct walindex *x, struct err *e)
{
	uint8_t header[WALFILE_HEADER_BYTES];
	AUTO_STORE_WRITER struct store_writer *out =
	    store_create(repo_store(l->repo), key, e);

	if (out == NULL)
		return -1;
	(void)memset(&w->trailer, 0, sizeof(w->trailer));
	walfile_digest_of(h->version, data, h->plain_bytes, w->trailer.digest);
	buf_clear(&w->footer);
	(void)memset(buf_reserve(&w->footer, WALFILE_FRAME_BYTES), 0,
	    WALFILE_FRAME_BYTES);
	w->footer.len = WALFILE_FRAME_BYTES;
	walfile_header_encode(h, header);
	w->trailer.header_crc = walfile_header_crc(header);

	level = choose_level(w, data, h->plain_bytes, level);
	if (store_write(out, header, sizeof(header), e) == -1 ||
	    write_body(w, out, h, data, level, e) == -1 ||
	    write_footer(w, out, h, x, e) == -1 ||
	    (w->turn != NULL && w->turn(w->turn_arg, e) == -1))
		return -1;
	return store_commit(out, e);
}

/*
 * Who stored the object may have ended before its folder was synced: what is
 * there is only durable once that has been done.
 */
static int
sync_folder(const struct lineage *l, const char *key, struct err *e)
{
	const char *root = store_local_path(repo_store(l->repo));
	AUTO_FREE char *path = NULL;

	if (root == NULL)
		return 0;
	path = mem_printf("%s/%.*s", root, (int)(strrchr(key, '/') - key), key);
	return file_sync_dir_at(AT_FDCWD, path, e);
}

/* 1 the same bytes are there, 0 nothing is, -1 others are (ERR_CONFLICT). */
static int
compare(const struct lineage *l, const char *key, const uint8_t *data,
    size_t len, struct err *e)
{
	struct err local = ERR_INIT;
	int found = walstored_compare(l, key, data, len, &local);

	if (found == 1 && sync_folder(l, key, e) == -1)
		return -1;
	if (found == -1 && e != NULL)
		*e = local;
	if (found >= 0 || local.kind != ERR_CONFLICT)
		return found;
	return err_hint(e,
	    "Two servers write the same timeline of cluster \"%s\", or one was "
	    "restored or promoted without a new timeline.  Nothing was "
	    "replaced.  If this server is the one to go on with, let \"pgkura "
	    "wal fork %s\" begin a new history for it.",
	    l->cluster, l->cluster);
}

int
wal_storer_put(struct wal_storer *w, const struct lineage *l, const char *key,
    const struct walfile_header *header, const uint8_t *data, int level,
    const struct walindex *x, bool *existed, struct err *e)
{
	struct err local = ERR_INIT;
	int found;

	assert(x->summary.start_lsn == header->start_lsn);
	found = compare(l, key, data, header->plain_bytes, e);
	*existed = found == 1;
	if (found != 0)
		return found == 1 ? 0 : -1;
	if (write_object(w, l, key, header, data, level, x, &local) == 0)
		return 0;
	if (local.kind == ERR_CONFLICT) { /* another process was faster */
		found = compare(l, key, data, header->plain_bytes, e);
		*existed = found == 1;
		if (found != 0)
			return found == 1 ? 0 : -1;
	}
	if (e != NULL)
		*e = local;
	return -1;
}
