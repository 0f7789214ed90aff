#include "conf/conninfo.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define MASK "***"

static const char *
skip_blanks(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

/* Behind a value of the keyword form: quoted, or up to a blank. */
static const char *
skip_value(const char *p)
{
	char quote = *p == '\'' ? *p++ : '\0';

	for (; *p != '\0'; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		else if (quote != '\0' && *p == quote)
			return p + 1;
		else if (quote == '\0' && isspace((unsigned char)*p))
			return p;
	}
	return p;
}

static void
mask_keywords(const char *p, struct buf *out)
{
	while (*p != '\0') {
		const char *word = p, *end, *value;

		p = skip_blanks(p);
		end = p + strcspn(p, "= \t\n\r\f\v");
		value = skip_blanks(end);
		if (*value == '=')
			value = skip_blanks(value + 1);
		if ((size_t)(end - p) >= 8 &&
		    strncasecmp(end - 8, "password", 8) == 0) {
			buf_put(out, word, (size_t)(value - word));
			buf_put(out, MASK, strlen(MASK));
			p = skip_value(value);
		} else {
			p = skip_value(value);
			buf_put(out, word, (size_t)(p - word));
		}
	}
}

/* user:PASSWORD@host, and ?password=PASSWORD&... */
static void
mask_uri(const char *p, struct buf *out)
{
	const char *start = strstr(p, "://") + 3;
	const char *end = start + strcspn(start, "/?");
	const char *at = memchr(start, '@', (size_t)(end - start));
	const char *colon =
	    at == NULL ? NULL : memchr(start, ':', (size_t)(at - start));

	if (colon != NULL) {
		buf_put(out, p, (size_t)(colon + 1 - p));
		buf_put(out, MASK, strlen(MASK));
		p = at;
	}
	while ((start = strstr(p, "password=")) != NULL) {
		start += strlen("password=");
		buf_put(out, p, (size_t)(start - p));
		buf_put(out, MASK, strlen(MASK));
		p = start + strcspn(start, "&");
	}
	buf_put(out, p, strlen(p));
}

void
conninfo_mask(const char *text, struct buf *out)
{
	if (strncmp(text, "postgres://", 11) == 0 ||
	    strncmp(text, "postgresql://", 13) == 0)
		mask_uri(text, out);
	else
		mask_keywords(text, out);
	(void)buf_str(out);
}
