#include "pg/tarstream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/queue.h"
#include "pg/tarmember.h"

/*
 *	tarstream_write() --> full --> parser thread --> callbacks
 *	        ^                            |
 *	        +---------- empty <----------+
 *
 * A block is filled before it is handed on, and is a whole number of tar's 512
 * byte blocks, so libarchive never has to join two of ours.
 */
#define BLOCK_BYTES	((size_t)256 << 10)
#define BLOCK_COUNT	16
#define TAR_BLOCK_BYTES 512

struct block {
	size_t len;
	uint8_t data[BLOCK_BYTES];
};

struct tarstream {
	const struct tarstream_ops *ops;
	void *arg;
	struct queue *full, *empty;
	struct block *blocks[BLOCK_COUNT]; /* made when first needed */
	size_t block_count;
	pthread_t thread;
	bool started, joined;

	/* Of the writer. */
	struct block *filling;

	/* Of the parser until it is joined. */
	struct block *reading;
	uint64_t read_bytes; /* up to the end of reading */
	struct tarmember_links links;
	struct tar_member member;
	struct err error;
};

/* ---- the parser's thread ---- */

/* The next block; the one before is used up when libarchive asks. */
static la_ssize_t
next_block(struct archive *a, void *arg, const void **data)
{
	struct tarstream *t = arg;

	if (t->reading != NULL)
		(void)queue_put(t->empty, steal_ptr(&t->reading));
	t->reading = queue_get(t->full);
	if (t->reading == NULL) {
		if (!queue_failed(t->full))
			return 0;
		archive_set_error(a, ECANCELED, "canceled");
		return -1;
	}
	t->read_bytes += t->reading->len;
	*data = t->reading->data;
	return (la_ssize_t)t->reading->len;
}

static int
bad_tar(struct archive *a, struct err *e)
{
	const char *why = archive_error_string(a);

	return err_set(e, ERR_CORRUPT, "bad tar stream: %s",
	    why == NULL ? "unknown format" : why);
}

static int
parse_data(struct tarstream *t, struct archive *a, struct err *e)
{
	uint64_t done = 0;
	const void *data;
	size_t len;
	la_int64_t offset;
	int rc;

	while ((rc = archive_read_data_block(a, &data, &len, &offset)) ==
	    ARCHIVE_OK) {
		if ((uint64_t)offset != done ||
		    len > t->member.size_bytes - done)
			return err_set(e, ERR_CORRUPT,
			    "tar member \"%s\" has a hole", t->member.path);
		done += len;
		if (len > 0 && t->ops->data(t->arg, data, len, e) == -1)
			return -1;
	}
	if (rc != ARCHIVE_EOF) {
		(void)bad_tar(a, e);
		return err_ctx(e, "in member \"%.200s\"", t->member.path);
	}
	if (done != t->member.size_bytes)
		return err_set(e, ERR_CORRUPT, "tar member \"%s\" is too short",
		    t->member.path);
	return 0;
}

static int
parse_member(struct tarstream *t, struct archive *a,
    struct archive_entry *entry, struct err *e)
{
	bool skip;

	if (tarmember_take(&t->member, entry, &t->links, &skip, e) == -1)
		return -1;
	if (skip)
		return 0;
	if (t->ops->member(t->arg, &t->member, e) == -1)
		return -1;
	if (t->member.kind == TAR_FILE && parse_data(t, a, e) == -1)
		return -1;
	return t->ops->member_end(t->arg, e);
}

static bool
all_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/*
 * libarchive is content with one zero block or none at all.  From its last
 * header position there must be two, and nothing but zeros to the end.
 */
static int
check_trailer(struct tarstream *t, struct archive *a, struct err *e)
{
	uint64_t end = (uint64_t)archive_read_header_position(a);
	uint64_t start;
	size_t skip;
	const void *data;

	do {
		if (t->reading == NULL)
			continue;
		start = t->read_bytes - t->reading->len;
		skip = end > start ? (size_t)(end - start) : 0;
		if (skip < t->reading->len &&
		    !all_zero(t->reading->data + skip, t->reading->len - skip))
			return err_set(e, ERR_CORRUPT,
			    "bad tar stream: it goes on behind its trailer");
	} while (next_block(a, t, &data) > 0);
	if (t->read_bytes - end < (uint64_t)2 * TAR_BLOCK_BYTES ||
	    t->read_bytes % TAR_BLOCK_BYTES != 0)
		return err_set(e, ERR_CORRUPT,
		    "bad tar stream: it ends without its trailer");
	return 0;
}

