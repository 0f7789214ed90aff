/*
 * What a tar says comes out member by member, whatever the pieces it arrives
 * in; a tar that is cut, goes on, or names what is not its own is refused; a
 * callback's error ends the stream.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/child.h"
#include "base/file.h"
#include "base/mem.h"
#include "pg/tarstream.h"
#include "tap.h"
#include "unit/pg_tar.h"

/* ---- what comes out, as text ---- */

struct seen {
	struct buf text;	     /* a line for each member */
	uint64_t bytes;		     /* of the member */
	uint32_t sum;		     /* of its bytes */
	unsigned int calls, fail_at; /* the Nth callback fails */
};

static int
due(struct seen *s, struct err *e)
{
	if (++s->calls != s->fail_at)
		return 0;
	(void)err_set(e, ERR_CONFLICT, "call %u", s->calls);
	return err_hint(e, "Of the callback.");
}

static int
member(void *arg, const struct tar_member *m, struct err *e)
{
	struct seen *s = arg;

	buf_printf(&s->text, "%c %s%s%s %o %" PRIu64,
	    m->kind == TAR_FILE		   ? 'f'
		: m->kind == TAR_DIRECTORY ? 'd'
					   : 'l',
	    m->path, m->kind == TAR_SYMLINK ? " -> " : "", m->target, m->mode,
	    m->size_bytes);
	s->bytes = 0;
	s->sum = 0;
	return due(s, e);
}

static int
data(void *arg, const void *p, size_t len, struct err *e)
{
	struct seen *s = arg;
	const uint8_t *byte = p;
	size_t i;

	for (i = 0; i < len; i++)
		s->sum = s->sum * 31 + byte[i];
	s->bytes += len;
	return due(s, e);
}

static int
member_end(void *arg, struct err *e)
{
	struct seen *s = arg;

	buf_printf(&s->text, " %" PRIu64 " %" PRIx32 "\n", s->bytes, s->sum);
	return due(s, e);
}

static int
count(void *arg, const void *p, size_t len, struct err *e)
{
	struct seen *s = arg;

	(void)p;
	s->bytes += len;
	return due(s, e);
}

static const struct tarstream_ops ops = { member, data, member_end };

static const struct tarstream_ops counting = { member, count, member_end };

static void
seen_free(struct seen *s)
{
	buf_free(&s->text);
}

/* Send len bytes at tar in pieces of piece bytes. */
static int
stream(
    struct seen *s, const uint8_t *tar, size_t len, size_t piece, struct err *e)
{
	AUTO_TARSTREAM struct tarstream *t = tarstream_new(&ops, s);
	size_t n;

	err_clear(e);
	for (; len > 0; tar += n, len -= n) {
		n = len < piece ? len : piece;
		if (tarstream_write(t, tar, n, e) == -1)
			return -1;
	}
	return tarstream_finish(t, e);
}

/* Refused as damaged, with these words in the text. */
static void
refused(const struct buf *tar, const char *words, const char *what)
{
	AUTO(seen_free) struct seen s = { 0 };
	struct err e = ERR_INIT;
	int rc = stream(&s, tar->data, tar->len, 1 << 20, &e);

	if (!tap_ok(rc == -1 && e.kind == ERR_CORRUPT &&
		    strstr(e.text, words) != NULL,
		"refused: %s", what))
		tap_diag("returned %d, \"%s\"", rc, e.text);
}

/* ---- tars of tar(1) ---- */

static char scratch[] = "/tmp/pgk.tar.XXXXXX";

static void
shell(const char *command, struct buf *out)
{
	const char *const argv[] = { "sh", "-c", command, NULL };
	AUTO_BUF struct buf said = BUF_INIT;
	struct err e = ERR_INIT;

	if (child_run(argv, 60000, &said, &e) != 0)
		tap_bail("%s: %s%s", command, buf_str(&said), e.text);
	if (out != NULL)
		buf_put(out, said.data, said.len);
}

static void
tar_of(const char *options, struct buf *tar)
{
	AUTO_FREE char *command = mem_printf(
	    "cd %s && rm -f t.tar && tar -b 2 %s -cf t.tar -C tree .", scratch,
	    options);
	AUTO_FREE char *path = mem_printf("%s/t.tar", scratch);
	struct err e = ERR_INIT;

	shell(command, NULL);
	if (file_slurp_at(AT_FDCWD, path, 64 << 20, tar, &e) == -1)
		tap_bail("%s", e.text);
}

