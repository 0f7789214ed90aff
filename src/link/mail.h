#ifndef LINK_MAIL_H
#define LINK_MAIL_H

/*
 * mail: messages of a session: numbered from 1, sent in order over one
 * connection at a time, kept until the peer has taken them.
 */

#include <stddef.h>
#include <stdint.h>

struct mail_item {
	struct mail_item *next;
	uint64_t number;
	size_t len;
	uint8_t data[];
};

struct mail {
	struct mail_item *first, *last; /* not acknowledged */
	struct mail_item *unsent;	/* the next to send; NULL: none */
	uint64_t added;			/* number of the last one */
	uint64_t sent;			/* highest that ever went out */
	uint64_t taken;			/* of the peer's: the last one taken */
	size_t bytes;
};

void mail_add(struct mail *m, const void *data, size_t len);
/* The next to send, or NULL; borrowed. */
const struct mail_item *mail_next(struct mail *m);
/* All that is not acknowledged is to be sent, over another connection. */
void mail_rewind(struct mail *m);
/* The peer has taken all up to number.  -1: it cannot have. */
int mail_acked(struct mail *m, uint64_t number);
void mail_clear(struct mail *m);

#endif /* !LINK_MAIL_H */
