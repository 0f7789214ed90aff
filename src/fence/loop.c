/*
 * loop: look at the page and the clock.
 *
 *	 unguarded <---> guarded --> quit_us before the end --> kill_us before
 *	                    ^         SIGQUIT to the server	  all killed
 *	                    +---------- prolonged ---------------------+
 *
 * The clock goes on while the machine sleeps; who wakes up after the end of the
 * lease kills at once.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fence/fence.h"

#define MS	  ((int64_t)1000)
#define TICK_US	  (20 * MS)
#define SEARCH_US (200 * MS)	   /* between looks at all processes */
#define PATH_US	  (100 * MS)	   /* between looks at the page's name */
#define ALONE_US  (60 * 1000 * MS) /* unguarded, and no rule: it ends */

int64_t
watch_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* One line to standard error, if that does not make us wait. */
static void
say_stopped(int64_t after_us)
{
	struct pollfd p = { STDERR_FILENO, POLLOUT, 0 };
	char line[200];
	int n = snprintf(line, sizeof(line),
	    FENCE_NAME ": the lease ended and nobody prolonged it: the server "
		       "was stopped, and gone %ld ms after the end\n",
	    (long)(after_us / MS));

	if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0)
		if (write(STDERR_FILENO, line, (size_t)n) == -1)
			return;
}

/* ---- the page ---- */

static bool
is_page(const struct watch *w, const struct fence_page *page)
{
	return memcmp(page->magic, FENCE_MAGIC, FENCE_MAGIC_BYTES) == 0 &&
	    strncmp(page->boot_id, w->boot_id, FENCE_BOOT_BYTES) == 0;
}

int
watch_map(struct watch *w)
{
	struct fence_page *page;
	struct stat st;
	int fd = open(w->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1 || fstat(fd, &st) == -1 ||
	    st.st_size < (off_t)sizeof(*page)) {
		(void)close(fd);
		return 0;
	}
	page = mmap(
	    NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED || !is_page(w, page)) {
		if (page != MAP_FAILED)
			(void)munmap(page, sizeof(*page));
		(void)close(fd);
		return 0;
	}
	if (w->page != NULL) {
		(void)munmap(w->page, sizeof(*w->page));
		(void)close(w->fd);
	}
	w->fd = fd;
	w->page = page;
	fence_put(&page->pid, getpid());
	return 1;
}

/* Has the page lost its name?  Another may have it now: that counts. */
static bool
lost_page(struct watch *w)
{
	struct stat mine, there;

	if (fstat(w->fd, &mine) == -1)
		return true;
	if (stat(w->path, &there) == 0 && there.st_ino == mine.st_ino &&
	    there.st_dev == mine.st_dev)
		return false;
	return watch_map(w) != 1;
}

/* ---- the watch ---- */

struct loop {
	struct watch *w;
	struct prey server;
	int64_t since_us; /* when the lease ended, as seen here; 0: it runs */
	bool quit;	  /* told to stop */
	bool stopping;	  /* something was killed, and may be there still */
	int64_t search_us, path_us, prey_us;
	bool lost;  /* the page has no name */
	bool empty; /* no server was found when last all were looked at */
};

static volatile sig_atomic_t asked_to_end;

static void
on_term(int sig)
{
	(void)sig;
	asked_to_end = 1;
}

/* The server that the rule sees, held before it is needed. */
static void
hold_server(struct loop *l, int64_t now_us)
{
	struct fence_page *page = l->w->page;
	pid_t pid = (pid_t)fence_get(&page->server_pid);
	int may;

	if (now_us < l->prey_us)
		return;
	l->prey_us = now_us + PATH_US;
	if (pid != 0 && pid != l->server.pid)
		prey_take(&l->server, pid, page);
	may = prey_may_kill(&l->server);
	if (may != 0)
		fence_put(&page->may_kill, may);
	else
		prey_drop(&l->server);
}

static void
kill_now(struct loop *l, int64_t now_us)
{
	struct fence_page *page = l->w->page;
	int killed = prey_kill(&l->server), found;

	if (killed == 0 && !l->stopping && now_us < l->search_us)
		return;
	l->search_us = now_us + SEARCH_US;
	found = kill_all(page, l->since_us);
	l->empty = found == 0 && !prey_lives(&l->server);
	if (killed + found > 0) {
		fence_put(
		    &page->killed, fence_get(&page->killed) + killed + found);
		l->stopping = true;
		return;
	}
	if (!l->stopping)
		return;
	l->stopping = false;
	fence_put(&page->stopped_us, watch_now_us());
	fence_put(&page->stops, fence_get(&page->stops) + 1);
	say_stopped(watch_now_us() - fence_get(&page->until_us));
}

/* The lease is over, or so near to its end that the server must stop. */
static void
enforce(struct loop *l, int64_t now_us, int64_t until_us)
{
	const struct fence_page *page = l->w->page;

	if (l->since_us == 0)
		l->since_us = now_us;
	if (now_us >= until_us - fence_get(&page->kill_us)) {
		kill_now(l, now_us);
	} else if (!l->quit) {
		l->stopping = prey_lives(&l->server);
		prey_quit(&l->server);
		l->quit = true;
	}
}

/* Is there nothing left to do, ever? */
static bool
is_over(const struct loop *l, int64_t now_us, int64_t until_us)
{
	const struct fence_page *page = l->w->page;

	if (l->w->stay && !asked_to_end)
		return false;
	if (until_us != FENCE_UNGUARDED)
		return (l->lost || asked_to_end) && l->since_us != 0 &&
		    l->empty && !l->stopping;
	return l->lost || asked_to_end ||
	    now_us - fence_get(&page->rule_us) > ALONE_US;
}

static void
rest(int64_t from_us)
{
	int64_t until_us = from_us + TICK_US;
	struct timespec t = { .tv_sec = until_us / 1000000,
		.tv_nsec = until_us % 1000000 * 1000 };

	(void)clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL);
}

int
watch_run(struct watch *w)
{
	struct loop l = { .w = w, .server = { 0, -1 } };
	struct sigaction term = { .sa_handler = on_term };
	int64_t now_us, until_us;

	(void)sigaction(SIGTERM, &term, NULL);
	for (;;) {
		now_us = watch_now_us();
		until_us = fence_get(&w->page->until_us);
		if (until_us != FENCE_UNGUARDED &&
		    now_us >= until_us - fence_get(&w->page->quit_us)) {
			enforce(&l, now_us, until_us);
		} else {
			l.since_us = 0;
			l.quit = l.stopping = l.empty = false;
		}
		if (l.since_us == 0)
			hold_server(&l, now_us);
		fence_put(&w->page->beat_us, watch_now_us());
		if (now_us >= l.path_us) {
			l.path_us = now_us + PATH_US;
			l.lost = lost_page(w);
		}
		if (is_over(&l, now_us, until_us))
			return 0;
		rest(now_us);
	}
}
