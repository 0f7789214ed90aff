#ifndef SITE_DECIDE_INT_H
#define SITE_DECIDE_INT_H

/*
 * What decide's files share: decide.c has what both sites ask, the others one
 * site each.
 */

#include "site/decide.h"

/* One call of decide_step(). */
struct decide_look {
	struct decide *d;
	const struct decide_settings *s;
	const struct decide_facts *f;
	struct decide_verdict *out;
	enum record_seat peer; /* the other data site */
	int64_t last_sign_us;  /* of the peer; when looking began at least */
	bool silent;
	bool first; /* nothing was looked at before, or not for too long */
};

/* Heard of within the detection time. */
bool decide_fresh(const struct decide_settings *s, const struct decide_facts *f,
    enum record_seat seat);
/* ... and what it said is not older than that either. */
bool decide_current(const struct decide_settings *s,
    const struct decide_facts *f, enum record_seat seat);
/* The highest term that another site says it held; 0: none above held. */
uint64_t decide_superseded_by(const struct decide_facts *f);
/* Whether a question for a term is due; notes it. */
bool decide_ask_due(struct decide_look *l);

void decide_primary(struct decide_look *l);
void decide_standby(struct decide_look *l);

#endif /* !SITE_DECIDE_INT_H */
