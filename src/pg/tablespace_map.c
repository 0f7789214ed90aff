#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "pg/label.h"
#include "pg/scan.h"

/* The server's own limit of a line (MAXPGPATH). */
#define LINE_BYTES_MAX 1023

struct links {
	struct tablespace_link *at;
	size_t count, cap;
};

static void
links_drop(struct links *l)
{
	tablespace_map_free(l->at, l->count);
}

void
tablespace_map_free(struct tablespace_link *links, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(links[i].path);
	free(links);
}

static int
map_bad(struct err *e, const char *why)
{
	return err_set(e, ERR_CORRUPT, "tablespace_map: %s", why);
}

/* "OID path", unescaped. */
static int
links_add(struct links *l, const char *line, size_t len, struct err *e)
{
	struct scan s = { line, len };
	struct tablespace_link link;
	size_t i;

	if (!scan_oid(&s, &link.oid) || !scan_word(&s, " ") || s.left == 0)
		return map_bad(e, "a line is not a number and a path");
	for (i = 0; i < l->count; i++)
		if (l->at[i].oid == link.oid)
			return map_bad(e, "a tablespace is there twice");
	if (l->count == TABLESPACE_MAP_LINKS_MAX)
		return map_bad(e, "there are too many lines");
	if (l->count == l->cap) {
		l->cap = l->cap == 0 ? 8 : 2 * l->cap;
		l->at = mem_rearray(l->at, l->cap, sizeof(*l->at));
	}
	link.path = mem_strndup(s.p, s.left);
	l->at[l->count++] = link;
	return 0;
}

/* Does the server of this version write a backslash before c? */
static bool
is_escaped(char c, int major)
{
	return c == '\n' || c == '\r' || (c == '\\' && major >= 14);
}

/* Is c, a backslash, one that stands before the byte it protects?  From 14 on
 * the server takes each so, in 13 only at the end of a line. */
static bool
is_escape(const char *c, const char *end, int major)
{
	return *c == '\\' &&
	    (major >= 14 || (c + 1 < end && is_escaped(c[1], major)));
}

int
tablespace_map_parse(const void *text, size_t len, int major,
    struct tablespace_link **links, size_t *count, struct err *e)
{
	AUTO(links_drop) struct links found = { NULL, 0, 0 };
	const char *p = len == 0 ? "" : text, *end = p + len;
	char line[LINE_BYTES_MAX];
	size_t used = 0;

	for (; p < end; p++) {
		if (*p == '\n' || *p == '\r') {
			/* Empty between the two bytes of "\r\n". */
			if (used > 0 && links_add(&found, line, used, e) == -1)
				return -1;
			used = 0;
			continue;
		}
		if (is_escape(p, end, major) && ++p == end)
			return map_bad(e, "the last line is not complete");
		if (used == sizeof(line) || *p == '\0')
			return map_bad(e, "a line is not a path");
		line[used++] = *p;
	}
	if (used > 0)
		return map_bad(e, "the last line is not complete");
	*links = steal_ptr(&found.at);
	*count = found.count;
	found.count = 0;
	return 0;
}

void
tablespace_map_format(const struct tablespace_link *links, size_t count,
    int major, struct buf *out)
{
	const char *p;
	size_t i;

	for (i = 0; i < count; i++) {
		buf_printf(out, "%u ", links[i].oid);
		for (p = links[i].path; *p != '\0'; p++) {
			if (is_escaped(*p, major))
				buf_put_u8(out, '\\');
			buf_put_u8(out, (uint8_t)*p);
		}
		buf_put_u8(out, '\n');
	}
}
