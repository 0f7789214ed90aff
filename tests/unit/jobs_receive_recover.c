/*
 * receive_recover: what a receiver left open when it was killed.  What was full
 * is stored, nothing that was right is lost, and no hole comes of it.
 */

#include <fcntl.h>

#include "jobs/receive_int.h"
#include "unit/wal_scratch.h"

static struct lineage lineage;

#define AT(segment) ((uint64_t)(segment)*SEGMENT_BYTES)

static char path_[1024];

static const char *
folder(const char *below)
{
	(void)snprintf(path_, sizeof(path_), "repo/%s/%s/wal%s",
	    lineage.cluster, lineage.name, below);
	return path_;
}

static void
forget_all(void)
{
	(void)file_rmtree_at(AT_FDCWD, folder(""), NULL);
}

/* The open file of segment holds these bytes. */
static void
leave(unsigned int segment, const void *data, size_t len)
{
	char name[WAL_NAME_BYTES], path[1100];
	struct err e = ERR_INIT;

	(void)file_mkdirs_at(AT_FDCWD, folder("/open"), 0700, &e);
	(void)snprintf(path, sizeof(path), "%s/%s", folder("/open"),
	    wal_name(1, AT(segment), SEGMENT_BYTES, name));
	if (file_publish_at(
		AT_FDCWD, path, data, len, 0600, FILE_REPLACE, &e) == -1)
		tap_bail("%s", e.text);
}

static bool
is_stored(unsigned int segment, const uint8_t *want)
{
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	char name[WAL_NAME_BYTES];

	(void)wal_name(1, AT(segment), SEGMENT_BYTES, name);
	return wal_read_segment(&lineage, name, out, NULL) == 0 &&
	    memcmp(out, want, SEGMENT_BYTES) == 0;
}

static size_t
open_count(void)
{
	return scratch_count(AT_FDCWD, folder("/open"));
}

/* Segments 1 to 4 of a server, in odd records. */
static void
make(struct walmaker *m)
{
	walmaker_init(m, 15, AT(1));
	wal_fill(m, AT(5));
}

static void
check_full_ones(void)
{
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;

	make(&m);
	forget_all();
	leave(1, wal_segment_of(&m, 0), SEGMENT_BYTES);
	leave(2, wal_segment_of(&m, 1), SEGMENT_BYTES);
	leave(3, wal_segment_of(&m, 2), 100000);
	tap_ok(receive_recover(&lineage, 1, &e) == 0 &&
		is_stored(1, wal_segment_of(&m, 0)) &&
		is_stored(2, wal_segment_of(&m, 1)),
	    "full segments before the last are stored (%s)", e.text);
	tap_u64(open_count(), 1, "the last one stays open");
	leave(3, wal_segment_of(&m, 2), SEGMENT_BYTES);
	tap_ok(receive_recover(&lineage, 1, &e) == 0 && open_count() == 1,
	    "a full last one waits for the record that crosses its end");
}

/* Killed before it stored them, and no receiver comes any more: what is open is
 * read as it is, over the record that crosses a border. */
static void
check_read_as_it_is(void)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_FREE struct wal_span *spans = NULL;
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	char name[WAL_NAME_BYTES];
	struct err e = ERR_INIT;
	size_t count = 0, len = 0;

	make(&m);
	forget_all();
	leave(1, wal_segment_of(&m, 0), SEGMENT_BYTES);
	leave(2, wal_segment_of(&m, 1), SEGMENT_BYTES);
	leave(3, wal_segment_of(&m, 2), 100000);
	tap_ok(wal_spans(&lineage, &spans, &count, &e) == 0 && count == 1 &&
		spans[0].open_end && spans[0].end_lsn > AT(3) + 90000,
	    "open segments are one span without a hole (%s)", e.text);
	tap_ok(wal_read_tail(&lineage, wal_name(1, AT(1), SEGMENT_BYTES, name),
		   out, &len, &e) == 0 &&
		len == SEGMENT_BYTES &&
		memcmp(out, wal_segment_of(&m, 0), len) == 0,
	    "and read up to the border (%s)", e.text);
	m.out.data[2 * SEGMENT_BYTES - 1] ^= 1; /* in the record that crosses */
	leave(2, wal_segment_of(&m, 1), SEGMENT_BYTES);
	tap_ok(wal_read_tail(&lineage, wal_name(1, AT(2), SEGMENT_BYTES, name),
		   out, &len, &e) == 0 &&
		len < SEGMENT_BYTES && len > SEGMENT_BYTES - 10000,
	    "unless that record is broken: then it ends before it (%s)",
	    e.text);
}

