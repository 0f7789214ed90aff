#ifndef PG_PGMANIFEST_TEXT_H
#define PG_PGMANIFEST_TEXT_H

/*
 * pgmanifest_text: how a backup manifest spells paths and times.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Longest path: the server's own limit is 1,023 bytes. */
#define PGMANIFEST_PATH_BYTES_MAX 2047

/* Would the server take text as UTF-8?  Source: pg_utf8_islegal(). */
bool pgmanifest_utf8_valid(const char *text);
/* Appends text as a JSON string with its quotes.  Source: escape_json(). */
void pgmanifest_put_string(struct buf *out, const char *text);
/* Appends "2026-11-21 04:50:05 GMT"; years other than 0 to 9999 give the
 * nearest second of those. */
void pgmanifest_put_time(struct buf *out, int64_t seconds);
/* Years from 0 on, of four digits or more.  False when it is no time. */
bool pgmanifest_time_parse(const char *text, int64_t *seconds);

#endif /* !PG_PGMANIFEST_TEXT_H */
