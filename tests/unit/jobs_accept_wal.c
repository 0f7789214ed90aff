/*
 * WAL of another site, as a compressed stream in chunks of any order, becomes
 * segments here.
 */

#include "base/clock.h"
#include "codec/zstream.h"
#include "jobs/accept_wal.h"
#include "repo/waltail.h"
#include "unit/wal_scratch.h"

#define AT(segment) ((uint64_t)(segment)*SEGMENT_BYTES)
#define CHUNK_BYTES 5000

static struct lineage lineage;
static char name[] = "main";
static const struct cluster_settings cluster = { .name = name,
	.compress_level = 1 };

static void
nothing(void *arg)
{
	(void)arg;
}

/* len bytes at data as the sender's stream, flushed every 100,000 bytes. */
static void
compress(const uint8_t *data, size_t len, struct buf *out)
{
	AUTO_ZDEFLATE struct zdeflate *z = zdeflate_new(1);
	size_t n;

	for (; len > 0; data += n, len -= n) {
		n = len < 100000 ? len : 100000;
		zdeflate_put(z, data, n, out);
	}
}

static int
put(struct accept_wal *a, const struct buf *b, size_t chunk, struct err *e)
{
	size_t at = chunk * CHUNK_BYTES, len = CHUNK_BYTES;

	if (at >= b->len)
		return 0;
	if (b->len - at < len)
		len = b->len - at;
	return accept_wal_chunk(a, at, b->data + at, len, e);
}

/* All chunks, each group of seven backwards, every third twice. */
static int
put_all(struct accept_wal *a, const struct buf *b, struct err *e)
{
	size_t count = b->len / CHUNK_BYTES + 1, i, k;

	for (i = 0; i < count; i += 7)
		for (k = 7; k-- > 0;)
			if (put(a, b, i + k, e) == -1 ||
			    (k % 3 == 0 && put(a, b, i + k, e) == -1))
				return -1;
	return 0;
}

/* Until all of it is taken and durable, or it failed. */
static struct accept_wal_state
settle(struct accept_wal *a, uint64_t lsn)
{
	struct accept_wal_state st;
	int i;

	for (i = 0; i < 3000; i++) {
		accept_wal_state(a, &st);
		if (st.err.kind != ERR_NONE || st.durable_lsn >= lsn)
			break;
		clock_sleep_us(10000);
	}
	return st;
}

static bool
is_stored(const struct walmaker *m, unsigned int i)
{
	AUTO_FREE uint8_t *got = mem_alloc(SEGMENT_BYTES);
	struct err e = ERR_INIT;

	return wal_read_segment(&lineage,
		   wal_scratch_name(1, m->start_lsn + AT(i)), got, &e) == 0 &&
	    memcmp(got, wal_segment_of(m, i), SEGMENT_BYTES) == 0;
}

static void
check_any_order(void)
{
	AUTO_ACCEPT_WAL struct accept_wal *a = NULL;
	AUTO_WALMAKER struct walmaker m;
	AUTO_BUF struct buf b = BUF_INIT;
	AUTO_FREE uint8_t *tail = mem_alloc(SEGMENT_BYTES);
	struct accept_wal_state st;
	struct err e = ERR_INIT;
	size_t len = 2 * SEGMENT_BYTES + 300000, valid = 0;
	uint64_t from = 0;

	walmaker_init(&m, 15, AT(4));
	wal_fill(&m, AT(7));
	compress(m.out.data, len, &b);
	a = accept_wal_new(
	    &lineage, &cluster, 1, AT(4), nothing, NULL, &from, &e);
	tap_ok(a != NULL && from == AT(4), "it begins where nothing is (%s)",
	    e.text);
	tap_ok(put_all(a, &b, &e) == 0, "chunks in any order (%s)", e.text);
	st = settle(a, AT(4) + len);
	tap_ok(st.err.kind == ERR_NONE && st.durable_lsn == AT(4) + len &&
		st.consumed == b.len,
	    "all of it is durable (%s)", st.err.text);
	tap_ok(is_stored(&m, 0) && is_stored(&m, 1),
	    "full segments are stored, byte for byte");
	tap_ok(wal_read_tail(&lineage, wal_scratch_name(1, AT(6)), tail, &valid,
		   &e) == 0 &&
		valid > 290000 &&
		memcmp(tail, wal_segment_of(&m, 2), valid) == 0,
	    "and the open one is there up to its last record");

	/* The next connection goes on behind what is here. */
	accept_wal_free(steal_ptr(&a));
	a = accept_wal_new(
	    &lineage, &cluster, 1, AT(6), nothing, NULL, &from, &e);
	tap_ok(a != NULL && from > AT(6) + 290000 && from <= AT(4) + len,
	    "a new stream begins at the byte that is missing (%s)", e.text);
	buf_clear(&b);
	compress(m.out.data + (from - AT(4)), (size_t)(AT(7) - from), &b);
	tap_ok(put_all(a, &b, &e) == 0, "and goes on (%s)", e.text);
	st = settle(a, AT(7));
	tap_ok(st.durable_lsn == AT(7), "up to the end (%s)", st.err.text);
	accept_wal_free(steal_ptr(&a));
}

