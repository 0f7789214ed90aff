#include "jobs/restore_pipe.h"

#include <signal.h>
#include <string.h>

#include "base/mem.h"

#define TASKS_MAX	  16
#define WORKERS_MAX	  32
#define WRITERS		  2
#define CACHE_BYTES_TOTAL ((size_t)32 << 20)
#define CACHE_BYTES_EACH  ((size_t)16 << 20)
#define CACHE_BYTES_LEAST ((size_t)2 << 20)

/* One part of one file, or some small files whole. */
struct task {
	struct rfile *files[RPIPE_BATCH_FILES];
	uint32_t count;
	uint32_t part;
};

struct rpipe {
	struct queue *tasks, *full, *empty;
	struct task *batch; /* small files gathered by rpipe_add() */
	struct rpipe_window *windows;
	size_t window_count;
	struct rpipe_worker *workers;
	unsigned int worker_count, workers_started, workers_joined;
	pthread_t writers[WRITERS];
	unsigned int writers_started, writers_joined;
	atomic_uint_fast64_t written_bytes, written_blocks;
	pthread_mutex_t lock; /* guards what follows */
	struct rfile *files;  /* all that are not closed */
	struct err failure;
	bool failed;
};

/* The first failure counts; everybody gives up. */
static void
fail(struct rpipe *p, const struct err *e)
{
	(void)pthread_mutex_lock(&p->lock);
	if (!p->failed)
		p->failure = *e;
	p->failed = true;
	(void)pthread_mutex_unlock(&p->lock);
	queue_fail(p->tasks);
	queue_fail(p->full);
	queue_fail(p->empty);
}

static int
check_failed(struct rpipe *p, struct err *e)
{
	bool failed;

	(void)pthread_mutex_lock(&p->lock);
	failed = p->failed;
	if (failed)
		*e = p->failure;
	(void)pthread_mutex_unlock(&p->lock);
	return failed ? -1 : 0;
}

/* ---- the list of open files ---- */

static void
list_add(struct rpipe *p, struct rfile *f)
{
	(void)pthread_mutex_lock(&p->lock);
	f->next = p->files;
	if (f->next != NULL)
		f->next->prev = f;
	p->files = f;
	(void)pthread_mutex_unlock(&p->lock);
}

static void
list_remove(struct rpipe *p, struct rfile *f)
{
	(void)pthread_mutex_lock(&p->lock);
	if (f->prev != NULL)
		f->prev->next = f->next;
	else
		p->files = f->next;
	if (f->next != NULL)
		f->next->prev = f->prev;
	(void)pthread_mutex_unlock(&p->lock);
}

/* Done with f: the last one finishes it. */
static int
let_go(struct rpipe *p, struct rfile *f, struct err *e)
{
	int rc;

	if (!rfile_let_go(f))
		return 0;
	list_remove(p, f);
	rc = rfile_finish(f, e);
	rfile_free(f);
	return rc;
}

/* ---- threads ---- */

struct rpipe_window *
rpipe_window_get(struct rpipe *p)
{
	return queue_get(p->empty);
}

bool
rpipe_window_put(struct rpipe *p, struct rpipe_window *w)
{
	return queue_put(p->full, w);
}

static int
write_window(struct rpipe *p, struct rpipe_window *w, struct err *e)
{
	struct rfile *f = w->file;

	if (rfile_write_direct(f, w->data, w->len, w->offset, e) == -1)
		return -1;
	(void)atomic_fetch_add(&p->written_bytes, w->len);
	(void)atomic_fetch_add(&p->written_blocks,
	    (w->len + PACK_BLOCK_BYTES - 1) / PACK_BLOCK_BYTES);
	w->file = NULL;
	(void)queue_put(p->empty, w);
	return let_go(p, f, e);
}

static void *
writer_main(void *arg)
{
	struct rpipe *p = arg;
	struct rpipe_window *w;
	struct err e = ERR_INIT;

	while ((w = queue_get(p->full)) != NULL)
		if (write_window(p, w, &e) == -1) {
			fail(p, &e);
			break;
		}
	return NULL;
}

static int
do_task(struct rpipe_worker *w, struct task *t, struct err *e)
{
	uint32_t i;

	for (i = 0; i < t->count; i++)
		if (worker_part(w, t->files[i], t->part, e) == -1 ||
		    let_go(w->pipe, t->files[i], e) == -1)
			return -1;
	return 0;
}

static void *
worker_main(void *arg)
{
	struct rpipe_worker *w = arg;
	struct task *t;
	struct err e = ERR_INIT;
	int rc = 0;

	while (rc == 0 && (t = queue_get(w->pipe->tasks)) != NULL) {
		rc = do_task(w, t, &e);
		free(t);
	}
	if (rc == -1)
		fail(w->pipe, &e);
	return NULL;
}

