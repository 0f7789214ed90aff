/*
 * control: the files of servers 13 to 18 against what pg_control_system() and
 * pg_controldata said of them, and files that are not what they seem.
 * nanosleep() is ours here: what a server writes meanwhile comes then.
 */

#include "pg/control.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/le.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "pg_data.h"

static const struct {
	const char *name;
	int major;
	uint64_t system_id;
	uint32_t control_version, catalog_version;
	uint64_t checkpoint_lsn, redo_lsn;
	int64_t time_s, checkpoint_time_s;
} servers[] = {
	{ "13", 13, 7710487936622417898, 1300, 202007201, 0x277f738, 0x277f700,
	    1795237870, 1795237870 },
	{ "14", 14, 7710487971935688973, 1300, 202107181, 0x28bcaa0, 0x28bca68,
	    1795237878, 1795237878 },
	{ "15", 15, 7710487989303470688, 1300, 202209061, 0x26c7a10, 0x26c79d8,
	    1795237882, 1795237882 },
	{ "15-standby", 15, 7710487989303470688, 1300, 202209061, 0x3000060,
	    0x3000028, 1795237970, 1795237882 },
	{ "16", 16, 7710488005125450533, 1300, 202307071, 0x2698428, 0x26983f0,
	    1795237885, 1795237885 },
	{ "17", 17, 7710488028881677713, 1700, 202406281, 0x2693978, 0x2693920,
	    1795237893, 1795237893 },
	{ "18", 18, 7710488056575659815, 1800, 202506291, 0x26c2940, 0x26c28e8,
	    1795237898, 1795237898 },
};

/* All of these servers were set up alike. */
static void
check_sizes(const struct control *c)
{
	tap_u64(c->wal_level, 1, "wal_level replica");
	tap_u64((uint64_t)c->max_connections, 101, "max_connections");
	tap_u64((uint64_t)c->max_worker_processes, 9, "max_worker_processes");
	tap_u64((uint64_t)c->max_wal_senders, 11, "max_wal_senders");
	tap_u64((uint64_t)c->max_prepared_xacts, 7, "prepared transactions");
	tap_u64((uint64_t)c->max_locks_per_xact, 65, "locks per transaction");
	tap_u64(c->block_bytes, 8192, "block size");
	tap_u64(c->relation_segment_blocks, 131072, "blocks of a segment");
	tap_u64(c->wal_block_bytes, 8192, "WAL block size");
	tap_u64(c->wal_segment_bytes, 16 << 20, "WAL segment size");
	tap_u64(c->checksum_version, 1, "page checksums");
	tap_u64(c->timeline, 1, "timeline");
	tap_u64(c->previous_timeline, 1, "timeline before");
	tap_u64(c->backup_start_lsn, 0, "no backup start");
	tap_u64(c->backup_end_lsn, 0, "no backup end");
}

static void
check_server(size_t i)
{
	AUTO_BUF struct buf file = BUF_INIT;
	struct err e = ERR_INIT;
	struct control c = { 0 };

	data_read(&file, "control/%s", servers[i].name);
	tap_ok(control_decode(&c, file.data, file.len, &e) == 0, "%s %s",
	    servers[i].name, e.text);
	tap_u64(
	    (uint64_t)control_major(&c), (uint64_t)servers[i].major, "major");
	tap_u64(c.system_id, servers[i].system_id, "system identifier");
	tap_u64(c.control_version, servers[i].control_version, "version");
	tap_u64(c.catalog_version, servers[i].catalog_version, "catalog");
	tap_u64(c.checkpoint_lsn, servers[i].checkpoint_lsn, "checkpoint");
	tap_u64(c.redo_lsn, servers[i].redo_lsn, "redo");
	tap_u64(
	    (uint64_t)c.time_us, (uint64_t)servers[i].time_s * 1000000, "time");
	tap_u64((uint64_t)c.checkpoint_time_us,
	    (uint64_t)servers[i].checkpoint_time_s * 1000000,
	    "checkpoint's time");
	check_sizes(&c);
	if (strcmp(servers[i].name, "15-standby") == 0) {
		tap_str(control_state_name(c.state), "in archive recovery",
		    "state");
		tap_u64(c.min_recovery_lsn, 0x3000100, "recovery end");
		tap_u64(c.min_recovery_timeline, 1, "its timeline");
	} else {
		tap_str(control_state_name(c.state), "in production", "state");
		tap_u64(c.min_recovery_lsn, 0, "no recovery end");
	}
}

static void
seal(uint8_t *file)
{
	size_t at = le32_get(file + 8) == 1800 ? 292 : 288;

	le32_put(file + at, crc32c(0, file, at));
}

/* The file with another value at an offset, its checksum right again. */
static void
check_other(const struct buf *file, size_t at, uint32_t value, const char *why)
{
	AUTO_FREE uint8_t *other = mem_alloc(file->len);
	struct err e = ERR_INIT;
	struct control c = { .system_id = 5 };

	memcpy(other, file->data, file->len);
	le32_put(other + at, value);
	seal(other);
	tap_ok(control_decode(&c, other, file->len, &e) == -1 &&
		e.kind == ERR_CORRUPT && strstr(e.text, why) != NULL,
	    "%s: %s", why, e.text);
	tap_u64(c.system_id, 5, "nothing is changed");
}

