#include "jobs/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/rule.h"

#define THERE_US     CLOCK_SECOND_US /* its beats are 20 ms apart */
#define HANGS_US     (2 * CLOCK_SECOND_US)
#define AGAIN_US     (CLOCK_SECOND_US / 2)
#define FOLDERS_US   CLOCK_SECOND_US
#define COMM_BYTES   64
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

static char *
path_of(const struct settings *s, const struct cluster_settings *c)
{
	return mem_printf("%s/fence.%s", s->runtime_dir, c->name);
}

static bool
is_lease(const struct cluster_settings *c)
{
	return rule_wanted(c) && c->votes_for == NULL &&
	    c->fence == FENCE_KIND_LEASE;
}

/* ---- the page ---- */

static int
read_boot_id(char out[FENCE_BOOT_BYTES], struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;

	if (file_slurp_at(AT_FDCWD, BOOT_ID_PATH, 256, &text, e) == -1)
		return -1;
	(void)memset(out, 0, FENCE_BOOT_BYTES);
	(void)snprintf(out, FENCE_BOOT_BYTES, "%.*s",
	    (int)strcspn(buf_str(&text), "\n"), buf_str(&text));
	return 0;
}

static bool
is_page(const struct fence_page *p, const char *boot_id)
{
	return memcmp(p->magic, FENCE_MAGIC, FENCE_MAGIC_BYTES) == 0 &&
	    strncmp(p->boot_id, boot_id, FENCE_BOOT_BYTES) == 0;
}

