#include "pg/pgmanifest_text.h"

#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "pg/scan.h"

#define SECONDS_MIN (-62167219200) /* 0000-01-01 00:00:00 */
#define SECONDS_MAX 253402300799   /* 9999-12-31 23:59:59 */

#define YEAR_MAX 1000000u

bool
pgmanifest_utf8_valid(const char *text)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t len;

	for (; *p != '\0'; p += len) {
		len = utf8_len(p);
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
