#include "link/preamble.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define BEGIN "PGKURA 1 "

size_t
preamble_print(const struct preamble *p, char out[PREAMBLE_BYTES_MAX])
{
	int len = p->pair ? snprintf(out, PREAMBLE_BYTES_MAX, BEGIN "pair\n")
			  : snprintf(out, PREAMBLE_BYTES_MAX, BEGIN "%s %s\n",
				p->from, p->to);

	return (size_t)len;
}

static bool
is_site(const char *name, size_t len)
{
	return len > 0 && len < LINK_SITE_BYTES &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") >= len &&
	    isalnum((unsigned char)name[0]);
}

/* The line behind its beginning, with a NUL. */
static int
parse_rest(struct preamble *p, const char *rest)
{
	const char *blank = strchr(rest, ' ');
	struct preamble made = { .pair = strcmp(rest, "pair") == 0 };

	if (!made.pair) {
		if (blank == NULL || !is_site(rest, (size_t)(blank - rest)) ||
		    !is_site(blank + 1, strlen(blank + 1)))
			return -1;
		(void)memcpy(made.from, rest, (size_t)(blank - rest));
		(void)strcpy(made.to, blank + 1);
	}
	*p = made;
	return 1;
}

int
preamble_parse(struct preamble *p, const char *text, size_t len, size_t *used)
{
	const size_t begin = sizeof(BEGIN) - 1;
	const char *end;
	char line[PREAMBLE_BYTES_MAX];
	size_t line_len;

	if (len == 0)
		return 0;
	if (memcmp(text, BEGIN, len < begin ? len : begin) != 0)
		return -1;
	end = memchr(text, '\n',
	    len < PREAMBLE_BYTES_MAX - 1 ? len : PREAMBLE_BYTES_MAX - 1);
	if (end == NULL)
		return len < PREAMBLE_BYTES_MAX - 1 ? 0 : -1;
	line_len = (size_t)(end - text);
	if (line_len < begin || memchr(text, '\0', line_len) != NULL)
		return -1;
	(void)memcpy(line, text, line_len);
	line[line_len] = '\0';
	*used = line_len + 1;
	return parse_rest(p, line + begin);
}
