/*
 * walarchive: what is stored is read back, nothing is replaced, damage is seen,
 * and what is there is told.
 */

#include <fcntl.h>

#include "unit/wal_scratch.h"

static struct lineage lineage;

/* ---- storing and reading ---- */

static void
check_round_trip(void)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	struct err e = ERR_INIT;
	struct wal_summary s;
	const char *name = wal_scratch_name(1, SEGMENT_BYTES);
	bool existed = true;

	walmaker_init(&m, 15, SEGMENT_BYTES);
	(void)wal_commit(&m, 700, 1000);
	wal_fill(&m, 3 * SEGMENT_BYTES);
	if (!tap_ok(wal_store_segment(&lineage, name, wal_segment_of(&m, 0),
			SEGMENT_BYTES, 3, &existed, &e) == 0,
		"a segment is stored (%s)", e.text))
		return;
	tap_ok(!existed, "for the first time");
	tap_ok(wal_store_segment(&lineage, name, wal_segment_of(&m, 0),
		   SEGMENT_BYTES, 1, &existed, &e) == 0 &&
		existed,
	    "the same bytes again are fine");
	tap_ok(wal_read_segment(&lineage, name, out, &e) == 0 &&
		memcmp(out, wal_segment_of(&m, 0), SEGMENT_BYTES) == 0,
	    "it is read back (%s)", e.text);
	tap_ok(wal_read_summary(&lineage, name, &s, &e) == 0 &&
		s.commits == 1 && s.min_xid == 700 &&
		s.first_commit_us == 1000 + 946684800 * INT64_C(1000000) &&
		s.first_record_lsn == SEGMENT_BYTES + 40 && !s.head_unseen &&
		s.end_lsn == 2 * SEGMENT_BYTES,
	    "its summary says what is in it (%s)", e.text);
	tap_ok(s.last_record_end_lsn < s.end_lsn,
	    "its last record goes on in the next segment");

	tap_ok(wal_scratch_store(&lineage, &m, 1, &e), "the next is stored");
	tap_ok(wal_read_summary(&lineage,
		   wal_scratch_name(1, 2 * SEGMENT_BYTES), &s, &e) == 0 &&
		!s.head_unseen && s.first_record_lsn > s.start_lsn + 40,
	    "the record that crosses into it was seen");
	tap_ok(wal_read_segment(&lineage,
		   wal_scratch_name(1, 9 * SEGMENT_BYTES), out, &e) == -1 &&
		e.kind == ERR_NOT_FOUND,
	    "one that is not there is not found");
}

static void
check_conflict(void)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	AUTO_FREE uint8_t *before = mem_alloc(SEGMENT_BYTES);
	struct err e = ERR_INIT;
	const char *name = wal_scratch_name(1, SEGMENT_BYTES);

	(void)wal_read_segment(&lineage, name, before, &e);
	walmaker_init(&m, 15, SEGMENT_BYTES);
	wal_fill(&m, 2 * SEGMENT_BYTES);
	tap_ok(
	    !wal_scratch_store(&lineage, &m, 0, &e) && e.kind == ERR_CONFLICT,
	    "other bytes of the same name are a conflict: %s", e.text);
	tap_ok(strstr(e.hint, "wal fork main") != NULL,
	    "the hint names the way out");
	tap_ok(wal_read_segment(&lineage, name, out, &e) == 0 &&
		memcmp(out, before, SEGMENT_BYTES) == 0,
	    "and nothing was replaced");
}

/* Segment 0x20 with a byte changed by each of these is refused. */
static void
check_refusals(void)
{
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;
	uint64_t at = UINT64_C(0x20) * SEGMENT_BYTES;

	walmaker_init(&m, 15, at);
	wal_fill(&m, at + SEGMENT_BYTES);
	m.out.data[24] ^= 1; /* system identifier */
	tap_ok(
	    !wal_scratch_store(&lineage, &m, 0, &e) && e.kind == ERR_CONFLICT,
	    "WAL of another cluster is refused: %s", e.text);
	m.out.data[24] ^= 1;
	m.out.data[60000] ^= 0x10;
	tap_ok(!wal_scratch_store(&lineage, &m, 0, &e) && e.kind == ERR_CORRUPT,
	    "a damaged record is refused: %s", e.text);
	m.out.data[60000] ^= 0x10;
	m.timeline = 1;
	(void)memset(m.out.data + 8192 * 90, 0, SEGMENT_BYTES - 8192 * 90);
	tap_ok(!wal_scratch_store(&lineage, &m, 0, &e) && e.kind == ERR_CORRUPT,
	    "a segment that stops in the middle is refused: %s", e.text);
}

