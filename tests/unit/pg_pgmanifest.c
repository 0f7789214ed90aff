/*
 * pgmanifest: manifests of servers 13 to 18 read and written again, and the
 * malformed ones that pg_verifybackup refuses.
 */

#include "pg/pgmanifest.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "codec/digest.h"
#include "pg_data.h"

/* What a reader was told, a line for each. */
struct seen {
	struct buf text;
	unsigned int files;
	unsigned int stop_at; /* fail at this file; 0 never */
	struct pgmanifest_writer *copy;
	struct pgmanifest_range ranges[4];
	size_t range_count;
	uint64_t system_id;
};

static int
see_file(void *arg, const struct pgmanifest_file *f, struct err *e)
{
	struct seen *s = arg;

	s->files++;
	if (s->files == s->stop_at)
		return err_set(e, ERR_CANCELED, "stopped");
	buf_printf(&s->text, "%s %" PRIu64 " %" PRId64, f->path, f->size_bytes,
	    f->mtime_s);
	if (f->has_crc32c)
		buf_printf(&s->text, " %08" PRIx32, f->crc32c);
	buf_printf(&s->text, "\n");
	return s->copy == NULL ? 0 : pgmanifest_add_file(s->copy, f, e);
}

static int
see_range(void *arg, const struct pgmanifest_range *r, struct err *e)
{
	struct seen *s = arg;

	if (s->range_count == COUNT_OF(s->ranges))
		return err_set(e, ERR_BUG, "too many ranges");
	s->ranges[s->range_count++] = *r;
	return 0;
}

static int
see_system_id(void *arg, uint64_t system_id, struct err *e)
{
	struct seen *s = arg;

	if (s->system_id != 0)
		return err_set(e, ERR_BUG, "two system identifiers");
	s->system_id = system_id;
	return 0;
}

static const struct pgmanifest_reader_ops see = { see_file, see_range,
	see_system_id };

static int
into_buf(void *arg, const void *data, size_t len, struct err *e)
{
	(void)e;
	buf_put(arg, data, len);
	return 0;
}

static const struct {
	const char *name;
	uint64_t system_id, end_lsn;
	const char *first, *control;
} servers[] = {
	{ "13", 0, 0x3000100,
	    "pg_tblspc/16384/PG_13_202007201/13383/16385 14131200 1795237870 "
	    "4708a5a9\n",
	    "global/pg_control 8192 1795237871 87208743\n" },
	{ "14", 0, 0x3000100, NULL, NULL },
	{ "15", 0, 0x3000100, NULL, NULL },
	{ "16", 0, 0x3000100, NULL, NULL },
	{ "17", 7710488028881677713, 0x3000120, NULL, NULL },
	{ "18", 7710488056575659815, 0x3000120,
	    "pg_tblspc/16384/PG_18_202506291/5/16385 14131200 1795237898 "
	    "517c4670\n",
	    "global/pg_control 8192 1795237898 75305193\n" },
};

static void
check_server(size_t i)
{
	AUTO_BUF struct buf file = BUF_INIT, again = BUF_INIT;
	AUTO_PGMANIFEST_WRITER struct pgmanifest_writer *w = NULL;
	struct seen s = { 0 };
	struct err e = ERR_INIT;
	const char *text;

	data_read(&file, "manifest/%s", servers[i].name);
	w = pgmanifest_writer_new(servers[i].system_id == 0 ? 1 : 2,
	    servers[i].system_id, into_buf, &again);
	s.copy = w;
	tap_ok(pgmanifest_parse(file.data, file.len, &see, &s, &e) == 0,
	    "%s %s", servers[i].name, e.text);
	tap_u64(s.files, 12, "files");
	tap_u64(s.system_id, servers[i].system_id, "system identifier");
	tap_u64(s.range_count, 1, "ranges");
	tap_u64(s.ranges[0].timeline, 1, "timeline");
	tap_u64(s.ranges[0].start_lsn, 0x3000028, "start");
	tap_u64(s.ranges[0].end_lsn, servers[i].end_lsn, "end");
	text = buf_str(&s.text);
	if (servers[i].first != NULL)
		tap_ok(strncmp(text, servers[i].first,
			   strlen(servers[i].first)) == 0 &&
			strstr(text, servers[i].control) != NULL,
		    "size, time, checksum");
	/* The CRC-32C of "hello". */
	tap_ok(strstr(text, "base/latin-\xe9 5 ") != NULL &&
		strstr(text, " 9a71bb4c\n") != NULL,
	    "a path that is not UTF-8");
	tap_ok(strstr(text, "base/odd \"name\" \\back\ttab 1 ") != NULL,
	    "a path with escapes");
	tap_ok(strstr(text, "base/gr\xc3\xbcn 0 ") != NULL, "a path in UTF-8");

	tap_ok(pgmanifest_finish(w, s.ranges, s.range_count, &e) == 0,
	    "written %s", e.text);
	tap_str(buf_str(&again), buf_str(&file), "to the same bytes");
	buf_free(&s.text);
}

