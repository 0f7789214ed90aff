/*
 * archive_work: files on their way into the repository.
 *
 *	add --> queue --> [one reads and checks] --> [some compress] --> [sync]
 *	          row of jobs: waiting, in work, done lately
 *
 * Reading is done by one thread at a time, in the order of the queue, so that
 * a record that goes on in the next segment is seen whole; compressing by
 * WORKERS of them.  Another thread can be about that while one waits for the
 * disk to have a segment.
 *
 * A job that is done well stays in the row for a while: the server asks for a
 * file again that was stored ahead, and it is the same file if inode, size and
 * times are.
 */

#include <fcntl.h>
#include <semaphore.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "jobs/archive_int.h"

#define WORKERS	    2
#define THREADS	    (WORKERS + 1)
#define WAITING_MAX 128
#define ROW_MAX	    512

struct archive_job {
	struct archive_file file;
	struct stat st;
	bool done;
	struct err result;
	unsigned int holders; /* of the main thread */
	struct archive_job *next;
};

struct archive_work {
	struct archiver *archiver;
	int event_fd;
	struct queue *queue;
	pthread_t threads[THREADS];
	sem_t working;			  /* so many more may compress */
	pthread_mutex_t reading;	  /* held by the worker that reads */
	pthread_mutex_t lock;		  /* guards done and result */
	struct archive_job *first, *last; /* of the main thread */
	unsigned int count, waiting;	  /* of these not done when last seen */
};

static void
job_close(struct archive_job *j)
{
	if (j->file.fd != -1)
		(void)close(steal_fd(&j->file.fd));
	if (j->file.control_fd != -1)
		(void)close(steal_fd(&j->file.control_fd));
}

static void
job_free(struct archive_job *j)
{
	job_close(j);
	free(j);
}

/* ---- workers ---- */

static void
tell(const struct archive_job *j, const struct err *e, int64_t began_us)
{
	char took[CLOCK_TEXT_BYTES];

	if (e->kind == ERR_NONE) {
		log_event(LOG_LEVEL_DEBUG, "wal_pushed",
		    "WAL file is in the repository", "cluster", j->file.cluster,
		    "file", j->file.name, "existed",
		    j->file.existed ? "yes" : NULL, "took",
		    clock_interval(clock_boot_us() - began_us, took), NULL);
		return;
	}
	log_event(LOG_LEVEL_ERROR,
	    e->kind == ERR_CONFLICT ? "wal_conflict" : "wal_push_failed",
	    e->text, "cluster",
	    j->file.cluster[0] == '\0' ? NULL : j->file.cluster, "file",
	    j->file.name, "kind", err_kind_name(e->kind), "hint",
	    e->hint[0] == '\0' ? NULL : e->hint, NULL);
}

static void
finish(struct archive_work *w, struct archive_job *j, const struct err *e)
{
	uint64_t one = 1;

	job_close(j);
	(void)pthread_mutex_lock(&w->lock);
	j->result = *e;
	j->done = true;
	(void)pthread_mutex_unlock(&w->lock);
	(void)!write(w->event_fd, &one, sizeof(one));
}

/* Memory for a segment is kept while there is work, or while another waits. */
static struct archive_job *
next_job(struct archive_work *w, struct buf *plain)
{
	struct archive_job *j = queue_try_get(w->queue);

	if (j != NULL)
		return j;
	buf_free(plain);
	return queue_get(w->queue);
}

/* May this thread compress?  Until its segment is written and is to be synced. */
struct turn {
	struct archive_work *work;
	bool has;
};

static void
take_turn(struct turn *t)
{
	while (sem_wait(&t->work->working) == -1)
		;
	t->has = true;
}

static void
leave_turn(struct turn *t)
{
	if (t->has)
		(void)sem_post(&t->work->working);
	t->has = false;
}

static int
is_written(void *arg, struct err *e)
{
	(void)e;
	leave_turn(arg);
	return 0;
}

static void *
run(void *arg)
{
	struct archive_work *w = arg;
	AUTO_WAL_STORER struct wal_storer *storer = wal_storer_new();
	AUTO_BUF struct buf plain = BUF_INIT;
	struct turn turn = { .work = w };
	struct archive_job *j;
	struct err e;

	wal_storer_set_turn(storer, is_written, &turn);
	for (;;) {
		AUTO_ARCHIVE_MEMBER struct archive_member *r = NULL;
		int64_t began_us;

		(void)pthread_mutex_lock(&w->reading);
		j = next_job(w, &plain);
		began_us = clock_boot_us();
		err_clear(&e);
		if (j != NULL)
			r = archive_member_read(
			    w->archiver, &j->file, &plain, &e);
		(void)pthread_mutex_unlock(&w->reading);
		if (j == NULL)
			return NULL;
		if (r != NULL) {
			take_turn(&turn);
			(void)archive_store_read(
			    r, storer, &j->file.existed, &e);
			leave_turn(&turn);
		}
		tell(j, &e, began_us);
		finish(w, j, &e);
	}
}

