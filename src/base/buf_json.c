#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

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
