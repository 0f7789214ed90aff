/*
 * walseam: two histories are told apart where one of them is to go on.
 */

#include "unit/wal_scratch.h"

#define LSN(segment) ((uint64_t)(segment)*SEGMENT_BYTES)

/* One that commits this transaction, and switches to segment 2. */
static void
make(const struct lineage *l, uint32_t xid)
{
	AUTO_WALMAKER struct walmaker m;
	char text[64], at[LSN_TEXT_BYTES];
	struct err e = ERR_INIT;

	walmaker_init(&m, 15, LSN(1));
	wal_fill(&m, LSN(1) + 300000);
	(void)wal_commit(&m, xid, 77);
	wal_switch(&m);
	wal_fill(&m, LSN(2) + 100000);
	(void)snprintf(
	    text, sizeof(text), "1\t%s\tpromoted\n", lsn_text(LSN(2), at));
	if (!wal_scratch_store(l, &m, 0, &e) ||
	    wal_store_history(l, 2, text, strlen(text), &e) == -1)
		tap_bail("%s", e.text);
}

static struct wal_seam
seam(const struct lineage *l, uint32_t timeline, uint64_t lsn)
{
	struct wal_seam s;
	struct err e = ERR_INIT;

	if (wal_seam(l, timeline, lsn, &s, &e) == -1)
		tap_bail("%s", e.text);
	return s;
}

static void
check(const struct lineage *a, const struct lineage *b, const struct lineage *c,
    uint32_t timeline)
{
	struct wal_seam x = seam(a, timeline, LSN(2)),
			y = seam(b, timeline, LSN(2)),
			z = seam(c, timeline, LSN(2));

	tap_u64(x.bytes, SEGMENT_BYTES,
	    "timeline %u at a border: all of the segment in front counts",
	    timeline);
	tap_ok(wal_seam_fits(&x, &y), "... of one history");
	tap_ok(!wal_seam_fits(&x, &z), "... and not of two");
}

int
main(void)
{
	struct lineage a, b, c;
	struct repo *r;
	struct err e = ERR_INIT;
	struct wal_seam none;

	(void)scratch_enter();
	r = wal_scratch_repo(&a);
	if (lineage_open_for(r, "b", &a.facts, &b, &e) == -1 ||
	    lineage_open_for(r, "c", &a.facts, &c, &e) == -1)
		tap_bail("%s", e.text);
	make(&a, 1234);
	make(&b, 1234);
	make(&c, 1235);
	check(&a, &b, &c, 1);
	check(&a, &b, &c, 2);
	none = seam(&a, 1, LSN(9));
	tap_u64(none.bytes, 0, "what is not here says nothing");
	none = seam(&a, 3, LSN(2));
	tap_u64(none.bytes, 0, "nor a timeline that is not known");
	none = seam(&a, 1, 0);
	tap_u64(none.bytes, 0, "nor the very beginning");
	repo_close(r);
	return tap_done();
}