/* The lines of got in order, as tar(1) may order a folder as it likes. */
static void
sort_lines(struct buf *text)
{
	AUTO_FREE char *path = mem_printf("%s/lines", scratch);
	AUTO_FREE char *command = mem_printf("LC_ALL=C sort %s", path);
	struct err e = ERR_INIT;

	if (file_publish_at(AT_FDCWD, path, text->data, text->len, 0600,
		FILE_REPLACE, &e) == -1)
		tap_bail("%s", e.text);
	buf_clear(text);
	shell(command, text);
}

static void
make_tree(void)
{
	AUTO_FREE char *command = mem_printf(
	    "umask 077; mkdir %s/tree && cd %s/tree && mkdir -p base/5 pg_tblspc && printf abc >small && : >empty && head -c 512 /dev/zero >base/5/block && head -c 300000 /dev/zero >base/5/long && ln -s /mnt/space pg_tblspc/16384",
	    scratch, scratch);

	shell(command, NULL);
}

/* "abc" is 97 * 961 + 98 * 31 + 99. */
static const char tree_lines[] = "d base 700 0 0 0\n"
				 "d base/5 700 0 0 0\n"
				 "d pg_tblspc 700 0 0 0\n"
				 "f base/5/block 600 512 512 0\n"
				 "f base/5/long 600 300000 300000 0\n"
				 "f empty 600 0 0 0\n"
				 "f small 600 3 3 17862\n"
				 "l pg_tblspc/16384 -> /mnt/space 777 0 0 0\n";

static void
check_tars_of_tar(void)
{
	static const char *const formats[] = { "--format=ustar", "--format=gnu",
		"--format=pax", "--format=v7" };
	static const size_t pieces[] = { 1 << 20, 32768, 512, 1000, 262143 };
	size_t f, p;

	for (f = 0; f < COUNT_OF(formats); f++) {
		AUTO_BUF struct buf tar = BUF_INIT;

		tar_of(formats[f], &tar);
		for (p = 0; p < COUNT_OF(pieces); p++) {
			AUTO(seen_free) struct seen s = { 0 };
			struct err e = ERR_INIT;

			if (stream(&s, tar.data, tar.len, pieces[p], &e) == -1)
				tap_diag("%s", e.text);
			sort_lines(&s.text);
			tap_str(buf_str(&s.text), tree_lines,
			    "tar(1) %s in pieces of %zu", formats[f],
			    pieces[p]);
		}
	}
}

/* A cut at every 512 bytes, and one byte beside it. */
static void
check_truncated(void)
{
	AUTO_BUF struct buf tar = BUF_INIT;
	unsigned int accepted = 0, other = 0;
	struct err e = ERR_INIT;
	size_t cut, end;

	tar_of("--format=ustar", &tar);
	for (end = tar.len; tar.data[end - 1] == 0; end--)
		;
	end = (end + 511) / 512 * 512 + 1024; /* tar(1) may add blocks */
	for (cut = 0; cut < end; cut += cut % 512 == 511 ? 1 : 511) {
		AUTO(seen_free) struct seen s = { 0 };

		if (stream(&s, tar.data, cut, 1 << 20, &e) == 0)
			accepted++;
		else if (e.kind != ERR_CORRUPT)
			other++;
	}
	tap_u64(accepted, 0, "a tar of %zu bytes is refused wherever cut", end);
	tap_u64(other, 0, "all are found damaged");
}

static void
check_padding(void)
{
	AUTO_BUF struct buf tar = BUF_INIT;
	static const uint8_t zeros[10240];
	AUTO(seen_free) struct seen s = { 0 };
	struct err e = ERR_INIT;

	tar_file(&tar, "a", "x");
	tar_trailer(&tar);
	buf_put(&tar, zeros, sizeof(zeros));
	tap_ok(stream(&s, tar.data, tar.len, 512, &e) == 0,
	    "zeros behind the trailer are fine");
	tap_str(
	    buf_str(&s.text), "f a 600 1 1 78\n", "and the member is there");
	tar.data[tar.len - 1] = 1;
	refused(&tar, "goes on behind", "one byte behind the trailer");
	tar.data[tar.len - 1] = 0;
	tar.len--;
	refused(&tar, "trailer", "zeros that are no whole block");
}

