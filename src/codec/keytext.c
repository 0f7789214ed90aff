#include "codec/keytext.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/digest.h"

#define SUM_LINE_BYTES (sizeof("crc32c 01234567\n") - 1)

static bool
fits_value(unsigned char c)
{
	return c >= 0x20 && c != 0x7f;
}

void
keytext_begin(struct buf *out, const char *kind, unsigned int version)
{
	buf_clear(out);
	buf_printf(out, "pgkura %s %u\n", kind, version);
}

void
keytext_put(struct buf *out, const char *key, const char *fmt, ...)
{
	char value[KEYTEXT_VALUE_MAX + 1];
	va_list ap;
	char *p;

	va_start(ap, fmt);
	(void)vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	for (p = value; *p != '\0'; p++)
		if (!fits_value((unsigned char)*p))
			*p = '?';
	buf_printf(out, "%s = %s\n", key, value);
}

void
keytext_end(struct buf *out)
{
	buf_printf(out, "crc32c %08x\n", crc32c(0, out->data, out->len));
}

void
keytext_fail(struct keytext *k, const char *fmt, ...)
{
	va_list ap;

	if (k->failed)
		return;
	k->failed = true;
	va_start(ap, fmt);
	(void)vsnprintf(k->fault, sizeof(k->fault), fmt, ap);
	va_end(ap);
}

/* The next line without its newline; false at the end. */
static bool
next_line(const struct keytext *k, size_t *len)
{
	const char *end = k->left == 0 ? NULL : memchr(k->p, '\n', k->left);

	if (end == NULL)
		return false;
	*len = (size_t)(end - k->p);
	return true;
}

int
keytext_open(struct keytext *k, const char *kind, unsigned int version,
    const void *data, size_t len, struct err *e)
{
	char sum[SUM_LINE_BYTES + 1], first[80];
	size_t line = 0, used;

	(void)memset(k, 0, sizeof(*k));
	k->kind = kind;
	if (len <= SUM_LINE_BYTES || len > KEYTEXT_BYTES_MAX)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" record of %zu bytes is no such record", kind, len);
	used = len - SUM_LINE_BYTES;
	(void)snprintf(
	    sum, sizeof(sum), "crc32c %08x\n", crc32c(0, data, used));
	if (memcmp((const char *)data + used, sum, SUM_LINE_BYTES) != 0)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" record is damaged: its sum does not match", kind);
	k->p = data;
	k->left = used;
	(void)snprintf(first, sizeof(first), "pgkura %s %u", kind, version);
	if (!next_line(k, &line) || line != strlen(first) ||
	    memcmp(k->p, first, line) != 0)
		return err_set(e, ERR_CORRUPT,
		    "not a \"%s\" record of version %u", kind, version);
	k->p += line + 1;
	k->left -= line + 1;
	return 0;
}

/* The value of the next line when it has this key; borrowed, without a NUL. */
static const char *
value_of(const struct keytext *k, const char *key, size_t *len)
{
	size_t line, key_len = strlen(key);

	if (!next_line(k, &line) || line < key_len + 3 ||
	    memcmp(k->p, key, key_len) != 0 ||
	    memcmp(k->p + key_len, " = ", 3) != 0)
		return NULL;
	*len = line - key_len - 3;
	return k->p + key_len + 3;
}

bool
keytext_next_is(const struct keytext *k, const char *key)
{
	size_t len;

	return !k->failed && value_of(k, key, &len) != NULL;
}

void
keytext_get(struct keytext *k, const char *key, char *out, size_t size)
{
	const char *value;
	size_t len = 0, i;

	out[0] = '\0';
	if (k->failed)
		return;
	value = value_of(k, key, &len);
	if (value == NULL) {
		keytext_fail(k, "line \"%s\" is missing", key);
		return;
	}
	if (len >= size || len > KEYTEXT_VALUE_MAX) {
		keytext_fail(k, "\"%s\" is too long", key);
		return;
	}
	for (i = 0; i < len; i++)
		if (!fits_value((unsigned char)value[i])) {
			keytext_fail(k, "\"%s\" has odd bytes", key);
			return;
		}
	(void)memcpy(out, value, len);
	out[len] = '\0';
	k->p = value + len + 1;
	k->left -= strlen(key) + 3 + len + 1;
}

bool
keytext_number(const char **p, uint64_t *out)
{
	const char *s = *p;
	uint64_t v = 0, digit;

	if (*s < '0' || *s > '9' || (s[0] == '0' && s[1] >= '0' && s[1] <= '9'))
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		digit = (uint64_t)(*s - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*p = s;
	*out = v;
	return true;
}

bool
keytext_signed(const char **p, int64_t *out)
{
	const char *s = *p;
	bool minus = *s == '-';
	uint64_t v;

	if (minus)
		s++;
	if (!keytext_number(&s, &v) || v > INT64_MAX || (minus && v == 0))
		return false;
	*p = s;
	*out = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

bool
keytext_skip(const char **p, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*p, text, len) != 0)
		return false;
	*p += len;
	return true;
}

uint64_t
keytext_get_u64(struct keytext *k, const char *key, uint64_t max)
{
	char text[24];
	const char *p = text;
	uint64_t v = 0;

	keytext_get(k, key, text, sizeof(text));
	if (k->failed)
		return 0;
	if (!keytext_number(&p, &v) || *p != '\0' || v > max) {
		keytext_fail(k, "\"%s\" is no number in its bounds", key);
		return 0;
	}
	return v;
}

int64_t
keytext_get_i64(struct keytext *k, const char *key)
{
	char text[24];
	const char *p = text;
	int64_t v = 0;

	keytext_get(k, key, text, sizeof(text));
	if (k->failed)
		return 0;
	if (!keytext_signed(&p, &v) || *p != '\0') {
		keytext_fail(k, "\"%s\" is no number", key);
		return 0;
	}
	return v;
}

unsigned int
keytext_get_word(struct keytext *k, const char *key, const char *const *words,
    unsigned int count)
{
	char text[64];
	unsigned int i;

	keytext_get(k, key, text, sizeof(text));
	if (k->failed)
		return 0;
	for (i = 0; i < count; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	keytext_fail(
	    k, "\"%s\" is \"%s\", which is none of its words", key, text);
	return 0;
}

int
keytext_close(struct keytext *k, struct err *e)
{
	if (!k->failed && k->left != 0)
		keytext_fail(k, "there are lines that do not belong there");
	if (k->failed)
		return err_set(
		    e, ERR_CORRUPT, "\"%s\" record: %s", k->kind, k->fault);
	return 0;
}
