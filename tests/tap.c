#include "tap.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int checks, failures;

/*
 * Print one line of a result.  Output is flushed at once, so that a crash or a
 * fork() afterwards neither loses nor doubles it.
 */
static void __attribute__((__format__(__printf__, 2, 0)))
result(bool held, const char *fmt, va_list ap)
{
	checks++;
	if (!held)
		failures++;
	(void)printf("%sok %u - ", held ? "" : "not ", checks);
	(void)vprintf(fmt, ap);
	(void)printf("\n");
	(void)fflush(stdout);
}

bool
tap_ok(bool held, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)pthread_mutex_lock(&lock);
	result(held, fmt, ap);
	(void)pthread_mutex_unlock(&lock);
	va_end(ap);
	return held;
}

bool
tap_u64(uint64_t got, uint64_t want, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)pthread_mutex_lock(&lock);
	result(got == want, fmt, ap);
	(void)pthread_mutex_unlock(&lock);
	va_end(ap);
	if (got != want)
		tap_diag("got %" PRIu64 " (0x%" PRIx64 "), want %" PRIu64
			 " (0x%" PRIx64 ")",
		    got, got, want, want);
	return got == want;
}

bool
tap_str(const char *got, const char *want, const char *fmt, ...)
{
	va_list ap;
	bool held;

	held =
	    got == NULL || want == NULL ? got == want : strcmp(got, want) == 0;
	va_start(ap, fmt);
	(void)pthread_mutex_lock(&lock);
	result(held, fmt, ap);
	(void)pthread_mutex_unlock(&lock);
	va_end(ap);
	if (!held) {
		tap_diag(" got: %s", got == NULL ? "(null)" : got);
		tap_diag("want: %s", want == NULL ? "(null)" : want);
	}
	return held;
}

void
tap_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)pthread_mutex_lock(&lock);
	(void)printf("ok %u # SKIP ", ++checks);
	(void)vprintf(fmt, ap);
	(void)printf("\n");
	(void)fflush(stdout);
	(void)pthread_mutex_unlock(&lock);
	va_end(ap);
}

void
tap_skip_all(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)printf("1..0 # SKIP ");
	(void)vprintf(fmt, ap);
	(void)printf("\n");
	va_end(ap);
	exit(0);
}

void
tap_bail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)printf("Bail out!  ");
	(void)vprintf(fmt, ap);
	(void)printf("\n");
	va_end(ap);
	exit(255);
}

/* Every line of the remark gets its own "# ". */
void
tap_diag(const char *fmt, ...)
{
	char text[4096], *line, *rest;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)pthread_mutex_lock(&lock);
	for (rest = text; (line = strsep(&rest, "\n")) != NULL;)
		(void)fprintf(stderr, "# %s\n", line);
	(void)pthread_mutex_unlock(&lock);
}

int
tap_done(void)
{
	int rc;

	(void)printf("1..%u\n", checks);
	rc = fflush(stdout);
	if (failures > 0)
		tap_diag("%u of %u failed", failures, checks);
	return rc == 0 && failures == 0 ? 0 : 1;
}
