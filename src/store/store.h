#ifndef STORE_STORE_H
#define STORE_STORE_H

/*
 * store: where bytes lie.  Objects have keys ("main/73..-1/packs/7f/..."), are
 * written once and whole, and never change.
 *
 * One interface for a directory, SFTP, S3; only what all of them can do: put
 * without replacing, read a range, list one level, remove.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"

#define STORE_KEY_BYTES 512

struct store;
struct store_writer; /* an object being made; invisible until committed */
struct store_reader; /* an object open for reading; safe for several threads */

/* url: a path or "file:///path".  ERR_NOT_FOUND when the directory is not
 * there; create makes it (0700). */
struct store *store_open(const char *url, bool create, struct err *e);
void store_close(struct store *s);
AUTO_DEFINE(struct store, store_close);
#define AUTO_STORE AUTO(store_close_auto)

/* The directory on this machine, NULL when it is elsewhere. */
const char *store_local_path(const struct store *s);

/* Whole small object, durable when 0.  ERR_CONFLICT when the key is there. */
int store_put(struct store *s, const char *key, const void *data, size_t len,
    struct err *e);
/* Appended to out; ERR_NOT_FOUND; ERR_CORRUPT when larger than max. */
int store_get(struct store *s, const char *key, size_t max, struct buf *out,
    struct err *e);

/* Bulk object: streamed past the page cache. */
struct store_writer *
store_create(struct store *s, const char *key, struct err *e);
int store_write(
    struct store_writer *w, const void *data, size_t len, struct err *e);
uint64_t store_written_bytes(const struct store_writer *w);
/* Durable and visible under its key, or ERR_CONFLICT when the key is there.
 * w is to be closed in any case. */
int store_commit(struct store_writer *w, struct err *e);
/* Without a commit before: leaves no trace. */
void store_writer_close(struct store_writer *w);
AUTO_DEFINE(struct store_writer, store_writer_close);
#define AUTO_STORE_WRITER AUTO(store_writer_close_auto)

struct store_reader *
store_read(struct store *s, const char *key, struct err *e);
uint64_t store_reader_bytes(const struct store_reader *r);
/* Exactly len bytes at offset, else ERR_CORRUPT (too short) or ERR_IO. */
int store_pread(struct store_reader *r, void *out, size_t len, uint64_t offset,
    struct err *e);
void store_reader_close(struct store_reader *r);
AUTO_DEFINE(struct store_reader, store_reader_close);
#define AUTO_STORE_READER AUTO(store_reader_close_auto)

struct store_info {
	bool exists;
	uint64_t bytes;
	int64_t mtime_us; /* when it was committed, by the store's clock */
};
int store_stat(
    struct store *s, const char *key, struct store_info *info, struct err *e);

/* Names directly below a prefix ("main/73..-1/backups"), sorted, without our
 * temporary ones; folders end in "/".  Free with store_names_free(). */
int store_list(struct store *s, const char *prefix, char ***names,
    size_t *count, struct err *e);
void store_names_free(char **names);

/* The object at key from becomes the one at key to: durable, written once as by
 * store_commit(); its bytes were synced before.  ERR_CONFLICT when to is there:
 * from then stays. */
int
store_rename(struct store *s, const char *from, const char *to, struct err *e);

/* As store_rename(), but what is at to gives way, all at once: for what is
 * damaged, and only so. */
int
store_replace(struct store *s, const char *from, const char *to, struct err *e);

/* 0 also when it was not there. */
int store_remove(struct store *s, const char *key, struct err *e);
/* Remove temporary objects that no running process owns, older than an hour. */
int store_sweep(struct store *s, const char *prefix, struct err *e);

#endif /* !STORE_STORE_H */
