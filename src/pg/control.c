#include "pg/control.h"

#include <fcntl.h>
#include <stdbool.h>
#include <time.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/le.h"
#include "codec/digest.h"
#include "pg/lsn.h"

/*
 * The file, of which we read what has a name here.  Integers are in the
 * server's byte order, and we take little-endian machines only.
 *
 *	offset	size	field
 *	     0	   8	system_identifier
 *	     8	   4	pg_control_version
 *	    12	   4	catalog_version_no
 *	    16	   4	state
 *	    24	   8	time		seconds since 1970
 *	    32	   8	checkPoint
 *	    40	   8	checkPointCopy.redo
 *	    48	   4	checkPointCopy.ThisTimeLineID
 *	    52	   4	checkPointCopy.PrevTimeLineID
 *	   104	   8	checkPointCopy.time
 *	   136	   8	minRecoveryPoint
 *	   144	   4	minRecoveryPointTLI
 *	   152	   8	backupStartPoint
 *	   160	   8	backupEndPoint
 *	   172	   4	wal_level
 *	   180	   4	MaxConnections
 *	   184	   4	max_worker_processes
 *	   188	   4	max_wal_senders
 *	   192	   4	max_prepared_xacts
 *	   196	   4	max_locks_per_xact
 *	   216	   4	blcksz
 *	   220	   4	relseg_size
 *	   224	   4	xlog_blcksz
 *	   228	   4	xlog_seg_size
 *	   252	   4	data_checksum_version
 *	   288	   4	crc	CRC-32C of all before it; 292 from 18 on
 */
#define CRC_OFFSET_13 288
#define CRC_OFFSET_18 292

/* A file that is being written looks torn for an instant. */
#define READ_TRIES    10
#define READ_PAUSE_NS 10000000L

static const struct {
	uint32_t catalog_version;
	int major;
} catalogs[] = {
	{ 202007201, 13 },
	{ 202107181, 14 },
	{ 202209061, 15 },
	{ 202307071, 16 },
	{ 202406281, 17 },
	{ 202506291, 18 },
};

/* Where the CRC is, or 0 with *e set when the layout is not known to us. */
static size_t
crc_offset(uint32_t version, struct err *e)
{
	switch (version) {
	case 1300:
	case 1700:
		return CRC_OFFSET_13;
	case 1800:
		return CRC_OFFSET_18;
	default:
		break;
	}
	if (version != 0 && version % 65536 == 0)
		(void)err_set(e, ERR_CORRUPT,
		    "pg_control is from a machine of the other byte order");
	else
		(void)err_set(e, ERR_CORRUPT,
		    "pg_control version %u is not supported", version);
	return 0;
}

static int
seconds_get(const uint8_t *in, int64_t *time_us)
{
	int64_t seconds = (int64_t)le64_get(in);

	return __builtin_mul_overflow(seconds, (int64_t)1000000, time_us) ? -1
									  : 0;
}

static void
decode_sizes(struct control *c, const uint8_t *in)
{
	c->wal_level = le32_get(in + 172);
	c->max_connections = (int)le32_get(in + 180);
	c->max_worker_processes = (int)le32_get(in + 184);
	c->max_wal_senders = (int)le32_get(in + 188);
	c->max_prepared_xacts = (int)le32_get(in + 192);
	c->max_locks_per_xact = (int)le32_get(in + 196);
	c->block_bytes = le32_get(in + 216);
	c->relation_segment_blocks = le32_get(in + 220);
	c->wal_block_bytes = le32_get(in + 224);
	c->wal_segment_bytes = le32_get(in + 228);
	c->checksum_version = le32_get(in + 252);
}

/* What other code divides by or indexes with, which a CRC does not vouch for. */
static int
check_values(const struct control *c, struct err *e)
{
	if ((unsigned int)c->state > CONTROL_IN_PRODUCTION)
		return err_set(e, ERR_CORRUPT,
		    "pg_control: state %u is unknown", (unsigned int)c->state);
	if (c->timeline == 0)
		return err_set(e, ERR_CORRUPT, "pg_control: timeline is 0");
	if (!wal_segment_bytes_valid(c->wal_segment_bytes))
		return err_set(e, ERR_CORRUPT,
		    "pg_control: WAL segment size %u is not possible",
		    c->wal_segment_bytes);
	if (c->block_bytes == 0 || c->wal_block_bytes == 0 ||
	    c->relation_segment_blocks == 0)
		return err_set(e, ERR_CORRUPT, "pg_control: a block size is 0");
	return 0;
}

int
control_decode(struct control *c, const uint8_t *in, size_t len, struct err *e)
{
	struct control found;
	size_t crc_at;

	if (len < CONTROL_BYTES)
		return err_set(e, ERR_CORRUPT,
		    "pg_control is %zu bytes, expected %d", len, CONTROL_BYTES);
	found.control_version = le32_get(in + 8);
	crc_at = crc_offset(found.control_version, e);
	if (crc_at == 0)
		return -1;
	if (crc32c(0, in, crc_at) != le32_get(in + crc_at))
		return err_set(
		    e, ERR_CORRUPT, "pg_control checksum does not match");

	found.system_id = le64_get(in);
	found.catalog_version = le32_get(in + 12);
	found.state = (enum control_state)le32_get(in + 16);
	found.checkpoint_lsn = le64_get(in + 32);
	found.redo_lsn = le64_get(in + 40);
	found.timeline = le32_get(in + 48);
	found.previous_timeline = le32_get(in + 52);
	found.min_recovery_lsn = le64_get(in + 136);
	found.min_recovery_timeline = le32_get(in + 144);
	found.backup_start_lsn = le64_get(in + 152);
	found.backup_end_lsn = le64_get(in + 160);
	if (seconds_get(in + 24, &found.time_us) == -1 ||
	    seconds_get(in + 104, &found.checkpoint_time_us) == -1)
		return err_set(e, ERR_CORRUPT, "pg_control: time out of range");
	decode_sizes(&found, in);
	if (check_values(&found, e) == -1)
		return -1;
	*c = found;
	return 0;
}

int
control_read(struct control *c, const char *pgdata, struct err *e)
{
	const struct timespec pause = { 0, READ_PAUSE_NS };
	AUTO_FREE char *path = file_join(pgdata, "global/pg_control");
	AUTO_BUF struct buf content = BUF_INIT;
	int tries;

	for (tries = 1;; tries++) {
		buf_clear(&content);
		if (file_slurp_at(AT_FDCWD, path, CONTROL_BYTES, &content, e) ==
		    -1)
			return -1;
		if (control_decode(c, content.data, content.len, e) == 0)
			return 0;
		if (tries == READ_TRIES)
			return err_ctx(e, "file \"%s\"", path);
		(void)nanosleep(&pause, NULL);
	}
}

const char *
control_state_name(enum control_state state)
{
	switch (state) {
	case CONTROL_STARTUP:
		return "starting up";
	case CONTROL_SHUTDOWNED:
		return "shut down";
	case CONTROL_SHUTDOWNED_IN_RECOVERY:
		return "shut down in recovery";
	case CONTROL_SHUTDOWNING:
		return "shutting down";
	case CONTROL_CRASH_RECOVERY:
		return "in crash recovery";
	case CONTROL_ARCHIVE_RECOVERY:
		return "in archive recovery";
	case CONTROL_IN_PRODUCTION:
		return "in production";
	}
	return "unknown";
}

int
control_major(const struct control *c)
{
	size_t i;

	for (i = 0; i < COUNT_OF(catalogs); i++)
		if (catalogs[i].catalog_version == c->catalog_version)
			return catalogs[i].major;
	return 0;
}
