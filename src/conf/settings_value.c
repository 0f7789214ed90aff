/* One value of the table: from text and back. */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/size.h"
#include "conf/address.h"
#include "conf/list.h"
#include "conf/rate_windows.h"
#include "conf/schedule.h"
#include "conf/settings_table.h"

#define NAME_MAX_LETTERS 63
#define LIST_MAX	 8 /* words of one value; LINK_PATHS_MAX */

static const char *const bool_words[][2] = { { "no", "yes" }, { "off", "on" },
	{ "false", "true" }, { "0", "1" } };

static const struct {
	const char *name;
	uint64_t bytes;
} units[] = {
	{ "PB", (uint64_t)1 << 50 },
	{ "TB", (uint64_t)1 << 40 },
	{ "GB", (uint64_t)1 << 30 },
	{ "MB", (uint64_t)1 << 20 },
	{ "kB", (uint64_t)1 << 10 },
	{ "B", 1 },
};

/* The field of o in base; memcpy() moves the value, whatever its type is. */
static void *
field_of(const struct option *o, void *base)
{
	return (char *)base + o->offset;
}

/* An amount that can be without limit: a rate. */
static bool
takes_none(const struct option *o)
{
	return o->none ||
	    (o->initial != NULL && strcmp(o->initial, "none") == 0);
}

/* ---- what is allowed ---- */

static void
put_bytes(struct buf *out, uint64_t v)
{
	size_t i = 0;

	while (v % units[i].bytes != 0 || (v == 0 && units[i].bytes != 1))
		i++;
	buf_printf(out, "%" PRIu64 "%s", v / units[i].bytes, units[i].name);
}

static void
put_interval(struct buf *out, uint64_t us)
{
	static const struct {
		const char *name;
		uint64_t us;
	} scales[] = { { "d", 86400000000 }, { "h", 3600000000 },
		{ "min", 60000000 }, { "s", 1000000 }, { "ms", 1000 },
		{ "us", 1 } };
	size_t i = 0;

	while (i < COUNT_OF(scales) - 1 && us % scales[i].us != 0)
		i++;
	if (us == 0)
		buf_printf(out, "0s");
	else
		buf_printf(
		    out, "%" PRIu64 "%s", us / scales[i].us, scales[i].name);
}

static void
put_words(struct buf *out, const char *const *words)
{
	size_t i;

	for (i = 0; words[i] != NULL; i++)
		buf_printf(out, "%s%s",
		    i == 0		       ? ""
			: words[i + 1] == NULL ? " or "
					       : ", ",
		    words[i]);
}

void
option_allowed(const struct option *o, struct buf *out)
{
	void (*put)(struct buf *, uint64_t);

	switch (o->type) {
	case OPTION_NUMBER:
		buf_printf(out, "%" PRIu64 " to %" PRIu64, o->min, o->max);
		return;
	case OPTION_BYTES:
	case OPTION_INTERVAL:
		put = o->type == OPTION_BYTES ? put_bytes : put_interval;
		put(out, o->min);
		buf_printf(out, " to ");
		put(out, o->max);
		if (takes_none(o))
			buf_printf(out, ", or none");
		return;
	case OPTION_WORD:
	case OPTION_CHOICE:
		put_words(out, o->words);
		return;
	case OPTION_BOOL:
		buf_printf(out, "yes or no");
		return;
	case OPTION_NAME:
		buf_printf(out,
		    "up to %d small letters, digits, \"_\", \".\" "
		    "and \"-\", the first a letter or digit",
		    NAME_MAX_LETTERS);
		return;
	case OPTION_SLOT:
		buf_printf(out,
		    "up to %d small letters, digits and \"_\", or "
		    "none",
		    NAME_MAX_LETTERS);
		return;
	case OPTION_PATH:
		buf_printf(out, "an absolute path");
		return;
	case OPTION_STORE:
		buf_printf(out, "an absolute path or a url");
		return;
	case OPTION_CONNINFO:
		buf_printf(out, "keyword=value pairs or a postgresql:// url");
		return;
	case OPTION_SCHEDULE:
		buf_printf(out,
		    "five cron fields, @daily and the like, or "
		    "\"every\" and an interval");
		return;
	case OPTION_CALENDAR:
		buf_printf(out, "five cron fields, @daily and the like");
		return;
	case OPTION_WINDOW:
		buf_printf(out, "two times of the day");
		return;
	case OPTION_NAMES:
		buf_printf(out, "names separated by commas");
		return;
	case OPTION_LISTEN:
		buf_printf(out,
		    "addresses with ports, separated by commas; \"*\" is "
		    "every address of this machine");
		return;
	case OPTION_ADDRESSES:
		buf_printf(out,
		    "at most %d host names or addresses with ports, "
		    "separated by commas",
		    LIST_MAX);
		return;
	case OPTION_LITERALS:
		buf_printf(out, "IP addresses separated by commas");
		return;
	case OPTION_PLACES:
		buf_printf(out,
		    "pairs of an absolute path or a number, \"=\", and an "
		    "absolute path, separated by commas");
		return;
	case OPTION_RATES:
		buf_printf(out,
		    "windows of the day, each with its bytes a second or "
		    "unlimited, separated by commas");
		return;
	case OPTION_TEXT:
		break;
	}
	buf_printf(out, "text");
}

