/*
 * rule_witness: do both sites ask the same witness?  What site/witness.h has to know,
 * and what it says, told, noted and shown.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "jobs/rule_int.h"
#include "link/keys.h"

/* The courier says by whose key it knows the witness. */
void
rule_witness_hear_key(struct rule *r, const struct rule_wire *w)
{
	if (w->len == 0 || w->len >= sizeof(r->witness.own) ||
	    memchr(w->content, '\0', w->len) != NULL)
		return;
	(void)memcpy(r->witness.own, w->content, w->len);
	r->witness.own[w->len] = '\0';
}

void
rule_witness_step(struct rule *r, int64_t now_us)
{
	struct record_role_file next;
	uint64_t told = r->witness.tells_id;

	if (rule_is_witness(r))
		return;
	if (r->sites.names[SEAT_WITNESS] == NULL)
		(void)strcpy(r->witness.own, WITNESS_NONE);
	if (!r->has_role)
		return;
	if (witness_step(&r->witness, &r->role, &r->voter, now_us,
		(uint64_t)now_us, &next) &&
	    rule_put_role(r, &next) == 0)
		r->info_us = 0; /* the other site waits for it */
	if (r->witness.tells_id != told)
		r->info_us = 0;
}

void
rule_witness_begin(struct rule *r)
{
	if (rule_is_witness(r))
		return;
	(void)strcpy(r->role.witness, WITNESS_UNTOLD);
	(void)memcpy(r->role.peer_witness, r->witness.heard,
	    sizeof(r->role.peer_witness));
}

bool
rule_witness_counts(const struct rule *r)
{
	return r->has_role && witness_counts(&r->witness, &r->role);
}

/* ---- told ---- */

void
rule_witness_tell(const struct rule *r, json_t *o)
{
	uint64_t heard =
	    r->has_role ? witness_answer(&r->witness, &r->role) : 0;

	if (r->witness.tells[0] != '\0') {
		json_set_str(o, "witness", r->witness.tells);
		json_set_u64(o, "witness_id", r->witness.tells_id);
	}
	if (heard != 0) {
		json_set_u64(o, "witness_heard", heard);
		json_set_u64(o, "held", r->role.held);
	}
}

void
rule_witness_hear(struct rule *r, const json_t *o)
{
	char text[RECORD_WITNESS_BYTES];
	uint64_t id, held;

	if (json_need_text(o, "witness", text, sizeof(text), NULL) == 0 &&
	    strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz-") ==
		strlen(text) &&
	    json_need_u64(o, "witness_id", &id, NULL) == 0) {
		(void)memcpy(r->witness.heard, text, sizeof(text));
		r->witness.heard_id = id;
	}
	if (json_need_u64(o, "witness_heard", &id, NULL) == 0 &&
	    json_need_u64(o, "held", &held, NULL) == 0)
		witness_answered(&r->witness, &r->role, id, held);
}

/* ---- shown ---- */

static void
tell_difference(const struct rule *r, char *out, size_t size)
{
	const char *peer = r->sites.names[r->sites.peer];
	const char *own = witness_key(&r->witness, &r->role);
	const char *other = r->role.peer_witness;
	char here[2 * RECORD_NAME_BYTES], there[2 * RECORD_NAME_BYTES];

	if (strcmp(own, WITNESS_NONE) == 0)
		(void)snprintf(here, sizeof(here), "no witness");
	else
		(void)snprintf(here, sizeof(here),
		    "the witness %s with the key %s",
		    r->sites.names[SEAT_WITNESS], own);
	if (strcmp(other, WITNESS_NONE) == 0)
		(void)snprintf(there, sizeof(there), "none");
	else
		(void)snprintf(
		    there, sizeof(there), "one with the key %s", other);
	(void)snprintf(out, size,
	    "this site has %s, and site %s has %s: the votes of the standby's "
	    "one do not count",
	    here, peer, there);
}

/* What is wrong, or not known; "" nothing. */
static void
tell_why(const struct rule *r, char *out, size_t size)
{
	const char *peer = r->sites.names[r->sites.peer];

	out[0] = '\0';
	if (witness_differs(&r->witness, &r->role))
		tell_difference(r, out, size);
	else if (rule_witness_counts(r))
		return;
	else if (r->witness.own[0] == '\0')
		(void)snprintf(out, size,
		    "this site is not paired with the witness %s",
		    r->sites.names[SEAT_WITNESS]);
	else if (strcmp(r->witness.own, r->role.witness) != 0)
		(void)snprintf(out, size,
		    "site %s has not been told which witness this one has: "
		    "until then its votes do not count here",
		    peer);
	else
		(void)snprintf(out, size,
		    "site %s has not told which witness it has: until then the "
		    "votes of the one here do not count",
		    peer);
}

void
rule_witness_show(const struct rule *r, json_t *all)
{
	bool differs = witness_differs(&r->witness, &r->role);
	char why[2 * RECORD_NAME_BYTES + 320];
	json_t *o;

	if (!r->has_role || (r->sites.names[SEAT_WITNESS] == NULL && !differs))
		return;
	o = json_object();
	json_set_str(o, "key", witness_key(&r->witness, &r->role));
	json_set_str(o, "peer_key", r->role.peer_witness);
	(void)json_object_set_new(
	    o, "counts", json_boolean(rule_witness_counts(r)));
	(void)json_object_set_new(o, "differs", json_boolean(differs));
	tell_why(r, why, sizeof(why));
	if (why[0] != '\0')
		json_set_str(o, "why", why);
	(void)json_object_set_new(all, "witness", o);
}