struct archive_work *
archive_work_new(struct archiver *a, int event_fd)
{
	struct archive_work *w = mem_zalloc(sizeof(*w));
	size_t i;

	w->archiver = a;
	w->event_fd = event_fd;
	w->queue = queue_new(WAITING_MAX);
	(void)pthread_mutex_init(&w->reading, NULL);
	(void)pthread_mutex_init(&w->lock, NULL);
	(void)sem_init(&w->working, 0, WORKERS);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&w->threads[i], NULL, run, w) != 0)
			abort(); /* no thread: as no memory */
	return w;
}

void
archive_work_free(struct archive_work *w)
{
	struct archive_job *j;
	size_t i;

	if (w == NULL)
		return;
	queue_fail(w->queue); /* what waits is asked for again */
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(w->threads[i], NULL);
	while ((j = w->first) != NULL) {
		w->first = j->next;
		job_free(j);
	}
	queue_free(w->queue);
	(void)sem_destroy(&w->working);
	(void)pthread_mutex_destroy(&w->reading);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

/* ---- the row ---- */

static bool
is_done(struct archive_work *w, const struct archive_job *j)
{
	bool done;

	(void)pthread_mutex_lock(&w->lock);
	done = j->done;
	(void)pthread_mutex_unlock(&w->lock);
	return done;
}

bool
archive_job_done(
    struct archive_work *w, struct archive_job *j, struct err *result)
{
	bool done;

	(void)pthread_mutex_lock(&w->lock);
	done = j->done;
	*result = j->result;
	(void)pthread_mutex_unlock(&w->lock);
	return done;
}

void
archive_job_hold(struct archive_job *j)
{
	j->holders++;
}

void
archive_job_let_go(struct archive_job *j)
{
	j->holders--;
}

/* Jobs nobody needs: failed ones, and the oldest when there are many. */
static void
trim(struct archive_work *w)
{
	struct archive_job **at = &w->first, *j;
	bool done;

	w->last = NULL;
	w->waiting = 0;
	while ((j = *at) != NULL) {
		done = is_done(w, j);
		w->waiting += !done;
		if (done && j->holders == 0 &&
		    (w->count > ROW_MAX || j->result.kind != ERR_NONE)) {
			*at = j->next;
			w->count--;
			job_free(j);
			continue;
		}
		w->last = j;
		at = &j->next;
	}
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	    a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static struct archive_job *
find(struct archive_work *w, const char *name, const struct stat *st)
{
	struct archive_job *j;

	for (j = w->first; j != NULL; j = j->next)
		if (strcmp(j->file.name, name) == 0 && is_same(&j->st, st))
			return j;
	return NULL;
}

static int
dup_cloexec(int fd)
{
	return fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

struct archive_job *
archive_work_add(struct archive_work *w, const char *name, int fd,
    int control_fd, struct err *e)
{
	struct archive_job *j;
	struct stat st;

	if (fstat(fd, &st) == -1) {
		(void)err_sys(e, "could not stat \"%s\"", name);
		return NULL;
	}
	trim(w);
	j = find(w, name, &st);
	if (j != NULL)
		return j;
	if (w->waiting >= WAITING_MAX) {
		(void)err_set(e, ERR_TRANSIENT,
		    "too many WAL files are waiting to be archived");
		return NULL;
	}
	j = mem_zalloc(sizeof(*j));
	(void)strncpy(j->file.name, name, sizeof(j->file.name) - 1);
	j->st = st;
	j->file.fd = dup_cloexec(fd);
	j->file.control_fd = dup_cloexec(control_fd);
	if (j->file.fd == -1) {
		(void)err_sys(e, "could not keep \"%s\" open", name);
		job_free(j);
		return NULL;
	}
	if (w->last == NULL)
		w->first = j;
	else
		w->last->next = j;
	w->last = j;
	w->count++;
	if (!queue_put(w->queue, j))
		return j; /* being stopped: it is never done */
	return j;
}
