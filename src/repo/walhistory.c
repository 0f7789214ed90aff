/*
 * walhistory: timeline history files in the repository.
 *
 * A file is stored as the server wrote it, with one line more, which a server
 * takes for a comment: nothing else would tell a damaged switch point from
 * another one.
 *
 *	# crc32c 01234567		of all bytes in front of the line
 */

#include <stdio.h>
#include <string.h>

#include "codec/digest.h"
#include "repo/walarchive.h"

#define HISTORY_BYTES_MAX ((size_t)1 << 20)
#define SEAL_BYTES	  (sizeof("# crc32c 01234567\n") - 1)

static void
seal_of(const void *text, size_t len, char out[SEAL_BYTES + 1])
{
	(void)snprintf(
	    out, SEAL_BYTES + 1, "# crc32c %08x\n", crc32c(0, text, len));
}

/* Read wal/<timeline>.history and cut its seal off. */
static int
read_sealed(const struct lineage *l, const char *key, uint32_t timeline,
    struct buf *out, struct err *e)
{
	char seal[SEAL_BYTES + 1];
	size_t len;

	if (store_get(repo_store(l->repo), key, HISTORY_BYTES_MAX + SEAL_BYTES,
		out, e) == -1)
		return -1;
	len = out->len < SEAL_BYTES ? 0 : out->len - SEAL_BYTES;
	seal_of(out->data, len, seal);
	if (out->len < SEAL_BYTES ||
	    memcmp(out->data + len, seal, SEAL_BYTES) != 0)
		return err_set(e, ERR_CORRUPT,
		    "history of timeline %u is damaged: its checksum does not "
		    "match",
		    timeline);
	out->len = len;
	return 0;
}

int
wal_store_history(const struct lineage *l, uint32_t timeline, const void *text,
    size_t len, struct err *e)
{
	struct timeline_history h = { 0 };
	AUTO_BUF struct buf sealed = BUF_INIT;
	AUTO_BUF struct buf there = BUF_INIT;
	char key[STORE_KEY_BYTES], seal[SEAL_BYTES + 1];
	struct err local = ERR_INIT;
	bool empty;

	if (len > HISTORY_BYTES_MAX)
		return err_set(e, ERR_CORRUPT,
		    "history of timeline %u has %zu bytes, at most %zu are "
		    "allowed",
		    timeline, len, HISTORY_BYTES_MAX);
	if (timeline_history_parse(&h, timeline, text, len, e) == -1)
		return -1;
	empty = h.count == 1;
	timeline_history_free(&h);
	if (empty)
		return 0;
	(void)lineage_key(l, key, "wal/%08X.history", timeline);
	seal_of(text, len, seal);
	buf_put(&sealed, text, len);
	buf_put(&sealed, seal, SEAL_BYTES);
	if (store_put(
		repo_store(l->repo), key, sealed.data, sealed.len, &local) == 0)
		return 0;
	if (local.kind != ERR_CONFLICT) {
		if (e != NULL)
			*e = local;
		return -1;
	}
	if (read_sealed(l, key, timeline, &there, e) == -1)
		return -1;
	if (there.len == len && memcmp(there.data, text, len) == 0)
		return 0;
	(void)err_set(e, ERR_CONFLICT,
	    "history of timeline %u is in the repository with other content",
	    timeline);
	return err_hint(e,
	    "Two servers of cluster \"%s\" were promoted to the same timeline. "
	    " Nothing was replaced.  If this server is the one to go on with, "
	    "let \"pgkura wal fork %s\" begin a new history for it.",
	    l->cluster, l->cluster);
}

int
wal_read_history(const struct lineage *l, uint32_t timeline,
    struct timeline_history *h, struct buf *text, struct err *e)
{
	AUTO_BUF struct buf b = BUF_INIT;
	char key[STORE_KEY_BYTES];

	(void)lineage_key(l, key, "wal/%08X.history", timeline);
	if (timeline != 1 && read_sealed(l, key, timeline, &b, e) == -1)
		return -1;
	if (text != NULL)
		buf_put(text, b.data, b.len);
	return timeline_history_parse(h, timeline, b.data, b.len, e);
}
