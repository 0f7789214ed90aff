#ifndef REPO_OBJECTS_H
#define REPO_OBJECTS_H

/*
 * objects: what a lineage consists of, by the names of its objects relative to
 * it ("packs/7f/2026..."): for those who carry a lineage to another repository.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/repo.h"

enum object_kind {
	OBJECT_NONE, /* no name of an object that may cross */
	OBJECT_FACTS,
	OBJECT_HISTORY,
	OBJECT_SEGMENT,
	OBJECT_PARTIAL,
	OBJECT_PACK,
	OBJECT_BACKUP,
	OBJECT_MARK
};

/* Strict: the name is exactly what we would give to such an object.  Pure. */
enum object_kind object_kind_of(const char *name, uint32_t segment_bytes);

/* Call fn with the name of every object of one kind, by name; it returns 0, or
 * -1 with *e. */
typedef int object_fn(void *arg, const char *name, struct err *e);
int objects_each(const struct lineage *l, enum object_kind kind, object_fn *fn,
    void *arg, struct err *e);

#endif /* !REPO_OBJECTS_H */
