#ifndef STORE_STORE_OPS_H
#define STORE_STORE_OPS_H

/*
 * store_ops: what a kind of store must be able to do.  A new kind is one new
 * file with such a table and one line in store.c.
 *
 * The struct bodies are heads: a kind embeds them first in its own struct.
 */

#include "store/store.h"

struct store_ops {
	const char *scheme; /* "file" */
	struct store *(*open)(const char *where, bool create, struct err *e);
	void (*close)(struct store *s);
	const char *(*local_path)(const struct store *s);
	int (*put)(struct store *s, const char *key, const void *data,
	    size_t len, struct err *e);
	int (*get)(struct store *s, const char *key, size_t max,
	    struct buf *out, struct err *e);
	struct store_writer *(*create)(
	    struct store *s, const char *key, struct err *e);
	int (*write)(struct store_writer *w, const void *data, size_t len,
	    struct err *e);
	int (*commit)(struct store_writer *w, struct err *e);
	void (*writer_close)(struct store_writer *w);
	struct store_reader *(*read)(
	    struct store *s, const char *key, struct err *e);
	int (*pread)(struct store_reader *r, void *out, size_t len,
	    uint64_t offset, struct err *e);
	void (*reader_close)(struct store_reader *r);
	int (*stat)(struct store *s, const char *key, struct store_info *info,
	    struct err *e);
	int (*list)(struct store *s, const char *prefix, char ***names,
	    size_t *count, struct err *e);
	int (*rename)(
	    struct store *s, const char *from, const char *to, struct err *e);
	int (*replace)(
	    struct store *s, const char *from, const char *to, struct err *e);
	int (*remove)(struct store *s, const char *key, struct err *e);
	int (*sweep)(struct store *s, const char *prefix, struct err *e);
};

struct store {
	const struct store_ops *ops;
};

struct store_writer {
	const struct store_ops *ops;
	uint64_t bytes; /* written so far; kept by store.c */
};

struct store_reader {
	const struct store_ops *ops;
	uint64_t bytes; /* of the whole object */
};

extern const struct store_ops store_dir_ops;

#endif /* !STORE_STORE_OPS_H */