/* ---- what must not pass ---- */

/* body and the last line with its checksum. */
static void
seal(struct buf *out, const char *body)
{
	uint8_t sum[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES];

	sha256_of(body, strlen(body), sum);
	sha256_hex(sum, hex);
	buf_clear(out);
	buf_printf(out, "%s\"Manifest-Checksum\": \"%s\"}\n", body, hex);
}

#define V1   "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n"
#define V2   "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
#define ID   "\"System-Identifier\": 5,\n"
#define WAL  "\"WAL-Ranges\": [],\n"
#define NONE "\"Files\": [],\n"
#define F(f) V1 "\"Files\": [ {" f "} ],\n" WAL
#define R(r) V1 NONE "\"WAL-Ranges\": [ {" r "} ],\n"
#define S(s) F("\"Path\": \"" s "\", \"Size\": 1")
#define P    "\"Path\": \"x\", "
#define PS   P "\"Size\": 1, "
#define T(t) F(PS "\"Last-Modified\": \"" t "\"")
#define C(a, c) \
	F(PS "\"Checksum-Algorithm\": \"" a "\", \"Checksum\": \"" c "\"")
#define TLI  "\"Timeline\": 1"
#define FROM "\"Start-LSN\": \"0/1\""
#define TO   "\"End-LSN\": \"0/2\""

