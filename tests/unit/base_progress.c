/*
 * progress: the line whole, the terminal, the file, and threads.
 */

#include "base/progress.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "unit/base_scratch.h"

static int64_t now_us = 5000000;

int
__wrap_clock_gettime(clockid_t which, struct timespec *ts)
{
	(void)which;
	ts->tv_sec = (time_t)(now_us / CLOCK_SECOND_US);
	ts->tv_nsec = (long)(now_us % CLOCK_SECOND_US) * 1000;
	return 0;
}

static void
check_text(void)
{
	static const struct {
		struct progress_view view;
		const char *text;
	} cases[] = {
		{ { "backup", 1320702444, 3189037957, 851443712, 2,
		      "waiting for WAL" },
		    "backup: 1.23 GB of 2.97 GB (41 %), 812 MB/s, 2 s left, "
		    "waiting for WAL" },
		{ { "restore", 1024, 0, 0, -1, NULL },
		    "restore: 1.00 kB, 0 bytes/s" },
		{ { "verify", 999, 1000, 10, 61, "" },
		    "verify: 999 bytes of 1000 bytes (99 %), 10 bytes/s, "
		    "1 min 1 s left" },
		{ { "verify", 1000, 1000, 10, 0, NULL },
		    "verify: 1000 bytes of 1000 bytes (100 %), 10 bytes/s, "
		    "0 s left" },
		{ { "verify", 2000, 1000, 10, 7384, NULL },
		    "verify: 1.95 kB of 1000 bytes (100 %), 10 bytes/s, "
		    "2 h 3 min left" },
	};
	size_t i;

	for (i = 0; i < COUNT_OF(cases); i++) {
		AUTO_BUF struct buf b = BUF_INIT;

		progress_text(&cases[i].view, &b);
		tap_str(buf_str(&b), cases[i].text, "line %zu", i + 1);
	}
}

static const char *
file_text(int dir, struct buf *b)
{
	buf_clear(b);
	if (file_slurp_at(dir, "p.json", 4096, b, NULL) == -1)
		return NULL;
	return buf_str(b);
}

static void
check_file(int dir)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct progress *p = progress_new("backup", 1000);
	char want[300];

	progress_publish(p, "p.json");
	(void)snprintf(want, sizeof(want),
	    "{\"what\":\"backup\",\"done\":0,\"total\":1000,\"rate\":0,"
	    "\"eta_s\":-1,\"note\":\"\",\"pid\":%ld}\n",
	    (long)getpid());
	tap_str(file_text(dir, &b), want, "a file at once");
	now_us += CLOCK_SECOND_US / 2;
	progress_add(p, 100);
	tap_str(file_text(dir, &b), want, "replaced once a second at most");
	now_us += CLOCK_SECOND_US / 2;
	progress_add(p, 100);
	(void)snprintf(want, sizeof(want),
	    "{\"what\":\"backup\",\"done\":200,\"total\":1000,\"rate\":200,"
	    "\"eta_s\":4,\"note\":\"\",\"pid\":%ld}\n",
	    (long)getpid());
	tap_str(file_text(dir, &b), want, "then replaced");
	progress_note(p, "say \"x\"");
	tap_ok(strstr(file_text(dir, &b), "\"note\":\"say \\\"x\\\"\"") != NULL,
	    "a note at once");
	progress_set_total(p, 200);
	progress_note(p, NULL);
	tap_ok(strstr(file_text(dir, &b), "\"eta_s\":0,\"note\":\"\"") != NULL,
	    "nothing is left");
	tap_u64(scratch_count(dir, "."), 1, "no other file");
	tap_u64(progress_done(p), 200, "done so far");
	progress_free(p);
	tap_u64(scratch_count(dir, "."), 0, "none at the end");
	p = progress_new("backup", 1000);
	progress_publish(p, "no/p.json");
	progress_add(p, 10);
	tap_u64(progress_done(p), 10, "a file that cannot be made is let be");
	progress_free(p);
	progress_free(NULL);
}

