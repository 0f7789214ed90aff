/*
 * keeper_staging: what is on its way lies below incoming/ (keeper.h), with a file
 * beside it that says how much of it is durable.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "jobs/keeper_int.h"

/* ---- ranges ---- */

uint64_t
keeper_prefix(const struct body *b)
{
	return b->range_count > 0 && b->ranges[0].from == 0 ? b->ranges[0].to
							    : 0;
}

void
keeper_add_range(struct body *b, uint64_t from, uint64_t to)
{
	size_t i, kept = 0;

	if (b->range_count == b->range_cap) {
		b->range_cap = b->range_cap == 0 ? 16 : 2 * b->range_cap;
		b->ranges =
		    mem_rearray(b->ranges, b->range_cap, sizeof(b->ranges[0]));
	}
	/* Those that touch it become part of it. */
	for (i = 0; i < b->range_count; i++) {
		const struct range r = b->ranges[i];

		if (r.to < from || r.from > to) {
			b->ranges[kept++] = r;
			continue;
		}
		from = r.from < from ? r.from : from;
		to = r.to > to ? r.to : to;
	}
	for (i = kept; i > 0 && b->ranges[i - 1].from > from; i--)
		b->ranges[i] = b->ranges[i - 1];
	b->ranges[i] = (struct range){ from, to };
	b->range_count = kept + 1;
}

/* ---- files ---- */

/* The folder of all that is on its way to the lineage from this peer. */
static void
staging_of(const struct keeper *k, char out[STORE_KEY_BYTES])
{
	/* Never one folder for both: see keeper_is_coming(). */
	(void)snprintf(out, STORE_KEY_BYTES, "incoming/%s/%s%s.%s", k->peer,
	    k->heals != NULL ? "heal/" : "", k->lineage.cluster,
	    k->lineage.name);
}

void
keeper_stage(const struct keeper *k, struct body *b)
{
	char hex[SHA256_HEX_BYTES], prefix[STORE_KEY_BYTES];
	const char *slash = strrchr(b->name, '/');

	sha256_hex(b->sha256, hex);
	staging_of(k, prefix);
	(void)snprintf(
	    b->folder, sizeof(b->folder), "%.300s/%.32s", prefix, hex);
	/* The last part is the object's own: a segment says what it is. */
	(void)snprintf(b->staging, sizeof(b->staging), "%.350s/%.100s",
	    b->folder, slash == NULL ? "object" : slash + 1);
}

int
keeper_note(struct keeper *k, struct body *b, struct err *e)
{
	char path[STORE_KEY_BYTES + 8], text[32];
	int n, dir;

	if (keeper_prefix(b) == b->noted)
		return 0;
	if (file_sync_fd(b->fd, b->staging, e) == -1)
		return -1;
	(void)snprintf(path, sizeof(path), "%s.have", b->staging);
	n = snprintf(
	    text, sizeof(text), "%llu\n", (unsigned long long)keeper_prefix(b));
	dir = file_open_dir(store_local_path(keeper_store(k)), e);
	if (dir == -1)
		return -1;
	n = file_publish_at(dir, path, text, (size_t)n, 0600, FILE_REPLACE, e);
	(void)close(dir);
	if (n == 0)
		b->noted = keeper_prefix(b);
	return n;
}

/* The prefix that an earlier try made durable. */
static uint64_t
noted_before(const struct keeper *k, const struct body *b)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char key[STORE_KEY_BYTES];
	unsigned long long n;

	(void)snprintf(key, sizeof(key), "%.500s.have", b->staging);
	if (store_get(keeper_store(k), key, 32, &text, NULL) == -1 ||
	    sscanf(buf_str(&text), "%llu\n", &n) != 1 || n > b->bytes)
		return 0;
	return n;
}

void
keeper_forget_staging(const struct keeper *k, const struct body *b)
{
	AUTO_FREE char *path =
	    file_join(store_local_path(keeper_store(k)), b->folder);

	(void)file_rmtree_at(AT_FDCWD, path, NULL);
}

bool
keeper_is_coming(const struct keeper *k, const struct body *b)
{
	const struct body *o;

	for (o = k->bodies; o != NULL; o = o->next)
		if (o != b &&
		    ((b->number != 0 && o->number == b->number) ||
			strcmp(o->folder, b->folder) == 0 ||
			strcmp(o->name, b->name) == 0))
			return true;
	return false;
}

/*
 * What was left on its way is kept to go on from, but not without end: of so
 * many folders the oldest goes that nobody sends now.
 */
static void
sweep_staging(const struct keeper *k)
{
	char prefix[STORE_KEY_BYTES], **names = NULL;
	struct body oldest = { 0 }, one = { 0 };
	int64_t oldest_us = INT64_MAX;
	struct store_info info;
	size_t count, i;

	staging_of(k, prefix);
	if (store_list(keeper_store(k), prefix, &names, &count, NULL) == -1)
		return;
	for (i = 0; count > KEEPER_STAGED_MAX && i < count; i++) {
		(void)snprintf(one.folder, sizeof(one.folder), "%.300s/%.32s",
		    prefix, names[i]);
		if (keeper_is_coming(k, &one) ||
		    store_stat(keeper_store(k), one.folder, &info, NULL) ==
			-1 ||
		    info.mtime_us >= oldest_us)
			continue;
		oldest_us = info.mtime_us;
		oldest = one;
	}
	store_names_free(names);
	if (oldest.folder[0] != '\0')
		keeper_forget_staging(k, &oldest);
}

int
keeper_open_staging(struct keeper *k, struct body *b, struct err *e)
{
	AUTO_FREE char *path =
	    file_join(store_local_path(keeper_store(k)), b->staging);
	AUTO_FREE char *folder = file_parent(path);
	struct stat st;
	uint64_t have;

	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	sweep_staging(k);
	b->fd = file_open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600, e);
	if (b->fd == -1)
		return -1;
	have = noted_before(k, b);
	if (fstat(b->fd, &st) == -1)
		return err_sys(e, "could not stat \"%s\"", path);
	if ((uint64_t)st.st_size < have)
		have = 0;
	if (have > 0)
		keeper_add_range(b, 0, have);
	b->noted = b->told = have;
	return 0;
}

/* ---- a whole one ---- */

int
keeper_check_digest(const struct body *b, struct err *e)
{
	AUTO_SHA256 struct sha256 *sum = sha256_new();
	AUTO_FREE uint8_t *piece = mem_alloc((size_t)1 << 20);
	uint8_t got[SHA256_BYTES];
	uint64_t at = 0;
	ssize_t n;

	while (at < b->bytes) {
		size_t len = (size_t)1 << 20;

		if (b->bytes - at < len)
			len = (size_t)(b->bytes - at);
		n = file_pread_full(b->fd, piece, len, at, b->staging, e);
		if (n == -1)
			return -1;
		if ((size_t)n != len)
			return err_set(e, ERR_CORRUPT,
			    "\"%s\" is shorter than it was", b->staging);
		sha256_update(sum, piece, len);
		at += len;
	}
	sha256_peek(sum, got);
	if (memcmp(got, b->sha256, SHA256_BYTES) != 0)
		return err_set(e, ERR_CORRUPT,
		    "object \"%s\" arrived with another digest than announced",
		    b->name);
	return 0;
}