static const struct {
	const char *body, *why;
} wrong[] = {
	{ "{\n", "expected the version first" },
	{ "[\n", "expected \"{\"" },
	{ "{\"not-expected\": 1,\n", "unknown key" },
	{ "{" NONE, "expected the version first" },
	{ "{ \"PostgreSQL-Backup-Manifest-Version\": \"1\",\n" NONE WAL,
	    "expected a whole number" },
	{ "{ \"PostgreSQL-Backup-Manifest-Version\": phooey,\n" NONE WAL,
	    "expected a whole number" },
	{ "{ \"PostgreSQL-Backup-Manifest-Version\": 3,\n" NONE WAL,
	    "version is not supported" },
	{ "{ \"PostgreSQL-Backup-Manifest-Version\": 1.0,\n" NONE WAL,
	    "expected \"}\"" },
	{ V1 "\"Files\": true,\n" WAL, "expected \"[\"" },
	{ V1 "\"Files\": {},\n" WAL, "expected \"[\"" },
	{ V1 "\"Files\": [ [] ],\n" WAL, "expected \"{\"" },
	{ V1 "\"Files\": [ {" PS "\"Size\": 1} ],\n" WAL, "twice" },
	{ V1 "\"Files\": [ " WAL, "expected \"{\"" },
	{ V1 "\"Oops\": 1,\n" NONE WAL, "unknown key \"Oops\"" },
	{ V1 NONE NONE WAL, "key \"Files\" is there twice" },
	{ V1 "\"PostgreSQL-Backup-Manifest-Version\": 1,\n" NONE WAL, "twice" },
	{ V1 ID NONE WAL, "version 1 has no system identifier" },
	{ V2 NONE WAL, "missing" },
	{ V2 ID ID NONE WAL, "twice" },
	{ V2 "\"System-Identifier\": \"5\",\n" NONE WAL, "whole number" },
	{ V2 "\"System-Identifier\": 18446744073709551616,\n" NONE WAL,
	    "too large" },
	{ V1 NONE, "missing" },
	{ V1 WAL, "missing" },
	{ F(""), "missing path" },
	{ F("\"Path\": \"\", \"Size\": 1"), "missing path" },
	{ F("\"Path\": \"x\", \"Encoded-Path\": \"1234\", \"Size\": 1"),
	    "both path" },
	{ F(PS "\"Oops\": 1"), "unknown key" },
	{ F("\"Path\": \"x\""), "missing size" },
	{ F(P "\"Size\": \"Oops\""), "whole number" },
	{ F(P "\"Size\": -1"), "whole number" },
	{ F(P "\"Size\": 01"), "whole number" },
	{ F(P "\"Size\": 1e3"), "expected" },
	{ F(P "\"Size\": 18446744073709551616"), "too large" },
	{ F("\"Encoded-Path\": \"123\", \"Size\": 1"), "could not decode" },
	{ F("\"Encoded-Path\": \"12zz\", \"Size\": 1"), "could not decode" },
	{ F("\"Encoded-Path\": \"120034\", \"Size\": 1"), "could not decode" },
	{ F(PS "\"Checksum\": \"12345678\""), "checksum without algorithm" },
	{ C("Oops", "12345678"), "unknown checksum algorithm" },
	{ C("CRC32C", "Oops"), "is not a checksum" },
	{ C("CRC32C", "1234567"), "is not a checksum" },
	{ C("CRC32C", "123456789"), "is not a checksum" },
	{ C("SHA256", "12345678"), "is not a checksum" },
	{ C("NONE", "12345678"), "is not a checksum" },
	{ F(PS "\"Checksum-Algorithm\": \"CRC32C\""), "is not a checksum" },
	{ T("2026-11-21 05:11:11"), "is not a time" },
	{ T("2026-11-21 05:11:11 CET"), "is not a time" },
	{ T("2026-13-21 05:11:11 GMT"), "is not a time" },
	{ T("2026-00-21 05:11:11 GMT"), "is not a time" },
	{ T("2026-11-31 05:11:11 GMT"), "is not a time" },
	{ T("2026-11-00 05:11:11 GMT"), "is not a time" },
	{ T("2026-11-21 24:11:11 GMT"), "is not a time" },
	{ T("2026-11-21 05:60:11 GMT"), "is not a time" },
	{ T("2026-11-21 05:11:61 GMT"), "is not a time" },
	{ T("2026-1-21 05:11:11 GMT"), "is not a time" },
	{ T("226-11-21 05:11:11 GMT"), "is not a time" },
	{ F(PS "\"Last-Modified\": 5"), "expected" },
	{ F("\"Path\": 5, \"Size\": 1"), "expected" },
	{ F(PS "\"Checksum-Algorithm\": 5"), "expected" },
	{ F(PS "\"Checksum\": null"), "expected" },
	{ R("\"Oops\": 1"), "unknown key" },
	{ R(FROM "," TO), "missing timeline, start or end" },
	{ R(TLI "," TO), "missing timeline, start or end" },
	{ R(TLI "," FROM), "missing timeline, start or end" },
	{ R(FROM "," TO ", \"Timeline\": \"oops\""), "whole number" },
	{ R(FROM "," TO ", \"Timeline\": 0"), "not a timeline" },
	{ R(FROM "," TO ", \"Timeline\": 4294967296"), "not a timeline" },
	{ R(TLI "," TO ", \"Start-LSN\": \"oops\""), "not a WAL position" },
	{ R(TLI "," TO ", \"Start-LSN\": 1"), "expected" },
	{ R(TLI "," FROM ", \"End-LSN\": \"0/2 \""), "not a WAL position" },
	{ S("a\\qb"), "unknown escape" },
	{ S("a\nb"), "unfinished string" },
	{ S("a\\u0000b"), "character 0000" },
	{ S("a\\ud800b"), "low surrogate" },
	{ S("a\\ud800\\u0041"), "low surrogate" },
	{ S("a\\udc00b"), "character dc00" },
	{ S("a\\u12g4b"), "hex digit" },
	{ F(PS), "expected" },
	{ V1 NONE WAL "\"Manifest-Checksum\": \"x\",\n", "twice" },
};

