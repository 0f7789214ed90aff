#include <string.h>

#include "base/buf.h"

/*
 * The length of the UTF-8 character at p, 0 when there is none.  Overlong
 * forms, surrogates and what is past U+10FFFF are none (RFC 3629, section 4).
 * Stops at a NUL by itself, as that continues nothing.
 */
static size_t
utf8_len(const uint8_t *p)
{
	uint8_t low = 0x80, high = 0xbf;
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

void
buf_put_json(struct buf *b, const char *s)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t len;

	buf_put_u8(b, '"');
	for (; *p != '\0'; p += len == 0 ? 1 : len) {
		len = utf8_len(p);
		if (len == 0)
			buf_put(b, "\xef\xbf\xbd", 3);
		else if (*p == '"' || *p == '\\')
			buf_printf(b, "\\%c", *p);
		else if (*p == '\n')
			buf_put(b, "\\n", 2);
		else if (*p < 0x20 || *p == 0x7f)
			buf_printf(b, "\\u%04x", (unsigned int)*p);
		else
			buf_put(b, p, len);
	}
	buf_put_u8(b, '"');
}
