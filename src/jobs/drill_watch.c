/*
 * drill_watch: the director follows a process of the drill: takes what it
 * tells, takes samples, ends it at a limit.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/size.h"
#include "jobs/drill_int.h"

#define LOOK_MS	       200
#define LINE_BYTES_MAX ((size_t)4 << 20)
#define STEPS_MAX      200
#define UNTESTED_MAX   100
/* The folder's size is looked at so often, and not more than a twentieth of
 * the time is spent with it. */
#define SPACE_US    (2 * CLOCK_SECOND_US)
#define SPACE_SHARE 20

/* ---- steps ---- */

void
drill_spoil(struct drill *d, enum drill_outcome outcome, const char *fmt, ...)
{
	AUTO_FREE char *why = NULL;
	va_list ap;

	if (d->outcome != DRILL_PASSED)
		return;
	d->outcome = outcome;
	va_start(ap, fmt);
	why = mem_vprintf(fmt, ap);
	va_end(ap);
	buf_printf(&d->verdict, "%s", why);
}

void
drill_begin_step(struct drill *d, const char *name, const char *what)
{
	json_t *o = json_object();
	char when[CLOCK_TEXT_BYTES];

	if (d->step != NULL)
		drill_end_step(d, STEP_PASSED, "%s", "");
	if (json_array_size(d->steps) >= STEPS_MAX) {
		json_decref(o);
		return;
	}
	json_set_str(o, "step", name);
	json_set_str(o, "what", what);
	json_set_str(o, "started", clock_utc(clock_now_us(), when));
	(void)json_array_append_new(d->steps, o);
	d->step = o;
	d->step_began_us = clock_boot_us();
	drill_sample(d, name, true);
}

static void
end_step(
    struct drill *d, const char *result, const char *detail, const char *output)
{
	json_t *o = d->step;
	char when[CLOCK_TEXT_BYTES];

	if (o == NULL)
		return;
	json_set_str(o, "ended", clock_utc(clock_now_us(), when));
	json_set_u64(
	    o, "took_us", (uint64_t)(clock_boot_us() - d->step_began_us));
	json_set_str(o, "result", result);
	json_set_str(o, "detail", detail);
	if (output != NULL)
		json_set_str(o, "output", output);
	d->step = NULL;
}

void
drill_end_step(struct drill *d, enum step_result result, const char *fmt, ...)
{
	static const char *const names[] = { "passed", "failed", "skipped" };
	AUTO_FREE char *detail = NULL;
	va_list ap;

	va_start(ap, fmt);
	detail = mem_vprintf(fmt, ap);
	va_end(ap);
	if (result == STEP_FAILED && d->step != NULL)
		drill_spoil(d, DRILL_FAILED, "%s: %s",
		    json_string_value(json_object_get(d->step, "what")),
		    detail);
	end_step(d, names[result], detail, NULL);
}

/* ---- what the process tells ---- */

static const char *
text(const json_t *m, const char *key)
{
	return json_string_value(json_object_get(m, key));
}

static void
take_end(struct drill *d, const json_t *m)
{
	const char *detail = text(m, "detail");

	if (detail == NULL)
		detail = "";
	if (strcmp(text(m, "end"), "failed") == 0 && d->step != NULL)
		drill_spoil(
		    d, DRILL_FAILED, "%s: %s", text(d->step, "what"), detail);
	end_step(d, text(m, "end"), detail, text(m, "output"));
}

static void
take(struct drill *d, const char *line, size_t len)
{
	AUTO_JSON json_t *m =
	    json_parse(line, len, "a word of the drill", NULL);

	if (m == NULL)
		return; /* the tail of one that was cut off by SIGKILL */
	if (text(m, "begin") != NULL && text(m, "what") != NULL)
		drill_begin_step(d, text(m, "begin"), text(m, "what"));
	else if (text(m, "end") != NULL)
		take_end(d, m);
	else if (text(m, "fact") != NULL && text(m, "value") != NULL)
		json_set_str(d->facts, text(m, "fact"), text(m, "value"));
	else if (text(m, "untested") != NULL &&
	    json_array_size(d->untested) < UNTESTED_MAX)
		(void)json_array_append_new(
		    d->untested, json_string(text(m, "untested")));
}

