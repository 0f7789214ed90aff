#include "conf/inifile.h"

#include <ctype.h>
#include <ini.h>
#include <stdbool.h>
#include <string.h>

#include "base/auto.h"

static char comment_marks[] = ";#";

struct reader {
	const char *text; /* what is left of it */
	size_t len;
	unsigned int line;
	char section[INIFILE_SECTION_MAX + 1];
	inifile_fn *fn;
	void *arg;
	struct err *e;
	bool failed;
};

static int
fail(struct reader *r)
{
	r->failed = true;
	return 0;
}

/* "[name]" with perhaps a comment behind it. */
static int
take_section(struct reader *r, const char *line, size_t len)
{
	const char *end = memchr(line, ']', len);
	size_t i, name_len;

	if (end == NULL) {
		(void)err_set(r->e, ERR_USAGE, "the section lacks its \"]\"");
		return fail(r);
	}
	name_len = (size_t)(end - line) - 1;
	i = name_len + 2;
	while (i < len && isblank((unsigned char)line[i]))
		i++;
	if (i < len && line[i] != '#' && line[i] != ';') {
		(void)err_set(
		    r->e, ERR_USAGE, "there is more behind the \"]\"");
		return fail(r);
	}
	if (name_len > INIFILE_SECTION_MAX) {
		(void)err_set(r->e, ERR_USAGE,
		    "the section's name is longer than %d characters",
		    INIFILE_SECTION_MAX);
		return fail(r);
	}
	(void)memcpy(r->section, line + 1, name_len);
	r->section[name_len] = '\0';
	if (r->fn(r->arg, r->line, r->section, NULL, NULL, r->e) != 0)
		return fail(r);
	return 1;
}

/* What libinih would cut, or what is no text at all. */
static int
check_line(struct reader *r, const char *line, size_t len, size_t max)
{
	size_t i;

	if (len > max) {
		(void)err_set(r->e, ERR_USAGE,
		    "the line is longer than %zu characters", max);
		return fail(r);
	}
	for (i = 0; i < len; i++) {
		if ((unsigned char)line[i] < ' ' && line[i] != '\t') {
			(void)err_set(r->e, ERR_USAGE,
			    "a control character stands in the line");
			return fail(r);
		}
	}
	return 1;
}

/* The next line, to where libinih wants it: at most size bytes with the NUL.
 * Sections are dealt with here, so it sees an empty line for each. */
static char *
next_line(char *out, int size, void *arg)
{
	struct reader *r = arg;
	const char *line = r->text, *newline;
	size_t len;

	if (r->failed || r->len == 0)
		return NULL;
	r->line++;
	newline = memchr(line, '\n', r->len);
	len = newline == NULL ? r->len : (size_t)(newline - line);
	r->text += newline == NULL ? len : len + 1;
	r->len -= newline == NULL ? len : len + 1;
	if (len >= 3 && r->line == 1 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
		line += 3;
		len -= 3;
	}
	for (; len > 0 && isblank((unsigned char)line[0]); len--)
		line++;
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	if (!check_line(r, line, len, (size_t)size - 3))
		return NULL;
	if (len > 0 && line[0] == '[') {
		if (!take_section(r, line, len))
			return NULL;
		len = 0;
	}
	(void)memcpy(out, line, len);
	(void)memcpy(out + len, "\n", 2);
	return out;
}

static int
take_pair(void *arg, const char *section, const char *key, const char *value)
{
	struct reader *r = arg;

	(void)section; /* libinih saw none */
	if (r->failed)
		return 0;
	if (strlen(key) >= INIFILE_NAME_MAX) {
		(void)err_set(r->e, ERR_USAGE,
		    "the key is longer than %d characters",
		    INIFILE_NAME_MAX - 1);
		return fail(r);
	}
	/* libinih wants a blank in front of a comment, and there is none
	 * between "=" and what stands directly behind it. */
	if (value[0] != '\0' && strchr(comment_marks, value[0]) != NULL)
		value = "";
	if (r->fn(r->arg, r->line, r->section, key, value, r->e) != 0)
		return fail(r);
	return 1;
}

int
inifile_read(const char *name, const char *text, size_t len, inifile_fn *fn,
    void *arg, struct err *e)
{
	struct reader r = { .text = text,
		.len = len,
		.section = "",
		.fn = fn,
		.arg = arg,
		.e = e };
	int rc;

	if (len > INIFILE_BYTES_MAX)
		return err_set(e, ERR_USAGE, "%s: is larger than %zu bytes",
		    name, INIFILE_BYTES_MAX);
	ini_use_stack = false;
	ini_initial_alloc = ini_max_line = INIFILE_LINE_MAX + 3;
	ini_inline_comment_prefixes = comment_marks;
	ini_stop_on_first_error = true;
	rc = ini_parse_stream(next_line, &r, take_pair, &r);
	if (r.failed)
		return err_ctx(e, "%s:%u", name, r.line);
	if (rc > 0)
		return err_set(e, ERR_USAGE,
		    "%s:%d: this is no \"key = value\"", name, rc);
	if (rc < 0)
		return err_set(
		    e, ERR_IO, "%s: could not be read: out of memory", name);
	return 0;
}