static int
start_thread(pthread_t *thread, void *(*main)(void *), void *arg, struct err *e)
{
	sigset_t all, old;
	int rc;

	/* Signals are the caller's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(thread, NULL, main, arg);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc == 0 ? 0 : err_set(e, ERR_IO, "could not start a thread");
}

static void
init_worker(struct rpipe *p, struct rpipe_worker *w, struct packset *ps,
    uint64_t block_key, struct progress *progress)
{
	size_t cache = CACHE_BYTES_TOTAL / p->worker_count;

	if (cache > CACHE_BYTES_EACH)
		cache = CACHE_BYTES_EACH;
	if (cache < CACHE_BYTES_LEAST)
		cache = CACHE_BYTES_LEAST;
	w->pipe = p;
	w->ps = ps;
	w->block_key = block_key;
	w->progress = progress;
	w->fill = fill_new(ps, cache);
	w->bytes = mem_pages(RPIPE_WINDOW_BYTES);
	w->old = mem_pages(RPIPE_PIECE_BYTES);
}

static int
start_threads(struct rpipe *p, struct err *e)
{
	for (; p->workers_started < p->worker_count; p->workers_started++) {
		struct rpipe_worker *w = &p->workers[p->workers_started];

		if (start_thread(&w->thread, worker_main, w, e) == -1)
			return -1;
	}
	for (; p->writers_started < WRITERS; p->writers_started++)
		if (start_thread(&p->writers[p->writers_started], writer_main,
			p, e) == -1)
			return -1;
	return 0;
}

static void
join_workers(struct rpipe *p)
{
	for (; p->workers_joined < p->workers_started; p->workers_joined++)
		(void)pthread_join(p->workers[p->workers_joined].thread, NULL);
}

static void
join_writers(struct rpipe *p)
{
	for (; p->writers_joined < p->writers_started; p->writers_joined++)
		(void)pthread_join(p->writers[p->writers_joined], NULL);
}

/* ---- the caller's side ---- */

struct rpipe *
rpipe_new(struct packset *ps, uint64_t block_key, unsigned int workers,
    struct progress *progress, struct err *e)
{
	AUTO_RPIPE struct rpipe *p = mem_zalloc(sizeof(*p));
	size_t i;

	p->worker_count = workers < 1 ? 1
	    : workers > WORKERS_MAX   ? WORKERS_MAX
				      : workers;
	p->window_count = (size_t)p->worker_count + 2 * WRITERS;
	(void)pthread_mutex_init(&p->lock, NULL);
	p->tasks = queue_new(TASKS_MAX);
	p->full = queue_new(p->window_count);
	p->empty = queue_new(p->window_count);
	p->windows = mem_zarray(p->window_count, sizeof(p->windows[0]));
	for (i = 0; i < p->window_count; i++) {
		p->windows[i].data = mem_pages(RPIPE_WINDOW_BYTES);
		(void)queue_put(p->empty, &p->windows[i]);
	}
	p->workers = mem_zarray(p->worker_count, sizeof(p->workers[0]));
	for (i = 0; i < p->worker_count; i++)
		init_worker(p, &p->workers[i], ps, block_key, progress);
	if (start_threads(p, e) == -1)
		return NULL;
	return steal_ptr(&p);
}

/* Hand a task over; it is freed when that fails. */
static int
put_task(struct rpipe *p, struct task *t, struct err *e)
{
	if (queue_put(p->tasks, t))
		return 0;
	free(t);
	if (check_failed(p, e) == -1)
		return -1;
	return err_set(e, ERR_BUG, "files are added after the end");
}

static int
put_batch(struct rpipe *p, struct err *e)
{
	return p->batch == NULL ? 0 : put_task(p, steal_ptr(&p->batch), e);
}

int
rpipe_add(struct rpipe *p, struct rfile *f, struct err *e)
{
	struct task *t;
	uint32_t i, parts = f->part_count;

	list_add(p, f);
	if (f->size_bytes <= RFILE_SMALL_BYTES) {
		if (p->batch == NULL)
			p->batch = mem_zalloc(sizeof(*p->batch));
		p->batch->files[p->batch->count++] = f;
		return p->batch->count == RPIPE_BATCH_FILES ? put_batch(p, e)
							    : 0;
	}
	for (i = 1; i < parts; i++)
		rfile_hold(f);
	for (i = 0; i < parts; i++) {
		t = mem_zalloc(sizeof(*t));
		t->files[0] = f;
		t->count = 1;
		t->part = i;
		if (put_task(p, t, e) == -1)
			return -1;
	}
	return 0;
}

static void
sum_counts(const struct rpipe *p, struct rpipe_counts *counts)
{
	unsigned int i;

	(void)memset(counts, 0, sizeof(*counts));
	counts->written_bytes = atomic_load(&p->written_bytes);
	counts->written_blocks = atomic_load(&p->written_blocks);
	for (i = 0; i < p->worker_count; i++) {
		const struct rpipe_worker *w = &p->workers[i];

		counts->written_bytes += w->counts.written_bytes;
		counts->written_blocks += w->counts.written_blocks;
		counts->kept_blocks += w->counts.kept_blocks;
		counts->read_bytes += fill_read_bytes(w->fill);
	}
}

int
rpipe_finish(struct rpipe *p, struct rpipe_counts *counts, struct err *e)
{
	int rc = put_batch(p, e);

	queue_close(p->tasks);
	join_workers(p);
	queue_close(p->full);
	join_writers(p);
	sum_counts(p, counts);
	if (check_failed(p, e) == -1)
		return -1;
	return rc;
}

/* Tasks that nobody took: their files are in the list. */
static void
free_tasks(struct rpipe *p)
{
	free(p->batch);
	queue_drain(p->tasks, free);
}

void
rpipe_free(struct rpipe *p)
{
	struct rfile *f;
	struct err e = ERR_INIT;
	size_t i;

	if (p == NULL)
		return;
	(void)err_set(&e, ERR_CANCELED, "restore was given up");
	if (p->workers_joined < p->workers_started ||
	    p->writers_joined < p->writers_started)
		fail(p, &e);
	join_workers(p);
	join_writers(p);
	free_tasks(p);
	while ((f = p->files) != NULL) {
		p->files = f->next;
		rfile_free(f);
	}
	for (i = 0; i < p->worker_count; i++) {
		fill_free(p->workers[i].fill);
		free(p->workers[i].bytes);
		free(p->workers[i].old);
	}
	for (i = 0; i < p->window_count; i++)
		free(p->windows[i].data);
	free(p->windows);
	free(p->workers);
	queue_free(p->tasks);
	queue_free(p->full);
	queue_free(p->empty);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}
