/*
 * rule_ask: what the command needs of the rule, from pgkurad: for who may use the
 * control socket, but not look into state_dir.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/json.h"
#include "jobs/control.h"
#include "jobs/rule_int.h"

#define ASK_MS 10000

static bool
is_denied(int error)
{
	return error == EACCES || error == EPERM;
}

bool
rule_ask_needed(const struct settings *s, const struct cluster_settings *c)
{
	AUTO_FREE char *path = rule_path(s, c, "json");
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct err e = ERR_INIT;

	if (fd == -1)
		return is_denied(errno);
	return cluster_lock_holder(s->state_dir, c->name, "rule", &e) == -1 &&
	    is_denied(e.sys_errno);
}

static json_t *
ask(const struct settings *s, const struct cluster_settings *c,
    const char *name, json_t *order, struct err *e)
{
	AUTO_JSON json_t *request = control_request(name);

	json_set_str(request, "cluster", c->name);
	if (order != NULL)
		(void)json_object_set(request, "order", order);
	return control_ask(s, request, ASK_MS, e);
}

json_t *
rule_ask_report(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	json_t *report;

	if (!rule_ask_needed(s, c))
		return rule_report(s, c, e);
	report = ask(s, c, "role", NULL, e);
	if (report != NULL) {
		(void)json_object_del(report, "version");
		(void)json_object_del(report, "ok");
	}
	return report;
}

json_t *
rule_ask_shown(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	AUTO_JSON json_t *report = NULL;
	json_t *shown = NULL;

	if (!rule_ask_needed(s, c)) {
		shown = rule_shown(s, c);
	} else {
		report = ask(s, c, "role", NULL, e);
		if (report == NULL)
			return NULL;
		shown = json_incref(json_object_get(report, "now"));
	}
	if (shown != NULL)
		return shown;
	(void)rule_not_running(c, e);
	return NULL;
}

int
rule_ask_order(const struct settings *s, const struct cluster_settings *c,
    json_t *order, char id[RULE_ORDER_ID_BYTES], struct err *e)
{
	AUTO_JSON json_t *reply = ask(s, c, "order", order, e);

	if (reply == NULL)
		return -1;
	return json_need_text(reply, "id", id, RULE_ORDER_ID_BYTES, e);
}
