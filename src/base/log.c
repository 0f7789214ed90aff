#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/clock.h"

#define PAIRS_MAX 32

struct event {
	enum log_level level;
	const char *name;
	const char *message;
	const char *keys[PAIRS_MAX];
	const char *values[PAIRS_MAX];
	unsigned int count;
};

/* Guards the three below, and keeps lines apart. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum log_format format = LOG_PEOPLE;
static enum log_level least = LOG_LEVEL_INFO;

static atomic_bool line_stands;

/* Guards the two below, and is held while the sink works. */
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static log_sink *sink;
static void *sink_arg;
/* What the sink itself logs is not handed to it. */
static __thread bool in_sink;

void
log_setup(enum log_format new_format, enum log_level new_least)
{
	(void)pthread_mutex_lock(&lock);
	format = new_format;
	least = new_least;
	(void)pthread_mutex_unlock(&lock);
}

const char *
log_level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_DEBUG:
		return "debug";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_ERROR:
		break;
	}
	return "error";
}

/* One line whatever is in s: a control character becomes \xNN. */
static void
put_printable(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			buf_printf(b, "\\x%02x", (unsigned int)*s);
		else
			buf_put_u8(b, (uint8_t)*s);
}

/* As it is when it is one plain word, else quoted. */
static void
put_value(struct buf *b, const char *s)
{
	if (s[0] != '\0' && strpbrk(s, " \"=\\") == NULL) {
		put_printable(b, s);
		return;
	}
	buf_put_u8(b, '"');
	for (; *s != '\0'; s++) {
		const char one[2] = { *s, '\0' };

		if (*s == '"' || *s == '\\')
			buf_put_u8(b, '\\');
		put_printable(b, one);
	}
	buf_put_u8(b, '"');
}

/* "  key=value key=value", but for those of a key to leave out. */
static void
put_pairs(struct buf *b, const struct event *ev, const char *leave_out)
{
	const char *gap = "  ";
	unsigned int i;

	for (i = 0; i < ev->count; i++) {
		if (leave_out != NULL && strcmp(ev->keys[i], leave_out) == 0)
			continue;
		buf_printf(b, "%s%s=", gap, ev->keys[i]);
		put_value(b, ev->values[i]);
		gap = " ";
	}
}

/* For a terminal: no time, no event name, and the hint on its own line. */
static void
put_people(struct buf *b, const struct event *ev)
{
	unsigned int i;

	buf_printf(b, "pgkura: %s%s",
	    ev->level == LOG_LEVEL_INFO ? "" : log_level_name(ev->level),
	    ev->level == LOG_LEVEL_INFO ? "" : ": ");
	put_printable(b, ev->message);
	put_pairs(b, ev, "hint");
	buf_put_u8(b, '\n');
	for (i = 0; i < ev->count; i++) {
		if (strcmp(ev->keys[i], "hint") != 0)
			continue;
		buf_printf(b, "pgkura: hint: ");
		put_printable(b, ev->values[i]);
		buf_put_u8(b, '\n');
	}
}

static void
put_text(struct buf *b, const struct event *ev, int64_t now_us)
{
	time_t s = (time_t)(now_us / CLOCK_SECOND_US);
	struct tm tm = { 0 };
	char when[CLOCK_TEXT_BYTES];

	(void)localtime_r(&s, &tm);
	(void)strftime(when, sizeof(when), "%F %T", &tm);
	buf_printf(b, "%s.%03d %s %s: ", when,
	    (int)(now_us % CLOCK_SECOND_US / 1000), log_level_name(ev->level),
	    ev->name);
	put_printable(b, ev->message);
	put_pairs(b, ev, NULL);
	buf_put_u8(b, '\n');
}

static void
put_json(struct buf *b, const struct event *ev, int64_t now_us)
{
	time_t s = (time_t)(now_us / CLOCK_SECOND_US);
	struct tm tm = { 0 };
	char when[CLOCK_TEXT_BYTES];
	unsigned int i;

	(void)gmtime_r(&s, &tm);
	(void)strftime(when, sizeof(when), "%FT%T", &tm);
	buf_printf(b,
	    "{\"time\":\"%s.%06dZ\",\"level\":\"%s\",\"event\":", when,
	    (int)(now_us % CLOCK_SECOND_US), log_level_name(ev->level));
	buf_put_json(b, ev->name);
	buf_printf(b, ",\"message\":");
	buf_put_json(b, ev->message);
	for (i = 0; i < ev->count; i++) {
		buf_put_u8(b, ',');
		buf_put_json(b, ev->keys[i]);
		buf_put_u8(b, ':');
		buf_put_json(b, ev->values[i]);
	}
	buf_printf(b, "}\n");
}

/* One write(2) for the whole event, so that lines of several processes do not
 * mix.  There is nobody to tell when standard error is gone. */
static void
write_event(const struct event *ev)
{
	AUTO_BUF struct buf b = BUF_INIT;
	int64_t now_us = clock_now_us();
	const uint8_t *p;
	ssize_t n;

	(void)pthread_mutex_lock(&lock);
	if (ev->level >= least) {
		if (atomic_exchange(&line_stands, false))
			buf_printf(&b, "\r\033[K");
		if (format == LOG_JSON)
			put_json(&b, ev, now_us);
		else if (format == LOG_TEXT)
			put_text(&b, ev, now_us);
		else
			put_people(&b, ev);
	}
	for (p = b.data; b.len > 0; p += n, b.len -= (size_t)n) {
		n = write(STDERR_FILENO, p, b.len);
		if (n == -1 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			break;
	}
	(void)pthread_mutex_unlock(&lock);
}

static void
hand_to_sink(const struct event *ev)
{
	if (in_sink)
		return;
	(void)pthread_mutex_lock(&sink_lock);
	in_sink = true;
	if (sink != NULL)
		sink(sink_arg, ev->level, ev->name, ev->message, ev->keys,
		    ev->values, ev->count);
	in_sink = false;
	(void)pthread_mutex_unlock(&sink_lock);
}

void
log_event(enum log_level level, const char *event, const char *message, ...)
{
	struct event ev = { .level = level, .name = event, .message = message };
	int saved = errno;
	const char *key, *value;
	va_list ap;

	va_start(ap, message);
	while (
	    ev.count < PAIRS_MAX && (key = va_arg(ap, const char *)) != NULL) {
		value = va_arg(ap, const char *);
		if (value == NULL)
			continue;
		ev.keys[ev.count] = key;
		ev.values[ev.count++] = value;
	}
	va_end(ap);
	write_event(&ev);
	hand_to_sink(&ev);
	errno = saved;
}

void
log_over_line(bool stands)
{
	atomic_store(&line_stands, stands);
}

void
log_error(const char *event, const struct err *e)
{
	log_event(LOG_LEVEL_ERROR, event, e->text, "kind",
	    err_kind_name(e->kind), "hint", e->hint[0] == '\0' ? NULL : e->hint,
	    (const char *)NULL);
}

void
log_set_sink(log_sink *new_sink, void *arg)
{
	(void)pthread_mutex_lock(&sink_lock);
	sink = new_sink;
	sink_arg = arg;
	(void)pthread_mutex_unlock(&sink_lock);
}
