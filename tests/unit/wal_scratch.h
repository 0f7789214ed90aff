#ifndef WAL_SCRATCH_H
#define WAL_SCRATCH_H

/*
 * wal_scratch: a repository in the scratch folder, and WAL to put into it.
 */

#include "base/mem.h"
#include "repo/repo.h"
#include "repo/walarchive.h"
#include "unit/base_scratch.h"
#include "walmaker.h"

#define SEGMENT_BYTES WAL_SEGMENT_BYTES_MIN

/* A new repository in ./repo with a lineage of cluster "main". */
static inline struct repo *
wal_scratch_repo(struct lineage *l)
{
	char url[600];
	struct err e = ERR_INIT;
	struct repo *r;
	const struct cluster_facts facts = {
		.system_id = WALMAKER_SYSTEM_ID,
		.major = 15,
		.version_num = 150018,
		.segment_bytes = SEGMENT_BYTES,
		.block_bytes = 8192,
	};

	(void)snprintf(url, sizeof(url), "%s/repo", scratch_path);
	if (repo_init(url, &e) == -1 ||
	    (r = repo_open(url, scratch_path, true, &e)) == NULL ||
	    lineage_open_for(r, "main", &facts, l, &e) == -1)
		tap_bail("%s", e.text);
	return r;
}

/* ---- records ---- */

#define RM_XLOG		   0
#define XLOG_NOOP	   0x20
#define XLOG_SWITCH	   0x40
#define XLOG_RESTORE_POINT 0x70
#define RM_XACT		   1
#define XACT_COMMIT	   0x00

/* A record without meaning, of so many bytes in all. */
static inline uint64_t
wal_noop(struct walmaker *m, uint32_t total_bytes)
{
	AUTO_FREE uint8_t *data = mem_alloc(total_bytes);
	uint32_t i,
	    len = total_bytes - 24 - (total_bytes > 24 + 2 + 255 ? 5 : 2);

	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(i % 61 * (walmaker_lsn(m) >> 13));
	return walmaker_record(m, RM_XLOG, XLOG_NOOP, 0, data, len);
}

/* pg_us: microseconds since 2000. */
static inline uint64_t
wal_commit(struct walmaker *m, uint32_t xid, int64_t pg_us)
{
	uint8_t data[8];

	le64_put(data, (uint64_t)pg_us);
	return walmaker_record(m, RM_XACT, XACT_COMMIT, xid, data, 8);
}

static inline uint64_t
wal_restore_point(struct walmaker *m, const char *name, int64_t pg_us)
{
	uint8_t data[8 + 64] = { 0 };

	le64_put(data, (uint64_t)pg_us);
	(void)snprintf((char *)data + 8, 64, "%s", name);
	return walmaker_record(
	    m, RM_XLOG, XLOG_RESTORE_POINT, 0, data, sizeof(data));
}

/* Fill up until m is past lsn, with records of odd sizes. */
static inline void
wal_fill(struct walmaker *m, uint64_t lsn)
{
	uint32_t turn = 0;

	while (walmaker_lsn(m) <= lsn)
		(void)wal_noop(m, 40 + 997 * (turn++ % 17));
}

/* XLOG_SWITCH, and zeros to the end of the segment. */
static inline void
wal_switch(struct walmaker *m)
{
	(void)walmaker_record(m, RM_XLOG, XLOG_SWITCH, 0, NULL, 0);
	walmaker_zeros(m, m->segment_bytes);
}

/* ---- names ---- */

static inline const char *
wal_scratch_name(uint32_t timeline, uint64_t lsn)
{
	static char names[4][WAL_NAME_BYTES];
	static unsigned int turn;

	return wal_name(timeline, lsn, SEGMENT_BYTES, names[turn++ % 4]);
}

/* Bytes of segment i of what m made. */
static inline const uint8_t *
wal_segment_of(const struct walmaker *m, unsigned int i)
{
	return m->out.data + (size_t)i * SEGMENT_BYTES;
}

/* Store segment i of m, or say why not. */
static inline bool
wal_scratch_store(const struct lineage *l, const struct walmaker *m,
    unsigned int i, struct err *e)
{
	bool existed;

	return wal_store_segment(l,
		   wal_scratch_name(
		       m->timeline, m->start_lsn + (uint64_t)i * SEGMENT_BYTES),
		   wal_segment_of(m, i), SEGMENT_BYTES, 3, &existed, e) == 0;
}

#endif /* !WAL_SCRATCH_H */
