#include "pg/syncnames.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORD_BYTES  256
#define SPACES	    " \t\n\r\f\v"
#define WORD_ENDS   SPACES ",()\""
#define COUNT_DIGIT "0123456789"

struct word {
	char text[WORD_BYTES];
	bool quoted;
};

/* The next word or sign: false at the end, or when it is malformed. */
static bool
next_word(const char **p, struct word *w)
{
	size_t len = 0;

	*p += strspn(*p, SPACES);
	w->quoted = **p == '"';
	if (w->quoted) {
		for ((*p)++; **p != '\0'; (*p)++) {
			if (**p == '"' && *++*p != '"')
				break;
			if (len + 1 == sizeof(w->text))
				return false;
			w->text[len++] = **p;
		}
		w->text[len] = '\0';
		return (*p)[-1] == '"' && len > 0;
	}
	len =
	    **p == ',' || **p == '(' || **p == ')' ? 1 : strcspn(*p, WORD_ENDS);
	if (len == 0 || len >= sizeof(w->text))
		return false;
	(void)memcpy(w->text, *p, len);
	w->text[len] = '\0';
	*p += len;
	return true;
}

static bool
is(const struct word *w, const char *text)
{
	return !w->quoted && strcasecmp(w->text, text) == 0;
}

static bool
is_count(const struct word *w)
{
	return !w->quoted && strspn(w->text, COUNT_DIGIT) == strlen(w->text);
}

/* How many it waits for; *p goes to the first name.  "3 (" begins a list, "3,"
 * is a standby of that name. */
static long
head(const char **p, struct word *w)
{
	const char *at = *p;
	bool method;

	if (!next_word(&at, w))
		return -1;
	method = is(w, "first") || is(w, "any");
	if (method) {
		const char *after = at + strspn(at, SPACES);

		/* A standby may be named so. */
		method = *after != ',' && *after != '\0';
	}
	if (method && !next_word(&at, w))
		return -1;
	if (is_count(w) && at[strspn(at, SPACES)] == '(') {
		*p = at + strspn(at, SPACES) + 1;
		return strtol(w->text, NULL, 10);
	}
	return method ? -1 : 0;
}

enum syncnames
syncnames_judge(const char *value, const char *name)
{
	const char *p = value;
	struct word w;
	bool found = false, any = false, listed;
	long wants, names = 0;

	if (value[strspn(value, SPACES)] == '\0')
		return SYNCNAMES_ABSENT;
	wants = head(&p, &w);
	if (wants == -1)
		return SYNCNAMES_MALFORMED;
	listed = wants > 0;
	if (!listed)
		wants = 1;
	for (;;) {
		if (!next_word(&p, &w) || is(&w, ",") || is(&w, "(") ||
		    is(&w, ")"))
			return SYNCNAMES_MALFORMED;
		names++;
		any |= is(&w, "*");
		found |= strcasecmp(w.text, name) == 0;
		p += strspn(p, SPACES);
		if (*p != ',')
			break;
		p++;
	}
	if (listed && *p++ != ')')
		return SYNCNAMES_MALFORMED;
	if (p[strspn(p, SPACES)] != '\0')
		return SYNCNAMES_MALFORMED;
	if (any)
		return SYNCNAMES_OTHERS;
	if (!found)
		return SYNCNAMES_ABSENT;
	return wants >= names ? SYNCNAMES_WAITS : SYNCNAMES_OTHERS;
}
