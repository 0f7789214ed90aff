#include "site/witness.h"

#include <string.h>

static bool
same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void
copy(char out[RECORD_WITNESS_BYTES], const char *text)
{
	(void)memmove(out, text, strlen(text) + 1);
}

/* What this site noted of its own one. */
static bool
note_own(const struct witness *w, const struct record_role_file *role,
    struct record_role_file *next)
{
	if (w->own[0] == '\0' || same(w->own, role->witness))
		return false;
	if (role->witness[0] ==
	    '\0') { /* a record from before this was noted */
		copy(next->witness, w->own);
		return true;
	}
	if (!same(role->witness, WITNESS_UNTOLD)) {
		copy(next->witness, WITNESS_UNTOLD);
		return true;
	}
	if (!same(w->tells, w->own) || w->answered_id != w->tells_id)
		return false;
	copy(next->witness, w->own);
	return true;
}

/* No lease is left that came by the vote of another witness alone. */
static bool
is_bound(const struct voter *v, int64_t now_us)
{
	enum record_seat peer =
	    v->self == SEAT_FIRST ? SEAT_SECOND : SEAT_FIRST;

	return !voter_holds(v, now_us) || (v->asked != 0 && v->granted[peer]);
}

bool
witness_step(struct witness *w, const struct record_role_file *role,
    const struct voter *v, int64_t now_us, uint64_t id,
    struct record_role_file *next)
{
	bool change;

	*next = *role;
	change = note_own(w, role, next);
	if (w->heard[0] != '\0' && !same(w->heard, role->peer_witness)) {
		copy(next->peer_witness, w->heard);
		change = true;
	}
	if (change || w->own[0] == '\0' || same(w->own, w->tells) ||
	    (!same(w->own, role->witness) && !is_bound(v, now_us)))
		return change;
	copy(w->tells, w->own);
	w->tells_id = id;
	return false;
}

uint64_t
witness_answer(const struct witness *w, const struct record_role_file *role)
{
	return w->heard[0] != '\0' && same(w->heard, role->peer_witness)
	    ? w->heard_id
	    : 0;
}

void
witness_answered(struct witness *w, const struct record_role_file *role,
    uint64_t id, uint64_t held)
{
	if (role->role != ROLE_PRIMARY || held <= role->held)
		w->answered_id = id;
}

bool
witness_counts(const struct witness *w, const struct record_role_file *role)
{
	return w->own[0] != '\0' && !same(w->own, WITNESS_NONE) &&
	    same(w->own, role->witness) &&
	    (role->role == ROLE_PRIMARY || same(w->own, role->peer_witness));
}

const char *
witness_key(const struct witness *w, const struct record_role_file *role)
{
	if (w->own[0] != '\0')
		return w->own;
	return same(role->witness, WITNESS_UNTOLD) ? "" : role->witness;
}

bool
witness_differs(const struct witness *w, const struct record_role_file *role)
{
	const char *own = witness_key(w, role);

	return own[0] != '\0' && role->peer_witness[0] != '\0' &&
	    !same(own, role->peer_witness);
}
