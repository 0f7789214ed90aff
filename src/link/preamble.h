#ifndef LINK_PREAMBLE_H
#define LINK_PREAMBLE_H

/*
 * preamble: one line that a dialler sends before TLS, so that a listener can
 * hand the connection to the process that serves the peer.  It proves nothing:
 * TLS does that afterwards.
 *
 *	"PGKURA 1 <from> <to>\n"	a connection of a link
 *	"PGKURA 1 pair\n"		pairing (pair.h)
 */

#include <stdbool.h>
#include <stddef.h>

#include "link/link.h"

#define PREAMBLE_BYTES_MAX 160

struct preamble {
	bool pair;
	char from[LINK_SITE_BYTES], to[LINK_SITE_BYTES];
};

/* With its line feed and a NUL; returns the length. */
size_t preamble_print(const struct preamble *p, char out[PREAMBLE_BYTES_MAX]);
/* 1: read, *used bytes of it; 0: not all there yet; -1: not ours.  Pure. */
int
preamble_parse(struct preamble *p, const char *text, size_t len, size_t *used);

#endif /* !LINK_PREAMBLE_H */