static struct fence_page *
map(int fd, bool write)
{
	void *p;

	if (lseek(fd, 0, SEEK_END) != (off_t)sizeof(struct fence_page))
		return NULL;
	p = mmap(NULL, sizeof(struct fence_page),
	    write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void
begin_page(struct fence_page *p, const char *boot_id)
{
	int64_t magic;

	(void)memcpy(&magic, FENCE_MAGIC, sizeof(magic));
	(void)memset(p, 0, sizeof(*p));
	p->until_us = FENCE_UNGUARDED;
	(void)memcpy(p->boot_id, boot_id, FENCE_BOOT_BYTES);
	/* At once, and seen behind all else; the page is aligned. */
	fence_put((int64_t *)(void *)p->magic, magic);
}

int
guard_open(struct guard *g, const struct settings *s,
    const struct cluster_settings *c, struct err *e)
{
	char boot_id[FENCE_BOOT_BYTES];
	bool make = is_lease(c);

	*g = (struct guard){ .s = s, .c = c, .fd = -1 };
	g->path = path_of(s, c);
	if (!make && file_exists_at(AT_FDCWD, g->path, NULL) != 1)
		return 0;
	g->fd = file_open_at(AT_FDCWD, g->path, O_RDWR | O_CREAT, 0600, e);
	if (g->fd == -1 || read_boot_id(boot_id, e) == -1)
		return -1;
	if (ftruncate(g->fd, sizeof(struct fence_page)) == -1 ||
	    (g->page = map(g->fd, true)) == NULL)
		return err_sys(e, "could not map \"%s\"", g->path);
	if (!is_page(g->page, boot_id))
		begin_page(g->page, boot_id);
	g->stops = fence_get(&g->page->stops);
	return 0;
}

static void
take_child(struct guard *g)
{
	if (g->child != 0 && waitpid(g->child, NULL, WNOHANG) == g->child)
		g->child = 0;
}

void
guard_close(struct guard *g)
{
	take_child(g);
	if (g->page != NULL)
		(void)munmap(g->page, sizeof(*g->page));
	if (g->fd != -1)
		(void)close(g->fd);
	free(g->path);
	*g = (struct guard){ .fd = -1 };
}

/* ---- is it there ---- */

/* A server of the folder's owner can be stopped by that user and by root. */
static bool
could_kill(const struct fence_page *p)
{
	struct stat st;
	int i;

	for (i = 0; i < FENCE_FOLDERS; i++)
		if (fence_get(&p->folders[i].inode) != 0 &&
		    stat(p->folders[i].path, &st) == 0)
			return geteuid() == 0 || geteuid() == st.st_uid;
	return true; /* whoever makes it is ourselves */
}

static void
see(const struct fence_page *p, struct guard_view *v)
{
	int64_t may = fence_get(&p->may_kill);

	v->pid = (pid_t)fence_get(&p->pid);
	v->there = v->pid != 0 &&
	    clock_boot_us() - fence_get(&p->beat_us) < THERE_US &&
	    (kill(v->pid, 0) == 0 || errno == EPERM);
	v->locked = fence_get(&p->locked) == 1;
	v->realtime = fence_get(&p->realtime) == 1;
	v->may_kill = may == 0 ? could_kill(p) : may == 1;
	v->stops = fence_get(&p->stops);
	v->killed = fence_get(&p->killed);
	v->stopped_us = fence_get(&p->stopped_us);
}

void
guard_see(const struct guard *g, struct guard_view *v)
{
	(void)memset(v, 0, sizeof(*v));
	if (g->page != NULL)
		see(g->page, v);
}

void
guard_look(const struct settings *s, const struct cluster_settings *c,
    struct guard_view *v)
{
	AUTO_FREE char *path = path_of(s, c);
	AUTO_FD int fd = file_open_at(AT_FDCWD, path, O_RDONLY, 0, NULL);
	char boot_id[FENCE_BOOT_BYTES];
	struct fence_page *p;

	(void)memset(v, 0, sizeof(*v));
	if (fd == -1 || read_boot_id(boot_id, NULL) == -1 ||
	    (p = map(fd, false)) == NULL)
		return;
	if (is_page(p, boot_id))
		see(p, v);
	(void)munmap(p, sizeof(*p));
}

/* ---- keep it ---- */

/* Beside us, or where PATH says. */
static char *
program(void)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	AUTO_FREE char *folder = NULL;
	AUTO_FREE char *beside = NULL;

	if (len <= 0)
		return mem_strdup(FENCE_NAME);
	self[len] = '\0';
	folder = file_parent(self);
	beside = file_join(folder, FENCE_NAME);
	return access(beside, X_OK) == 0 ? steal_ptr(&beside)
					 : mem_strdup(FENCE_NAME);
}

static void
start(struct guard *g)
{
	AUTO_FREE char *path = program();
	const char *argv[] = { path, g->path, NULL };
	struct err e = ERR_INIT;
	pid_t pid;

	pid = child_start_apart(argv, -1, -1, geteuid(), &e);
	if (pid == -1) {
		(void)err_ctx(&e, "the watchdog could not be started");
		log_error("watchdog_failed", &e);
		g->try_us = clock_boot_us() + 10 * AGAIN_US;
		return;
	}
	g->child = pid;
	log_event(LOG_LEVEL_INFO, "watchdog_started",
	    "it stops the server when the lease ends, whatever becomes of "
	    "pgkurad",
	    "cluster", g->c->name, NULL);
}

/* The one that is there does not move: it was stopped, or its machine was.  Its
 * number is its own as long as it holds the page's lock. */
static void
kill_hanging(const struct guard *g)
{
	pid_t pid = (pid_t)fence_get(&g->page->pid);
	AUTO_FREE char *path = mem_printf("/proc/%ld/comm", (long)pid);
	AUTO_BUF struct buf comm = BUF_INIT;
	AUTO_FD int fd = pid <= 1 ? -1 : pidfd_open(pid, 0);

	if (fd == -1 ||
	    file_slurp_at(AT_FDCWD, path, COMM_BYTES, &comm, NULL) == -1 ||
	    strcmp(buf_str(&comm), FENCE_NAME "\n") != 0)
		return;
	if (pidfd_send_signal(fd, SIGKILL, NULL, 0) == 0)
		log_event(LOG_LEVEL_ERROR, "watchdog_hangs",
		    "the watchdog did not move, and is started anew", "cluster",
		    g->c->name, NULL);
}

void
guard_keep(struct guard *g)
{
	int64_t now_us = clock_boot_us();
	struct stat mine, there;

	take_child(g);
	if (g->page == NULL || !is_lease(g->c) || now_us < g->try_us)
		return;
	g->try_us = now_us + AGAIN_US;
	/* Somebody took the file away: begin again with another. */
	if (fstat(g->fd, &mine) == 0 &&
	    (stat(g->path, &there) == -1 || there.st_ino != mine.st_ino)) {
		struct guard next;

		if (guard_open(&next, g->s, g->c, NULL) == -1) {
			guard_close(&next);
			return;
		}
		next.child = g->child;
		g->child = 0;
		guard_close(g);
		*g = next;
	}
	if (flock(g->fd, LOCK_EX | LOCK_NB) == 0) {
		(void)flock(g->fd, LOCK_UN);
		start(g);
	} else if (now_us - fence_get(&g->page->beat_us) > HANGS_US) {
		kill_hanging(g);
	}
}

/* ---- tell it ---- */

static void
put_folder(struct fence_folder *f, const char *path)
{
	struct stat st;

	if (path == NULL || stat(path, &st) == -1) {
		fence_put(&f->inode, 0);
		return;
	}
	if (strcmp(f->path, path) != 0)
		(void)snprintf(f->path, sizeof(f->path), "%s", path);
	fence_put(&f->device, (int64_t)st.st_dev);
	fence_put(&f->inode, (int64_t)st.st_ino);
}

static void
tell_stops(struct guard *g)
{
	int64_t stops = fence_get(&g->page->stops);
	char killed[32];

	if (stops == g->stops)
		return;
	g->stops = stops;
	(void)snprintf(killed, sizeof(killed), "%lld",
	    (long long)fence_get(&g->page->killed));
	log_event(LOG_LEVEL_ERROR, "watchdog_stopped_server",
	    "the lease ended and nobody prolonged it: the watchdog has killed "
	    "the server",
	    "cluster", g->c->name, "processes", killed, NULL);
}

void
guard_tell(struct guard *g, int64_t until_us, int64_t margin_us, pid_t server)
{
	int64_t now_us = clock_boot_us();
	struct fence_page *p = g->page;

	if (p == NULL)
		return;
	if (now_us >= g->folders_us) {
		g->folders_us = now_us + FOLDERS_US;
		put_folder(&p->folders[0], g->c->pgdata);
		put_folder(&p->folders[1], g->c->standby_dir);
	}
	fence_put(&p->quit_us, margin_us / 2);
	fence_put(&p->kill_us, margin_us / 4);
	fence_put(&p->server_pid, server);
	fence_put(&p->until_us, until_us);
	fence_put(&p->rule_us, now_us);
	tell_stops(g);
}