static void
check_switch(void)
{
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;
	struct wal_summary s;
	uint64_t at = UINT64_C(0x30) * SEGMENT_BYTES;

	walmaker_init(&m, 15, at);
	(void)wal_noop(&m, 500);
	wal_switch(&m);
	(void)wal_commit(&m, 900, 0);
	wal_fill(&m, at + 2 * SEGMENT_BYTES);
	tap_ok(wal_scratch_store(&lineage, &m, 0, &e),
	    "a segment that ends in a switch is whole (%s)", e.text);
	tap_ok(wal_scratch_store(&lineage, &m, 1, &e) &&
		wal_read_summary(&lineage,
		    wal_scratch_name(1, at + SEGMENT_BYTES), &s, &e) == 0 &&
		!s.head_unseen && s.commits == 1,
	    "and no record crosses from it (%s)", e.text);
}

static void
check_late_head(void)
{
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;
	struct wal_summary s;
	uint64_t at = UINT64_C(0x40) * SEGMENT_BYTES;

	walmaker_init(&m, 15, at);
	wal_fill(&m, at + 2 * SEGMENT_BYTES);
	tap_ok(wal_scratch_store(&lineage, &m, 1, &e) &&
		wal_read_summary(&lineage,
		    wal_scratch_name(1, at + SEGMENT_BYTES), &s, &e) == 0 &&
		s.head_unseen,
	    "without the segment before, the head of a record is unseen");
}

/* Does the segment read back while the file at path holds these bytes? */
static bool
reads_with(int dirfd, const char *path, const char *name, const uint8_t *data,
    size_t len)
{
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	AUTO_FD int fd = openat(dirfd, path, O_WRONLY | O_TRUNC);

	if (file_write_all(fd, data, len, path, NULL) == -1)
		tap_bail("could not write \"%s\"", path);
	return wal_read_segment(&lineage, name, out, NULL) == 0;
}

/* Flip each bit of a stored segment in turn. */
static void
check_every_bit_flip_is_caught(int dirfd)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_BUF struct buf stored = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t at = UINT64_C(0x50) * SEGMENT_BYTES;
	const char *name = wal_scratch_name(1, at);
	char path[1024];
	size_t i, missed = 0;

	walmaker_init(&m, 15, at);
	(void)wal_restore_point(&m, "a point", 5);
	wal_switch(&m);
	(void)wal_scratch_store(&lineage, &m, 0, &e);
	(void)snprintf(path, sizeof(path), "repo/%s/%s/wal/%.8s/%.8s/%s",
	    lineage.cluster, lineage.name, name, name + 8, name);
	if (file_slurp_at(dirfd, path, SEGMENT_BYTES, &stored, &e) == -1)
		tap_bail("%s", e.text);
	for (i = 0; i < 8 * stored.len; i++) {
		stored.data[i / 8] ^= (uint8_t)(1 << i % 8);
		missed +=
		    reads_with(dirfd, path, name, stored.data, stored.len);
		stored.data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	tap_u64(
	    missed, 0, "no bit flip of %zu stored bytes passes", stored.len);
	for (i = 0; i < stored.len; i += 7)
		missed += reads_with(dirfd, path, name, stored.data, i);
	tap_u64(missed, 0, "nor does one that is cut off");
	tap_ok(reads_with(dirfd, path, name, stored.data, stored.len),
	    "as it was it can be read");
}

/* ---- what is not whole ---- */

