/*
 * The WAL archive when something is odd: names and sizes that do not fit,
 * objects under wrong names, neighbours that do not fit, two that store the same
 * at once.
 */

#include <fcntl.h>

#include "base/log.h"
#include "repo/walstored.h"
#include "unit/wal_scratch.h"

static struct lineage lineage;

#define AT(segment) ((uint64_t)(segment)*SEGMENT_BYTES)

static char last_event[64];

static void
sink(void *arg, enum log_level level, const char *event, const char *message,
    const char *const *keys, const char *const *values, unsigned int count)
{
	(void)arg;
	(void)level;
	(void)message;
	(void)keys;
	(void)values;
	(void)count;
	(void)snprintf(last_event, sizeof(last_event), "%s", event);
}

static void
path_of(unsigned int segment, char out[1024])
{
	char name[WAL_NAME_BYTES];

	(void)wal_name(1, AT(segment), SEGMENT_BYTES, name);
	(void)snprintf(out, 1024, "repo/%s/%s/wal/%.8s/%.8s/%s",
	    lineage.cluster, lineage.name, name, name + 8, name);
}

static void
make(struct walmaker *m, unsigned int segment, unsigned int count)
{
	walmaker_init(m, 15, AT(segment));
	wal_fill(m, AT(segment + count));
}

/* ---- what does not fit ---- */

static void
check_names_and_sizes(void)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_FREE uint8_t *out = mem_zalloc(2 * SEGMENT_BYTES);
	struct timeline_history h = { 0 };
	struct wal_summary s;
	struct err e = ERR_INIT;
	size_t len;
	bool existed;

	make(&m, 1, 1);
	tap_ok(wal_store_segment(&lineage, "0000000100000000", m.out.data,
		   SEGMENT_BYTES, 1, &existed, &e) == -1 &&
		e.kind == ERR_USAGE,
	    "a name that is none: %s", e.text);
	tap_ok(wal_store_segment(&lineage, "000000010000000000000001",
		   m.out.data, SEGMENT_BYTES - 1, 1, &existed, &e) == -1 &&
		e.kind == ERR_CORRUPT,
	    "a segment that is too short: %s", e.text);
	tap_ok(wal_store_partial(&lineage, "x", m.out.data, 10, &e) == -1 &&
		wal_store_partial(&lineage, "000000010000000000000001", out,
		    2 * SEGMENT_BYTES, &e) == -1 &&
		e.kind == ERR_CORRUPT,
	    "a partial that is too long: %s", e.text);
	tap_ok(wal_store_partial(&lineage, "000000010000000000000001", out,
		   SEGMENT_BYTES, &e) == 0 &&
		wal_read_tail(
		    &lineage, "000000010000000000000001", out, &len, &e) == -1,
	    "of zeros nothing is stored");
	tap_ok(wal_read_segment(&lineage, "x", out, &e) == -1 &&
		wal_read_summary(&lineage, "x", &s, &e) == -1 &&
		wal_read_summary(
		    &lineage, "000000010000000000000009", &s, &e) == -1,
	    "nothing of wrong names is read");
	tap_ok(
	    wal_store_history(&lineage, 2, out, 2 * SEGMENT_BYTES, &e) == -1 &&
		wal_store_history(&lineage, 2, "2\t0/0\n", 6, &e) == -1 &&
		wal_read_history(&lineage, 2, &h, NULL, &e) == -1,
	    "a history that is none is not stored");
	m.out.data[24] ^= 1; /* system identifier */
	tap_ok(wal_store_partial(&lineage, "000000010000000000000001",
		   m.out.data, 300000, &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "nor a partial of another cluster: %s", e.text);
}

static void
check_wrong_place(void)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_BUF struct buf b = BUF_INIT;
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	struct lineage other = lineage;
	char from[1024], to[1024];
	struct err e = ERR_INIT;
	size_t len;

	make(&m, 0x10, 2);
	(void)wal_scratch_store(&lineage, &m, 0, &e);
	path_of(0x10, from);
	path_of(0x11, to);
	(void)file_slurp_at(AT_FDCWD, from, SEGMENT_BYTES, &b, &e);
	(void)file_publish_at(
	    AT_FDCWD, to, b.data, b.len, 0600, FILE_REPLACE, &e);
	tap_ok(wal_read_segment(
		   &lineage, wal_scratch_name(1, AT(0x11)), out, &e) == -1 &&
		e.kind == ERR_CORRUPT,
	    "a segment under another's name: %s", e.text);
	tap_ok(wal_read_tail(&lineage, wal_scratch_name(1, AT(0x11)), out, &len,
		   &e) == -1 &&
		e.kind == ERR_CORRUPT,
	    "is not served as a tail either");
	tap_ok(!wal_scratch_store(&lineage, &m, 1, &e),
	    "and nothing is stored over it: %s", e.text);
	other.facts.system_id++;
	tap_ok(wal_read_segment(
		   &other, wal_scratch_name(1, AT(0x10)), out, &e) == -1 &&
		e.kind == ERR_CORRUPT,
	    "a segment of another cluster: %s", e.text);
	(void)unlink(to);
}

