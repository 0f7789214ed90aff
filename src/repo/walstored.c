/*
 * walstored: reading stored WAL segments, and their names.
 */

#include "repo/walstored.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "codec/zcodec.h"

/* Most segments' footers fit into what is read first. */
#define TAIL_BYTES ((size_t)4096)

struct walstored {
	struct store_reader *reader;
	struct walfile_header header;
	struct walfile_trailer trailer;
	struct buf footer; /* without its trailer */
	struct zcodec *zcodec;
	struct buf chunk; /* stored bytes of one */
	struct buf plain; /* of a chunk of which only some are wanted */
};

const char *
walstored_key(
    const struct lineage *l, const char *name, char out[STORE_KEY_BYTES])
{
	return lineage_key(l, out, "wal/%.8s/%.8s/%s", name, name + 8, name);
}

void
walstored_partial_name(const char *segment, uint64_t end_lsn,
    const uint8_t digest[WALFILE_DIGEST_BYTES],
    char out[WALSTORED_PARTIAL_NAME_BYTES])
{
	char hex[17];

	hex_encode(digest, 8, hex);
	(void)snprintf(out, WALSTORED_PARTIAL_NAME_BYTES,
	    "%.24s.partial.%016" PRIX64 ".%s", segment, end_lsn, hex);
}

bool
walstored_parse_partial(
    const char *name, char segment[WAL_NAME_BYTES], uint64_t *end_lsn)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *p = name + 24;

	if (strspn(name, digits) != 24 || strncmp(p, ".partial.", 9) != 0)
		return false;
	p += 9;
	if (strspn(p, digits) != 16 || p[16] != '.' ||
	    strspn(p + 17, "0123456789abcdef") != 16 || p[33] != '\0')
		return false;
	(void)memcpy(segment, name, 24);
	segment[24] = '\0';
	*end_lsn = strtoull(p, NULL, 16);
	return true;
}

/* ---- opening ---- */

/* The last bytes of the file: the trailer, and the footer before it. */
static int
read_footer(struct walstored *s, struct err *e)
{
	uint64_t size = store_reader_bytes(s->reader), footer_bytes;
	size_t tail = size < TAIL_BYTES ? (size_t)size : TAIL_BYTES;
	AUTO_BUF struct buf b = BUF_INIT;

	if (size <
	    WALFILE_HEADER_BYTES + WALFILE_FRAME_BYTES + WALFILE_TRAILER_BYTES)
		return err_set(e, ERR_CORRUPT, "the stored segment is cut off");
	if (store_pread(
		s->reader, buf_reserve(&b, tail), tail, size - tail, e) == -1)
		return -1;
	if (walfile_trailer_decode(
		&s->trailer, b.data + tail - WALFILE_TRAILER_BYTES, e) == -1)
		return -1;
	footer_bytes = walfile_footer_bytes(&s->header, s->trailer.index_bytes);
	if (s->trailer.body_bytes > size ||
	    WALFILE_HEADER_BYTES + s->trailer.body_bytes + footer_bytes != size)
		return err_set(e, ERR_CORRUPT,
		    "the stored segment has %llu bytes, which is not what its "
		    "trailer says",
		    (unsigned long long)size);
	if (footer_bytes > tail) {
		if (store_pread(s->reader,
			buf_reserve(&b, (size_t)footer_bytes),
			(size_t)footer_bytes, size - footer_bytes, e) == -1)
			return -1;
		tail = (size_t)footer_bytes;
	}
	buf_put(&s->footer, b.data + tail - footer_bytes,
	    (size_t)footer_bytes - WALFILE_TRAILER_BYTES);
	return walfile_footer_check(
	    &s->header, &s->trailer, s->footer.data, s->footer.len, e);
}

/* Is it the segment that its key names, of this lineage? */
static int
check_identity(const struct walstored *s, const struct lineage *l,
    const char *key, struct err *e)
{
	const struct walfile_header *h = &s->header;
	const char *slash = strrchr(key, '/');
	char name[WAL_NAME_BYTES];

	(void)wal_name(h->timeline, h->start_lsn, h->segment_bytes, name);
	if (slash == NULL || strncmp(slash + 1, name, 24) != 0)
		return err_set(e, ERR_CORRUPT,
		    "the stored segment says that it is \"%s\"", name);
	if (h->system_id != l->facts.system_id ||
	    h->segment_bytes != l->facts.segment_bytes)
		return err_set(e, ERR_CORRUPT,
		    "the stored segment is of system %" PRIu64
		    " with %u bytes a segment, expected %" PRIu64 " with %u",
		    h->system_id, h->segment_bytes, l->facts.system_id,
		    l->facts.segment_bytes);
	return 0;
}

static int
read_ends(struct walstored *s, const struct lineage *l, const char *key,
    struct err *e)
{
	uint8_t header[WALFILE_HEADER_BYTES];

	if (store_pread(s->reader, header, sizeof(header), 0, e) == -1 ||
	    walfile_header_decode(&s->header, header, e) == -1 ||
	    read_footer(s, e) == -1)
		return -1;
	if (s->trailer.header_crc != walfile_header_crc(header))
		return err_set(e, ERR_CORRUPT,
		    "header and trailer are of different segments");
	return check_identity(s, l, key, e);
}