static void
check_refusals(const char *name)
{
	AUTO_BUF struct buf file = BUF_INIT;
	struct err e = ERR_INIT;
	struct control c = { .system_id = 5 };
	unsigned int bit, taken = 0;
	size_t used;

	data_read(&file, "control/%s", name);
	tap_ok(control_decode(&c, file.data, file.len - 1, &e) == -1 &&
		e.kind == ERR_CORRUPT,
	    "%s", e.text);
	used = le32_get(file.data + 8) == 1800 ? 296 : 292;
	for (bit = 0; bit < 8 * used; bit++) {
		file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		taken += control_decode(&c, file.data, file.len, &e) == 0;
		file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	tap_u64(taken, 0, "no single-bit flip passes");
	tap_u64(c.system_id, 5, "a refused file changes nothing");
	check_other(&file, 8, 1902, "version 1902 is not supported");
	check_other(&file, 8, 0, "version 0 is not supported");
	check_other(&file, 8, __builtin_bswap32(1300), "byte order");
	check_other(&file, 16, 7, "state 7");
	check_other(&file, 16, 0x80000000, "state");
	check_other(&file, 48, 0, "timeline is 0");
	check_other(&file, 228, 0, "segment size");
	check_other(&file, 228, 3 << 20, "segment size");
	check_other(&file, 216, 0, "block size");
	check_other(&file, 220, 0, "block size");
	check_other(&file, 224, 0, "block size");
	check_other(&file, 28, 0x7fffffff, "time");
	check_other(&file, 108, 0x7fffffff, "time");
}

/* Values that the files above have as zero. */
static void
check_recovery_fields(void)
{
	AUTO_BUF struct buf file = BUF_INIT;
	struct err e = ERR_INIT;
	struct control c = { 0 };

	data_read(&file, "control/17");
	le32_put(file.data + 12, 202406280);
	le32_put(file.data + 52, 3);
	le64_put(file.data + 136, 0x1100000022);
	le32_put(file.data + 144, 4);
	le64_put(file.data + 152, 0x3300000044);
	le64_put(file.data + 160, 0x5500000066);
	seal(file.data);
	tap_ok(control_decode(&c, file.data, file.len, &e) == 0, "in recovery");
	tap_u64((uint64_t)control_major(&c), 0, "an unknown catalog");
	tap_u64(c.previous_timeline, 3, "timeline before");
	tap_u64(c.min_recovery_lsn, 0x1100000022, "recovery end");
	tap_u64(c.min_recovery_timeline, 4, "its timeline");
	tap_u64(c.backup_start_lsn, 0x3300000044, "backup start");
	tap_u64(c.backup_end_lsn, 0x5500000066, "backup end");
	tap_str(control_state_name((enum control_state)9), "unknown", "state");
}

/* What a server that is just writing it leaves: whole a little later. */
static struct {
	int fd;
	const struct buf *file;
	unsigned int sleeps; /* until it is written */
} late;

int __wrap_nanosleep(const struct timespec *ts, struct timespec *left);
int
__wrap_nanosleep(const struct timespec *ts, struct timespec *left)
{
	(void)ts;
	(void)left;
	if (late.sleeps == 0 || --late.sleeps > 0)
		return 0;
	if (pwrite(late.fd, late.file->data, late.file->len, 0) !=
	    (ssize_t)late.file->len)
		tap_bail("could not write the file");
	return 0;
}

static void
check_torn(int folder, const char *name, struct buf *file)
{
	struct err e = ERR_INIT;
	AUTO_FD int fd =
	    file_open_at(folder, "global/pg_control", O_RDWR, 0, &e);
	struct control c;

	if (fd == -1 || pwrite(fd, "torn", 4, 100) != 4)
		tap_bail("could not tear the file");
	late.fd = fd;
	late.file = file;
	late.sleeps = 3;
	tap_ok(control_read(&c, name, &e) == 0 && late.sleeps == 0,
	    "read again when torn %s", e.text);
}

static void
check_read(void)
{
	AUTO_BUF struct buf file = BUF_INIT;
	char folder[] = "/tmp/pg-control-XXXXXX";
	AUTO_FD int fd = -1;
	struct err e = ERR_INIT;
	struct control c;

	data_read(&file, "control/16");
	if (mkdtemp(folder) == NULL)
		tap_bail("could not make a folder");
	tap_ok(control_read(&c, folder, &e) == -1 && e.kind == ERR_NOT_FOUND,
	    "%s", e.text);
	fd = file_open_dir(folder, &e);
	if (fd == -1 || mkdirat(fd, "global", 0700) == -1 ||
	    file_publish_at(fd, "global/pg_control", file.data, file.len, 0600,
		FILE_REPLACE, &e) == -1)
		tap_bail("could not make a data directory: %s", e.text);
	tap_ok(control_read(&c, folder, &e) == 0, "read from a data directory");
	tap_u64(c.system_id, 7710488005125450533, "system identifier");
	check_torn(fd, folder, &file);
	file.data[0] ^= 1;
	(void)file_publish_at(fd, "global/pg_control", file.data, file.len,
	    0600, FILE_REPLACE, &e);
	tap_ok(control_read(&c, folder, &e) == -1 && e.kind == ERR_CORRUPT &&
		strstr(e.text, "global/pg_control") != NULL,
	    "%s", e.text);
	(void)file_rmtree_at(AT_FDCWD, folder, &e);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < COUNT_OF(servers); i++)
		check_server(i);
	check_refusals("13");
	check_refusals("18");
	check_recovery_fields();
	check_read();
	return tap_done();
}
