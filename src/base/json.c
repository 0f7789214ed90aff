#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

json_t *
json_parse(const void *text, size_t len, const char *name, struct err *e)
{
	json_error_t je;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);

	if (j == NULL) {
		(void)err_set(e, ERR_CORRUPT,
		    "%s is not valid JSON: line %d: %s", name, je.line,
		    je.text);
		return NULL;
	}
	if (!json_is_object(j)) {
		json_decref(j);
		(void)err_set(e, ERR_CORRUPT, "%s is not a JSON object", name);
		return NULL;
	}
	return j;
}

static void
write_flags(const json_t *j, size_t flags, struct buf *out)
{
	char *s = json_dumps(j, flags);

	if (s == NULL)
		abort(); /* only when memory ran out */
	buf_put(out, s, strlen(s));
	(void)buf_str(out);
	free(s);
}

void
json_write(const json_t *j, struct buf *out)
{
	write_flags(j, JSON_COMPACT, out);
}

void
json_write_pretty(const json_t *j, struct buf *out)
{
	write_flags(j, JSON_INDENT(2), out);
}

const char *
json_get_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s == NULL ? "" : s;
}

int64_t
json_get_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const json_t *
need(const json_t *o, const char *key, struct err *e)
{
	const json_t *v = json_object_get(o, key);

	if (v == NULL)
		(void)err_set(e, ERR_CORRUPT, "\"%s\" is missing", key);
	return v;
}

static int
wrong_type(const char *key, const char *type, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "\"%s\" is not %s", key, type);
}

int
json_need_str(
    const json_t *o, const char *key, const char **value, struct err *e)
{
	const json_t *v = need(o, key, e);

	if (v == NULL)
		return -1;
	if (!json_is_string(v) ||
	    strlen(json_string_value(v)) != json_string_length(v))
		return wrong_type(key, "a string", e);
	*value = json_string_value(v);
	return 0;
}

int
json_need_text(
    const json_t *o, const char *key, char *out, size_t bytes, struct err *e)
{
	const char *s;

	if (json_need_str(o, key, &s, e) == -1)
		return -1;
	if (strlen(s) >= bytes)
		return err_set(e, ERR_CORRUPT, "\"%s\" is too long", key);
	(void)strcpy(out, s);
	return 0;
}

/* Decimal digits only, no sign, no blank. */
static int
parse_u64(const char *s, uint64_t *value)
{
	char *end;
	unsigned long long v;

	if (s[0] < '0' || s[0] > '9')
		return -1;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno != 0 || *end != '\0')
		return -1;
	*value = v;
	return 0;
}

int
json_need_u64(const json_t *o, const char *key, uint64_t *value, struct err *e)
{
	const json_t *v = need(o, key, e);

	if (v == NULL)
		return -1;
	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		*value = (uint64_t)json_integer_value(v);
		return 0;
	}
	if (json_is_string(v) && parse_u64(json_string_value(v), value) == 0)
		return 0;
	return wrong_type(key, "a number from 0 on", e);
}

int
json_need_u32(const json_t *o, const char *key, uint32_t *value, struct err *e)
{
	uint64_t v;

	if (json_need_u64(o, key, &v, e) == -1)
		return -1;
	if (v > UINT32_MAX)
		return wrong_type(key, "a 32-bit number", e);
	*value = (uint32_t)v;
	return 0;
}

int
json_need_i64(const json_t *o, const char *key, int64_t *value, struct err *e)
{
	const json_t *v = need(o, key, e);

	if (v == NULL)
		return -1;
	if (!json_is_integer(v))
		return wrong_type(key, "a number", e);
	*value = json_integer_value(v);
	return 0;
}

int
json_need_bool(const json_t *o, const char *key, bool *value, struct err *e)
{
	const json_t *v = need(o, key, e);

	if (v == NULL)
		return -1;
	if (!json_is_boolean(v))
		return wrong_type(key, "true or false", e);
	*value = json_is_true(v);
	return 0;
}

int
json_need_array(
    const json_t *o, const char *key, const json_t **value, struct err *e)
{
	const json_t *v = need(o, key, e);

	if (v == NULL)
		return -1;
	if (!json_is_array(v))
		return wrong_type(key, "a list", e);
	*value = v;
	return 0;
}

static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int
json_need_hex(
    const json_t *o, const char *key, uint8_t *out, size_t len, struct err *e)
{
	const char *s;
	size_t i;

	if (json_need_str(o, key, &s, e) == -1)
		return -1;
	if (strlen(s) != 2 * len)
		return wrong_type(key, "of the right length", e);
	for (i = 0; i < len; i++) {
		int hi = nibble(s[2 * i]), lo = nibble(s[2 * i + 1]);

		if (hi == -1 || lo == -1)
			return wrong_type(key, "hexadecimal", e);
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

void
json_set_u64(json_t *o, const char *key, uint64_t value)
{
	char text[24];

	if (value <= INT64_MAX) {
		(void)json_object_set_new(
		    o, key, json_integer((json_int_t)value));
		return;
	}
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	(void)json_object_set_new(o, key, json_string(text));
}

void
json_set_str(json_t *o, const char *key, const char *value)
{
	json_t *v = json_string(value);
	struct buf b = BUF_INIT;
	const char *p;

	if (v == NULL) { /* not UTF-8: keep what is ASCII */
		for (p = value; *p != '\0'; p++)
			if ((unsigned char)*p < 0x80)
				buf_put_u8(&b, (uint8_t)*p);
			else
				buf_put(&b, "\xef\xbf\xbd", 3);
		v = json_string(buf_str(&b));
		buf_free(&b);
	}
	(void)json_object_set_new(o, key, v);
}

void
json_set_hex(json_t *o, const char *key, const uint8_t *in, size_t len)
{
	AUTO_FREE char *s = mem_alloc(2 * len + 1);
	size_t i;

	for (i = 0; i < len; i++)
		(void)snprintf(s + 2 * i, 3, "%02x", in[i]);
	s[2 * len] = '\0';
	(void)json_object_set_new(o, key, json_string(s));
}
