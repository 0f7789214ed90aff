/*
 * log: whole lines in all three forms, what the sink sees, and threads.
 */

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "tap.h"

int __real_clock_gettime(clockid_t which, struct timespec *ts);
ssize_t __real_write(int fd, const void *data, size_t len);

/* What was written to standard error, and in how many calls. */
static char caught[1 << 20];
static size_t caught_len;
static unsigned int writes;
static bool interrupt, broken;
static int capture_fd = -1; /* the descriptor that is caught */

ssize_t
__wrap_write(int fd, const void *data, size_t len)
{
	if (fd != capture_fd)
		return __real_write(fd, data, len);
	writes++;
	if (broken) {
		errno = EPIPE;
		return -1;
	}
	if (interrupt) {
		interrupt = false;
		errno = EINTR;
		return -1;
	}
	if (len > sizeof(caught) - 1 - caught_len)
		len = sizeof(caught) - 1 - caught_len;
	(void)memcpy(caught + caught_len, data, len);
	caught_len += len;
	caught[caught_len] = '\0';
	return (ssize_t)len;
}

/* 2026-11-21 03:04:05.678901 UTC */
int
__wrap_clock_gettime(clockid_t which, struct timespec *ts)
{
	if (which != CLOCK_REALTIME)
		return __real_clock_gettime(which, ts);
	ts->tv_sec = 1795230245;
	ts->tv_nsec = 678901234;
	return 0;
}

static void
begin(enum log_format format, enum log_level least)
{
	log_setup(format, least);
	caught_len = 0;
	caught[0] = '\0';
	writes = 0;
	capture_fd = STDERR_FILENO;
}

static void
end_is(const char *want, const char *what)
{
	capture_fd = -1;
	tap_str(caught, want, "%s", what);
}

#define SAY(level, ...) log_event(level, __VA_ARGS__, (const char *)NULL)

static void
check_text(void)
{
	begin(LOG_TEXT, LOG_LEVEL_INFO);
	SAY(LOG_LEVEL_WARNING, "wal_gap", "segments are missing", "cluster",
	    "main", "from", "0/5000000");
	end_is("2026-11-21 03:04:05.678 warning wal_gap: segments are missing"
	       "  cluster=main from=0/5000000\n",
	    "text");
	tap_u64(writes, 1, "in one write");
	begin(LOG_TEXT, LOG_LEVEL_INFO);
	SAY(LOG_LEVEL_INFO, "e", "two\nlines\t\x1b[0m", "a", "", "b", "x y",
	    "c", NULL, "d", "q\"u\\o=t\ne");
	end_is("2026-11-21 03:04:05.678 info e: two\\x0alines\\x09\\x1b[0m"
	       "  a=\"\" b=\"x y\" d=\"q\\\"u\\\\o=t\\x0ae\"\n",
	    "stays one line, NULL is left out, values are quoted");
	begin(LOG_TEXT, LOG_LEVEL_INFO);
	SAY(LOG_LEVEL_DEBUG, "e", "hidden");
	end_is("", "what is below the level is not shown");
	begin(LOG_TEXT, LOG_LEVEL_DEBUG);
	SAY(LOG_LEVEL_DEBUG, "e", "shown");
	end_is("2026-11-21 03:04:05.678 debug e: shown\n", "or it is");
}

static void
check_people(void)
{
	struct err e = ERR_INIT;

	begin(LOG_PEOPLE, LOG_LEVEL_INFO);
	SAY(LOG_LEVEL_INFO, "done", "backup is complete", "bytes", "17");
	end_is("pgkura: backup is complete  bytes=17\n", "for people");
	(void)err_set(&e, ERR_IO, "could not do it");
	begin(LOG_PEOPLE, LOG_LEVEL_INFO);
	log_error("backup_failed", &e);
	end_is("pgkura: error: could not do it  kind=io\n", "an error");
	(void)err_hint(&e, "Do something else.");
	begin(LOG_PEOPLE, LOG_LEVEL_INFO);
	log_error("backup_failed", &e);
	end_is("pgkura: error: could not do it  kind=io\n"
	       "pgkura: hint: Do something else.\n",
	    "its hint has its own line");
	tap_u64(writes, 1, "but not its own write");
	begin(LOG_PEOPLE, LOG_LEVEL_INFO);
	log_over_line(true);
	SAY(LOG_LEVEL_WARNING, "e", "first");
	SAY(LOG_LEVEL_WARNING, "e", "second");
	end_is("\r\033[Kpgkura: warning: first\npgkura: warning: second\n",
	    "a line that stands there is wiped out once");
}

