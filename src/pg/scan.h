#ifndef PG_SCAN_H
#define PG_SCAN_H

/*
 * scan: a place in text that others wrote, which may end anywhere and need not
 * end with a NUL.
 *
 * Each function takes what it names from the front and moves on, or returns
 * false; the place is then unspecified.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scan {
	const char *p;
	size_t left;
};

/* The very bytes of word. */
bool scan_word(struct scan *s, const char *word);
/* Decimal digits, no sign; leading zeros count for nothing. */
bool scan_u32(struct scan *s, uint32_t *value);
/* A decimal number from 1 on, without leading zeros: how names spell an OID. */
bool scan_oid(struct scan *s, uint32_t *oid);
/* One to eight hex digits of either case. */
bool scan_hex32(struct scan *s, uint32_t *value);
/* "16/B374D848" */
bool scan_lsn(struct scan *s, uint64_t *lsn);
/* Spaces, tabs, carriage returns, vertical tabs, form feeds: any number. */
void scan_blanks(struct scan *s);
/* The next line without its newline; the last one may have none.  False when
 * nothing is left. */
bool scan_line(struct scan *s, struct scan *line);

#endif /* !PG_SCAN_H */