/* A terminal of cols columns as standard error; what it was is kept. */
static int
open_terminal(unsigned short cols, int *saved)
{
	struct winsize size = { .ws_row = 24, .ws_col = cols };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

	if (master == -1 || grantpt(master) == -1 || unlockpt(master) == -1)
		return -1;
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave == -1 || ioctl(slave, TIOCSWINSZ, &size) == -1)
		return -1;
	*saved = dup(STDERR_FILENO);
	(void)dup2(slave, STDERR_FILENO);
	(void)close(slave);
	(void)fcntl(master, F_SETFL, O_NONBLOCK);
	return master;
}

static const char *
seen_on(int master, char *out, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (
	    len < size - 1 && (n = read(master, out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	return out;
}

static void
check_terminal(void)
{
	struct progress *p;
	char out[2000];
	int saved = -1, master = open_terminal(40, &saved);

	if (master == -1) {
		tap_skip("no terminal can be made here");
		return;
	}
	p = progress_new("backup", 4096);
	progress_add(p, 1);
	tap_str(seen_on(master, out, sizeof(out)), "",
	    "nothing in the first quarter of a second");
	now_us += CLOCK_SECOND_US;
	progress_add(p, 1023);
	tap_str(seen_on(master, out, sizeof(out)),
	    "\rbackup: 1.00 kB of 4.00 kB (25 %), 1.00\033[K",
	    "a line, cut to the terminal");
	progress_add(p, 1024);
	tap_str(seen_on(master, out, sizeof(out)), "",
	    "not more than four times a second");
	log_event(LOG_LEVEL_INFO, "e", "words", (const char *)NULL);
	tap_str(seen_on(master, out, sizeof(out)), "\r\033[Kpgkura: words\r\n",
	    "an event wipes it out");
	progress_note(p, "n");
	tap_ok(seen_on(master, out, sizeof(out))[0] == '\r',
	    "a note shows it again");
	progress_note(p, "n");
	tap_str(seen_on(master, out, sizeof(out)), "", "the same one does not");
	progress_free(p);
	tap_str(seen_on(master, out, sizeof(out)), "\r\033[K",
	    "nothing is left at the end");
	log_event(LOG_LEVEL_INFO, "e", "words", (const char *)NULL);
	tap_str(seen_on(master, out, sizeof(out)), "pgkura: words\r\n",
	    "nor to wipe out");
	(void)dup2(saved, STDERR_FILENO);
	(void)close(saved);
	(void)close(master);
}

static void *
add_many(void *arg)
{
	unsigned int i;

	for (i = 0; i < 50000; i++) {
		progress_add(arg, 3);
		if (i % 10000 == 0)
			progress_note(arg, i % 20000 == 0 ? "a" : "b");
	}
	return NULL;
}

static void
check_threads(void)
{
	AUTO_PROGRESS struct progress *p = progress_new("x", 0);
	pthread_t threads[4];
	unsigned int i;

	progress_publish(p, "p.json");
	for (i = 0; i < 4; i++)
		(void)pthread_create(&threads[i], NULL, add_many, p);
	for (i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
	tap_u64(progress_done(p), 4 * 50000 * 3, "threads: every byte counts");
}

/* The rate follows what happened lately. */
static void
check_rate(int dir)
{
	AUTO_PROGRESS struct progress *p = progress_new("x", 1000000000);
	AUTO_BUF struct buf b = BUF_INIT;
	const char *rate;
	unsigned int i;
	int64_t got;

	progress_publish(p, "p.json");
	for (i = 0; i < 40; i++) {
		now_us += CLOCK_SECOND_US / 2;
		progress_add(p, 1000000);
	}
	for (i = 0; i < 40; i++) {
		now_us += CLOCK_SECOND_US / 2;
		progress_add(p, 100000);
	}
	rate = strstr(file_text(dir, &b), "\"rate\":");
	got = atoll(rate + 7);
	tap_ok(got > 190000 && got < 220000,
	    "from 2,000,000 down to 200,000 bytes a second: %lld",
	    (long long)got);
}

int
main(void)
{
	int dir = scratch_enter();

	check_text();
	check_file(dir);
	check_terminal();
	check_rate(dir);
	check_threads();
	(void)close(dir);
	return tap_done();
}
