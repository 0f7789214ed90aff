/*
 * rule_report: what this site is for a cluster, and was, in one object.
 */

#include "base/json.h"
#include "jobs/rule.h"

static json_t *
history_json(const struct record_role_file *r)
{
	json_t *all = json_array();
	uint32_t i;

	for (i = 0; i < r->change_count; i++) {
		json_t *o = json_object();

		(void)json_object_set_new(
		    o, "time_us", json_integer(r->changes[i].wall_us));
		json_set_str(o, "role", record_role_name(r->changes[i].role));
		json_set_u64(o, "term", r->changes[i].term);
		json_set_str(o, "reason", r->changes[i].reason);
		(void)json_array_append_new(all, o);
	}
	return all;
}

json_t *
rule_report(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	json_t *shown = rule_shown(s, c), *out = json_object();
	struct record_role_file r;
	struct err own = ERR_INIT;
	bool known = rule_role_read(s, c, &r, &own) == 0;

	if (!known && own.kind != ERR_NOT_FOUND && own.kind != ERR_CORRUPT) {
		json_decref(shown);
		json_decref(out);
		*e = own;
		return NULL;
	}
	json_set_str(out, "cluster", c->name);
	json_set_str(out, "role", known ? record_role_name(r.role) : "unknown");
	if (known) {
		json_set_u64(out, "held", r.held);
		(void)json_object_set_new(out, "history", history_json(&r));
	}
	if (shown != NULL)
		(void)json_object_set_new(out, "now", shown);
	return out;
}