/* Everything that is there to read; false at its end. */
static bool
take_all(struct drill *d, int fd, struct buf *have)
{
	uint8_t some[16384];
	uint8_t *end;
	size_t len;
	ssize_t n;

	while ((n = read(fd, some, sizeof(some))) > 0) {
		buf_put(have, some, (size_t)n);
		while (have->len > 0 &&
		    (end = memchr(have->data, '\n', have->len)) != NULL) {
			len = (size_t)(end - have->data);
			take(d, (const char *)have->data, len);
			have->len -= len + 1;
			(void)memmove(have->data, end + 1, have->len);
		}
		if (have->len > LINE_BYTES_MAX)
			buf_clear(have);
	}
	return n == -1 && (errno == EAGAIN || errno == EINTR);
}

/* ---- limits ---- */

int64_t
drill_left_us(const struct drill *d)
{
	int64_t limit_us = d->cluster->drill_time_limit_us;

	if (limit_us == 0)
		return INT64_MAX;
	return d->began_us + limit_us - clock_boot_us();
}

static bool
space_is_over(struct drill *d)
{
	int64_t now_us = clock_boot_us();
	uint64_t limit = d->cluster->drill_space_limit_bytes, used, left;
	char a[SIZE_TEXT_BYTES], b[SIZE_TEXT_BYTES];

	if (now_us < d->space_us)
		return false;
	used = drill_disk_bytes(d->folder);
	d->space_us = clock_boot_us();
	d->space_us += SPACE_US + SPACE_SHARE * (d->space_us - now_us);
	if (used > d->space_most_bytes)
		d->space_most_bytes = used;
	if (limit != 0 && used > limit) {
		drill_spoil(d, DRILL_STOPPED,
		    "it used %s of space, more than drill_space_limit, %s",
		    size_text(used, a), size_text(limit, b));
		return true;
	}
	if (file_free_bytes(d->folder, &left, NULL) == 0 &&
	    left < d->settings->min_free_bytes) {
		drill_spoil(d, DRILL_STOPPED,
		    "it left %s free on its file system, less than "
		    "min_free_bytes, %s",
		    size_text(left, a),
		    size_text(d->settings->min_free_bytes, b));
		return true;
	}
	return false;
}

static bool
limit_is_over(struct drill *d)
{
	char within[CLOCK_TEXT_BYTES];

	if (child_stop_requested()) {
		drill_spoil(d, DRILL_STOPPED, "it was stopped by a signal");
		return true;
	}
	if (drill_left_us(d) <= 0) {
		drill_spoil(d, DRILL_STOPPED,
		    "it did not end within drill_time_limit, %s",
		    clock_interval(d->cluster->drill_time_limit_us, within));
		return true;
	}
	return space_is_over(d);
}

/* ---- following ---- */

int
drill_follow(struct drill *d, pid_t pid, int fd)
{
	AUTO_BUF struct buf have = BUF_INIT;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool ended = false, killed = false;
	int status = 0;
	pid_t got;

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	while (!ended) {
		got = waitpid(pid, &status, WNOHANG);
		ended = got == pid || (got == -1 && errno != EINTR);
		if (!take_all(d, fd, &have))
			p.fd = -1;
		if (ended)
			break;
		drill_sample(d, d->phase, false);
		if (!killed && limit_is_over(d)) {
			/* The kernel ends all of the box with it. */
			(void)kill(pid, SIGKILL);
			killed = true;
		}
		(void)poll(&p, 1, LOOK_MS);
	}
	if (d->step != NULL) {
		if (!killed)
			drill_spoil(d, DRILL_FAILED,
			    "%s: it ended without a word",
			    text(d->step, "what"));
		end_step(d, "failed", buf_str(&d->verdict), NULL);
	}
	if (killed)
		return 1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	drill_spoil(d, DRILL_FAILED, "a process of the drill has failed");
	return 1;
}