static int
parse(struct tarstream *t, struct archive *a, struct err *e)
{
	struct archive_entry *entry;
	int rc;

	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_open2(a, t, NULL, next_block, NULL, NULL) !=
		ARCHIVE_OK)
		return bad_tar(a, e);
	/* A warning is no less an error: no server sends what causes one. */
	while ((rc = archive_read_next_header(a, &entry)) == ARCHIVE_OK)
		if (parse_member(t, a, entry, e) == -1)
			return -1;
	if (rc != ARCHIVE_EOF)
		return bad_tar(a, e);
	return check_trailer(t, a, e);
}

static void *
parser(void *arg)
{
	struct tarstream *t = arg;
	struct archive *a = archive_read_new();
	int rc;

	if (a == NULL)
		rc = err_set(&t->error, ERR_TRANSIENT, "out of memory");
	else
		rc = parse(t, a, &t->error);
	if (rc == -1) {
		queue_fail(t->full);
		queue_fail(t->empty);
	}
	(void)archive_read_free(a);
	return NULL;
}

/* ---- the writer ---- */

struct tarstream *
tarstream_new(const struct tarstream_ops *ops, void *arg)
{
	struct tarstream *t = mem_zalloc(sizeof(*t));

	t->ops = ops;
	t->arg = arg;
	t->full = queue_new(BLOCK_COUNT);
	t->empty = queue_new(BLOCK_COUNT);
	return t;
}

static int
start(struct tarstream *t, struct err *e)
{
	int rc;

	if (t->started)
		return 0;
	rc = pthread_create(&t->thread, NULL, parser, t);
	if (rc != 0) {
		errno = rc;
		return err_sys(e, "could not start a thread");
	}
	t->started = true;
	return 0;
}

/* Wait for the parser; 0 or its error. */
static int
join(struct tarstream *t, struct err *e)
{
	if (!t->joined) {
		(void)pthread_join(t->thread, NULL);
		t->joined = true;
	}
	if (t->error.kind == ERR_NONE)
		return 0;
	*e = t->error;
	return -1;
}

/* A block to fill, NULL when the parser has failed. */
static struct block *
take_empty(struct tarstream *t)
{
	struct block *b = queue_try_get(t->empty);

	if (b == NULL && t->block_count < BLOCK_COUNT) {
		b = mem_alloc(sizeof(*b));
		t->blocks[t->block_count++] = b;
	}
	if (b == NULL)
		b = queue_get(t->empty);
	if (b != NULL)
		b->len = 0;
	return b;
}

/* Hand the block that is being filled to the parser. */
static int
flush(struct tarstream *t, struct err *e)
{
	if (t->filling == NULL)
		return 0;
	if (!queue_put(t->full, t->filling))
		return join(t, e);
	t->filling = NULL;
	return 0;
}

int
tarstream_write(
    struct tarstream *t, const void *data, size_t len, struct err *e)
{
	const uint8_t *p = data;
	size_t n;

	if (start(t, e) == -1)
		return -1;
	while (len > 0) {
		if (t->filling == NULL) {
			t->filling = take_empty(t);
			if (t->filling == NULL)
				return join(t, e);
		}
		n = BLOCK_BYTES - t->filling->len;
		if (n > len)
			n = len;
		(void)memcpy(t->filling->data + t->filling->len, p, n);
		t->filling->len += n;
		p += n;
		len -= n;
		if (t->filling->len == BLOCK_BYTES && flush(t, e) == -1)
			return -1;
	}
	return 0;
}

int
tarstream_finish(struct tarstream *t, struct err *e)
{
	if (start(t, e) == -1 || flush(t, e) == -1)
		return -1;
	queue_close(t->full);
	return join(t, e);
}

void
tarstream_free(struct tarstream *t)
{
	size_t i;

	if (t == NULL)
		return;
	if (t->started && !t->joined) {
		queue_fail(t->full);
		queue_fail(t->empty);
		(void)pthread_join(t->thread, NULL);
	}
	for (i = 0; i < t->block_count; i++)
		free(t->blocks[i]);
	tarmember_links_fini(&t->links);
	queue_free(t->full);
	queue_free(t->empty);
	free(t);
}
