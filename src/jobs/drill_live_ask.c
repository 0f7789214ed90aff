/*
 * drill_live_ask: the command's side of a live drill.  pgkurad runs it as a job, so
 * it goes on when the command, or the line to its terminal, is lost.
 */

#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/json.h"
#include "jobs/control.h"
#include "jobs/drill_live.h"

#define ASK_MS	10000
#define LOOK_US (CLOCK_SECOND_US / 5)
/* A daemon that is started anew is there again within this time ... */
#define GONE_US (60 * CLOCK_SECOND_US)
/* ... and keeps the report of what was killed with it. */
#define UNSAID_US (120 * CLOCK_SECOND_US)

struct asking {
	const struct settings *s;
	const struct cluster_settings *c;
	const struct drill_live_options *o;
	char id[DRILL_LIVE_ID_BYTES];
	size_t said;	     /* of its lines */
	int64_t answered_us; /* by pgkurad, CLOCK_BOOTTIME */
	int64_t ran_us;	     /* when it was last seen to run */
	bool canceled;
};

static json_t *
request(const struct asking *a, const char *name)
{
	json_t *o = control_request(name);

	json_set_str(o, "cluster", a->c->name);
	return o;
}

static int
order(struct asking *a, struct err *e)
{
	AUTO_JSON json_t *ask = request(a, "run"), *reply = NULL;

	json_set_str(ask, "job", DRILL_LIVE_JOB);
	(void)json_object_set_new(
	    ask, "hold_us", json_integer((json_int_t)a->o->hold_us));
	if (a->o->from != NULL)
		json_set_str(ask, "from", a->o->from);
	reply = control_ask(a->s, ask, ASK_MS, e);
	if (reply == NULL)
		return -1;
	return json_need_text(reply, "id", a->id, sizeof(a->id), e);
}

/* A person does not want it any more: once, and then its end is waited for. */
static void
cancel_if_wanted(struct asking *a)
{
	AUTO_JSON json_t *ask = NULL, *reply = NULL;
	struct err e = ERR_INIT;

	if (a->canceled || child_check_stop(NULL) == 0)
		return;
	ask = request(a, "cancel");
	json_set_str(ask, "job", DRILL_LIVE_JOB);
	reply = control_ask(a->s, ask, ASK_MS, &e);
	a->canceled = reply != NULL || e.kind == ERR_NOT_FOUND;
	if (a->o->say != NULL)
		a->o->say(a->o->arg,
		    reply != NULL ? "the drill is being stopped" : e.text);
}

static void
say_lines(struct asking *a, const json_t *drill)
{
	const json_t *lines = json_object_get(drill, "lines");

	for (; a->said < json_array_size(lines); a->said++)
		if (a->o->say != NULL)
			a->o->say(a->o->arg,
			    json_string_value(json_array_get(lines, a->said)));
}

/* What it says is an answer that has ended: 1 passed, -1 not. */
static int
take_end(const json_t *drill, json_t **report, struct err *e)
{
	const json_t *error = json_object_get(drill, "error");

	*report = json_incref(json_object_get(drill, "report"));
	return error == NULL ? 1 : control_error_read(error, e);
}

static int
goes_on(const struct asking *a, struct err *e)
{
	return err_hint(e,
	    "The drill does not depend on this command. \"pgkura role %s\" says "
	    "where the primary is, \"pgkura drill list %s\" has the report when "
	    "there is one.",
	    a->c->name, a->c->name);
}

static int
no_answer(const struct asking *a, const struct err *why, struct err *e)
{
	(void)err_set(e, ERR_TRANSIENT,
	    "what becomes of the live drill is not known: %s", why->text);
	return goes_on(a, e);
}

/* One look: 1 passed, 0 not yet, -1. */
static int
look(struct asking *a, json_t **report, struct err *e)
{
	AUTO_JSON json_t *ask = request(a, "drill_live"), *reply = NULL;
	struct err why = ERR_INIT;
	const json_t *drill;
	int64_t now_us;

	reply = control_ask(a->s, ask, ASK_MS, &why);
	drill = json_object_get(reply, "drill");
	now_us = clock_boot_us();
	if (reply == NULL) {
		if (why.kind == ERR_REFUSED ||
		    now_us - a->answered_us > GONE_US)
			return no_answer(a, &why, e);
		return 0;
	}
	a->answered_us = now_us;
	if (json_is_true(json_object_get(reply, "running")))
		a->ran_us = now_us;
	if (strcmp(json_get_str(drill, "order"), a->id) == 0) {
		say_lines(a, drill);
		if (json_is_true(json_object_get(drill, "ended")))
			return take_end(drill, report, e);
	}
	if (now_us - a->ran_us <= UNSAID_US)
		return 0;
	(void)err_set(
	    e, ERR_TRANSIENT, "the live drill has ended without a word");
	return goes_on(a, e);
}

int
drill_live_ask(const struct settings *s, const struct cluster_settings *c,
    const struct drill_live_options *options, json_t **report, struct err *e)
{
	struct asking a = { .s = s, .c = c, .o = options };
	int rc;

	*report = NULL;
	if (order(&a, e) == -1)
		return -1;
	a.answered_us = a.ran_us = clock_boot_us();
	while ((rc = look(&a, report, e)) == 0) {
		cancel_if_wanted(&a);
		clock_sleep_us(LOOK_US);
	}
	return rc == 1 ? 0 : -1;
}
