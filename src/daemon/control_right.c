#include "daemon/control_right.h"

#include <grp.h>

#include "base/auto.h"

#define OBSERVE	 CONTROL_RIGHT_OBSERVE
#define BACKUP	 CONTROL_RIGHT_BACKUP
#define DRILL	 CONTROL_RIGHT_DRILL
#define FAILOVER CONTROL_RIGHT_FAILOVER

static int
add_group(struct control_rights *r, const char *option, const char *name,
    unsigned int rights, struct err *e)
{
	const struct group *g;

	if (name == NULL)
		return 0;
	g = getgrnam(name);
	if (g == NULL) {
		(void)err_set(
		    e, ERR_USAGE, "%s: there is no group \"%s\"", option, name);
		return err_hint(e, "\"getent group\" lists those there are.");
	}
	r->groups[r->count].gid = g->gr_gid;
	r->groups[r->count++].rights = rights;
	return 0;
}

int
control_right_read(
    const struct settings *s, struct control_rights *out, struct err *e)
{
	struct control_rights r = { .socket_group = (gid_t)-1 };

	if (add_group(&r, "socket_group", s->socket_group,
		OBSERVE | BACKUP | DRILL, e) == -1)
		return -1;
	if (r.count > 0)
		r.socket_group = r.groups[0].gid;
	if (add_group(&r, "observe_group", s->observe_group, OBSERVE, e) ||
	    add_group(
		&r, "backup_group", s->backup_group, OBSERVE | BACKUP, e) ||
	    add_group(&r, "drill_group", s->drill_group, OBSERVE | DRILL, e) ||
	    add_group(
		&r, "failover_group", s->failover_group, OBSERVE | FAILOVER, e))
		return -1;
	r.by_role = r.count > (r.socket_group == (gid_t)-1 ? 0 : 1);
	*out = r;
	return 0;
}

unsigned int
control_right_of(
    const struct control_rights *r, const gid_t *gids, size_t count)
{
	unsigned int rights = 0;
	size_t i, j;

	for (i = 0; i < r->count; i++)
		for (j = 0; j < count; j++)
			if (gids[j] == r->groups[i].gid)
				rights |= r->groups[i].rights;
	return rights;
}

/* ---- who may not ---- */

static const struct {
	enum control_right right;
	const char *name, *options;
} rights[] = {
	{ OBSERVE, "observe",
	    "observe_group, backup_group, drill_group, failover_group or "
	    "socket_group names" },
	{ BACKUP, "backup", "backup_group or socket_group names" },
	{ DRILL, "drill", "drill_group or socket_group names" },
	{ FAILOVER, "failover", "failover_group names" },
	{ CONTROL_RIGHT_OWNER, "owner", NULL },
};

const char *
control_right_name(enum control_right right)
{
	size_t i;

	for (i = 0; i < COUNT_OF(rights); i++)
		if (rights[i].right == right)
			return rights[i].name;
	return "?";
}

int
control_right_check(
    unsigned int has, enum control_right needs, const char *what, struct err *e)
{
	const char *options = NULL;
	size_t i;

	if ((has & (unsigned int)needs) != 0)
		return 0;
	for (i = 0; i < COUNT_OF(rights); i++)
		if (rights[i].right == needs)
			options = rights[i].options;
	if (options == NULL)
		return err_set(e, ERR_REFUSED,
		    "only root and the user of pgkurad may ask for \"%s\"",
		    what);
	(void)err_set(e, ERR_REFUSED,
	    "this user may not ask for \"%s\": it needs the role \"%s\"", what,
	    control_right_name(needs));
	return err_hint(e,
	    "It is given to root, the user of pgkurad, and members of the "
	    "group that %s.",
	    options);
}