static void
check_empty(void)
{
	AUTO_BUF struct buf tar = BUF_INIT;
	AUTO(seen_free) struct seen s = { 0 };
	struct err e = ERR_INIT;

	refused(&tar, "bad tar", "no bytes");
	tar_trailer(&tar);
	tap_ok(stream(&s, tar.data, tar.len, 512, &e) == 0,
	    "a tar of a trailer alone is an empty one");
	tap_u64(s.calls, 0, "with no member");
	tar.len = TAR_BLOCK;
	refused(&tar, "trailer", "half a trailer");
}

/* ---- sizes ---- */

/* 9 GiB: header in base-256, all the bytes counted. */
static void
check_huge(void)
{
	const uint64_t size = ((uint64_t)9 << 30) + 5;
	AUTO_FREE uint8_t *zeros = mem_zalloc(1 << 20);
	AUTO(seen_free) struct seen s = { 0 };
	AUTO_BUF struct buf head = BUF_INIT;
	AUTO_TARSTREAM struct tarstream *t = NULL;
	struct err e = ERR_INIT;
	char want[80];
	uint64_t left;
	size_t n;
	int rc;

	t = tarstream_new(&counting, &s);
	tar_header(&head, "base/5/16384", '0', size, "");
	rc = tarstream_write(t, head.data, head.len, &e);
	for (left = (size + 511) / 512 * 512 + 1024; rc == 0 && left > 0;
	     left -= n) {
		n = left < 1 << 20 ? (size_t)left : 1 << 20;
		rc = tarstream_write(t, zeros, n, &e);
	}
	if (rc == 0)
		rc = tarstream_finish(t, &e);
	(void)snprintf(want, sizeof(want),
	    "f base/5/16384 600 %" PRIu64 " %" PRIu64 " 0\n", size, size);
	tap_str(rc == 0 ? buf_str(&s.text) : e.text, want,
	    "a member of more than 8 GiB");
}

static void
check_bad_sizes(void)
{
	AUTO_BUF struct buf tar = BUF_INIT;

	tar_header(&tar, "a", '0', 0, "");
	(void)memset(tar.data + TAR_SIZE, 0xff, 12); /* -1 in base-256 */
	tar_sum(tar.data);
	tar_trailer(&tar);
	refused(&tar, "", "a negative size");
	buf_clear(&tar);

	tar_header(&tar, "a", '0', UINT64_C(0x7fffffffffffffff), "");
	tar_trailer(&tar);
	refused(&tar, "", "the largest size there is");
	buf_clear(&tar);

	tar_file(&tar, "a", "x");
	tar.data[TAR_NAME] = 'b';
	tar_trailer(&tar);
	refused(&tar, "", "a wrong header checksum");
}

/* ---- names ---- */

static void
refused_name(const char *name, char type, const char *words)
{
	AUTO_BUF struct buf tar = BUF_INIT;
	char what[160], *p;

	tar_header(&tar, name, type, 0, "/target");
	tar_trailer(&tar);
	(void)snprintf(what, sizeof(what), "\"%s\" of type %c", name, type);
	for (p = what; *p != '\0'; p++)
		if (*p == '\n')
			*p = '?';
	refused(&tar, words, what);
}

static void
check_names(void)
{
	static const char *const unsafe[] = { "/etc/passwd", "../x", "a/../b",
		"a/..", "..", "a//b", "a/./b", "./../x", "//", "/", "a\nb",
		"base/\x7f", "././/x" };
	AUTO_BUF struct buf tar = BUF_INIT;
	AUTO(seen_free) struct seen s = { 0 };
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < COUNT_OF(unsafe); i++) {
		refused_name(unsafe[i], '0', "unsafe name");
		refused_name(unsafe[i], '5', "unsafe name");
	}
	refused_name("", '0', "");
	refused_name(".", '0', "unsafe name");
	tar_header(&tar, "./", '5', 0, "");
	tar_header(&tar, "./pg_wal/archive_status/", '5', 0, "");
	tar_trailer(&tar);
	tap_ok(stream(&s, tar.data, tar.len, 512, &e) == 0, "names with ./");
	tap_str(buf_str(&s.text), "d pg_wal/archive_status 700 0 0 0\n",
	    "lose it, and the top itself is passed over");
}

static void
check_long_name(void)
{
	AUTO_BUF struct buf tar = BUF_INIT;
	AUTO_FREE char *name = mem_zalloc(3000);

	(void)memset(name, 'x', 2999);
	tar_header(&tar, "././@LongLink", 'L', 3000, "");
	tar_data(&tar, name, 3000);
	tar_file(&tar, "short", "");
	tar_trailer(&tar);
	refused(&tar, "name of 2999 bytes", "a name of 2,999 bytes");
}

