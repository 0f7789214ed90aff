/*
 * store: from an url to a kind of store, and the checks common to all.
 */

#include "store/store.h"

#include <string.h>

#include "base/file.h"
#include "store/store_ops.h"

static const struct store_ops *const kinds[] = { &store_dir_ops };

struct store *
store_open(const char *url, bool create, struct err *e)
{
	const char *sep = strstr(url, "://");
	size_t i, len;

	if (sep == NULL)
		return store_dir_ops.open(url, create, e);
	len = (size_t)(sep - url);
	for (i = 0; i < COUNT_OF(kinds); i++)
		if (strlen(kinds[i]->scheme) == len &&
		    strncmp(kinds[i]->scheme, url, len) == 0)
			return kinds[i]->open(sep + 3, create, e);
	(void)err_set(e, ERR_USAGE,
	    "repository \"%s\" is of a kind that is not supported", url);
	(void)err_hint(e, "Give the path of a directory.");
	return NULL;
}

void
store_close(struct store *s)
{
	if (s != NULL)
		s->ops->close(s);
}

const char *
store_local_path(const struct store *s)
{
	return s->ops->local_path(s);
}

/* Keys come from our own code and from what a repository says: none may lead
 * out of it. */
static int
check_key(const char *key, struct err *e)
{
	if (!file_path_is_safe(key) || strlen(key) >= STORE_KEY_BYTES)
		return err_set(
		    e, ERR_BUG, "\"%s\" is not an object's key", key);
	return 0;
}

int
store_put(struct store *s, const char *key, const void *data, size_t len,
    struct err *e)
{
	if (check_key(key, e) == -1)
		return -1;
	return s->ops->put(s, key, data, len, e);
}

int
store_get(struct store *s, const char *key, size_t max, struct buf *out,
    struct err *e)
{
	if (check_key(key, e) == -1)
		return -1;
	return s->ops->get(s, key, max, out, e);
}

struct store_writer *
store_create(struct store *s, const char *key, struct err *e)
{
	if (check_key(key, e) == -1)
		return NULL;
	return s->ops->create(s, key, e);
}

int
store_write(struct store_writer *w, const void *data, size_t len, struct err *e)
{
	if (w->ops->write(w, data, len, e) == -1)
		return -1;
	w->bytes += len;
	return 0;
}

uint64_t
store_written_bytes(const struct store_writer *w)
{
	return w->bytes;
}

int
store_commit(struct store_writer *w, struct err *e)
{
	return w->ops->commit(w, e);
}

void
store_writer_close(struct store_writer *w)
{
	if (w != NULL)
		w->ops->writer_close(w);
}

struct store_reader *
store_read(struct store *s, const char *key, struct err *e)
{
	if (check_key(key, e) == -1)
		return NULL;
	return s->ops->read(s, key, e);
}

uint64_t
store_reader_bytes(const struct store_reader *r)
{
	return r->bytes;
}

int
store_pread(struct store_reader *r, void *out, size_t len, uint64_t offset,
    struct err *e)
{
	return r->ops->pread(r, out, len, offset, e);
}

void
store_reader_close(struct store_reader *r)
{
	if (r != NULL)
		r->ops->reader_close(r);
}

int
store_stat(
    struct store *s, const char *key, struct store_info *info, struct err *e)
{
	if (check_key(key, e) == -1)
		return -1;
	return s->ops->stat(s, key, info, e);
}

int
store_list(struct store *s, const char *prefix, char ***names, size_t *count,
    struct err *e)
{
	*names = NULL;
	*count = 0;
	if (prefix[0] != '\0' && check_key(prefix, e) == -1)
		return -1;
	return s->ops->list(s, prefix, names, count, e);
}

void
store_names_free(char **names)
{
	file_names_free(names);
}

int
store_rename(struct store *s, const char *from, const char *to, struct err *e)
{
	if (check_key(from, e) == -1 || check_key(to, e) == -1)
		return -1;
	return s->ops->rename(s, from, to, e);
}

int
store_replace(struct store *s, const char *from, const char *to, struct err *e)
{
	if (check_key(from, e) == -1 || check_key(to, e) == -1)
		return -1;
	return s->ops->replace(s, from, to, e);
}

int
store_remove(struct store *s, const char *key, struct err *e)
{
	if (check_key(key, e) == -1)
		return -1;
	return s->ops->remove(s, key, e);
}

int
store_sweep(struct store *s, const char *prefix, struct err *e)
{
	if (prefix[0] != '\0' && check_key(prefix, e) == -1)
		return -1;
	return s->ops->sweep(s, prefix, e);
}