static void
check_wrong(void)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	struct seen s = { 0 };
	size_t i;

	seal(&text, V1 NONE WAL);
	tap_ok(pgmanifest_parse(text.data, text.len, &see, &s, &e) == 0,
	    "the least there can be %s", e.text);
	for (i = 0; i < COUNT_OF(wrong); i++) {
		err_clear(&e);
		seal(&text, wrong[i].body);
		tap_ok(
		    pgmanifest_parse(text.data, text.len, &see, &s, &e) == -1 &&
			e.kind == ERR_CORRUPT &&
			strstr(e.text, wrong[i].why) != NULL,
		    "%zu, %s: %s", i, wrong[i].why, e.text);
	}
	tap_u64(s.files, 0, "of none was a file told");
	buf_free(&s.text);
}

static void
refused(const char *text, const char *why)
{
	struct err e = ERR_INIT;
	struct seen s = { 0 };

	tap_ok(pgmanifest_parse(text, strlen(text), &see, &s, &e) == -1 &&
		e.kind == ERR_CORRUPT && strstr(e.text, why) != NULL,
	    "%s: %s", why, e.text);
}

static void
check_last_line(void)
{
	AUTO_BUF struct buf text = BUF_INIT;
	const char *body = V1 NONE WAL;

	refused("", "last line is not complete");
	refused("{}", "last line is not complete");
	refused("{}\n", "at least 2 lines");
	refused(V1 NONE WAL "}\n", "expected");
	refused(V1 NONE "\"WAL-Ranges\": []}\n", "expected the manifest");
	refused(V1 NONE WAL "\"Manifest-Checksum\": \"0\"}\n",
	    "invalid manifest checksum");
	seal(&text, body);
	text.data[text.len - 4] = text.data[text.len - 4] == '0' ? '1' : '0';
	refused(buf_str(&text), "checksum does not match");
	text.data[text.len - 4] = 'g';
	refused(buf_str(&text), "invalid manifest checksum");
	seal(&text, body);
	text.len--;
	refused(buf_str(&text), "last line is not complete");
	text.len--;
	buf_printf(&text, ",\n");
	refused(buf_str(&text), "expected \"}\"");
	seal(&text, body);
	text.len--;
	buf_printf(&text, "}\n");
	refused(buf_str(&text), "expected the end");
	seal(&text, V1 "\n\n" NONE "\n" WAL "\n");
	tap_ok(pgmanifest_parse(text.data, text.len,
		   &(struct pgmanifest_reader_ops){ NULL, NULL, NULL }, NULL,
		   NULL) == 0,
	    "empty lines, and nobody who listens");
}

static void
check_damage(const char *name)
{
	AUTO_BUF struct buf file = BUF_INIT;
	struct seen s = { 0 };
	unsigned int taken = 0;
	size_t bit, cut;

	data_read(&file, "manifest/%s", name);
	for (bit = 0; bit < 8 * file.len; bit++) {
		file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* Upper case of the checksum's digits is the same checksum. */
		if (pgmanifest_parse(file.data, file.len, &see, &s, NULL) == 0)
			taken += bit / 8 < file.len - 67 || bit % 8 != 5;
		file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	tap_u64(taken, 0, "no single-bit flip of %s passes", name);
	s.files = 0;
	for (cut = 0; cut < file.len; cut++)
		taken += pgmanifest_parse(file.data, cut, &see, &s, NULL) == 0;
	tap_u64(taken, 0, "nor one that was cut");
	tap_u64(s.files, 0, "of which no file is told");
	buf_free(&s.text);
}

/* ---- forms that are right but rare ---- */

static void
check_form(const char *body, const char *want)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	struct seen s = { 0 };

	seal(&text, body);
	tap_ok(pgmanifest_parse(text.data, text.len, &see, &s, &e) == 0,
	    "parse %s", e.text);
	tap_str(buf_str(&s.text), want, "a rare form");
	buf_free(&s.text);
}

