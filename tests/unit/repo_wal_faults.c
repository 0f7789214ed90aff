/*
 * The WAL archive under a failing kernel: the Nth call fails, for every N there
 * is.  What was synced stays, a name holds a whole segment or nothing, and the
 * next try succeeds.
 */

#include "unit/faults.h"
#include "unit/wal_scratch.h"

static struct lineage lineage;
static struct walmaker maker; /* segments 1 to 3 */
static uint8_t *out;

#define START ((uint64_t)SEGMENT_BYTES)

static void
forget_all(void)
{
	char path[1024];

	(void)snprintf(path, sizeof(path), "repo/%s/%s/wal", lineage.cluster,
	    lineage.name);
	(void)file_rmtree_at(AT_FDCWD, path, NULL);
}

/* ---- a whole segment ---- */

static bool
is_whole_or_absent(const char *name, const uint8_t *want)
{
	struct err e = ERR_INIT;

	if (wal_read_segment(&lineage, name, out, &e) == -1)
		return e.kind == ERR_NOT_FOUND;
	return memcmp(out, want, SEGMENT_BYTES) == 0;
}

static void
check_store(void)
{
	char name[WAL_NAME_BYTES];
	const uint8_t *data = wal_segment_of(&maker, 1);
	struct err e = ERR_INIT;
	unsigned int n, failures = 0;
	bool stored;

	(void)wal_name(1, 2 * START, SEGMENT_BYTES, name);
	for (n = 1;; n++) {
		forget_all();
		(void)wal_scratch_store(&lineage, &maker, 0, &e);
		err_clear(&e);
		faults_arm(n);
		stored = wal_scratch_store(&lineage, &maker, 1, &e);
		if (!faults_disarm())
			break; /* every call has had its turn */
		failures += !stored;
		tap_ok(stored || (e.kind == ERR_IO && e.sys_errno == ENOSPC),
		    "storing: %s fails: %s", faults.failed_call, e.text);
		tap_ok(is_whole_or_absent(name, data),
		    "the name holds a whole segment or nothing");
		tap_ok(wal_scratch_store(&lineage, &maker, 1, &e) &&
			wal_read_segment(&lineage, name, out, &e) == 0,
		    "the next try succeeds");
	}
	tap_ok(stored && failures > 5,
	    "with no failure it succeeds; %u calls matter", failures);
}

/* ---- the open segment ---- */

static uint64_t
records_end(uint64_t lsn)
{
	const struct walreader_options options = {
		.start_lsn = START,
		.segment_bytes = SEGMENT_BYTES,
		.timeline = 1,
	};

	return walreader_valid_prefix(
	    &options, maker.out.data, (size_t)(lsn - START));
}

/* Receive in steps, each synced; the end of what was said to be durable. */
static uint64_t
receive(const char **what, struct err *e)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	uint64_t valid, durable = START;
	unsigned int step;
	size_t at;

	*what = "opening";
	o = wal_open_segment(&lineage, 1, START, &valid, e);
	if (o == NULL)
		return durable;
	for (step = 0; step < 4; step++) {
		at = (size_t)step * 90000;
		*what = "writing";
		if (wal_open_write(
			o, START + at, maker.out.data + at, 90000, e) == -1)
			return durable;
		*what = "syncing";
		/* Once more when it fails, as the receiver would. */
		if (wal_open_sync(o, e) == 0 || wal_open_sync(o, e) == 0)
			durable = wal_open_end(o);
	}
	return durable;
}

static void
check_open(void)
{
	struct err e = ERR_INIT;
	const char *what = "";
	uint64_t durable, valid = 0;
	unsigned int n;

	for (n = 1;; n++) {
		struct wal_open *o;

		forget_all();
		faults_arm(n);
		durable = receive(&what, &e);
		if (!faults_disarm())
			break; /* every call has had its turn */
		/* The receiver is killed here. */
		o = wal_open_segment(&lineage, 1, START, &valid, &e);
		tap_ok(o != NULL && valid >= records_end(durable) &&
			memcmp(wal_open_data(o), maker.out.data,
			    (size_t)(valid - START)) == 0,
		    "%s: %s fails: what was durable is there", what,
		    faults.failed_call);
		wal_open_close(o);
	}
	tap_u64(durable, START + 360000, "with no failure all is durable");
	tap_ok(n > 10, "%u calls can fail", n - 1);
}

static void
check_partial(void)
{
	char name[WAL_NAME_BYTES];
	struct err e = ERR_INIT;
	unsigned int n;
	size_t len;
	int rc;

	(void)wal_name(1, START, SEGMENT_BYTES, name);
	for (n = 1;; n++) {
		AUTO_WAL_OPEN struct wal_open *o = NULL;
		uint64_t valid;

		forget_all();
		o = wal_open_segment(&lineage, 1, START, &valid, &e);
		(void)wal_open_write(o, START, maker.out.data, 300000, &e);
		(void)wal_open_sync(o, &e);
		faults_arm(n);
		rc = wal_open_to_partial(o, &e);
		if (!faults_disarm())
			break; /* every call has had its turn */
		tap_ok(wal_read_tail(&lineage, name, out, &len, &e) == 0 &&
			START + len >= records_end(START + 300000) &&
			memcmp(out, maker.out.data, len) == 0,
		    "to a partial: %s fails: what was synced is there",
		    faults.failed_call);
	}
	tap_ok(rc == 0 && n > 5, "with no failure it becomes one");
}

int
main(void)
{
	AUTO_REPO struct repo *r = NULL;

	(void)scratch_enter();
	r = wal_scratch_repo(&lineage);
	out = mem_alloc(SEGMENT_BYTES);
	walmaker_init(&maker, 15, START);
	wal_fill(&maker, 4 * START);
	check_store();
	check_open();
	check_partial();
	walmaker_fini(&maker);
	free(out);
	return tap_done();
}