static void
check_end_of_timeline(void)
{
	AUTO_ACCEPT_WAL struct accept_wal *a = NULL;
	AUTO_WALMAKER struct walmaker m;
	AUTO_BUF struct buf b = BUF_INIT;
	AUTO_FREE uint8_t *tail = mem_alloc(SEGMENT_BYTES);
	struct accept_wal_state st;
	struct err e = ERR_INIT;
	uint64_t from = 0;
	uint32_t valid = 0;
	int i;

	walmaker_init(&m, 15, AT(0x10));
	wal_fill(&m, AT(0x10) + 400000);
	compress(m.out.data, 400000, &b);
	a = accept_wal_new(
	    &lineage, &cluster, 1, AT(0x10), nothing, NULL, &from, &e);
	accept_wal_end(a, b.len);
	(void)put_all(a, &b, &e);
	for (i = 0; i < 3000; i++) {
		accept_wal_state(a, &st);
		if (st.ended || st.err.kind != ERR_NONE)
			break;
		clock_sleep_us(10000);
	}
	tap_ok(st.ended, "the timeline ends (%s)", st.err.text);
	tap_ok(wal_tail_open(&lineage, wal_scratch_name(1, AT(0x10)), tail,
		   &valid, &e) == 0 &&
		wal_tail_partial(&lineage, wal_scratch_name(1, AT(0x10)), tail,
		    &valid, &e) == 1 &&
		valid > 390000,
	    "and what is open becomes a partial (%s)", e.text);
}

static void
check_damage(void)
{
	AUTO_ACCEPT_WAL struct accept_wal *a = NULL;
	AUTO_WALMAKER struct walmaker m;
	AUTO_BUF struct buf b = BUF_INIT;
	struct accept_wal_state st;
	struct err e = ERR_INIT;
	uint64_t from = 0;

	walmaker_init(&m, 15, AT(0x20));
	wal_fill(&m, AT(0x21));
	m.out.data[700000] ^= 1;
	compress(m.out.data, SEGMENT_BYTES, &b);
	a = accept_wal_new(
	    &lineage, &cluster, 1, AT(0x20), nothing, NULL, &from, &e);
	(void)put_all(a, &b, &e);
	st = settle(a, AT(0x21));
	tap_ok(st.err.kind == ERR_CORRUPT && st.durable_lsn < AT(0x20) + 700000,
	    "a damaged record ends it: %s", st.err.text);
	accept_wal_free(steal_ptr(&a));

	a = accept_wal_new(
	    &lineage, &cluster, 1, AT(0x30), nothing, NULL, &from, &e);
	tap_ok(
	    accept_wal_chunk(a, 3 * ACCEPT_WAL_WINDOW, b.data, 100, &e) == -1 &&
		e.kind == ERR_CORRUPT,
	    "more than the window is refused: %s", e.text);
	(void)accept_wal_chunk(a, 0, (const uint8_t *)"no zstd at all", 14, &e);
	st = settle(a, AT(0x31));
	tap_ok(st.err.kind == ERR_CORRUPT, "and what is no stream: %s",
	    st.err.text);
}

int
main(void)
{
	AUTO_REPO struct repo *r = NULL;

	(void)scratch_enter();
	r = wal_scratch_repo(&lineage);
	check_any_order();
	check_end_of_timeline();
	check_damage();
	return tap_done();
}