static void
check_switch(void)
{
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;

	walmaker_init(&m, 15, AT(1));
	(void)wal_noop(&m, 500);
	wal_switch(&m);
	forget_all();
	leave(1, m.out.data, SEGMENT_BYTES);
	tap_ok(receive_recover(&lineage, 1, &e) == 0 &&
		is_stored(1, m.out.data) && open_count() == 0,
	    "one that ends in a switch need not wait (%s)", e.text);
}

static void
check_broken_border(void)
{
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;

	make(&m);
	forget_all();
	m.out.data[SEGMENT_BYTES - 1] ^= 1; /* in the record that crosses */
	leave(1, wal_segment_of(&m, 0), SEGMENT_BYTES);
	leave(2, wal_segment_of(&m, 1), 100000);
	tap_ok(receive_recover(&lineage, 1, &e) == 0 &&
		!is_stored(1, wal_segment_of(&m, 0)) && open_count() == 1,
	    "a segment whose last record is broken stays open, and what is "
	    "behind it goes (%s)",
	    e.text);
}

/* Damage where the last record of a stored segment ends in the open one. */
static void
check_broken_start(void)
{
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;
	static const uint32_t lens[] = { 100000, SEGMENT_BYTES };
	size_t i;

	make(&m);
	for (i = 0; i < COUNT_OF(lens); i++) {
		forget_all();
		tap_ok(wal_scratch_store(&lineage, &m, 0, &e),
		    "a stored segment (%s)", e.text);
		leave(2, wal_segment_of(&m, 1), lens[i]);
		tap_ok(
		    receive_recover(&lineage, 1, &e) == 0 && open_count() == 1,
		    "the open one behind it stays (%s)", e.text);
		leave(2, wal_segment_of(&m, 1), 100);
		tap_ok(
		    receive_recover(&lineage, 1, &e) == 0 && open_count() == 1,
		    "also where the record does not end yet (%s)", e.text);
		m.out.data[SEGMENT_BYTES + 50] ^= 1;
		leave(2, wal_segment_of(&m, 1), lens[i]);
		tap_ok(receive_recover(&lineage, 1, &e) == 0 &&
			open_count() == 0 &&
			!is_stored(2, wal_segment_of(&m, 1)),
		    "damage at its start, %u bytes: it is to come again (%s)",
		    lens[i], e.text);
		m.out.data[SEGMENT_BYTES + 50] ^= 1;
		m.out.data[SEGMENT_BYTES + 90000] ^= 1;
		leave(2, wal_segment_of(&m, 1), lens[i]);
		tap_ok(
		    receive_recover(&lineage, 1, &e) == 0 && open_count() == 1,
		    "damage behind is cut off where it is (%s)", e.text);
		m.out.data[SEGMENT_BYTES + 90000] ^= 1;
	}
}