static void
check_forms(void)
{
	check_form(S("a\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\/\\b\\f\\n\\r\\t"),
	    "aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80/\b\f\n\r\t 1 0\n");
	check_form(S("\\uFFFF\\u07ff\\u0800\\uDBFF\\uDFFF"),
	    "\xef\xbf\xbf\xdf\xbf\xe0\xa0\x80\xf4\x8f\xbf\xbf 1 0\n");
	check_form(T("1970-01-01 00:00:01 GMT"), "x 1 1\n");
	check_form(T("2024-02-29 23:59:59 GMT"), "x 1 1709251199\n");
	check_form(T("1969-12-31 23:59:59 GMT"), "x 1 -1\n");
	check_form(T("20000-01-01 00:00:00 GMT"), "x 1 568971820800\n");
	check_form(F(PS "\"Checksum-Algorithm\": \"NONE\""), "x 1 0\n");
	check_form(C("crc32c", "0102030A"), "x 1 0 0a030201\n");
	check_form(
	    C("SHA224",
		"00112233445566778899aabb00112233445566778899aabb00112233"),
	    "x 1 0\n");
	check_form(F(P "\"Size\": 18446744073709551615"),
	    "x 18446744073709551615 0\n");
	check_form("\t {\r\n\"PostgreSQL-Backup-Manifest-Version\" : 1 ,\n"
		   "\"WAL-Ranges\":[],\"Files\":[{\"Size\":0,\"Path\":\"z\"}]\n"
		   ",\n",
	    "z 0 0\n");
}

static void
check_long_strings(void)
{
	AUTO_BUF struct buf text = BUF_INIT, body = BUF_INIT;
	struct err e = ERR_INIT;
	struct seen s = { 0 };
	int len;

	for (len = 2047; len <= 2048; len++) {
		buf_clear(&body);
		buf_printf(&body,
		    V1
		    "\"Files\": [ {\"Size\": 1, \"Path\": \"%0*d\"} ],\n" WAL,
		    len, 1);
		seal(&text, buf_str(&body));
		tap_ok((pgmanifest_parse(text.data, text.len, &see, &s, &e) ==
			   0) == (len == 2047),
		    "a path of %d bytes", len);
	}
	buf_clear(&body);
	buf_printf(&body, V1 "\"%0100d\": 1,\n" NONE WAL, 1);
	seal(&text, buf_str(&body));
	refused(buf_str(&text), "string is too long");
	buf_free(&s.text);
}

static void
check_stop(void)
{
	AUTO_BUF struct buf file = BUF_INIT;
	struct seen s = { .stop_at = 3 };
	struct err e = ERR_INIT;

	data_read(&file, "manifest/18");
	tap_ok(pgmanifest_parse(file.data, file.len, &see, &s, &e) == -1 &&
		e.kind == ERR_CANCELED,
	    "a reader that stops is heard: %s", e.text);
	tap_u64(s.files, 3, "at once");
	buf_free(&s.text);
}

/* ---- writing ---- */

static unsigned int calls, fail_at;

static int
emit_or_fail(void *arg, const void *data, size_t len, struct err *e)
{
	if (++calls == fail_at)
		return err_set(e, ERR_IO, "no space");
	return into_buf(arg, data, len, e);
}

/* So many files that they go out in several pieces. */
static int
write_many(struct buf *out, struct err *e)
{
	AUTO_PGMANIFEST_WRITER struct pgmanifest_writer *w =
	    pgmanifest_writer_new(2, 9, emit_or_fail, out);
	const struct pgmanifest_range ranges[] = { { 1, 0x10, 0x20 },
		{ 2, 0x20, 0x1600000030 } };
	struct pgmanifest_file f = { "base/1/2", 8192, 1795237898, true, 1 };
	unsigned int i;

	buf_clear(out);
	for (i = 0; i < 2000; i++) {
		f.size_bytes = i;
		if (pgmanifest_add_file(w, &f, e) == -1)
			return -1;
	}
	return pgmanifest_finish(w, ranges, COUNT_OF(ranges), e);
}