static void
check_json(void)
{
	struct err e = ERR_INIT;

	begin(LOG_JSON, LOG_LEVEL_INFO);
	SAY(LOG_LEVEL_WARNING, "wal_gap", "a \"gap\"", "path", "a\\b\n\xff");
	end_is("{\"time\":\"2026-11-21T03:04:05.678901Z\","
	       "\"level\":\"warning\",\"event\":\"wal_gap\","
	       "\"message\":\"a \\\"gap\\\"\","
	       "\"path\":\"a\\\\b\\n\xef\xbf\xbd\"}\n",
	    "JSON");
	(void)err_set(&e, ERR_TRANSIENT, "later");
	(void)err_hint(&e, "Wait.");
	begin(LOG_JSON, LOG_LEVEL_INFO);
	log_error("failed", &e);
	end_is("{\"time\":\"2026-11-21T03:04:05.678901Z\",\"level\":\"error\","
	       "\"event\":\"failed\",\"message\":\"later\","
	       "\"kind\":\"transient\",\"hint\":\"Wait.\"}\n",
	    "an error as JSON");
}

static void
check_trouble(void)
{
	begin(LOG_PEOPLE, LOG_LEVEL_INFO);
	interrupt = true;
	errno = ENOENT;
	SAY(LOG_LEVEL_INFO, "e", "words");
	tap_ok(errno == ENOENT, "errno is left alone");
	end_is("pgkura: words\n", "an interrupted write is made again");
	begin(LOG_PEOPLE, LOG_LEVEL_INFO);
	broken = true;
	SAY(LOG_LEVEL_INFO, "e", "words");
	broken = false;
	tap_u64(writes, 1, "nobody listens: it is not tried again");
	end_is("", "and nothing else happens");
}

static unsigned int handed;
static char handed_words[200];

static void
on_event(void *arg, enum log_level level, const char *event,
    const char *message, const char *const *keys, const char *const *values,
    unsigned int count)
{
	(void)snprintf(handed_words, sizeof(handed_words),
	    "%s %s %s %s %u %s=%s", (const char *)arg, log_level_name(level),
	    event, message, count, count == 0 ? "" : keys[count - 1],
	    count == 0 ? "" : values[count - 1]);
	handed++;
	SAY(LOG_LEVEL_INFO, "inner", "from the sink");
}

static void
check_sink(void)
{
	static char name[] = "sink";

	log_set_sink(on_event, name);
	begin(LOG_PEOPLE, LOG_LEVEL_WARNING);
	SAY(LOG_LEVEL_DEBUG, "quiet", "not shown", "k", NULL, "cluster", "a");
	end_is("", "the sink gets what is not shown");
	tap_str(handed_words, "sink debug quiet not shown 1 cluster=a",
	    "with its words");
	tap_u64(handed, 1, "once: what it logs itself is not handed to it");
	begin(LOG_PEOPLE, LOG_LEVEL_INFO);
	SAY(LOG_LEVEL_INFO, "e", "outer");
	end_is("pgkura: outer\npgkura: from the sink\n", "but it is shown");
	log_set_sink(NULL, NULL);
	SAY(LOG_LEVEL_DEBUG, "e", "x");
	tap_u64(handed, 2, "no sink any more");
}

static void
count_event(void *arg, enum log_level level, const char *event,
    const char *message, const char *const *keys, const char *const *values,
    unsigned int count)
{
	(void)level;
	(void)event;
	(void)message;
	(void)keys;
	(void)values;
	*(unsigned int *)arg += count;
}

#define EACH 1000

static void *
talk(void *arg)
{
	unsigned int i;

	for (i = 0; i < EACH; i++)
		SAY(LOG_LEVEL_INFO, "e", "many words in one line", "from", arg);
	return NULL;
}

static void
check_threads(void)
{
	static char names[4][2] = { "a", "b", "c", "d" };
	pthread_t threads[4];
	unsigned int i, lines = 0, wrong = 0, total = 0;
	const char *line, *next;

	log_set_sink(count_event, &total);
	begin(LOG_PEOPLE, LOG_LEVEL_INFO);
	for (i = 0; i < 4; i++)
		(void)pthread_create(&threads[i], NULL, talk, names[i]);
	for (i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
	capture_fd = -1;
	log_set_sink(NULL, NULL);
	for (line = caught; *line != '\0'; line = next + 1, lines++) {
		next = strchr(line, '\n');
		if (next - line !=
			(ssize_t)strlen(
			    "pgkura: many words in one line  from=a") ||
		    strncmp(line, "pgkura: many words in one line  from=",
			(size_t)(next - line) - 1) != 0)
			wrong++;
	}
	tap_u64(lines, 4 * EACH, "threads: every line is there");
	tap_u64(wrong, 0, "threads: each is whole");
	tap_u64(total, 4 * EACH, "threads: the sink sees each");
}

static void
check_many_pairs(void)
{
	begin(LOG_PEOPLE, LOG_LEVEL_INFO);
#define FIVE "k", "v", "k", "v", "k", "v", "k", "v", "k", "v"
	SAY(LOG_LEVEL_INFO, "e", "x", FIVE, FIVE, FIVE, FIVE, FIVE, FIVE, FIVE);
	capture_fd = -1;
	tap_u64(caught_len, strlen("pgkura: x ") + 32 * 4 + 1,
	    "32 pairs and no more");
}

int
main(void)
{
	(void)setenv("TZ", "UTC", 1);
	tzset();
	check_text();
	check_people();
	check_json();
	check_trouble();
	check_sink();
	check_threads();
	check_many_pairs();
	return tap_done();
}