/* ---- neighbours ---- */

static void
check_broken_border(void)
{
	AUTO_WALMAKER struct walmaker m;
	struct wal_summary s;
	struct err e = ERR_INIT;

	make(&m, 0x20, 2);
	m.out.data[SEGMENT_BYTES - 1] ^= 1; /* in the record that crosses */
	last_event[0] = '\0';
	tap_ok(wal_scratch_store(&lineage, &m, 0, &e) && last_event[0] == '\0',
	    "damage in a record that crosses the end is not seen yet (%s)",
	    e.text);
	tap_ok(wal_scratch_store(&lineage, &m, 1, &e),
	    "the next segment is stored (%s)", e.text);
	tap_str(last_event, "wal_border_broken", "and the damage is told");
	tap_ok(wal_read_summary(
		   &lineage, wal_scratch_name(1, AT(0x21)), &s, &e) == 0 &&
		s.head_unseen,
	    "its index says that one record is missing");
}

/* An open segment behind a stored one whose last record is damaged. */
static void
check_prefix_behind_damage(void)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;
	uint64_t valid = 0;

	make(&m, 0x28, 2);
	m.out.data[SEGMENT_BYTES - 1] ^= 1;
	(void)wal_scratch_store(&lineage, &m, 0, &e);
	o = wal_open_segment(&lineage, 1, AT(0x29), &valid, &e);
	(void)wal_open_write(o, AT(0x29), wal_segment_of(&m, 1), 400000, &e);
	(void)wal_open_sync(o, &e);
	wal_open_close(steal_ptr(&o));
	o = wal_open_segment(&lineage, 1, AT(0x29), &valid, &e);
	tap_ok(o != NULL && valid > AT(0x29) + 380000,
	    "damage before an open segment does not make it void (%s)", e.text);
	(void)wal_open_discard(o, &e);
}

/* ---- the index ---- */

static void
check_long_index(void)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_WALINDEX struct walindex x = { 0 };
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	struct err e = ERR_INIT;
	unsigned int i;
	char name[32];

	walmaker_init(&m, 15, AT(0x30));
	for (i = 0; i < 500; i++) {
		(void)snprintf(name, sizeof(name), "point %u", i);
		(void)wal_restore_point(&m, name, i);
	}
	wal_fill(&m, AT(0x31));
	tap_ok(wal_scratch_store(&lineage, &m, 0, &e) &&
		wal_read_index(
		    &lineage, wal_scratch_name(1, AT(0x30)), &x, &e) == 0 &&
		x.count == 500 &&
		strcmp(x.moments[499].event.name, "point 499") == 0,
	    "an index of many restore points is read (%s)", e.text);
	tap_ok(wal_read_segment(
		   &lineage, wal_scratch_name(1, AT(0x30)), out, &e) == 0 &&
		memcmp(out, m.out.data, SEGMENT_BYTES) == 0,
	    "and the segment with it");
}

static void
check_tail_index(void)
{
	AUTO_WALMAKER struct walmaker m;
	struct wal_summary s;
	struct err e = ERR_INIT;
	const char *name = wal_scratch_name(1, AT(0x38));

	walmaker_init(&m, 15, AT(0x38));
	(void)wal_commit(&m, 77, 5);
	wal_fill(&m, AT(0x38) + 100000);
	(void)wal_store_partial(&lineage, name, m.out.data, m.out.len, &e);
	tap_ok(wal_read_summary(&lineage, name, &s, &e) == 0 &&
		s.commits == 1 && s.max_xid == 77 &&
		s.end_lsn < AT(0x38) + 110000,
	    "a partial's summary is read (%s)", e.text);
}

/* ---- open segments ---- */

