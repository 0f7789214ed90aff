/*
 * ready_standby: the standby at this site, if it is to be one.
 */

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/show.h"
#include "jobs/follow.h"
#include "jobs/ready_int.h"
#include "jobs/rule.h"

static void
say_stopped(struct ready *r, const json_t *said)
{
	struct check *k = &r->k;
	const char *error = json_get_str(said, "error");
	const char *hint = json_get_str(said, "hint");
	AUTO_FREE char *start =
	    mem_printf("Run \"pgkura standby start %s\".", k->cluster->name);

	if (follow_is_off(k->settings, k->cluster, NULL) == 1)
		check_say(k, CHECK_WARNING, "standby", start,
		    "stopped by order: it falls behind");
	else if (error[0] != '\0')
		check_say(k, CHECK_FAULT, "standby",
		    hint[0] == '\0' ? "The end of standby.log in the cluster's "
				      "folder of state_dir says more."
				    : hint,
		    "%s", error);
	else
		check_say(k, CHECK_NOTE, "standby", NULL, "it does not run");
}

/* After a switchover it becomes a standby by itself. */
static void
say_old(struct ready *r, const json_t *shown)
{
	AUTO_FREE char *remedy =
	    mem_printf("Run \"pgkura failback %s\".", r->k.cluster->name);
	bool busy = json_get_str(shown, "doing")[0] != '\0' ||
	    strcmp(json_get_str(shown, "handover"), "none") != 0;

	check_say(&r->k, busy ? CHECK_WARNING : CHECK_FAULT, "standby", remedy,
	    "the server here was the primary, and does not follow yet");
}

static void
say_none(struct ready *r, const json_t *said)
{
	const char *error = json_get_str(said, "error");

	check_say(&r->k, error[0] == '\0' ? CHECK_NOTE : CHECK_FAULT, "standby",
	    "\"pgkura standby status\" says how far it is.",
	    "it has to be made from a backup first%s%s",
	    error[0] == '\0' ? "" : ": ", error);
}

void
ready_look_at_standby(struct ready *r)
{
	const struct cluster_settings *c = r->k.cluster;
	AUTO_JSON json_t *shown =
	    rule_wanted(c) ? rule_shown(r->k.settings, c) : NULL;
	AUTO_FREE char *path =
	    mem_printf("%s/%s/standby.json", r->k.settings->state_dir, c->name);
	AUTO_JSON json_t *said = show_read(path);
	struct err e = ERR_INIT;
	struct follow_view v;

	if (c->standby_dir == NULL ||
	    strcmp(json_get_str(shown, "role"), "standby") != 0)
		return;
	if (follow_look_state(r->k.settings, c, &v, &e) == -1) {
		check_fault(&r->k, "standby", &e);
		return;
	}
	switch (v.state) {
	case FOLLOW_RUNNING:
	case FOLLOW_STARTING:
		check_say(&r->k, CHECK_OK, "standby", NULL, "%s in \"%s\"",
		    follow_state_name(v.state), c->standby_dir);
		break;
	case FOLLOW_STOPPED:
		say_stopped(r, said);
		break;
	case FOLLOW_PROMOTED:
	case FOLLOW_FOREIGN:
		say_old(r, shown);
		break;
	default:
		say_none(r, said);
		break;
	}
}
