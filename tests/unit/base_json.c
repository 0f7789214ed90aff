/*
 * json: what is written reads back; what is missing, of another type or too
 * large is refused with the name of its key.
 */

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

static json_t *
parse(const char *text, struct err *e)
{
	return json_parse(text, strlen(text), "sample", e);
}

static void
check_round_trip(void)
{
	AUTO_JSON json_t *o = json_object();
	AUTO_JSON json_t *back = NULL;
	AUTO_BUF struct buf b = BUF_INIT;
	AUTO_BUF struct buf pretty = BUF_INIT;
	const uint8_t sum[3] = { 0x00, 0xab, 0xff };
	struct err e = ERR_INIT;
	uint64_t small = 0, large = 0;
	const char *s = NULL;
	uint8_t hex[3];

	json_set_u64(o, "small", INT64_MAX);
	json_set_u64(o, "large", UINT64_MAX);
	json_set_str(o, "good", "\u00e9\n");
	json_set_str(o, "bad",
	    "a\xff"
	    "b");
	json_set_hex(o, "sum", sum, sizeof(sum));
	buf_put(&b, ">", 1);
	json_write(o, &b);
	tap_str((const char *)b.data,
	    ">{\"small\":9223372036854775807,"
	    "\"large\":\"18446744073709551615\",\"good\":\"\u00e9\\n\","
	    "\"bad\":\"a\xef\xbf\xbd"
	    "b\",\"sum\":\"00abff\"}",
	    "one line, in order, behind what is there");
	json_write_pretty(o, &pretty);
	tap_ok(strncmp((const char *)pretty.data, "{\n  \"small\": ", 13) == 0,
	    "or for people");
	back = json_parse(pretty.data, pretty.len, "sample", &e);
	tap_ok(
	    json_need_u64(back, "small", &small, &e) == 0 && small == INT64_MAX,
	    "a number");
	tap_ok(json_need_u64(back, "large", &large, &e) == 0 &&
		large == UINT64_MAX,
	    "one past 2^63");
	tap_ok(json_need_str(back, "good", &s, &e) == 0, "a string");
	tap_str(s, "\u00e9\n", "as it was");
	tap_ok(json_need_hex(back, "sum", hex, 3, &e) == 0 &&
		memcmp(hex, sum, 3) == 0,
	    "bytes");
}

static void
check_bad_text(void)
{
	static const char *const bad[] = { "", "{", "{\"a\":1}x", "[1]", "1",
		"\"s\"", "{\"a\":1,\"a\":2}", "{a:1}", "{\"a\":1,}",
		"{\"a\":\"\xff\"}" };
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < COUNT_OF(bad); i++) {
		err_clear(&e);
		tap_ok(parse(bad[i], &e) == NULL && e.kind == ERR_CORRUPT &&
			strstr(e.text, "sample") != NULL,
		    "refused: %s", e.text);
	}
	tap_ok(json_parse("{}\0", 3, "sample", &e) == NULL,
	    "bytes behind the object: %s", e.text);
}

static void
refused(int rc, const char *key, const struct err *e)
{
	tap_ok(
	    rc == -1 && e->kind == ERR_CORRUPT && strstr(e->text, key) != NULL,
	    "refused: %s", e->text);
}

static void
check_numbers(void)
{
	struct err e = ERR_INIT;
	AUTO_JSON json_t *o = parse("{\"neg\":-1,\"real\":1.5,\"word\":\"x\","
				    "\"sign\":\"+1\",\"blank\":\" 1\","
				    "\"tail\":\"1 \",\"none\":\"\","
				    "\"huge\":\"18446744073709551616\","
				    "\"u32\":4294967295,\"u33\":4294967296,"
				    "\"b\":true,\"null\":null}",
	    &e);
	static const char *const bad[] = { "neg", "real", "word", "sign",
		"blank", "tail", "none", "huge", "b", "null", "missing" };
	uint64_t u64 = 77;
	uint32_t u32 = 77;
	int64_t i64 = 77;
	bool b = false;
	size_t i;

	for (i = 0; i < COUNT_OF(bad); i++)
		refused(json_need_u64(o, bad[i], &u64, &e), bad[i], &e);
	tap_u64(u64, 77, "what is refused leaves the number alone");
	refused(json_need_u32(o, "u33", &u32, &e), "u33", &e);
	refused(json_need_u32(o, "missing", &u32, &e), "missing", &e);
	tap_ok(json_need_u32(o, "u32", &u32, &e) == 0 && u32 == UINT32_MAX,
	    "32 bits");
	tap_ok(json_need_i64(o, "neg", &i64, &e) == 0 && i64 == -1,
	    "a number below 0");
	refused(json_need_i64(o, "real", &i64, &e), "real", &e);
	refused(json_need_i64(o, "missing", &i64, &e), "missing", &e);
	tap_ok(json_need_bool(o, "b", &b, &e) == 0 && b, "true");
	refused(json_need_bool(o, "neg", &b, &e), "neg", &e);
	refused(json_need_bool(o, "missing", &b, &e), "missing", &e);
}

static void
check_strings(void)
{
	struct err e = ERR_INIT;
	AUTO_JSON json_t *o = parse("{\"four\":\"abcd\",\"number\":4,"
				    "\"list\":[1,2],\"up\":\"AB\","
				    "\"half\":\"abc\",\"no\":\"zz\"}",
	    &e);
	const json_t *list = NULL;
	const char *s = NULL;
	char out[5];
	uint8_t hex[2];

	tap_ok(json_need_text(o, "four", out, 5, &e) == 0, "text that fits");
	tap_str(out, "abcd", "whole");
	refused(json_need_text(o, "four", out, 4, &e), "four", &e);
	refused(json_need_text(o, "number", out, 5, &e), "number", &e);
	refused(json_need_str(o, "missing", &s, &e), "missing", &e);
	tap_ok(json_need_array(o, "list", &list, &e) == 0 &&
		json_array_size(list) == 2,
	    "a list");
	refused(json_need_array(o, "four", &list, &e), "four", &e);
	refused(json_need_array(o, "missing", &list, &e), "missing", &e);
	refused(json_need_hex(o, "up", hex, 1, &e), "up", &e);
	refused(json_need_hex(o, "half", hex, 1, &e), "half", &e);
	refused(json_need_hex(o, "no", hex, 1, &e), "no", &e);
	refused(json_need_hex(o, "four", hex, 1, &e), "four", &e);
	refused(json_need_hex(o, "number", hex, 1, &e), "number", &e);
	tap_ok(parse("{\"a\":\"x\\u0000y\"}", &e) == NULL,
	    "a NUL in a string: %s", e.text);
}

int
main(void)
{
	check_round_trip();
	check_bad_text();
	check_numbers();
	check_strings();
	return tap_done();
}
