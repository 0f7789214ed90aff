/*
 * A pack's footer and index must survive any bytes, and every question put to
 * an index that was accepted must have an answer inside it.
 */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/pack_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
ask(const struct pack_index *x)
{
	uint32_t i, frame;
	uint16_t b;
	struct frame_run run;
	uint64_t sum = 0;
	volatile uint64_t seen; /* that every answer is read */

	for (i = 0; i < pack_index_frames(x); i++)
		for (b = 0; b < pack_index_frame(x, i)->block_count; b++) {
			sum += pack_index_sum(x, i, b).hash;
			if (pack_index_block_offset(x, i, b) +
				pack_index_block_len(x, i, b) >
			    pack_index_frame(x, i)->raw_len)
				abort();
		}
	for (i = 0; pack_index_run(x, i, &frame, &run); i++)
		sum += strlen(run.path) + run.first_block;
	seen = sum;
	(void)seen;
}

/*
 * data: 4 bytes of frame, sum and run counts and path length, then the tables.
 * The footer is made to fit, or a fuzzer would hardly ever get past it.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t raw[PACK_FOOTER_BYTES] = { 0 };
	struct pack_footer f = { 0 }, g;
	AUTO_PACK_INDEX struct pack_index *x = NULL;
	struct err e = ERR_INIT;
	uint8_t *tables;
	size_t want;

	if (len >= PACK_FOOTER_BYTES)
		(void)pack_footer_decode(&g, data, len, &e);
	if (len < 4)
		return 0;
	f.frame_count = data[0];
	f.sum_count = data[1];
	f.run_count = data[2];
	f.path_bytes = data[3];
	want = (size_t)f.frame_count * PACK_FRAME_ROW +
	    (size_t)f.sum_count * PACK_SUM_ROW +
	    (size_t)f.run_count * PACK_RUN_ROW + f.path_bytes;
	tables = mem_zalloc(want);
	(void)memcpy(tables, data + 4, len - 4 < want ? len - 4 : want);
	f.index_offset = (uint64_t)1 << 20;
	f.index_bytes = want;
	sha256_of(tables, want, f.index_sha256);
	pack_footer_encode(&f, raw);
	if (pack_footer_decode(
		&g, raw, f.index_offset + want + PACK_FOOTER_BYTES, &e) == -1)
		abort();
	x = pack_index_decode(&g, tables, &e);
	if (x != NULL)
		ask(x);
	return 0;
}
