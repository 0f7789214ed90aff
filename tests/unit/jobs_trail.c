/*
 * trail: samples come back as they were noted, a file of a fixed size keeps 7
 * days of minutes and 90 of quarters, and what is damaged is left out.
 */

#include "jobs/trail.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "tap.h"

#define S      CLOCK_SECOND_US
#define MINUTE TRAIL_MINUTE_US
#define DAY    (1440 * MINUTE)

static char folder[] = "/tmp/trail.XXXXXX";
/* A quarter of an hour begins. */
static const int64_t T0 = 1700000100 * S;

static struct trail *
begin(const char *peer)
{
	struct err e = ERR_INIT;
	struct trail *t = trail_open(folder, "main", TRAIL_TO, peer, &e);

	if (t == NULL)
		tap_bail("no trail: %s", e.text);
	return t;
}

static size_t
all(const char *peer, int64_t since_us, int64_t now_us,
    struct trail_sample **list)
{
	struct err e = ERR_INIT;
	size_t count;

	if (trail_read(folder, "main", TRAIL_TO, peer, since_us, now_us, list,
		&count, &e) == -1)
		tap_bail("%s", e.text);
	return count;
}

/* One a second for so many minutes: behind by the minute's number. */
static void
note_minutes(struct trail *t, int64_t from_us, unsigned int minutes)
{
	unsigned int i;

	for (i = 0; i < minutes * 60; i++)
		trail_note(t, from_us + i * S, 1000 + i / 60,
		    (uint64_t)(i / 60) * S, 50);
}

static void
check_minutes(void)
{
	AUTO_FREE struct trail_sample *list = NULL;
	struct trail *t = begin("osaka");
	size_t count;

	note_minutes(t, T0, 3);
	trail_close(t);
	count = all("osaka", T0, T0 + 5 * MINUTE, &list);
	tap_u64(count, 3, "three minutes");
	if (count < 3)
		return;
	tap_ok(list[1].time_us == T0 + MINUTE && list[1].span_us == MINUTE,
	    "the second begins a minute later");
	tap_u64(list[1].behind_bytes, 1001, "bytes behind");
	tap_u64(list[1].behind_us, (uint64_t)S, "time behind");
	tap_u64(list[1].bytes, 3000, "bytes that went");
	tap_u64(list[1].covered_ms, 60000, "the whole minute was looked at");
}

/* A process that is killed and comes back goes on in the same minute. */
static void
check_two_processes(void)
{
	AUTO_FREE struct trail_sample *list = NULL;
	struct trail *t = begin("naha");

	trail_note(t, T0 + S, 7, TRAIL_UNKNOWN, 10);
	trail_note(t, T0 + 2 * S, 9, 3 * S, 10);
	trail_close(t);
	t = begin("naha");
	trail_note(t, T0 + 30 * S, 8, TRAIL_UNKNOWN, 10);
	trail_close(t);
	tap_u64(all("naha", T0, T0 + MINUTE, &list), 1, "one minute of two");
	if (list == NULL)
		return;
	tap_u64(list[0].behind_bytes, 9, "the most of both");
	tap_u64(list[0].behind_us, 3 * S, "the longest that is known");
	tap_u64(list[0].bytes, 30, "the sum of both");
	tap_u64(list[0].covered_ms, 1000, "and only what was looked at");
}

static void
check_long_time(void)
{
	AUTO_FREE struct trail_sample *list = NULL;
	AUTO_FREE char *path = mem_printf("%s/main/trail.to.kobe", folder);
	struct trail *t = begin("kobe");
	struct stat before, after;
	size_t count, i, wrong = 0, minutes = 0;
	int64_t now_us;

	(void)stat(path, &before);
	for (i = 0; i < 100 * 1440; i++)
		trail_note(t, T0 + (int64_t)i * MINUTE, i, 0, 1);
	now_us = T0 + (100 * 1440 - 1) * MINUTE;
	trail_close(t);
	(void)stat(path, &after);
	tap_ok(before.st_size == after.st_size, "100 days: no byte larger");
	count = all("kobe", T0, now_us, &list);
	for (i = 0; i < count; i++) {
		minutes += list[i].span_us == MINUTE;
		if (i > 0 &&
		    list[i].time_us !=
			list[i - 1].time_us + list[i - 1].span_us)
			wrong++;
	}
	tap_u64(wrong, 0, "one sample begins where the one before ends");
	tap_ok(minutes > 10080 - 16 && minutes <= 10080,
	    "%zu minutes: 7 days of them", minutes);
	tap_ok(now_us - list[0].time_us > 89 * DAY &&
		now_us - list[0].time_us <= 90 * DAY,
	    "and quarters of hours of 90 days");
	tap_u64(list[0].behind_bytes,
	    (uint64_t)((list[0].time_us - T0) / MINUTE + 14),
	    "a quarter tells the worst of its minutes");
	tap_u64(list[0].bytes, 15, "and the sum");
}

static void
check_damage(void)
{
	AUTO_FREE struct trail_sample *list = NULL, *none = NULL;
	AUTO_FREE char *path = mem_printf("%s/main/trail.to.kyoto", folder);
	struct trail *t = begin("kyoto");
	struct err e = ERR_INIT;
	size_t count;
	int fd;

	note_minutes(t, T0, 3);
	trail_close(t);
	fd = open(path, O_RDWR | O_CLOEXEC);
	(void)file_pwrite_all(fd, "x", 1,
	    64 + (uint64_t)((T0 / MINUTE + 1) % TRAIL_MINUTES) * 40 + 8, path,
	    &e);
	tap_u64(all("kyoto", T0, T0 + 5 * MINUTE, &list), 2,
	    "a damaged sample is left out");
	(void)file_pwrite_all(fd, "x", 1, 0, path, &e);
	(void)close(fd);
	tap_ok(trail_read(folder, "main", TRAIL_TO, "kyoto", T0, T0 + MINUTE,
		   &none, &count, &e) == -1 &&
		e.kind == ERR_CORRUPT,
	    "a file that is not ours is refused");
	t = begin("kyoto");
	note_minutes(t, T0, 1);
	trail_close(t);
	free(list);
	tap_u64(all("kyoto", T0, T0 + 5 * MINUTE, &list), 1,
	    "and made anew by who writes");
	free(list);
	tap_u64(all("kagoshima", T0, T0 + MINUTE, &list), 0,
	    "what is not there has no samples");
}

int
main(void)
{
	struct err e = ERR_INIT;

	if (mkdtemp(folder) == NULL)
		tap_bail("no folder");
	check_minutes();
	check_two_processes();
	check_long_time();
	check_damage();
	(void)file_rmtree_at(AT_FDCWD, folder, &e);
	return tap_done();
}
