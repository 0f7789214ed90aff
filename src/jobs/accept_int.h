#ifndef JOBS_ACCEPT_INT_H
#define JOBS_ACCEPT_INT_H

/*
 * accept_int: what the files of accept share.
 *
 *	accept.c	 messages to and fro, and WAL
 *	accept_open.c	 which lineage it is, and what of it is here
 *	accept_course.c	 how fast it comes and how far behind it is
 */

#include "jobs/accept_wal.h"
#include "jobs/courier_int.h"
#include "jobs/keeper.h"
#include "jobs/pace.h"
#include "jobs/trail.h"
#include "repo/manifest.h"
#include "repo/walknown.h"

struct accept {
	struct courier *courier;
	uint64_t journal;
	const struct cluster_settings *cluster;
	struct lineage lineage;
	struct keeper *keeper;
	struct accept_wal *wal;
	uint64_t wal_body;
	uint32_t timeline;
	int receive_lock; /* while WAL comes, no receiver may write here */
	struct accept_wal_state told;
	struct wal_known known; /* the peer's last stamp */
	struct wal_known noted; /* the last that we have all WAL of */
	int64_t stamp_us;	/* the peer's clock in the last stamp */
	/* When their server_us was, by clock_boot_us(). */
	int64_t known_boot_us, noted_boot_us;
	/* Until when, by clock_boot_us(), the peer has acknowledged nothing
	 * that is not here. */
	int64_t proved_until_us;
	int64_t clock_us;    /* when we said our clock last */
	uint64_t source_lsn; /* the end of the peer's WAL */
	char newest[BACKUP_ID_BYTES];
	uint64_t object_bytes;
	uint64_t plain_bytes, stream_bytes; /* of WAL: durable; as it came */
	struct pace wal_pace, source_pace, object_pace;
	struct trail *trail;  /* NULL: not yet, or it cannot be written */
	uint64_t trail_bytes; /* durable here, at its last note */
	int64_t course_us;
	char why[480];	   /* no WAL comes, since */
	char no_room[480]; /* for objects, since */
};

/* ---- accept_open.c ---- */

/* Of a message "open": a->cluster and a->lineage, and whose signatures count.
 * ERR_REFUSED, ERR_CORRUPT. */
int accept_open(struct accept *a, const json_t *m, struct err *e);
/* Messages "have" and "state". */
int accept_say_what_is_here(struct accept *a, struct err *e);

/* ---- accept_course.c ---- */

/* How old what is here is; -1 not known. */
int64_t accept_late_us(const struct accept *a);
/* How fast it comes, and how far behind it is, for people and for the trail. */
void accept_note_course(struct accept *a, int64_t boot_us);

#endif /* !JOBS_ACCEPT_INT_H */
