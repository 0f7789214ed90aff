/*
 * walfile: header, footer and trailer of a stored WAL segment.
 */

#include "repo/walfile.h"

#include <assert.h>
#include <string.h>

#include "base/le.h"
#include "pg/lsn.h"

#define FRAME_HEADER 0x184D2A5Bu
#define FRAME_FOOTER 0x184D2A5Cu

static const uint8_t header_magic[8] = { 'P', 'G', 'K', 'W', 'A', 'L', '\r',
	'\n' };
static const uint8_t trailer_magic[4] = { 'K', 'E', 'N', 'D' };

static bool
chunk_bytes_valid(uint32_t bytes)
{
	return bytes >= WALFILE_CHUNK_BYTES_MIN &&
	    bytes <= WALFILE_CHUNK_BYTES_MAX && (bytes & (bytes - 1)) == 0;
}

/* What is wrong with the values of h?  NULL when nothing is. */
static const char *
header_fault(const struct walfile_header *h)
{
	bool partial = (h->flags & WALFILE_PARTIAL) != 0;

	if ((h->flags & ~WALFILE_FLAGS_KNOWN) != 0)
		return "has flags of a later version";
	if (h->timeline == 0)
		return "has timeline 0";
	if (!wal_segment_bytes_valid(h->segment_bytes))
		return "has a wrong segment size";
	if (h->start_lsn % h->segment_bytes != 0)
		return "does not start where a segment starts";
	if (h->plain_bytes > h->segment_bytes ||
	    (!partial && h->plain_bytes != h->segment_bytes) ||
	    (partial && h->plain_bytes == 0))
		return "has a length that does not fit the segment size";
	if (!chunk_bytes_valid(h->chunk_bytes))
		return "has a wrong chunk size";
	return NULL;
}

void
walfile_header_encode(
    const struct walfile_header *h, uint8_t out[WALFILE_HEADER_BYTES])
{
	assert(header_fault(h) == NULL);

	(void)memset(out, 0, WALFILE_HEADER_BYTES);
	le32_put(out, FRAME_HEADER);
	le32_put(out + 4, WALFILE_HEADER_BYTES - 8);
	(void)memcpy(out + 8, header_magic, sizeof(header_magic));
	le16_put(out + 16, h->version);
	le16_put(out + 18, h->flags);
	le32_put(out + 20, h->timeline);
	le64_put(out + 24, h->system_id);
	le64_put(out + 32, h->start_lsn);
	le32_put(out + 40, h->segment_bytes);
	le32_put(out + 44, h->plain_bytes);
	le32_put(out + 48, h->chunk_bytes);
	le32_put(out + 60, crc32c(0, out, 60));
}

int
walfile_header_decode(struct walfile_header *h,
    const uint8_t in[WALFILE_HEADER_BYTES], struct err *e)
{
	struct walfile_header got;
	const char *fault;

	if (le32_get(in) != FRAME_HEADER ||
	    le32_get(in + 4) != WALFILE_HEADER_BYTES - 8 ||
	    memcmp(in + 8, header_magic, sizeof(header_magic)) != 0)
		return err_set(e, ERR_CORRUPT, "not a stored WAL segment");
	if (le32_get(in + 60) != crc32c(0, in, 60))
		return err_set(e, ERR_CORRUPT,
		    "checksum of the segment's header does not match");

	/* The checksum holds, so what follows is a difference, not damage. */
	got.version = le16_get(in + 16);
	if (got.version < 1 || got.version > WALFILE_VERSION)
		return err_set(e, ERR_CORRUPT,
		    "version %u of stored WAL segments is not supported",
		    got.version);
	got.flags = le16_get(in + 18);
	got.timeline = le32_get(in + 20);
	got.system_id = le64_get(in + 24);
	got.start_lsn = le64_get(in + 32);
	got.segment_bytes = le32_get(in + 40);
	got.plain_bytes = le32_get(in + 44);
	got.chunk_bytes = le32_get(in + 48);
	fault = le64_get(in + 52) != 0 ? "has bits of a later version"
				       : header_fault(&got);
	if (fault != NULL)
		return err_set(
		    e, ERR_CORRUPT, "the segment's header %s", fault);
	*h = got;
	return 0;
}

uint32_t
walfile_header_crc(const uint8_t in[WALFILE_HEADER_BYTES])
{
	return le32_get(in + 60);
}

void
walfile_trailer_encode(
    const struct walfile_trailer *t, uint8_t out[WALFILE_TRAILER_BYTES])
{
	assert(t->index_bytes <= WALFILE_INDEX_BYTES_MAX);

	(void)memcpy(out, t->digest, WALFILE_DIGEST_BYTES);
	le64_put(out + 32, t->body_bytes);
	le32_put(out + 40, t->index_bytes);
	le32_put(out + 44, t->footer_crc);
	le32_put(out + 48, t->header_crc);
	le32_put(out + 52, 0);
	(void)memcpy(out + 56, trailer_magic, sizeof(trailer_magic));
	le32_put(out + 60, crc32c(0, out, 60));
}

