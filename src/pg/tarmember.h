#ifndef PG_TARMEMBER_H
#define PG_TARMEMBER_H

/*
 * tarmember: one member of a base backup's tar, checked before anybody sees it.
 */

#include <archive_entry.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pg/tarstream.h"

#define TARMEMBER_LINKS_MAX 4096

/* Tablespaces that were symbolic links so far: nothing may come below them. */
struct tarmember_links {
	uint32_t *oids;
	size_t count;
};
void tarmember_links_fini(struct tarmember_links *l);

/*
 * Fill *m from entry.  ERR_CORRUPT when it is not what a base backup holds.
 * *skip is set for the member "." itself.
 */
int tarmember_take(struct tar_member *m, struct archive_entry *entry,
    struct tarmember_links *links, bool *skip, struct err *e);

#endif /* !PG_TARMEMBER_H */
