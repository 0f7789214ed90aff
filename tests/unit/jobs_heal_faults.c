/*
 * heal_commit under a failing kernel: the Nth call fails, for every N there is,
 * alone or with all behind it.  At no failure is the damaged object lost without
 * a way back, and what passes for whole is whole.
 */

#include "unit/faults.h"
#include "unit/heal_scratch.h"

/* ---- the Nth call fails ---- */

/* 0 fails, 1 succeeds; -1 every call has had its turn. */
static int
fail_once(const struct object *o, enum how how, unsigned int n, struct buf *was)
{
	struct err e = ERR_INIT;
	int rc;

	damage(o, how, was);
	spill(staging_of(o), o->bytes.data, o->bytes.len);
	faults_arm(n);
	rc = heal_commit(
	    &lineage, &settings, "far", o->name, staging_of(o), o->sha256, &e);
	if (faults_disarm())
		return rc == 0;
	if (rc == -1)
		tap_bail("%s", e.text);
	return -1;
}

static void
check_failure(const struct object *o, enum how how, bool done,
    const struct buf *was, const char *what)
{
	bool whole = is_whole(o), there = is_there(o);
	unsigned int kept = aside(was);
	struct err e = ERR_INIT;

	if (done)
		tap_ok(whole, "%s: it says that it is whole, and it is", what);
	else
		tap_ok(whole || !there || is_as_it_was(o, was),
		    "%s: it is what it was, or gone, or whole", what);
	if (how != LOST)
		tap_ok(kept == 1 || (kept == 0 && is_as_it_was(o, was)),
		    "%s: the damaged body is there, or aside, once (%u)", what,
		    kept);
	if (o == &objects[ROOT] || o == &objects[MARK])
		tap_ok(there || how == LOST, "%s: it is never gone", what);
	if (!there && how != LOST)
		tap_ok(is_noted_gone(o), "%s: the list says that it is gone",
		    what);
	tap_ok(
	    whole || is_wanted(o), "%s: it is wanted until it is whole", what);
	if (is_wanted(o))
		tap_ok(try_with(o, o->bytes.data, o->bytes.len, &e) == 0,
		    "%s: the next try succeeds: %s", what, e.text);
	tap_ok(is_whole(o), "%s: and it is whole", what);
}

static void
check_failures(const struct object *o, enum how how)
{
	AUTO_BUF struct buf was = BUF_INIT;
	unsigned int n, failures = 0;
	int rc;

	for (n = 1; (rc = fail_once(o, how, n, &was)) != -1; n++) {
		AUTO_FREE char *what = mem_printf("%.8s %s: call %u, %s%s",
		    o->name, hows[how], n, faults.failed_call,
		    faults.for_ever ? " and all behind it" : "");

		failures += rc == 0;
		check_failure(o, how, rc == 1, &was, what);
	}
	tap_ok(is_whole(o) && !is_wanted(o) && aside(&was) == (how != LOST),
	    "%.8s %s: with no failure it is healed, the damaged one aside",
	    o->name, hows[how]);
	tap_ok(failures > 3, "%u of %u calls matter", failures, n - 1);
}

/* A call that fails makes nothing damaged of what is whole. */
static void
check_whole(const struct object *o)
{
	AUTO_BUF struct buf was = BUF_INIT;
	unsigned int n, bad = 0;

	for (n = 1; fail_once(o, WHOLE, n, &was) != -1; n++)
		bad += !is_as_it_was(o, &was) || aside(&was) != 0;
	tap_u64(bad, 0,
	    "%.8s: what is whole stays, whichever of %u calls fails", o->name,
	    n - 1);
}

int
main(void)
{
	size_t i;

	heal_scratch_init();
	for (i = 0; i < object_count; i++) {
		check_whole(&objects[i]);
		check_failures(&objects[i], FLIPPED);
		check_failures(&objects[i], LOST);
	}
	faults.for_ever = true;
	for (i = 0; i < object_count; i++)
		check_failures(&objects[i], FLIPPED);
	heal_scratch_fini();
	return tap_done();
}