int
walfile_trailer_decode(struct walfile_trailer *t,
    const uint8_t in[WALFILE_TRAILER_BYTES], struct err *e)
{
	if (memcmp(in + 56, trailer_magic, sizeof(trailer_magic)) != 0)
		return err_set(e, ERR_CORRUPT,
		    "the stored segment has no trailer: it is cut off or "
		    "overwritten");
	if (le32_get(in + 60) != crc32c(0, in, 60))
		return err_set(e, ERR_CORRUPT,
		    "checksum of the segment's trailer does not match");
	if (le32_get(in + 40) > WALFILE_INDEX_BYTES_MAX)
		return err_set(e, ERR_CORRUPT,
		    "the segment's index has %u bytes, at most %u are allowed",
		    le32_get(in + 40), WALFILE_INDEX_BYTES_MAX);
	if (le32_get(in + 52) != 0)
		return err_set(e, ERR_CORRUPT,
		    "the segment's trailer has bits of a later version");

	(void)memcpy(t->digest, in, WALFILE_DIGEST_BYTES);
	t->body_bytes = le64_get(in + 32);
	t->index_bytes = le32_get(in + 40);
	t->footer_crc = le32_get(in + 44);
	t->header_crc = le32_get(in + 48);
	return 0;
}

void
walfile_digest_of(unsigned int version, const void *plain, size_t len,
    uint8_t out[WALFILE_DIGEST_BYTES])
{
	if (version == 1) {
		sha256_of(plain, len, out);
		return;
	}
	(void)memset(out, 0, WALFILE_DIGEST_BYTES);
	xxh3_128_of(plain, len, out);
}

uint32_t
walfile_chunks(const struct walfile_header *h)
{
	return h->plain_bytes / h->chunk_bytes +
	    (h->plain_bytes % h->chunk_bytes != 0);
}

uint32_t
walfile_chunk_plain(const struct walfile_header *h, uint32_t i)
{
	uint32_t left = h->plain_bytes - i * h->chunk_bytes;

	return left < h->chunk_bytes ? left : h->chunk_bytes;
}

uint64_t
walfile_footer_bytes(const struct walfile_header *h, uint32_t index_bytes)
{
	return WALFILE_FRAME_BYTES +
	    (uint64_t)WALFILE_CHUNK_ENTRY_BYTES * walfile_chunks(h) +
	    index_bytes + WALFILE_TRAILER_BYTES;
}

void
walfile_footer_begin(uint8_t out[WALFILE_FRAME_BYTES], uint64_t footer_bytes)
{
	le32_put(out, FRAME_FOOTER);
	le32_put(out + 4, (uint32_t)(footer_bytes - WALFILE_FRAME_BYTES));
}

void
walfile_chunk_encode(
    const struct walfile_chunk *c, uint8_t out[WALFILE_CHUNK_ENTRY_BYTES])
{
	le32_put(out, c->stored_bytes);
	le32_put(out + 4, c->crc);
}

struct walfile_chunk
walfile_chunk_at(const uint8_t *footer, uint32_t i)
{
	const uint8_t *in = footer + WALFILE_FRAME_BYTES +
	    (size_t)WALFILE_CHUNK_ENTRY_BYTES * i;
	struct walfile_chunk c = { le32_get(in), le32_get(in + 4) };

	return c;
}

int
walfile_footer_check(const struct walfile_header *h,
    const struct walfile_trailer *t, const uint8_t *in, size_t len,
    struct err *e)
{
	uint64_t bytes = walfile_footer_bytes(h, t->index_bytes), body = 0;
	uint32_t i;

	if (len + WALFILE_TRAILER_BYTES != bytes)
		return err_set(e, ERR_CORRUPT,
		    "the segment's footer has %zu bytes, expected %llu", len,
		    (unsigned long long)bytes);
	if (t->footer_crc != crc32c(0, in, len))
		return err_set(e, ERR_CORRUPT,
		    "checksum of the segment's footer does not match");
	if (le32_get(in) != FRAME_FOOTER ||
	    le32_get(in + 4) != bytes - WALFILE_FRAME_BYTES)
		return err_set(
		    e, ERR_CORRUPT, "the segment's footer is not well formed");
	for (i = 0; i < walfile_chunks(h); i++)
		body += walfile_chunk_at(in, i).stored_bytes;
	if (body != t->body_bytes)
		return err_set(e, ERR_CORRUPT,
		    "chunks of %llu bytes are listed, expected %llu",
		    (unsigned long long)body,
		    (unsigned long long)t->body_bytes);
	return 0;
}