static void
check_write_many(void)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct seen s = { 0 };
	struct err e = ERR_INIT;
	unsigned int n;
	int rc;

	for (n = 1;; n++) {
		calls = 0;
		fail_at = n;
		rc = write_many(&out, &e);
		if (calls < n)
			break; /* every call has had its turn */
		tap_ok(rc == -1 && e.kind == ERR_IO, "call %u fails: %s", n,
		    e.text);
		tap_u64(calls, n, "and is the last");
	}
	tap_ok(n > 3, "there are several pieces");
	tap_ok(rc == 0, "with no failure it succeeds");
	tap_ok(pgmanifest_parse(out.data, out.len, &see, &s, &e) == 0,
	    "and reads back %s", e.text);
	tap_u64(s.files, 2000, "all files");
	tap_u64(s.system_id, 9, "the system identifier");
	tap_u64(s.range_count, 2, "both ranges");
	tap_u64(s.ranges[1].end_lsn, 0x1600000030, "in their order");
	buf_free(&s.text);
}

static void
check_write_odd(void)
{
	static const char *const paths[] = { "a\x01\x1f\x7f", "\xc0\x80",
		"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\xe2\x82", "\xff",
		"\xf0\x9f\x98\x80", "\xe0\x9f\x80", "\xf0\x8f\x80\x80",
		"\xf5\x80\x80\x80", "\xc3\xc3", "\xe2\x82x" };
	AUTO_BUF struct buf out = BUF_INIT, want = BUF_INIT;
	AUTO_PGMANIFEST_WRITER struct pgmanifest_writer *w = NULL;
	AUTO_FREE char *long_path = mem_zalloc(3000);
	struct seen s = { 0 };
	struct err e = ERR_INIT;
	struct pgmanifest_file f = { NULL, UINT64_MAX, INT64_MIN, false, 1 };
	const char *text;
	size_t i;

	w = pgmanifest_writer_new(1, 0, into_buf, &out);
	for (i = 0; i < COUNT_OF(paths); i++) {
		f.path = paths[i];
		tap_ok(pgmanifest_add_file(w, &f, &e) == 0, "added");
		buf_printf(
		    &want, "%s 18446744073709551615 -62167219200\n", paths[i]);
	}
	memset(long_path, 'x', 2047);
	f.path = long_path;
	f.mtime_s = INT64_MAX;
	tap_ok(pgmanifest_add_file(w, &f, &e) == 0, "a long path");
	buf_printf(&want, "%s 18446744073709551615 253402300799\n", long_path);
	long_path[2047] = 'x';
	tap_ok(pgmanifest_add_file(w, &f, &e) == -1 && e.kind == ERR_USAGE,
	    "too long a path: %s", e.text);
	tap_ok(pgmanifest_finish(w, NULL, 0, &e) == 0, "written");
	tap_ok(pgmanifest_parse(out.data, out.len, &see, &s, &e) == 0,
	    "reads back %s", e.text);
	tap_str(buf_str(&s.text), buf_str(&want), "odd paths, sizes, times");
	text = buf_str(&out);
	tap_ok(strstr(text, "\"Path\": \"a\\u0001\\u001f\x7f\"") != NULL &&
		strstr(text, "\"Encoded-Path\": \"eda080\"") != NULL &&
		strstr(text, "\"Path\": \"\xf0\x9f\x98\x80\"") != NULL,
	    "each in its form");
	tap_ok(strstr(text, "Checksum-Algorithm") == NULL, "no checksums");
	buf_free(&s.text);
	pgmanifest_writer_free(NULL);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < COUNT_OF(servers); i++)
		check_server(i);
	check_wrong();
	check_last_line();
	check_damage("13");
	check_damage("18");
	check_forms();
	check_long_strings();
	check_stop();
	check_write_many();
	check_write_odd();
	return tap_done();
}
