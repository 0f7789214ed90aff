#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * log: events.  An event is a constant name and named values; text for people
 * or JSON for machines, one line each, to standard error.
 *
 * Text:  2026-11-21 03:04:05.678 warning wal_gap: message  cluster=main from=0/5000000
 * JSON:  {"time":"...","level":"warning","event":"wal_gap","message":"...","cluster":"main"}
 */

#include <stdbool.h>

#include "base/err.h"

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_ERROR
};

enum log_format {
	LOG_PEOPLE, /* "pgkura: warning: message" without time: for commands */
	LOG_TEXT,   /* with time: for the daemon */
	LOG_JSON
};

void log_setup(enum log_format format, enum log_level least);
const char *log_level_name(enum log_level level);

/*
 * event is a stable snake_case name; message is what a person reads; then
 * pairs of const char * (key, value) ended by NULL.  A NULL value is left out.
 * Safe from several threads.
 */
void log_event(enum log_level level, const char *event, const char *message,
    ...) __attribute__((__sentinel__));
/* A line that is not ended stands on the terminal, such as progress: the next
 * event wipes it out first.  Safe from several threads. */
void log_over_line(bool stands);
/* An error as an event: text, kind, hint as values. */
void log_error(const char *event, const struct err *e);

/* Every event is also handed to this (the daemon stores and hooks them);
 * keys[i], values[i] for i < count; events below the level of log_setup() too.
 * Calls do not overlap; what the sink itself logs is not handed to it.  NULL
 * for none. */
typedef void log_sink(void *arg, enum log_level level, const char *event,
    const char *message, const char *const *keys, const char *const *values,
    unsigned int count);
void log_set_sink(log_sink *sink, void *arg);

#endif /* !BASE_LOG_H */
