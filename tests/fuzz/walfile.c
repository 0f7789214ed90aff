/*
 * The ends of a stored WAL segment must survive any bytes, and what is accepted
 * encodes to the very same bytes.  The input is header, trailer, then a footer.
 */

#include "repo/walfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/le.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Past the checksum, or a fuzzer would hardly ever get there. */
static void
seal(uint8_t raw[64])
{
	le32_put(raw + 60, crc32c(0, raw, 60));
}

static void
check_footer(const struct walfile_header *h, struct walfile_trailer *t,
    const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf footer = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t body = 0;
	uint32_t i;

	(void)walfile_footer_check(h, t, data, len, &e); /* as it comes */
	if (len < WALFILE_FRAME_BYTES || len > 1 << 20)
		return;
	buf_put(&footer, data, len);
	walfile_footer_begin(footer.data, len + WALFILE_TRAILER_BYTES);
	t->footer_crc = crc32c(0, footer.data, len);
	if (walfile_footer_check(h, t, footer.data, len, &e) == -1)
		return;
	for (i = 0; i < walfile_chunks(h); i++)
		body += walfile_chunk_at(footer.data, i).stored_bytes;
	if (body != t->body_bytes)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t raw[128] = { 0 }, again[64];
	struct walfile_header h;
	struct walfile_trailer t;
	struct err e = ERR_INIT;
	uint64_t sum = 0;
	uint32_t i;

	(void)memcpy(raw, data, len < sizeof(raw) ? len : sizeof(raw));
	(void)walfile_header_decode(&h, raw, &e);
	(void)walfile_trailer_decode(&t, raw + 64, &e);
	seal(raw);
	seal(raw + 64);
	if (walfile_trailer_decode(&t, raw + 64, &e) == -1)
		return 0;
	walfile_trailer_encode(&t, again);
	if (memcmp(raw + 64, again, 64) != 0)
		abort();
	if (walfile_header_decode(&h, raw, &e) == -1)
		return 0;
	walfile_header_encode(&h, again);
	if (memcmp(raw, again, 64) != 0)
		abort();
	for (i = 0; i < walfile_chunks(&h); i++)
		sum += walfile_chunk_plain(&h, i);
	if (sum != h.plain_bytes)
		abort();
	if (len > sizeof(raw))
		check_footer(&h, &t, data + sizeof(raw), len - sizeof(raw));
	return 0;
}