/* ---- from text ---- */

/* The general complaint: what, and what is allowed. */
static int
refuse(const struct option *o, const char *text, struct err *e)
{
	AUTO_BUF struct buf allowed = BUF_INIT;

	option_allowed(o, &allowed);
	(void)err_set(e, ERR_USAGE, "\"%s\" is not valid for %s", text, o->key);
	return err_hint(e, "Allowed is %s; for example: %s = %s",
	    buf_str(&allowed), o->key, o->example);
}

static int
set_bool(const struct option *o, void *base, const char *text, struct err *e)
{
	size_t i;
	bool value;

	for (i = 0; i < COUNT_OF(bool_words); i++) {
		value = strcasecmp(text, bool_words[i][1]) == 0;
		if (value || strcasecmp(text, bool_words[i][0]) == 0) {
			(void)memcpy(field_of(o, base), &value, sizeof(value));
			return 0;
		}
	}
	return refuse(o, text, e);
}

static int
set_number(const struct option *o, void *base, const char *text, struct err *e)
{
	char *end;
	unsigned long long v;
	uint32_t value;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 ||
	    v < o->min || v > o->max)
		return refuse(o, text, e);
	value = (uint32_t)v;
	(void)memcpy(field_of(o, base), &value, sizeof(value));
	return 0;
}

/* A rate may end in "/s". */
static int
set_bytes(const struct option *o, void *base, const char *text, struct err *e)
{
	AUTO_FREE char *size = mem_strdup(text);
	size_t len = strlen(size);
	uint64_t value = 0;

	if (takes_none(o) && strcasecmp(text, "none") == 0) {
		(void)memcpy(field_of(o, base), &value, sizeof(value));
		return 0;
	}
	if (takes_none(o) && len > 2 && strcmp(size + len - 2, "/s") == 0)
		size[len - 2] = '\0';
	if (size_parse(size, &value, NULL) == -1 || value < o->min ||
	    value > o->max)
		return refuse(o, text, e);
	(void)memcpy(field_of(o, base), &value, sizeof(value));
	return 0;
}

static int
set_interval(
    const struct option *o, void *base, const char *text, struct err *e)
{
	int64_t value = 0;

	if (takes_none(o) && strcasecmp(text, "none") == 0) {
		(void)memcpy(field_of(o, base), &value, sizeof(value));
		return 0;
	}
	if (clock_parse_interval(text, &value, NULL) == -1 || value < 0 ||
	    (uint64_t)value < o->min || (uint64_t)value > o->max)
		return refuse(o, text, e);
	(void)memcpy(field_of(o, base), &value, sizeof(value));
	return 0;
}

static int
set_word(const struct option *o, void *base, const char *text, struct err *e)
{
	uint32_t value;

	for (value = 0; o->words[value] != NULL; value++) {
		if (strcasecmp(text, o->words[value]) == 0) {
			(void)memcpy(field_of(o, base), &value, sizeof(value));
			return 0;
		}
	}
	return refuse(o, text, e);
}

/* Letters of text that all stand in allowed, at most NAME_MAX_LETTERS. */
static bool
is_made_of(const char *text, const char *allowed)
{
	size_t len = strlen(text);

	return len > 0 && len <= NAME_MAX_LETTERS &&
	    strspn(text, allowed) == len;
}

#define SLOT_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

static bool
is_name(const char *text)
{
	return is_made_of(text, SLOT_LETTERS ".-") &&
	    isalnum((unsigned char)text[0]);
}

/* Each word of a list, none of them twice. */
static bool
list_fits(const struct option *o, const char *text)
{
	char word[ADDRESS_TEXT_BYTES];
	const char *at = text;
	struct address a;
	size_t count = 0;

	while (list_next(&at, word, sizeof(word))) {
		bool fits = o->type == OPTION_NAMES ? is_name(word)
		    : o->type == OPTION_LITERALS
		    ? address_is_literal(word)
		    : address_parse(&a, word, o->type == OPTION_LISTEN, NULL) ==
			0;

		if (!fits || ++count > LIST_MAX ||
		    (o->type != OPTION_LITERALS && list_has(at, word)))
			return false;
	}
	return count > 0;
}

