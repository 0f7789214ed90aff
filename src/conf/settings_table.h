#ifndef CONF_SETTINGS_TABLE_H
#define CONF_SETTINGS_TABLE_H

/*
 * settings_table: every option there is, once.
 *
 * The parser, the sample file, the manual's list and `pgkura config` walk this
 * table; a new option is a field in settings.h and an entry here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum option_scope { OPTION_SITE, OPTION_CLUSTER, OPTION_PEER };
#define OPTION_SCOPES 3

enum option_type {
	/* char *, NULL or "" when not set */
	OPTION_TEXT,
	OPTION_NAME,	 /* [a-z0-9][a-z0-9_.-]{0,62} */
	OPTION_SLOT,	 /* [a-z0-9_]{1,63}, or "none", kept as "" */
	OPTION_PATH,	 /* absolute */
	OPTION_STORE,	 /* absolute path or url */
	OPTION_CONNINFO, /* key=value pairs or postgresql:// */
	OPTION_SCHEDULE,
	OPTION_CALENDAR, /* a SCHEDULE of times of the day */
	OPTION_WINDOW,
	OPTION_NAMES,	  /* NAMEs separated by commas */
	OPTION_LISTEN,	  /* "host:port, ..."; the host may be "*" */
	OPTION_ADDRESSES, /* "host:port, ..." */
	OPTION_LITERALS,  /* IP addresses separated by commas */
	OPTION_PLACES,	  /* "path or number=path, ..." */
	OPTION_RATES,	  /* rate_windows.h */
	OPTION_CHOICE,	  /* one of words */
	/* numbers */
	OPTION_BOOL,	 /* bool */
	OPTION_NUMBER,	 /* 32 bits, signed or not */
	OPTION_BYTES,	 /* uint64_t */
	OPTION_INTERVAL, /* int64_t, microseconds */
	OPTION_WORD	 /* 32 bits, an enum: words[value] */
};

struct option {
	const char *key;
	enum option_scope scope;
	enum option_type type;
	size_t offset;	     /* in struct settings, cluster_ or peer_settings */
	const char *initial; /* as in the file; NULL: not set */
	bool required;
	const char
	    *unless;	   /* required unless one of these options of its scope,
			     * separated by commas, is set */
	bool none;	   /* "none" is 0: BYTES, INTERVAL */
	uint64_t min, max; /* NUMBER, BYTES; INTERVAL in microseconds */
	const char *const *words; /* WORD, CHOICE: ended by NULL */
	bool supervisor_only;	  /* no duty works with it: none starts anew */
	const char *example;	  /* as in the file; what the sample shows */
	const char *what;	  /* plain sentences */
};

extern const struct option settings_options[];
extern const size_t settings_option_count;

/* NULL when there is none of that name in the scope. */
const struct option *option_find(enum option_scope scope, const char *key);
bool option_is_text(const struct option *o);

/*
 * Check text and put it where o says in base.  ERR_USAGE says what is wrong;
 * the hint says what is allowed, with an example.
 */
int
option_set(const struct option *o, void *base, const char *text, struct err *e);
/* The value in base as the file would say it; false when it is not set. */
bool option_get(const struct option *o, const void *base, struct buf *out);
/* "1 to 19", "yes or no", ...: what is allowed, for hints and the manual. */
void option_allowed(const struct option *o, struct buf *out);

#endif /* !CONF_SETTINGS_TABLE_H */
