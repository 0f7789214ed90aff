#include "pg/mjson.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
mjson_init(struct mjson *j, const void *text, size_t len)
{
	j->start = text;
	j->p = j->start;
	j->end = j->start + len;
}

int
mjson_bad(const struct mjson *j, struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)err_vset(e, ERR_CORRUPT, fmt, ap);
	va_end(ap);
	return err_ctx(
	    e, "backup manifest, byte %zu", (size_t)(j->p - j->start));
}

static void
skip_blanks(struct mjson *j)
{
	while (j->p < j->end &&
	    (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r'))
		j->p++;
}

bool
mjson_take(struct mjson *j, char c)
{
	skip_blanks(j);
	if (j->p == j->end || *j->p != c)
		return false;
	j->p++;
	return true;
}

int
mjson_expect(struct mjson *j, char c, struct err *e)
{
	return mjson_take(j, c) ? 0 : mjson_bad(j, e, "expected \"%c\"", c);
}

int
mjson_end(struct mjson *j, struct err *e)
{
	skip_blanks(j);
	return j->p == j->end ? 0 : mjson_bad(j, e, "expected the end");
}

/* ---- strings ---- */

/* Four hex digits behind "\u". */
static int
take_unit(struct mjson *j, uint32_t *unit, struct err *e)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *d;
	int i;

	*unit = 0;
	for (i = 0; i < 4; i++, j->p++) {
		d = j->p == j->end || *j->p == '\0' ? NULL
						    : strchr(digits, *j->p);
		if (d == NULL)
			return mjson_bad(j, e, "expected a hex digit");
		*unit = *unit << 4 |
		    (uint32_t)(d - digits < 16 ? d - digits : d - digits - 6);
	}
	return 0;
}

/* What stands behind "\u" in UTF-8: one unit, or two that are one character. */
static int
take_unicode(struct mjson *j, char utf8[4], size_t *len, struct err *e)
{
	uint32_t c, low;

	if (take_unit(j, &c, e) == -1)
		return -1;
	if (c >= 0xd800 && c < 0xdc00) {
		if (j->end - j->p < 2 || j->p[0] != '\\' || j->p[1] != 'u')
			return mjson_bad(j, e, "expected a low surrogate");
		j->p += 2;
		if (take_unit(j, &low, e) == -1)
			return -1;
		if (low < 0xdc00 || low > 0xdfff)
			return mjson_bad(j, e, "expected a low surrogate");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c == 0 || (c >= 0xdc00 && c < 0xe000))
		return mjson_bad(j, e, "character %04x in a string", c);

	if (c < 0x80) {
		utf8[0] = (char)c;
		*len = 1;
		return 0;
	}
	*len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = *len - 1; i > 0; i--, c >>= 6)
		utf8[i] = (char)(0x80 | (c & 0x3f));
	utf8[0] = (char)(0xf00 >> *len | c);
	return 0;
}

static int
take_escape(struct mjson *j, char utf8[4], size_t *len, struct err *e)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *found;

	j->p++;
	if (j->p == j->end || *j->p == '\0')
		return mjson_bad(j, e, "unfinished string");
	if (*j->p == 'u') {
		j->p++;
		return take_unicode(j, utf8, len, e);
	}
	found = strchr(letters, *j->p);
	if (found == NULL)
		return mjson_bad(j, e, "unknown escape in a string");
	j->p++;
	utf8[0] = meanings[found - letters];
	*len = 1;
	return 0;
}

/* Bytes from j->p on that stand for themselves. */
static size_t
plain_len(const struct mjson *j)
{
	const char *p = j->p;

	while (
	    p < j->end && (unsigned char)*p >= ' ' && *p != '"' && *p != '\\')
		p++;
	return (size_t)(p - j->p);
}

int
mjson_string(struct mjson *j, char *out, size_t out_bytes, struct err *e)
{
	char utf8[4];
	const char *piece;
	size_t len, used = 0;

	if (mjson_expect(j, '"', e) == -1)
		return -1;
	for (;;) {
		len = plain_len(j);
		piece = j->p;
		j->p += len;
		if (len == 0) {
			if (j->p == j->end || (unsigned char)*j->p < ' ')
				return mjson_bad(j, e, "unfinished string");
			if (*j->p == '"')
				break;
			if (take_escape(j, utf8, &len, e) == -1)
				return -1;
			piece = utf8;
		}
		if (len >= out_bytes - used)
			return mjson_bad(j, e, "string is too long");
		(void)memcpy(out + used, piece, len);
		used += len;
	}
	j->p++;
	out[used] = '\0';
	return 0;
}

/* ---- numbers, objects, arrays ---- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int
mjson_u64(struct mjson *j, uint64_t *value, struct err *e)
{
	uint64_t v = 0;
	const char *first;

	skip_blanks(j);
	first = j->p;
	for (; j->p < j->end && is_digit(*j->p); j->p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*j->p - '0'), &v))
			return mjson_bad(j, e, "number is too large");
	if (j->p == first || (*first == '0' && j->p - first > 1))
		return mjson_bad(j, e, "expected a whole number");
	*value = v;
	return 0;
}

int
mjson_object(struct mjson *j,
    int (*take)(struct mjson *j, const char *key, void *arg, struct err *e),
    void *arg, struct err *e)
{
	char key[MJSON_KEY_BYTES];

	if (mjson_expect(j, '{', e) == -1)
		return -1;
	if (mjson_take(j, '}'))
		return 0;
	do {
		if (mjson_string(j, key, sizeof(key), e) == -1 ||
		    mjson_expect(j, ':', e) == -1 || take(j, key, arg, e) == -1)
			return -1;
	} while (mjson_take(j, ','));
	return mjson_expect(j, '}', e);
}

int
mjson_array(struct mjson *j,
    int (*take)(struct mjson *j, void *arg, struct err *e), void *arg,
    struct err *e)
{
	if (mjson_expect(j, '[', e) == -1)
		return -1;
	if (mjson_take(j, ']'))
		return 0;
	do {
		if (take(j, arg, e) == -1)
			return -1;
	} while (mjson_take(j, ','));
	return mjson_expect(j, ']', e);
}
