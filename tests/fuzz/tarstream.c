/*
 * tarstream must survive any bytes as a tar, and what it hands on must be what
 * it promises: safe names, links only for tablespaces and nothing below them,
 * and for each member as many bytes as it said.
 */

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/file.h"
#include "pg/tarstream.h"
#include "unit/pg_tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct check {
	struct tar_member m;
	bool open;
	uint64_t bytes, sum;
	char link[1024]; /* the last one */
};

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static int
member(void *arg, const struct tar_member *m, struct err *e)
{
	struct check *c = arg;
	size_t len = strlen(c->link);

	(void)e;
	must(!c->open && file_path_is_safe(m->path));
	must(m->kind == TAR_FILE || m->size_bytes == 0);
	must(len == 0 || strncmp(m->path, c->link, len) != 0 ||
	    (m->path[len] != '/' && m->path[len] != '\0'));
	if (m->kind == TAR_SYMLINK) {
		must(strncmp(m->path, "pg_tblspc/", 10) == 0);
		must(
		    strspn(m->path + 10, "0123456789") == strlen(m->path + 10));
		(void)strcpy(c->link, m->path);
	}
	c->m = *m;
	c->open = true;
	c->bytes = 0;
	return 0;
}

static int
take(void *arg, const void *data, size_t len, struct err *e)
{
	struct check *c = arg;
	const uint8_t *p = data;
	size_t i;

	(void)e;
	must(c->open && c->m.kind == TAR_FILE && len > 0);
	for (i = 0; i < len; i++)
		c->sum += p[i]; /* all of them can be read */
	c->bytes += len;
	must(c->bytes <= c->m.size_bytes);
	return 0;
}

static int
member_end(void *arg, struct err *e)
{
	struct check *c = arg;

	(void)e;
	must(c->open && c->bytes == c->m.size_bytes);
	c->open = false;
	return 0;
}

static void
stream(const uint8_t *data, size_t len, size_t piece)
{
	static const struct tarstream_ops ops = { member, take, member_end };
	struct check c = { .open = false };
	AUTO_TARSTREAM struct tarstream *t = tarstream_new(&ops, &c);
	struct err e = ERR_INIT;
	size_t n;

	for (; len > 0; data += n, len -= n) {
		n = len < piece ? len : piece;
		if (tarstream_write(t, data, n, &e) == -1)
			break;
	}
	if (tarstream_finish(t, &e) == 0)
		must(!c.open);
	else
		must(e.kind == ERR_CORRUPT);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf tar = BUF_INIT;
	size_t at;

	stream(data, len, len > 0 ? (size_t)data[0] * 8 + 1 : 1);

	/* Past the checksums of headers, and to a good end. */
	buf_put(&tar, data, len);
	while (tar.len % TAR_BLOCK != 0)
		buf_put_u8(&tar, 0);
	for (at = 0; at < tar.len; at += TAR_BLOCK)
		if (memcmp(tar.data + at + TAR_MAGIC, "ustar", 5) == 0)
			tar_sum(tar.data + at);
	tar_trailer(&tar);
	stream(tar.data, tar.len, 4096);
	return 0;
}