struct walstored *
walstored_open(const struct lineage *l, const char *key, struct err *e)
{
	AUTO_WALSTORED struct walstored *s = mem_zalloc(sizeof(*s));

	s->reader = store_read(repo_store(l->repo), key, e);
	if (s->reader == NULL)
		return NULL;
	if (read_ends(s, l, key, e) == -1) {
		(void)err_ctx(e, "\"%s\"", key);
		return NULL;
	}
	return steal_ptr(&s);
}

void
walstored_close(struct walstored *s)
{
	if (s == NULL)
		return;
	store_reader_close(s->reader);
	zcodec_free(s->zcodec);
	buf_free(&s->footer);
	buf_free(&s->chunk);
	buf_free(&s->plain);
	free(s);
}

const struct walfile_header *
walstored_header(const struct walstored *s)
{
	return &s->header;
}

const struct walfile_trailer *
walstored_trailer(const struct walstored *s)
{
	return &s->trailer;
}

int
walstored_index(const struct walstored *s, struct walindex *x, struct err *e)
{
	const struct walfile_header *h = &s->header;
	size_t skip = WALFILE_FRAME_BYTES +
	    (size_t)WALFILE_CHUNK_ENTRY_BYTES * walfile_chunks(h);

	return walindex_decode(x, h->timeline, h->start_lsn,
	    h->start_lsn + h->plain_bytes, s->footer.data + skip,
	    s->footer.len - skip, e);
}

/* ---- the body ---- */

/* Chunk i, whole, into out. */
static int
read_chunk(struct walstored *s, uint32_t i, uint64_t offset, uint8_t *out,
    struct err *e)
{
	struct walfile_chunk c = walfile_chunk_at(s->footer.data, i);
	uint32_t plain = walfile_chunk_plain(&s->header, i);

	if (c.stored_bytes > zcodec_bound(plain))
		return err_set(e, ERR_CORRUPT,
		    "chunk %u has %u stored bytes, too many for %u", i,
		    c.stored_bytes, plain);
	buf_clear(&s->chunk);
	if (store_pread(s->reader, buf_reserve(&s->chunk, c.stored_bytes),
		c.stored_bytes, offset, e) == -1)
		return -1;
	if (crc32c(0, s->chunk.data, c.stored_bytes) != c.crc)
		return err_set(
		    e, ERR_CORRUPT, "checksum of chunk %u does not match", i);
	if (s->zcodec == NULL)
		s->zcodec = zcodec_new();
	return zcodec_decompress(
	    s->zcodec, s->chunk.data, c.stored_bytes, out, plain, e);
}

/* The part of chunk i that lies in [offset, offset + len), to its place. */
static int
read_part(struct walstored *s, uint32_t i, uint64_t at, uint32_t offset,
    uint32_t len, uint8_t *out, struct err *e)
{
	uint32_t from = i * s->header.chunk_bytes;
	uint32_t plain = walfile_chunk_plain(&s->header, i);
	uint32_t skip = offset > from ? offset - from : 0;
	uint32_t end = offset + len - from;
	uint8_t *whole;

	if (skip == 0 && end >= plain)
		return read_chunk(s, i, at, out + (from - offset), e);
	buf_clear(&s->plain);
	whole = buf_reserve(&s->plain, plain);
	if (read_chunk(s, i, at, whole, e) == -1)
		return -1;
	end = end < plain ? end : plain;
	(void)memcpy(out + (from + skip - offset), whole + skip, end - skip);
	return 0;
}

int
walstored_read(struct walstored *s, uint32_t offset, uint32_t len, uint8_t *out,
    struct err *e)
{
	uint64_t at = WALFILE_HEADER_BYTES;
	uint32_t i, from, chunks = walfile_chunks(&s->header);
	char name[WAL_NAME_BYTES];

	if (len > s->header.plain_bytes || offset > s->header.plain_bytes - len)
		return err_set(e, ERR_BUG,
		    "%u bytes at %u of a segment of %u are wanted", len, offset,
		    s->header.plain_bytes);
	for (i = 0; i < chunks; i++) {
		from = i * s->header.chunk_bytes;
		if (from < offset + len &&
		    from + walfile_chunk_plain(&s->header, i) > offset &&
		    read_part(s, i, at, offset, len, out, e) == -1)
			return err_ctx(e, "stored WAL segment \"%s\"",
			    wal_name(s->header.timeline, s->header.start_lsn,
				s->header.segment_bytes, name));
		at += walfile_chunk_at(s->footer.data, i).stored_bytes;
	}
	return 0;
}

int
walstored_compare(const struct lineage *l, const char *key, const void *plain,
    size_t len, struct err *e)
{
	AUTO_WALSTORED struct walstored *s = NULL;
	uint8_t digest[WALFILE_DIGEST_BYTES];
	struct err local = ERR_INIT;

	s = walstored_open(l, key, &local);
	if (s == NULL) {
		if (local.kind == ERR_NOT_FOUND)
			return 0;
		if (e != NULL)
			*e = local;
		return -1;
	}
	if (len == s->header.plain_bytes) {
		walfile_digest_of(s->header.version, plain, len, digest);
		if (memcmp(digest, s->trailer.digest, sizeof(digest)) == 0)
			return 1;
	}
	return err_set(e, ERR_CONFLICT,
	    "WAL segment \"%s\" is in the repository with other bytes",
	    strrchr(key, '/') + 1);
}
