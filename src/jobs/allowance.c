#include "jobs/allowance.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "conf/list.h"

#define COUNT_EVERY_US (60 * CLOCK_SECOND_US)
/* When something was refused: room that was made is seen soon, but counting a
 * large repository takes its time too. */
#define COUNT_SOON_US (5 * CLOCK_SECOND_US)
#define COUNT_SHARE   20 /* so many times as long as it took */

struct allowance {
	const struct settings *settings;
	const struct peer_settings *peer;
	char *repository;
	pthread_t thread;
	pthread_mutex_t lock; /* guards: */
	pthread_cond_t stop;
	bool stopping, counted, refused;
	uint64_t used, reserved;
	uint64_t arrived; /* ever */
};

/* ---- counting ---- */

static __thread uint64_t sum_bytes; /* nftw() has no argument to hand on */

static int
add_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path;
	(void)type;
	(void)at;
	sum_bytes += (uint64_t)st->st_blocks * 512;
	return 0;
}

static void
add_folder(const char *path)
{
	/* What goes meanwhile does not count; errors neither. */
	(void)nftw(path, add_file, 16, FTW_PHYS);
}

static uint64_t
count(const struct allowance *a)
{
	const struct settings *s = a->settings;
	AUTO_FREE char *coming =
	    mem_printf("%s/incoming/%s", a->repository, a->peer->name);
	size_t i;

	sum_bytes = 0;
	add_folder(coming);
	for (i = 0; i < s->cluster_count; i++) {
		AUTO_FREE char *path = NULL;

		if (!list_has(s->clusters[i].accept_from, a->peer->name))
			continue;
		path = file_join(a->repository, s->clusters[i].name);
		add_folder(path);
	}
	return sum_bytes;
}

/* Returns at end_us by the boot clock, or when it is over: false. */
static bool
wait_until(struct allowance *a, int64_t begin_us, int64_t took_us)
{
	bool on;

	for (;;) {
		struct timespec until;
		int64_t every_us = a->refused ? COUNT_SOON_US : COUNT_EVERY_US;

		if (every_us < took_us * COUNT_SHARE)
			every_us = took_us * COUNT_SHARE;
		on = !a->stopping;
		if (!on || clock_boot_us() - begin_us >= every_us)
			return on;
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		(void)pthread_cond_timedwait(&a->stop, &a->lock, &until);
	}
}

static void *
run(void *arg)
{
	struct allowance *a = arg;
	int64_t begin_us;
	uint64_t used, before;
	bool on = true;

	while (on) {
		(void)pthread_mutex_lock(&a->lock);
		before = a->arrived;
		(void)pthread_mutex_unlock(&a->lock);
		begin_us = clock_boot_us();
		used = count(a);
		(void)pthread_mutex_lock(&a->lock);
		/* What came meanwhile may have been counted or not. */
		a->used = used + (a->arrived - before);
		a->counted = true;
		a->refused = false;
		on = wait_until(a, begin_us, clock_boot_us() - begin_us);
		(void)pthread_mutex_unlock(&a->lock);
	}
	return NULL;
}

struct allowance *
allowance_new(const struct settings *s, const struct peer_settings *p,
    const char *repository)
{
	struct allowance *a = mem_zalloc(sizeof(*a));

	a->settings = s;
	a->peer = p;
	a->repository = mem_strdup(repository);
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)pthread_cond_init(&a->stop, NULL);
	if (p->quota_bytes != 0 &&
	    pthread_create(&a->thread, NULL, run, a) != 0)
		abort(); /* no thread: as no memory */
	return a;
}

void
allowance_free(struct allowance *a)
{
	if (a == NULL)
		return;
	(void)pthread_mutex_lock(&a->lock);
	a->stopping = true;
	(void)pthread_cond_signal(&a->stop);
	(void)pthread_mutex_unlock(&a->lock);
	if (a->peer->quota_bytes != 0)
		(void)pthread_join(a->thread, NULL);
	(void)pthread_cond_destroy(&a->stop);
	(void)pthread_mutex_destroy(&a->lock);
	free(a->repository);
	free(a);
}

