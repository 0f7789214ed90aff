#ifndef LINK_INVITATION_H
#define LINK_INVITATION_H

/*
 * invitation: the one pairing that this site waits for, <state_dir>/pairing.
 *
 *	pgkura pairing 1
 *	code abcd-efgh-jkmn-pqrs
 *	for osaka			or nothing: any site
 *	until 1795262400000000		microseconds since 1970, UTC
 *	tries 0				that began and did not end well
 *	crc 8 hex digits: CRC-32C of all lines before
 *
 * A command writes it, the daemon's listener answers it.  It is void when it
 * was used, when its time is over, and after INVITATION_TRIES wrong codes.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "link/link.h"
#include "link/pair.h"

#define INVITATION_TRIES    3
#define INVITATION_US	    ((int64_t)15 * 60 * 1000000)
#define INVITATION_FILE_MAX ((size_t)512)

struct invitation {
	char code[PAIR_CODE_BYTES];
	char site[LINK_SITE_BYTES]; /* "": any */
	int64_t until_us;
	unsigned int tries;
};

/* ---- pure ---- */
void invitation_encode(const struct invitation *i, struct buf *out);
/* ERR_CORRUPT, and *i untouched, for what invitation_encode() does not make. */
int invitation_decode(
    struct invitation *i, const void *text, size_t len, struct err *e);
/* May it be answered?  A clock that was set back does not prolong it by more
 * than INVITATION_US. */
bool invitation_is_open(const struct invitation *i, int64_t now_us);

/* ---- the file ---- */
/* ERR_NOT_FOUND when there is none. */
int invitation_read(const char *state_dir, struct invitation *i, struct err *e);
int invitation_write(
    const char *state_dir, const struct invitation *i, struct err *e);
/* Take back the one with that code, if it is still there. */
int invitation_remove(const char *state_dir, const char *code, struct err *e);

#endif /* !LINK_INVITATION_H */