static void
check_partials_and_tail(void)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	struct err e = ERR_INIT;
	uint64_t at = UINT64_C(0x60) * SEGMENT_BYTES, end;
	const char *name = wal_scratch_name(1, at);
	size_t valid = 0, shorter;

	walmaker_init(&m, 15, at);
	wal_fill(&m, at + 200000);
	shorter = m.out.len;
	wal_fill(&m, at + 500000);
	walmaker_zeros(&m, 8);
	end = walmaker_lsn(&m);
	tap_ok(
	    wal_store_partial(&lineage, name, m.out.data, m.out.len, &e) == 0 &&
		wal_store_partial(&lineage, name, m.out.data, shorter, &e) ==
		    0 &&
		wal_store_partial(&lineage, name, m.out.data, shorter, &e) == 0,
	    "partials of any length are stored, twice too (%s)", e.text);
	tap_ok(wal_read_tail(&lineage, name, out, &valid, &e) == 0 &&
		valid == end - at && memcmp(out, m.out.data, valid) == 0 &&
		out[valid] == 0,
	    "the tail is the longest, padded with zeros (%zu, %s)", valid,
	    e.text);
	wal_fill(&m, at + SEGMENT_BYTES);
	tap_ok(wal_scratch_store(&lineage, &m, 0, &e) &&
		wal_read_tail(&lineage, name, out, &valid, &e) == 0 &&
		valid == SEGMENT_BYTES,
	    "a whole segment wins over partials (%s)", e.text);
}

static void
check_garbage_behind_a_partial(void)
{
	AUTO_WALMAKER struct walmaker m;
	AUTO_FREE uint8_t *segment = mem_alloc(SEGMENT_BYTES);
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	struct err e = ERR_INIT;
	uint64_t at = UINT64_C(0x70) * SEGMENT_BYTES;
	const char *name = wal_scratch_name(1, at);
	size_t valid = 0;

	/* A recycled segment: old pages behind the new end. */
	walmaker_init(&m, 15, at - 16 * SEGMENT_BYTES);
	wal_fill(&m, at - 15 * SEGMENT_BYTES);
	(void)memcpy(segment, m.out.data, SEGMENT_BYTES);
	walmaker_fini(&m);
	walmaker_init(&m, 15, at);
	wal_fill(&m, at + 300000);
	(void)memcpy(segment, m.out.data, m.out.len);
	tap_ok(wal_store_partial(&lineage, name, segment, SEGMENT_BYTES, &e) ==
		    0 &&
		wal_read_tail(&lineage, name, out, &valid, &e) == 0 &&
		valid <= ((m.out.len + 7) & ~7ul) && valid > m.out.len - 20000,
	    "old pages behind the end do not count (%zu of %zu, %s)", valid,
	    m.out.len, e.text);
}

/* ---- histories ---- */

static void
check_histories(void)
{
	static const char text[] = "1\t0/6050000\tno recovery target\n";
	struct timeline_history h = { 0 };
	struct err e = ERR_INIT;
	uint32_t newest = 0;

	tap_ok(
	    wal_store_history(&lineage, 2, text, sizeof(text) - 1, &e) == 0 &&
		wal_store_history(&lineage, 2, text, sizeof(text) - 1, &e) == 0,
	    "a history is stored, twice too (%s)", e.text);
	tap_ok(
	    wal_store_history(&lineage, 2, text, sizeof(text) - 2, &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "another one of that timeline is a conflict: %s", e.text);
	tap_ok(wal_read_history(&lineage, 2, &h, NULL, &e) == 0 &&
		h.count == 2 && h.entries[0].end_lsn == 0x6050000,
	    "it is read back");
	timeline_history_free(&h);
	tap_ok(wal_read_history(&lineage, 3, &h, NULL, &e) == -1 &&
		e.kind == ERR_NOT_FOUND,
	    "one that is not there is not found");
	tap_ok(wal_newest_timeline(&lineage, &newest, &e) == 0 && newest == 2,
	    "the newest timeline is known");
}

int
main(void)
{
	int dirfd = scratch_enter();
	AUTO_REPO struct repo *r = wal_scratch_repo(&lineage);

	check_round_trip();
	check_conflict();
	check_refusals();
	check_switch();
	check_late_head();
	check_every_bit_flip_is_caught(dirfd);
	check_partials_and_tail();
	check_garbage_behind_a_partial();
	check_histories();
	return tap_done();
}
