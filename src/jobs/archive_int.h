#ifndef JOBS_ARCHIVE_INT_H
#define JOBS_ARCHIVE_INT_H

/*
 * archive_int: what the files of the archive job share.
 *
 *	archive.c	clients: requests in, answers out
 *	archive_listen.c	their socket
 *	archive_wire.c	their bytes
 *	archive_work.c	files on their way: workers, and what was done lately
 *	archive_store.c	one file into the repository
 *	archive_push.c	the same without a daemon
 */

#include <pthread.h>
#include <sys/types.h>

#include "base/buf.h"
#include "jobs/archive_wire.h"
#include "jobs/jobs.h"
#include "repo/repo.h"
#include "repo/walcheck.h"
#include "repo/walstored.h"

/* ---- archive_listen.c ---- */

/* Listen on path, for us and for group (NULL: for nobody else).  What a killed
 * daemon left there is replaced: the caller holds a lock. */
int archive_listen(const char *path, const char *group, struct err *e);

/* ---- archive_store.c ---- */

/* Where files go: the repository, and what one file leaves for the next. */
struct archiver;

struct archiver *archiver_new(const struct settings *s, struct err *e);
void archiver_free(struct archiver *a);
AUTO_DEFINE(struct archiver, archiver_free);
#define AUTO_ARCHIVER AUTO(archiver_free_auto)

struct archive_file {
	char name[ARCHIVE_NAME_BYTES];
	int fd;
	int control_fd; /* pg_control of its cluster, -1 unknown */
	char cluster[CLUSTER_NAME_BYTES]; /* once it is known */
	bool existed;			  /* the same bytes were there */
};

/* A file read and checked, on its way to the repository. */
struct archive_member;

/*
 * Read f into plain and check it; plain is for the member as long as there is
 * one, and best used again for the next: new memory costs as much as reading.
 * Files are best given in the order of their names, by one thread at a time:
 * then a record that goes on in the next is seen whole.  NULL with *e, or with
 * e->kind ERR_NONE when nothing is to be stored.
 */
struct archive_member *archive_member_read(struct archiver *a,
    struct archive_file *f, struct buf *plain, struct err *e);
/* Store what was read; any thread, each with a storer of its own. */
int archive_store_read(struct archive_member *r, struct wal_storer *storer,
    bool *existed, struct err *e);
void archive_member_free(struct archive_member *r);
AUTO_DEFINE(struct archive_member, archive_member_free);
#define AUTO_ARCHIVE_MEMBER AUTO(archive_member_free_auto)

/* ---- archive_work.c ---- */

struct archive_work;
struct archive_job; /* one file: waiting, in work, or done */

/* event_fd becomes readable when a job is done. */
struct archive_work *archive_work_new(struct archiver *a, int event_fd);
void archive_work_free(struct archive_work *w); /* ends what is in work */
AUTO_DEFINE(struct archive_work, archive_work_free);
#define AUTO_ARCHIVE_WORK AUTO(archive_work_free_auto)

/*
 * The job for this file, which may be under way or done already (known by
 * inode, size and times).  fd and control_fd are borrowed.  NULL when too many
 * are waiting (ERR_TRANSIENT) or the file cannot be looked at.
 */
struct archive_job *archive_work_add(struct archive_work *w, const char *name,
    int fd, int control_fd, struct err *e);
/* Someone waits for it: it is kept until let go. */
void archive_job_hold(struct archive_job *j);
void archive_job_let_go(struct archive_job *j);
/* Is it done?  *result is then how it went. */
bool archive_job_done(
    struct archive_work *w, struct archive_job *j, struct err *result);

#endif /* !JOBS_ARCHIVE_INT_H */
