#ifndef PG_SYNCNAMES_H
#define PG_SYNCNAMES_H

/*
 * syncnames: synchronous_standby_names, and whether it makes every commit wait
 * for one standby.  Source: syncrep_gram.y, syncrep_scanner.l, 13 to 18.
 *
 *	[FIRST] n (a, b, ...)	the first n of those connected
 *	ANY n (a, b, ...)	any n of them
 *	a, b, ...		FIRST 1 (a, b, ...)
 *
 * A server waits for one of them for certain only when it waits for all that are
 * named: else another may stand in.
 */

#include <stdbool.h>

enum syncnames {
	SYNCNAMES_WAITS,
	SYNCNAMES_ABSENT, /* it is not named, or nobody is */
	SYNCNAMES_OTHERS, /* another may stand in for it */
	SYNCNAMES_MALFORMED
};

enum syncnames syncnames_judge(const char *value, const char *name);

#endif /* !PG_SYNCNAMES_H */
