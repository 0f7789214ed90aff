/*
 * verifyrepo: damage files of a repository one after the other, and tell what
 * verify_run() says of each, for tests.
 *
 *	verifyrepo CONF CLUSTER
 *
 * Standard input is a row of lines; paths are relative to the repository:
 *
 *	none			nothing is damaged
 *	flip PATH OFFSET MASK	a byte of it is changed by exclusive or
 *	cut PATH BYTES		it becomes so long
 *	remove PATH		it is not there
 *
 * For each a line comes back: "found OBJECT: WHAT" (the first finding),
 * "failed TEXT" (verify could not go on) or "clean".  The damage is undone.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/jobs.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)

static struct settings *settings;
static const struct cluster_settings *cluster;

static void
die(const char *what, const struct err *e)
{
	(void)fprintf(stderr, "verifyrepo: %s: %s\n", what, e->text);
	_exit(1);
}

static void
say_verdict(void)
{
	struct verify_result r;
	struct err e = ERR_INIT;

	if (verify_run(settings, cluster, NULL, 100, &r, &e) == -1)
		(void)printf("failed %s\n", e.text);
	else if (r.finding_count == 0)
		(void)printf("clean\n");
	else
		(void)printf(
		    "found %s: %s\n", r.findings[0].object, r.findings[0].what);
	(void)fflush(stdout);
	verify_result_free(&r);
}

/* In place, as a disk would: the file stays the same one. */
static void
overwrite(const char *path, const void *data, size_t len)
{
	struct err e = ERR_INIT;
	AUTO_FD int fd = file_open_at(AT_FDCWD, path, O_WRONLY, 0, &e);

	if (fd == -1 || file_pwrite_all(fd, data, len, 0, path, &e) == -1 ||
	    ftruncate(fd, (off_t)len) == -1)
		die(path, &e);
}

static void
damage(const char *what, const char *path, size_t at, unsigned int mask)
{
	AUTO_BUF struct buf whole = BUF_INIT;
	AUTO_FREE char *aside = mem_printf("%s/../aside", settings->repository);
	struct err e = ERR_INIT;

	if (strcmp(what, "remove") == 0) {
		if (rename(path, aside) == -1)
			die(path, &e);
		say_verdict();
		if (rename(aside, path) == -1)
			die(path, &e);
		return;
	}
	if (file_slurp_at(AT_FDCWD, path, FILE_BYTES_MAX, &whole, &e) == -1 ||
	    at >= whole.len)
		die(path, &e);
	if (strcmp(what, "cut") == 0) {
		overwrite(path, whole.data, at);
	} else {
		whole.data[at] ^= (uint8_t)mask;
		overwrite(path, whole.data, whole.len);
		whole.data[at] ^= (uint8_t)mask;
	}
	say_verdict();
	overwrite(path, whole.data, whole.len);
}

int
main(int argc, char *argv[])
{
	char line[2048], what[16], name[1024];
	struct err e = ERR_INIT;

	log_setup(LOG_TEXT, LOG_LEVEL_ERROR);
	if (argc != 3)
		return 2;
	settings = settings_load(argv[1], &e);
	cluster =
	    settings == NULL ? NULL : settings_cluster(settings, argv[2], &e);
	if (cluster == NULL)
		die(argv[1], &e);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		AUTO_FREE char *path = NULL;
		size_t at = 0;
		unsigned int mask = 0;
		int n =
		    sscanf(line, "%15s %1023s %zu %u", what, name, &at, &mask);

		if (n < 1)
			continue;
		if (strcmp(what, "none") == 0) {
			say_verdict();
			continue;
		}
		path = file_join(settings->repository, name);
		damage(what, path, at, mask);
	}
	settings_free(settings);
	return 0;
}
