/*
 * mjson: JSON that ends anywhere, in memory that ends there too, and the edges
 * of characters and numbers.
 */

#include "pg/mjson.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "tap.h"

/* A copy of the bytes and not one more, so that a sanitizer sees a read behind
 * them. */
static char *
bare(const char *text, size_t len)
{
	char *copy = mem_alloc(len);

	if (len > 0)
		memcpy(copy, text, len);
	return copy;
}

static void
check_string(const char *text, const char *want)
{
	AUTO_FREE char *copy = bare(text, strlen(text));
	char out[8] = "";
	struct err e = ERR_INIT;
	struct mjson j;
	int rc;

	mjson_init(&j, copy, strlen(text));
	rc = mjson_string(&j, out, sizeof(out), &e);
	if (want == NULL)
		tap_ok(rc == -1 && e.kind == ERR_CORRUPT, "%s", e.text);
	else
		tap_ok(
		    rc == 0 && strcmp(out, want) == 0 && mjson_end(&j, &e) == 0,
		    "%s is a string %s", text, e.text);
}

static void
check_strings(void)
{
	check_string("\"\"", "");
	check_string(" \t\r\n\"1234567\"", "1234567");
	check_string("\"12345678\"", NULL);
	check_string("\"a b\"", "a b");
	check_string("\" \"", " ");
	check_string("\"123456\\n\"", "123456\n");
	check_string("\"1234567\\n\"", NULL);
	check_string("\"123456\\u0080\"", NULL);
	check_string("\"\\u007f\"", "\x7f");
	check_string("\"\\u0080\"", "\xc2\x80");
	check_string("\"\\u07FF\"", "\xdf\xbf");
	check_string("\"\\u0800\"", "\xe0\xa0\x80");
	check_string("\"\\ud7ff\"", "\xed\x9f\xbf");
	check_string("\"\\ue000\"", "\xee\x80\x80");
	check_string("\"\\uffff\"", "\xef\xbf\xbf");
	check_string("\"\\ud800\\udc00\"", "\xf0\x90\x80\x80");
	check_string("\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf");
	check_string("\"\\uaAfF\"", "\xea\xab\xbf");
	check_string("\"\\ud800\\udbff\"", NULL);
	check_string("\"\\ud800\\ue000\"", NULL);
	check_string("\"\\ud800\\n\"", NULL);
	check_string("\"\\ud800/udc00\"", NULL);
	check_string("\"\\udc00\"", NULL);
	check_string("\"\\udfff\"", NULL);
	check_string("\"\\u0000\"", NULL);
	check_string("\"\\U0041\"", NULL);
	check_string("\"\\u004\"", NULL);
	check_string("\"\\u00g0\"", NULL);
	check_string("\"\\x\"", NULL);
	check_string("\"\x1f\"", NULL);
	check_string("\"\x01\"", NULL);
	check_string("x", NULL);
}

/* Wherever the text ends, it is refused there. */
static void
check_cut(void)
{
	static const char text[] = "\"a\\n\\u0041\\ud83d\\ude00\"";
	char out[16];
	struct mjson j;
	size_t len;
	unsigned int taken = 0;

	for (len = 0; len < strlen(text); len++) {
		AUTO_FREE char *copy = bare(text, len);

		mjson_init(&j, copy, len);
		taken += mjson_string(&j, out, sizeof(out), NULL) == 0;
	}
	tap_u64(taken, 0, "no string that was cut");
	mjson_init(&j, "\"\\\0\"", 4);
	tap_ok(mjson_string(&j, out, sizeof(out), NULL) == -1, "NUL escaped");
	mjson_init(&j, "\"\\u00\0\0\"", 8);
	tap_ok(mjson_string(&j, out, sizeof(out), NULL) == -1, "NUL digits");
}

static void
check_number(const char *text, bool good, uint64_t want)
{
	AUTO_FREE char *copy = bare(text, strlen(text));
	struct err e = ERR_INIT;
	struct mjson j;
	uint64_t v = 7;
	int rc;

	mjson_init(&j, copy, strlen(text));
	rc = mjson_u64(&j, &v, &e);
	if (rc == 0)
		rc = mjson_end(&j, &e);
	tap_ok((rc == 0) == good && (!good || v == want),
	    "\"%s\" is %" PRIu64 " %s", text, v, e.text);
}

static void
check_numbers(void)
{
	check_number("0", true, 0);
	check_number(" 10", true, 10);
	check_number("18446744073709551615", true, UINT64_MAX);
	check_number("18446744073709551616", false, 0);
	check_number("99999999999999999999", false, 0);
	check_number("184467440737095516150", false, 0);
	check_number("", false, 0);
	check_number("  ", false, 0);
	check_number("00", false, 0);
	check_number("01", false, 0);
	check_number("+1", false, 0);
	check_number("1.0", false, 0);
	check_number("1e2", false, 0);
	check_number("/", false, 0);
	check_number(":", false, 0);
}

/* ---- objects and arrays, spelt as they were taken ---- */

static int
take_number(struct mjson *j, void *arg, struct err *e)
{
	char *out = arg;
	uint64_t v;

	if (mjson_u64(j, &v, e) == -1)
		return -1;
	(void)sprintf(out + strlen(out), "%" PRIu64 ";", v);
	return 0;
}

static int
take_pair(struct mjson *j, const char *key, void *arg, struct err *e)
{
	char *out = arg;

	(void)sprintf(out + strlen(out), "%s=", key);
	return mjson_array(j, take_number, arg, e);
}

static void
check_object(const char *text, const char *want)
{
	AUTO_FREE char *copy = bare(text, strlen(text));
	char out[100] = "";
	struct err e = ERR_INIT;
	struct mjson j;
	int rc;

	mjson_init(&j, copy, strlen(text));
	rc = mjson_object(&j, take_pair, out, &e);
	if (want == NULL)
		tap_ok(
		    rc == -1 && e.kind == ERR_CORRUPT, "%s: %s", text, e.text);
	else
		tap_ok(rc == 0 && strcmp(out, want) == 0, "%s is %s %s", text,
		    out, e.text);
}

static void
check_objects(void)
{
	check_object("{}", "");
	check_object(" { } ", "");
	check_object("{\"a\":[]}", "a=");
	check_object(" { \"a\" : [ 1 , 2 ] , \"b\" : [ 3 ] } ", "a=1;2;b=3;");
	check_object("", NULL);
	check_object("{", NULL);
	check_object("}", NULL);
	check_object("{,}", NULL);
	check_object("{\"a\"}", NULL);
	check_object("{\"a\":}", NULL);
	check_object("{\"a\":[}", NULL);
	check_object("{\"a\":[,]}", NULL);
	check_object("{\"a\":[1,]}", NULL);
	check_object("{\"a\":[1 2]}", NULL);
	check_object("{\"a\":[1],}", NULL);
	check_object("{\"a\":[1] \"b\":[]}", NULL);
	check_object("{a:[]}", NULL);
}

int
main(void)
{
	check_strings();
	check_cut();
	check_numbers();
	check_objects();
	return tap_done();
}
