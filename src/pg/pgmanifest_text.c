#include "pg/pgmanifest_text.h"

#include <string.h>
#include <time.h>

#include "pg/scan.h"

#define SECONDS_MIN (-62167219200) /* 0000-01-01 00:00:00 */
#define SECONDS_MAX 253402300799   /* 9999-12-31 23:59:59 */

#define YEAR_MAX 1000000u

/*
 * Bytes of the character at p, 0 when it is none: not the shortest form, half
 * of a surrogate pair, or beyond U+10FFFF.
 */
static size_t
character_len(const unsigned char *p)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

bool
pgmanifest_utf8_valid(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len;

	for (; *p != '\0'; p += len) {
		len = character_len(p);
		if (len == 0)
			return false;
	}
	return true;
}

void
pgmanifest_put_string(struct buf *out, const char *text)
{
	static const char special[] = "\"\\\b\f\n\r\t";
	static const char letters[] = "\"\\bfnrt";
	const char *p, *found;

	buf_put_u8(out, '"');
	for (p = text; *p != '\0'; p++) {
		found = strchr(special, *p);
		if (found != NULL) {
			buf_put_u8(out, '\\');
			buf_put_u8(out, (uint8_t)letters[found - special]);
		} else if ((unsigned char)*p < ' ')
			buf_printf(out, "\\u%04x", (unsigned int)*p);
		else
			buf_put_u8(out, (uint8_t)*p);
	}
	buf_put_u8(out, '"');
}

void
pgmanifest_put_time(struct buf *out, int64_t seconds)
{
	struct tm tm;
	time_t t;

	/* A file may say anything of its age, and is backed up all the same. */
	t = seconds < SECONDS_MIN   ? SECONDS_MIN
	    : seconds > SECONDS_MAX ? SECONDS_MAX
				    : seconds;
	(void)gmtime_r(&t, &tm);
	/* strftime() would leave out leading zeros of the year. */
	buf_printf(out, "%04d-%02d-%02d %02d:%02d:%02d GMT", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* Exactly len digits, or at least len of them. */
static bool
take_digits(struct scan *s, size_t len, bool more, int *value)
{
	const size_t before = s->left;
	uint32_t v;

	if (!scan_u32(s, &v) || v > YEAR_MAX)
		return false;
	*value = (int)v;
	return more ? before - s->left >= len : before - s->left == len;
}

bool
pgmanifest_time_parse(const char *text, int64_t *seconds)
{
	static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	struct scan s = { text, strlen(text) };
	struct tm tm = { 0 };

	if (!take_digits(&s, 4, true, &tm.tm_year) || !scan_word(&s, "-") ||
	    !take_digits(&s, 2, false, &tm.tm_mon) || !scan_word(&s, "-") ||
	    !take_digits(&s, 2, false, &tm.tm_mday) || !scan_word(&s, " ") ||
	    !take_digits(&s, 2, false, &tm.tm_hour) || !scan_word(&s, ":") ||
	    !take_digits(&s, 2, false, &tm.tm_min) || !scan_word(&s, ":") ||
	    !take_digits(&s, 2, false, &tm.tm_sec) || !scan_word(&s, " GMT") ||
	    s.left > 0)
		return false;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
	    tm.tm_mday > days[tm.tm_mon - 1] || tm.tm_hour > 23 ||
	    tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*seconds = timegm(&tm);
	return true;
}
