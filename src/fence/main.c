/*
 * pgkura-fence: the watchdog of a primary under a lease; see pgkura-fence(8).
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "fence/fence.h"

#define EXIT_USAGE 2
#define TRIES	   20 /* another may look whether somebody watches */
#define TRY_MS	   50

static const char usage_text[] =
    "usage: pgkura-fence [--stay] FILE\n"
    "\n"
    "  --stay     wait for FILE, and never end by itself\n"
    "  --help     show this\n"
    "  --version  show the version\n"
    "\n"
    "FILE is fence.CLUSTER in runtime_dir.  pgkurad starts this itself.\n";

static int
complain(const char *what)
{
	(void)fprintf(stderr, FENCE_NAME ": %s: %s\n", what, strerror(errno));
	return EXIT_FAILURE;
}

static int
read_boot_id(char out[FENCE_BOOT_BYTES])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return -1;
	n = read(fd, out, FENCE_BOOT_BYTES - 1);
	(void)close(fd);
	if (n <= 0)
		return -1;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

/* What is not permitted is done without, and told in the page. */
static void
go_ahead(bool *locked, bool *realtime)
{
	struct sched_param p = { .sched_priority =
				     sched_get_priority_min(SCHED_RR) };

	*locked = mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
	*realtime = sched_setscheduler(0, SCHED_RR, &p) == 0;
	if (!*realtime)
		(void)setpriority(PRIO_PROCESS, 0, -20);
}

/* 0 when it is mapped, 1 when another watches it. */
static int
wait_for_page(struct watch *w)
{
	const struct timespec pause = { 0, TRY_MS * 1000000L };
	int tries, rc;

	for (tries = 0; w->stay || tries < TRIES; tries++) {
		rc = watch_map(w);
		if (rc == 1)
			return 0;
		if (rc == -1 && !w->stay)
			return -1;
		(void)nanosleep(&pause, NULL);
	}
	return 1;
}

static int
watch(struct watch *w)
{
	bool locked, realtime;
	int rc;

	if (read_boot_id(w->boot_id) == -1)
		return complain("could not read the boot id");
	if (kill_begin() == -1)
		return complain("could not open \"/proc\"");
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	rc = wait_for_page(w);
	if (rc == -1)
		return complain(w->path);
	if (rc == 1)
		return 0;
	go_ahead(&locked, &realtime);
	fence_put(&w->page->locked, locked);
	fence_put(&w->page->realtime, realtime);
	return watch_run(w);
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "stay", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct watch w = { .fd = -1 };
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			w.stay = true;
			break;
		case 'h':
			return fputs(usage_text, stdout) == EOF;
		case 'V':
			return puts(FENCE_NAME " " PACKAGE_VERSION) == EOF;
		default:
			(void)fputs(usage_text, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind + 1 != argc) {
		(void)fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	w.path = argv[optind];
	return watch(&w);
}