/* ---- asking ---- */

static int
refuse_quota(struct allowance *a, uint64_t used, struct err *e)
{
	char here[SIZE_TEXT_BYTES], most[SIZE_TEXT_BYTES];

	a->refused = true;
	(void)err_set(e, ERR_REFUSED,
	    "site \"%s\" stores %s at site \"%s\", its quota there is %s",
	    a->peer->name, size_text(used, here), a->settings->site,
	    size_text(a->peer->quota_bytes, most));
	return err_hint(e,
	    "Raise quota in [peer %s] at site \"%s\", or keep fewer backups of "
	    "its clusters there; replication goes on by itself.",
	    a->peer->name, a->settings->site);
}

/* With the lock.  Before the first count nothing is known: later. */
static int
check_quota(struct allowance *a, uint64_t bytes, struct err *e)
{
	uint64_t used = a->used + a->reserved;

	if (a->peer->quota_bytes == 0)
		return 0;
	if (!a->counted)
		return err_set(e, ERR_TRANSIENT,
		    "what site \"%s\" stores here is still being counted",
		    a->peer->name);
	if (used + bytes <= a->peer->quota_bytes)
		return 0;
	return refuse_quota(a, used, e);
}

static int
check_disk(const struct allowance *a, uint64_t bytes, struct err *e)
{
	char here[SIZE_TEXT_BYTES], least[SIZE_TEXT_BYTES];
	uint64_t left;

	if (a->settings->min_free_bytes == 0 ||
	    file_free_bytes(a->repository, &left, NULL) == -1 ||
	    left >= a->settings->min_free_bytes + bytes)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "the repository of site \"%s\" has %s free, min_free_bytes is %s",
	    a->settings->site, size_text(left, here),
	    size_text(a->settings->min_free_bytes, least));
	return err_hint(e,
	    "Make room at site \"%s\", let \"pgkura expire\" remove old "
	    "backups there, or lower min_free_bytes; replication goes on by "
	    "itself.",
	    a->settings->site);
}

int
allowance_reserve(struct allowance *a, uint64_t bytes, struct err *e)
{
	int rc;

	if (a == NULL)
		return 0;
	(void)pthread_mutex_lock(&a->lock);
	rc = check_quota(a, bytes, e);
	if (rc == 0)
		rc = check_disk(a, a->reserved + bytes, e);
	if (rc == 0)
		a->reserved += bytes;
	(void)pthread_mutex_unlock(&a->lock);
	return rc;
}

void
allowance_release(struct allowance *a, uint64_t bytes)
{
	if (a == NULL)
		return;
	(void)pthread_mutex_lock(&a->lock);
	a->reserved -= bytes < a->reserved ? bytes : a->reserved;
	(void)pthread_mutex_unlock(&a->lock);
}

void
allowance_wal(struct allowance *a, uint64_t bytes)
{
	if (a == NULL)
		return;
	(void)pthread_mutex_lock(&a->lock);
	a->used += bytes;
	a->arrived += bytes;
	(void)pthread_mutex_unlock(&a->lock);
}

void
allowance_arrived(struct allowance *a, uint64_t bytes)
{
	allowance_release(a, bytes);
	allowance_wal(a, bytes);
}

int
allowance_check_wal(struct allowance *a, struct err *e)
{
	int rc;

	if (a == NULL)
		return 0;
	(void)pthread_mutex_lock(&a->lock);
	rc = check_quota(a, 0, e);
	(void)pthread_mutex_unlock(&a->lock);
	return rc;
}

uint64_t
allowance_used(struct allowance *a)
{
	uint64_t used;

	(void)pthread_mutex_lock(&a->lock);
	used = a->used;
	(void)pthread_mutex_unlock(&a->lock);
	return used;
}