static void
check_cut(void)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;
	uint64_t valid = 0, end;

	make(&m, 0x40, 1);
	o = wal_open_segment(&lineage, 1, AT(0x40), &valid, &e);
	(void)wal_open_write(o, AT(0x40), m.out.data, 400000, &e);
	tap_ok(wal_open_cut(o, AT(0x40) + 300000, &e) == 0 &&
		wal_open_end(o) == AT(0x40) + 300000,
	    "what was not synced is cut off");
	(void)wal_open_sync(o, &e);
	tap_ok(wal_open_cut(o, AT(0x40) + 350000, &e) == 0 &&
		wal_open_end(o) == AT(0x40) + 300000,
	    "what is not there cannot be");
	tap_ok(wal_open_cut(o, AT(0x40) + 200000, &e) == 0 &&
		wal_open_synced_end(o) == AT(0x40) + 200000,
	    "what was synced is cut off too (%s)", e.text);
	end = wal_open_end(o);
	wal_open_close(steal_ptr(&o));
	o = wal_open_segment(&lineage, 1, AT(0x40), &valid, &e);
	tap_ok(
	    valid <= end && valid > AT(0x40) + 180000, "also for the next one");
	tap_str(wal_open_name(o), "000000010000000000000040", "its name");
	(void)wal_open_discard(o, &e);
}

static void
check_foreign_open_file(void)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	AUTO_WALMAKER struct walmaker m;
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	struct lineage other = lineage;
	struct err e = ERR_INIT;
	uint64_t valid = 0;
	size_t len;

	make(&m, 0x48, 1);
	o = wal_open_segment(&lineage, 1, AT(0x48), &valid, &e);
	(void)wal_open_write(o, AT(0x48), m.out.data, 400000, &e);
	(void)wal_open_sync(o, &e);
	wal_open_close(steal_ptr(&o));
	other.facts.system_id++;
	tap_ok(wal_open_segment(&other, 1, AT(0x48), &valid, &e) == NULL &&
		e.kind == ERR_CONFLICT,
	    "an open segment of another cluster is left alone: %s", e.text);
	tap_ok(wal_read_tail(&other, wal_scratch_name(1, AT(0x48)), out, &len,
		   &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "and not served");
	tap_ok(wal_store_partial(&lineage, wal_scratch_name(1, AT(0x48)),
		   m.out.data, 700000, &e) == 0 &&
		wal_read_tail(&lineage, wal_scratch_name(1, AT(0x48)), out,
		    &len, &e) == 0 &&
		len > 600000,
	    "a partial that is longer than the open one is served");
}

/* ---- two at once ---- */

static struct walmaker race;

static int
somebody_else(void *arg, struct err *e)
{
	bool existed;

	(void)e;
	return wal_store_segment(&lineage, wal_scratch_name(1, AT(0x50)), arg,
	    SEGMENT_BYTES, 1, &existed, NULL);
}

static int
not_my_turn(void *arg, struct err *e)
{
	(void)arg;
	return err_set(e, ERR_TRANSIENT, "not now");
}

static void
check_race(void)
{
	AUTO_WAL_STORER struct wal_storer *w = wal_storer_new();
	AUTO_WALINDEX struct walindex x = { 0 };
	AUTO_WALMAKER struct walmaker other;
	struct err e = ERR_INIT;
	bool existed = false;

	make(&race, 0x50, 1);
	walindex_init(&x, 1, AT(0x50));
	x.summary.end_lsn = AT(0x51);
	wal_storer_set_turn(w, not_my_turn, NULL);
	tap_ok(wal_store_checked(
		   w, &lineage, &x, race.out.data, 3, &existed, &e) == -1 &&
		e.kind == ERR_TRANSIENT,
	    "a segment whose turn does not come does not appear");
	wal_storer_set_turn(w, somebody_else, race.out.data);
	tap_ok(wal_store_checked(
		   w, &lineage, &x, race.out.data, 3, &existed, &e) == 0 &&
		existed,
	    "the same bytes stored meanwhile are fine (%s)", e.text);

	walmaker_init(&other, 15, AT(0x50));
	(void)wal_noop(&other, 999);
	wal_fill(&other, AT(0x51));
	wal_storer_set_turn(w, NULL, NULL);
	tap_ok(wal_store_checked(
		   w, &lineage, &x, other.out.data, 3, &existed, &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "others are a conflict");
	walmaker_fini(&race);
}

int
main(void)
{
	AUTO_REPO struct repo *r = NULL;

	(void)scratch_enter();
	log_set_sink(sink, NULL);
	r = wal_scratch_repo(&lineage);
	check_names_and_sizes();
	check_wrong_place();
	check_broken_border();
	check_prefix_behind_damage();
	check_long_index();
	check_tail_index();
	check_cut();
	check_foreign_open_file();
	check_race();
	return tap_done();
}