/* The same when the record is the first behind a switch. */
static void
check_broken_start_behind_switch(void)
{
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;

	walmaker_init(&m, 15, AT(1));
	(void)wal_noop(&m, 500);
	wal_switch(&m);
	(void)wal_noop(&m, SEGMENT_BYTES + SEGMENT_BYTES / 2);
	wal_fill(&m, AT(4));
	forget_all();
	tap_ok(wal_scratch_store(&lineage, &m, 0, &e) &&
		wal_scratch_store(&lineage, &m, 1, &e),
	    "one record fills a segment behind a switch (%s)", e.text);
	leave(3, wal_segment_of(&m, 2), SEGMENT_BYTES - 10000);
	tap_ok(receive_recover(&lineage, 1, &e) == 0 && open_count() == 1,
	    "what is right stays (%s)", e.text);
	m.out.data[2 * SEGMENT_BYTES + 5000] ^= 1;
	leave(3, wal_segment_of(&m, 2), SEGMENT_BYTES - 10000);
	tap_ok(receive_recover(&lineage, 1, &e) == 0 && open_count() == 0,
	    "damage where it ends is to come again (%s)", e.text);
}

/* A record over three segments, all zeros. */
static void
check_giant_record(void)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_FREE uint8_t *zeros = mem_zalloc(3 * SEGMENT_BYTES);
	AUTO_FREE struct wal_span *spans = NULL;
	struct err e = ERR_INIT;
	size_t count;

	walmaker_init(&m, 15, AT(1));
	(void)wal_noop(&m, 500);
	(void)walmaker_record(
	    &m, RM_XLOG, XLOG_NOOP, 0, zeros, 3 * SEGMENT_BYTES);
	wal_fill(&m, AT(5));
	forget_all();
	leave(1, wal_segment_of(&m, 0), SEGMENT_BYTES);
	leave(2, wal_segment_of(&m, 1), SEGMENT_BYTES);
	leave(3, wal_segment_of(&m, 2), 200000);
	tap_ok(receive_recover(&lineage, 1, &e) == 0 &&
		is_stored(1, wal_segment_of(&m, 0)) &&
		is_stored(2, wal_segment_of(&m, 1)) && open_count() == 1,
	    "segments inside one long record are stored too (%s)", e.text);
	tap_ok(wal_spans(&lineage, &spans, &count, &e) == 0 && count == 1,
	    "and there is no hole");
}

static void
check_stored_already(void)
{
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;

	make(&m);
	forget_all();
	(void)wal_scratch_store(&lineage, &m, 0, &e);
	leave(1, wal_segment_of(&m, 0), 300000);
	tap_ok(receive_recover(&lineage, 1, &e) == 0 && open_count() == 0,
	    "what is stored already need not be open (%s)", e.text);
	walmaker_fini(&m);
	walmaker_init(&m, 15, AT(1));
	(void)wal_noop(&m, 777);
	wal_fill(&m, AT(2));
	leave(1, m.out.data, 300000);
	tap_ok(receive_recover(&lineage, 1, &e) == -1 &&
		e.kind == ERR_CONFLICT && open_count() == 1,
	    "unless it is other WAL: %s", e.text);
}

static void
check_other_timelines(void)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	char name[WAL_NAME_BYTES];
	struct err e = ERR_INIT;
	size_t len = 0;

	make(&m);
	forget_all();
	leave(1, wal_segment_of(&m, 0), 300000);
	tap_ok(receive_retire_others(&lineage, 1, &e) == 0 && open_count() == 1,
	    "the segment of this timeline stays open");
	(void)wal_name(1, AT(1), SEGMENT_BYTES, name);
	tap_ok(receive_retire_others(&lineage, 2, &e) == 0 &&
		open_count() == 0 &&
		wal_read_tail(&lineage, name, out, &len, &e) == 0 &&
		len > 280000,
	    "that of another becomes a partial (%s)", e.text);
}

int
main(void)
{
	AUTO_REPO struct repo *r = NULL;

	(void)scratch_enter();
	r = wal_scratch_repo(&lineage);
	check_full_ones();
	check_read_as_it_is();
	check_switch();
	check_broken_border();
	check_broken_start();
	check_broken_start_behind_switch();
	check_giant_record();
	check_stored_already();
	check_other_timelines();
	return tap_done();
}
