#include "base/dio.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/*
 * The caller fills one buffer while the helper thread writes the other:
 *
 *	dio_write() --> buffers[filling]   job.data --> pwrite()
 *	                      `---- submit() ----^
 *
 * job.len != 0 means that the helper is at work.  The helper and O_DIRECT only
 * come into play with the first full buffer, so small files stay cheap.
 */

#define ALIGN_BYTES ((size_t)4096)

struct job {
	const uint8_t *data;
	size_t len; /* 0: none */
	uint64_t offset;
};

struct dio {
	char *path; /* for messages */
	int fd;
	bool direct; /* O_DIRECT is set on fd */
	uint8_t *buffers[2];
	unsigned int filling; /* which one the caller fills */
	size_t fill;
	uint64_t handed; /* bytes handed on, a multiple of the buffer size */
	bool begun;	 /* the first full buffer was met */
	bool threaded;	 /* the helper runs */
	pthread_t helper;
	pthread_mutex_t lock; /* guards job and stop */
	pthread_cond_t changed;
	struct job job;
	bool stop;
	struct err failure;
	atomic_bool failed; /* failure is set, and for good */
};

struct dio *
dio_create_at(int dirfd, const char *path, unsigned int mode, struct err *e)
{
	struct dio *d;
	int fd = file_open_at(
	    dirfd, path, O_WRONLY | O_CREAT | O_EXCL, (mode_t)mode, e);

	if (fd == -1)
		return NULL;
	d = mem_zalloc(sizeof(*d));
	d->path = mem_strdup(path);
	d->fd = fd;
	(void)pthread_mutex_init(&d->lock, NULL);
	(void)pthread_cond_init(&d->changed, NULL);
	d->buffers[0] = mem_pages(DIO_BUFFER_BYTES);
	return d;
}

/* Set or clear O_DIRECT.  Done on the open descriptor since an open that is
 * refused may leave the file behind. */
static int
set_direct(struct dio *d, bool on)
{
	int flags = fcntl(d->fd, F_GETFL);

	if (flags == -1)
		return -1;
	flags = on ? flags | O_DIRECT : flags & ~O_DIRECT;
	if (fcntl(d->fd, F_SETFL, flags) == -1)
		return -1;
	d->direct = on;
	return 0;
}

/* Write at offset; without O_DIRECT from here on if the file system took the
 * flag but not the write. */
static int
write_at(struct dio *d, const uint8_t *data, size_t len, uint64_t offset,
    struct err *e)
{
	if (file_pwrite_all(d->fd, data, len, offset, d->path, e) == 0)
		return 0;
	if (!d->direct || e->sys_errno != EINVAL)
		return -1;
	if (set_direct(d, false) == -1)
		return err_sys(
		    e, "could not leave direct I/O of \"%s\"", d->path);
	return file_pwrite_all(d->fd, data, len, offset, d->path, e);
}

/* As write_at(), a failure kept for this and all later calls. */
static void
write_or_fail(struct dio *d, const struct job *job)
{
	if (write_at(d, job->data, job->len, job->offset, &d->failure) == -1)
		atomic_store(&d->failed, true);
}

static int
check_failed(struct dio *d, struct err *e)
{
	if (!atomic_load(&d->failed))
		return 0;
	if (e != NULL)
		*e = d->failure;
	return -1;
}

static void *
helper_main(void *arg)
{
	struct dio *d = arg;
	struct job job;

	(void)pthread_mutex_lock(&d->lock);
	for (;;) {
		while (d->job.len == 0 && !d->stop)
			(void)pthread_cond_wait(&d->changed, &d->lock);
		if (d->job.len == 0)
			break;
		job = d->job;
		(void)pthread_mutex_unlock(&d->lock);
		write_or_fail(d, &job);
		(void)pthread_mutex_lock(&d->lock);
		d->job.len = 0;
		(void)pthread_cond_signal(&d->changed);
	}
	(void)pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* The first full buffer: from now on O_DIRECT and a helper, where they can be
 * had.  Signals stay with the other threads. */
static void
begin(struct dio *d)
{
	sigset_t all, old;

	d->begun = true;
	(void)set_direct(d, true);
	d->buffers[1] = mem_pages(DIO_BUFFER_BYTES);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	d->threaded = pthread_create(&d->helper, NULL, helper_main, d) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void
wait_idle(struct dio *d)
{
	while (d->job.len != 0)
		(void)pthread_cond_wait(&d->changed, &d->lock);
}

/* Hand the full buffer on and turn to the other one. */
static void
submit(struct dio *d)
{
	struct job job = { d->buffers[d->filling], d->fill, d->handed };

	if (!d->begun)
		begin(d);
	d->handed += d->fill;
	d->fill = 0;
	if (!d->threaded) {
		write_or_fail(d, &job);
		return;
	}
	(void)pthread_mutex_lock(&d->lock);
	wait_idle(d);
	if (!atomic_load(&d->failed)) {
		d->job = job;
		(void)pthread_cond_signal(&d->changed);
	}
	(void)pthread_mutex_unlock(&d->lock);
	d->filling = 1 - d->filling;
}

int
dio_write(struct dio *d, const void *data, size_t len, struct err *e)
{
	const uint8_t *p = data;
	size_t n;

	assert(d->fd != -1);
	while (len > 0) {
		if (check_failed(d, e) == -1)
			return -1;
		n = DIO_BUFFER_BYTES - d->fill;
		if (n > len)
			n = len;
		(void)memcpy(d->buffers[d->filling] + d->fill, p, n);
		d->fill += n;
		p += n;
		len -= n;
		if (d->fill == DIO_BUFFER_BYTES)
			submit(d);
	}
	return check_failed(d, e);
}

uint64_t
dio_offset(const struct dio *d)
{
	return d->handed + d->fill;
}

static void
stop_helper(struct dio *d)
{
	if (!d->threaded)
		return;
	(void)pthread_mutex_lock(&d->lock);
	d->stop = true;
	(void)pthread_cond_signal(&d->changed);
	(void)pthread_mutex_unlock(&d->lock);
	(void)pthread_join(d->helper, NULL);
	d->threaded = false;
}

/* What is in the buffer: whole blocks as before, the rest through the page
 * cache as O_DIRECT takes no part of a block. */
static int
write_rest(struct dio *d, struct err *e)
{
	const uint8_t *p = d->buffers[d->filling];
	size_t whole = d->direct ? d->fill - d->fill % ALIGN_BYTES : 0;

	if (write_at(d, p, whole, d->handed, e) == -1)
		return -1;
	if (whole == d->fill)
		return 0;
	if (d->direct && set_direct(d, false) == -1)
		return err_sys(
		    e, "could not leave direct I/O of \"%s\"", d->path);
	return write_at(d, p + whole, d->fill - whole, d->handed + whole, e);
}

static int
finish(struct dio *d, bool sync, struct err *e)
{
	assert(d->fd != -1);
	stop_helper(d);
	if (check_failed(d, e) == -1)
		return -1;
	if (write_rest(d, &d->failure) == -1) {
		/* kept: see below */
	} else if (sync && fdatasync(d->fd) == -1) {
		(void)err_sys(&d->failure, "could not flush \"%s\"", d->path);
	} else if (close(steal_fd(&d->fd)) == -1) {
		(void)err_sys(&d->failure, "could not close \"%s\"", d->path);
	} else {
		return 0;
	}
	atomic_store(&d->failed, true);
	return check_failed(d, e);
}

int
dio_finish(struct dio *d, struct err *e)
{
	return finish(d, true, e);
}

int
dio_finish_unsynced(struct dio *d, struct err *e)
{
	return finish(d, false, e);
}

void
dio_free(struct dio *d)
{
	if (d == NULL)
		return;
	stop_helper(d);
	if (d->fd != -1)
		(void)close(d->fd);
	(void)pthread_cond_destroy(&d->changed);
	(void)pthread_mutex_destroy(&d->lock);
	free(d->buffers[0]);
	free(d->buffers[1]);
	free(d->path);
	free(d);
}