static void
check_kinds(void)
{
	AUTO_BUF struct buf tar = BUF_INIT;

	refused_name("a", '1', "neither file"); /* hard link */
	refused_name("a", '3', "neither file"); /* character device */
	refused_name("a", '4', "neither file"); /* block device */
	refused_name("a", '6', "neither file"); /* named pipe */
	refused_name("a", '2', "symbolic link outside");
	refused_name("pg_wal", '2', "symbolic link outside");
	refused_name("pg_tblspc/x", '2', "symbolic link outside");
	refused_name("pg_tblspc/0", '2', "symbolic link outside");
	refused_name("pg_tblspc/1/2", '2', "symbolic link outside");
	refused_name("pg_tblspc/99999999999", '2', "symbolic link outside");

	tar_header(&tar, "pg_tblspc/16384", '2', 0, "/mnt/space");
	tar_file(&tar, "pg_tblspc/16384/x", "escaped");
	tar_trailer(&tar);
	refused(&tar, "below a symbolic link", "a file below a link");
	buf_clear(&tar);
	tar_header(&tar, "pg_tblspc/16384", '2', 0, "");
	tar_trailer(&tar);
	refused(&tar, "bad target", "a link to nothing");
}

/* ---- callbacks ---- */

static void
check_callback_errors(void)
{
	AUTO_BUF struct buf tar = BUF_INIT;
	unsigned int n, wrong = 0;
	struct err e = ERR_INIT;
	char text[32];

	tar_of("--format=ustar", &tar);
	for (n = 1;; n++) {
		AUTO(seen_free) struct seen s = { .fail_at = n };

		if (stream(&s, tar.data, tar.len, 4096, &e) == 0)
			break;
		(void)snprintf(text, sizeof(text), "call %u", n);
		if (e.kind != ERR_CONFLICT || strcmp(e.text, text) != 0 ||
		    strcmp(e.hint, "Of the callback.") != 0 || s.calls != n)
			wrong++;
	}
	tap_ok(n > 20, "each of %u callbacks fails in its turn", n - 1);
	tap_u64(wrong, 0, "and its error comes out, and no further call");
}

static void
check_error_stays(void)
{
	AUTO(seen_free) struct seen s = { .fail_at = 1 };
	AUTO_TARSTREAM struct tarstream *t = tarstream_new(&ops, &s);
	AUTO_FREE uint8_t *zeros = mem_zalloc(8 << 20);
	AUTO_BUF struct buf tar = BUF_INIT;
	struct err e = ERR_INIT;
	int i;

	tar_header(&tar, "a", '0', 100 << 20, "");
	(void)tarstream_write(t, tar.data, tar.len, &e);
	for (i = 0; i < 4; i++)
		if (tarstream_write(t, zeros, 8 << 20, &e) == -1)
			break;
	tap_ok(i < 2, "a failure is told before 16 MiB more are taken");
	err_clear(&e);
	tap_ok(tarstream_write(t, zeros, 1 << 20, &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "a later write says it again");
	err_clear(&e);
	tap_ok(tarstream_finish(t, &e) == -1 && e.kind == ERR_CONFLICT,
	    "so does the end");
}

static void
check_free_in_the_middle(void)
{
	AUTO_BUF struct buf tar = BUF_INIT;
	struct err e = ERR_INIT;
	int i;

	tar_header(&tar, "a", '0', 1 << 30, "");
	for (i = 0; i < 100; i++) {
		AUTO(seen_free) struct seen s = { 0 };
		AUTO_TARSTREAM struct tarstream *t = tarstream_new(&ops, &s);

		if (i % 3 > 0)
			(void)tarstream_write(t, tar.data, tar.len, &e);
		if (i % 3 > 1)
			(void)tarstream_write(t, scratch, sizeof(scratch), &e);
	}
	tap_ok(true, "a stream may be freed at any time");
}

int
main(void)
{
	AUTO_FREE char *remove = NULL;

	if (mkdtemp(scratch) == NULL)
		tap_bail("could not make a folder");
	make_tree();
	check_tars_of_tar();
	check_truncated();
	check_padding();
	check_empty();
	check_huge();
	check_bad_sizes();
	check_names();
	check_long_name();
	check_kinds();
	check_callback_errors();
	check_error_stays();
	check_free_in_the_middle();
	remove = mem_printf("rm -rf %s", scratch);
	shell(remove, NULL);
	return tap_done();
}