/* "/ssd=/data, 16455=/log" */
static bool
places_fit(const char *text)
{
	char word[PATH_MAX];
	const char *at = text, *eq;
	size_t count = 0;

	for (; list_next(&at, word, sizeof(word)); count++) {
		eq = strchr(word, '=');
		if (eq == NULL || eq == word || eq[1] != '/' ||
		    (word[0] != '/' &&
			strspn(word, "0123456789") != (size_t)(eq - word)))
			return false;
	}
	return count > 0;
}

static bool
is_word(const char *const *words, const char *text)
{
	for (; *words != NULL; words++)
		if (strcmp(*words, text) == 0)
			return true;
	return false;
}

static bool
text_fits(const struct option *o, const char *text)
{
	switch (o->type) {
	case OPTION_NAME:
		return is_name(text);
	case OPTION_NAMES:
	case OPTION_LISTEN:
	case OPTION_ADDRESSES:
	case OPTION_LITERALS:
		return list_fits(o, text);
	case OPTION_PLACES:
		return places_fit(text);
	case OPTION_CHOICE:
		return is_word(o->words, text);
	case OPTION_SLOT:
		return is_made_of(text, SLOT_LETTERS);
	case OPTION_PATH:
		return text[0] == '/';
	case OPTION_STORE:
		return text[0] == '/' || strstr(text, "://") != NULL;
	case OPTION_CONNINFO:
		return strchr(text, '=') != NULL ||
		    strncmp(text, "postgresql://", 13) == 0 ||
		    strncmp(text, "postgres://", 11) == 0;
	default:
		return text[0] != '\0';
	}
}

static int
set_text(const struct option *o, void *base, const char *text, struct err *e)
{
	struct schedule schedule;
	struct window_of_day window;
	struct rate_windows rates;
	char *value, *old;

	if (o->type == OPTION_SLOT && strcasecmp(text, "none") == 0)
		text = "";
	else if (!text_fits(o, text))
		return refuse(o, text, e);
	if ((o->type == OPTION_SCHEDULE || o->type == OPTION_CALENDAR) &&
	    schedule_parse(&schedule, text, e) == -1)
		return err_ctx(e, "%s", o->key);
	if (o->type == OPTION_CALENDAR && schedule.every_us != 0)
		return refuse(o, text, e);
	if (o->type == OPTION_WINDOW &&
	    window_of_day_parse(&window, text, e) == -1)
		return err_ctx(e, "%s", o->key);
	if (o->type == OPTION_RATES &&
	    rate_windows_parse(&rates, text, e) == -1)
		return err_ctx(e, "%s", o->key);
	(void)memcpy(&old, field_of(o, base), sizeof(old));
	free(old);
	value = mem_strdup(text);
	(void)memcpy(field_of(o, base), &value, sizeof(value));
	return 0;
}

int
option_set(const struct option *o, void *base, const char *text, struct err *e)
{
	switch (o->type) {
	case OPTION_BOOL:
		return set_bool(o, base, text, e);
	case OPTION_NUMBER:
		return set_number(o, base, text, e);
	case OPTION_BYTES:
		return set_bytes(o, base, text, e);
	case OPTION_INTERVAL:
		return set_interval(o, base, text, e);
	case OPTION_WORD:
		return set_word(o, base, text, e);
	default:
		return set_text(o, base, text, e);
	}
}

/* ---- back to text ---- */

static bool
get_text(const struct option *o, const char *text, struct buf *out)
{
	if (text == NULL)
		return false;
	if (o->type == OPTION_SLOT && text[0] == '\0')
		text = "none";
	buf_put(out, text, strlen(text));
	return true;
}

bool
option_get(const struct option *o, const void *base, struct buf *out)
{
	const char *field = (const char *)base + o->offset;
	char *text;
	uint64_t v64;
	uint32_t v32;
	bool flag;

	if (option_is_text(o)) {
		(void)memcpy(&text, field, sizeof(text));
		return get_text(o, text, out);
	}
	if (o->type == OPTION_BOOL) {
		(void)memcpy(&flag, field, sizeof(flag));
		buf_printf(out, "%s", flag ? "yes" : "no");
	} else if (o->type == OPTION_NUMBER || o->type == OPTION_WORD) {
		(void)memcpy(&v32, field, sizeof(v32));
		if (o->type == OPTION_WORD)
			buf_printf(out, "%s", o->words[v32]);
		else
			buf_printf(out, "%" PRIu32, v32);
	} else {
		(void)memcpy(&v64, field, sizeof(v64));
		if (v64 == 0 && takes_none(o))
			buf_printf(out, "none");
		else if (o->type == OPTION_INTERVAL)
			put_interval(out, v64);
		else
			put_bytes(out, v64);
	}
	return true;
}
