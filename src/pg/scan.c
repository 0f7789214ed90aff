#include "pg/scan.h"

#include <string.h>

#include "codec/digest.h"

static void
skip(struct scan *s, size_t len)
{
	s->p += len;
	s->left -= len;
}

bool
scan_word(struct scan *s, const char *word)
{
	size_t len = strlen(word);

	if (s->left < len || memcmp(s->p, word, len) != 0)
		return false;
	skip(s, len);
	return true;
}

bool
scan_u32(struct scan *s, uint32_t *value)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; n < s->left && s->p[n] >= '0' && s->p[n] <= '9'; n++) {
		v = 10 * v + (uint64_t)(s->p[n] - '0');
		if (v > UINT32_MAX)
			return false;
	}
	if (n == 0)
		return false;
	skip(s, n);
	*value = (uint32_t)v;
	return true;
}

bool
scan_oid(struct scan *s, uint32_t *oid)
{
	return s->left > 0 && s->p[0] != '0' && scan_u32(s, oid);
}

bool
scan_hex32(struct scan *s, uint32_t *value)
{
	uint32_t v = 0;
	size_t n = 0;

	for (; n < s->left && hex_value(s->p[n]) != -1; n++) {
		if (n == 8)
			return false;
		v = v << 4 | (uint32_t)hex_value(s->p[n]);
	}
	if (n == 0)
		return false;
	skip(s, n);
	*value = v;
	return true;
}

bool
scan_lsn(struct scan *s, uint64_t *lsn)
{
	uint32_t high, low;

	if (!scan_hex32(s, &high) || !scan_word(s, "/") || !scan_hex32(s, &low))
		return false;
	*lsn = (uint64_t)high << 32 | low;
	return true;
}

void
scan_blanks(struct scan *s)
{
	while (s->left > 0 &&
	    (*s->p == ' ' || (*s->p >= '\t' && *s->p <= '\r' && *s->p != '\n')))
		skip(s, 1);
}

bool
scan_line(struct scan *s, struct scan *line)
{
	const char *newline;

	if (s->left == 0)
		return false;
	newline = memchr(s->p, '\n', s->left);
	line->p = s->p;
	line->left = newline == NULL ? s->left : (size_t)(newline - s->p);
	skip(s, line->left + (newline == NULL ? 0 : 1));
	return true;
}
