/*
 * walopen: what was synced survives its writer, what is not WAL does not, and
 * nothing that was received is contradicted.  waltail: nor is its reader disturbed.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "repo/waltail.h"
#include "unit/wal_scratch.h"

static struct lineage lineage;
static struct walmaker maker; /* from segment 1 on */
static int dirfd;

#define START ((uint64_t)SEGMENT_BYTES)

static const char *
open_path(void)
{
	static char path[1024];

	(void)snprintf(path, sizeof(path), "repo/%s/%s/wal/open/%s",
	    lineage.cluster, lineage.name, wal_scratch_name(1, START));
	return path;
}

/* Before the next reading the file is cut off there; -1: not. */
static off_t cut_at = -1;
static unsigned int readings;

ssize_t __real_pread64(int fd, void *out, size_t len, off_t at);

ssize_t
__wrap_pread64(int fd, void *out, size_t len, off_t at)
{
	off_t to = cut_at;

	readings++;
	cut_at = -1;
	if (to != -1 && truncate(open_path(), to) == -1)
		tap_bail("truncate: %s", strerror(errno));
	return __real_pread64(fd, out, len, at);
}

static struct wal_open *
reopen(uint64_t *valid)
{
	struct err e = ERR_INIT;
	struct wal_open *o =
	    wal_open_segment(&lineage, 1, START + 5, valid, &e);

	if (o == NULL)
		tap_bail("%s", e.text);
	return o;
}

/* End of the last whole record of the first len bytes. */
static uint64_t
records_end(size_t len)
{
	const struct walreader_options options = {
		.start_lsn = START,
		.segment_bytes = SEGMENT_BYTES,
		.timeline = 1,
	};

	return walreader_valid_prefix(&options, maker.out.data, len);
}

static void
check_growth(void)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	struct err e = ERR_INIT;
	uint64_t valid = 0;

	o = reopen(&valid);
	tap_u64(valid, START, "a new segment begins at its start");
	tap_ok(wal_open_write(o, START, maker.out.data, 100000, &e) == 0 &&
		wal_open_end(o) == START + 100000,
	    "bytes are added (%s)", e.text);
	tap_u64(wal_open_synced_end(o), START, "and are not durable yet");
	tap_ok(wal_open_sync(o, &e) == 0 &&
		wal_open_synced_end(o) == START + 100000 &&
		scratch_holds(dirfd, open_path(), maker.out.data, 100000),
	    "now they are (%s)", e.text);
	tap_ok(wal_open_write(
		   o, START + 50000, maker.out.data + 50000, 100000, &e) == 0 &&
		wal_open_end(o) == START + 150000,
	    "bytes may overlap (%s)", e.text);
	tap_ok(wal_open_write(
		   o, START + 50000, maker.out.data + 50001, 9, &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "but must be equal: %s", e.text);
	tap_ok(wal_open_write(o, START + 150001, maker.out.data, 1, &e) == -1 &&
		e.kind == ERR_BUG,
	    "a gap is refused");
	/* The writer dies: 100000 bytes are in the file. */
}

static void
check_reopening(void)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	struct err e = ERR_INIT;
	uint64_t valid = 0;

	o = reopen(&valid);
	tap_u64(valid, records_end(100000),
	    "reopened, it ends behind its last whole record");
	tap_ok(wal_open_write(o, valid, maker.out.data + (valid - START),
		   200000, &e) == 0 &&
		wal_open_sync(o, &e) == 0 &&
		scratch_holds(dirfd, open_path(), maker.out.data,
		    (size_t)(valid - START) + 200000),
	    "and goes on from there (%s)", e.text);
}

/* What a receiver could not write whole it cuts off, at any moment. */
static void
check_cut_while_read(void)
{
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	struct err e = ERR_INIT;
	uint32_t len = 0;
	struct stat st;

	if (stat(open_path(), &st) == -1)
		tap_bail("stat: %s", strerror(errno));
	cut_at = st.st_size - 32;
	tap_ok(wal_tail_raw(
		   &lineage, wal_scratch_name(1, START), out, &len, &e) == 1 &&
		len == st.st_size - 32 && memcmp(out, maker.out.data, len) == 0,
	    "a file that is cut while it is read is read as it is now (%s)",
	    e.text);
	readings = 0;
	tap_ok(truncate(open_path(), st.st_size - 64) == 0 &&
		wal_tail_raw(
		    &lineage, wal_scratch_name(1, START), out, &len, &e) == 1 &&
		len == st.st_size - 64 && readings == 1,
	    "one that stays as it is, once (%s)", e.text);
}

static void
check_garbage_tail(void)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	AUTO_FREE uint8_t *noise = mem_alloc(70000);
	AUTO_FD int fd = openat(dirfd, open_path(), O_WRONLY | O_APPEND);
	struct err e = ERR_INIT;
	uint64_t valid = 0, before;

	o = reopen(&before);
	wal_open_close(steal_ptr(&o));
	(void)memset(noise, 0xa5, 70000);
	if (file_write_all(fd, noise, 70000, "open", &e) == -1)
		tap_bail("%s", e.text);
	o = reopen(&valid);
	tap_u64(valid, before, "garbage behind the last record does not count");
	tap_ok(wal_open_write(o, valid, maker.out.data + (valid - START),
		   SEGMENT_BYTES - (size_t)(valid - START), &e) == 0 &&
		wal_open_full(o) && wal_open_sync(o, &e) == 0,
	    "the segment is filled up over it (%s)", e.text);
	tap_ok(scratch_holds(dirfd, open_path(), maker.out.data, SEGMENT_BYTES),
	    "and holds what the server sent");
	tap_ok(wal_scratch_store(&lineage, &maker, 0, &e) &&
		wal_open_discard(o, &e) == 0 &&
		file_exists_at(dirfd, open_path(), &e) == 0,
	    "when it is stored the file goes (%s)", e.text);
}

static void
check_partial(void)
{
	AUTO_WAL_OPEN struct wal_open *o = NULL;
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	struct err e = ERR_INIT;
	const char *name = wal_scratch_name(1, START + SEGMENT_BYTES);
	uint64_t valid = 0;
	size_t len = 0;

	o = wal_open_segment(&lineage, 1, START + SEGMENT_BYTES, &valid, &e);
	if (o == NULL)
		tap_bail("%s", e.text);
	tap_ok(wal_open_write(o, valid, wal_segment_of(&maker, 1), 77777, &e) ==
		    0 &&
		wal_read_tail(&lineage, name, out, &len, &e) == -1,
	    "what was never synced is not there for others");
	tap_ok(wal_open_sync(o, &e) == 0 &&
		wal_read_tail(&lineage, name, out, &len, &e) == 0 &&
		len > 60000 && len <= 77777,
	    "what was synced is served as the tail (%s)", e.text);
	tap_ok(wal_open_to_partial(o, &e) == 0 &&
		wal_read_tail(&lineage, name, out, &len, &e) == 0 &&
		len > 60000 && len <= 77777 &&
		memcmp(out, wal_segment_of(&maker, 1), len) == 0,
	    "as a partial it is served too (%s)", e.text);
}

int
main(void)
{
	AUTO_REPO struct repo *r = NULL;

	dirfd = scratch_enter();
	r = wal_scratch_repo(&lineage);
	walmaker_init(&maker, 15, START);
	wal_fill(&maker, 4 * START);
	check_growth();
	check_reopening();
	check_cut_while_read();
	check_garbage_tail();
	check_partial();
	walmaker_fini(&maker);
	return tap_done();
}
