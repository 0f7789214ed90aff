/*
 * What members of which groups may: each option gives what the manual says, the
 * union counts, and who is refused is told which option it takes.
 */

#include <grp.h>
#include <string.h>

#include "daemon/control_right.h"
#include "tap.h"

#define STRANGE ((gid_t)4242424)

static char observers[] = "games", backupers[] = "news", drillers[] = "mail",
	    leaders[] = "uucp", all[] = "daemon", missing[] = "no_such_group";

static gid_t
gid_of(const char *name)
{
	const struct group *g = getgrnam(name);

	if (g == NULL)
		tap_bail("there is no group \"%s\" here", name);
	return g->gr_gid;
}

static unsigned int
rights_of(const struct control_rights *r, const char *one, const char *two)
{
	gid_t gids[3] = { STRANGE, STRANGE, STRANGE };

	if (one != NULL)
		gids[0] = gid_of(one);
	if (two != NULL)
		gids[2] = gid_of(two);
	return control_right_of(r, gids, 3);
}

static void
check_members(void)
{
	const unsigned int o = CONTROL_RIGHT_OBSERVE, b = CONTROL_RIGHT_BACKUP,
			   d = CONTROL_RIGHT_DRILL, f = CONTROL_RIGHT_FAILOVER;
	struct settings s = { .observe_group = observers,
		.backup_group = backupers,
		.drill_group = drillers,
		.failover_group = leaders,
		.socket_group = all };
	struct err e = ERR_INIT;
	struct control_rights r;

	tap_ok(control_right_read(&s, &r, &e) == 0, "five groups are read");
	tap_ok(r.by_role && r.socket_group == gid_of(all), "and told apart");
	tap_u64(rights_of(&r, NULL, NULL), 0, "a stranger may nothing");
	tap_u64(rights_of(&r, observers, NULL), o, "observe_group");
	tap_u64(rights_of(&r, backupers, NULL), o | b, "backup_group");
	tap_u64(rights_of(&r, drillers, NULL), o | d, "drill_group");
	tap_u64(rights_of(&r, leaders, NULL), o | f, "failover_group");
	tap_u64(rights_of(&r, NULL, all), o | b | d,
	    "socket_group, the last of his groups: all but orders");
	tap_u64(
	    rights_of(&r, backupers, leaders), o | b | f, "both: the union");
	s.drill_group = s.failover_group = backupers;
	tap_ok(control_right_read(&s, &r, &e) == 0, "one group, three options");
	tap_u64(rights_of(&r, backupers, NULL), o | b | d | f,
	    "gives what the three give");
}

static void
check_settings(void)
{
	struct settings s = { .socket_group = NULL };
	struct err e = ERR_INIT;
	struct control_rights r;

	tap_ok(control_right_read(&s, &r, &e) == 0 && r.count == 0 &&
		!r.by_role && r.socket_group == (gid_t)-1,
	    "no group at all");
	s.socket_group = all;
	tap_ok(control_right_read(&s, &r, &e) == 0 && !r.by_role,
	    "socket_group alone: the socket's mode says it");
	s.observe_group = missing;
	tap_ok(control_right_read(&s, &r, &e) == -1 && e.kind == ERR_USAGE,
	    "a group that is not there: %s", e.text);
	tap_ok(r.count == 1, "and nothing is changed");
}

static void
check_refusals(void)
{
	struct err e = ERR_INIT;

	tap_ok(control_right_check(
		   CONTROL_RIGHTS_ALL, CONTROL_RIGHT_OWNER, "stop", &e) == 0,
	    "the owner may all");
	tap_ok(control_right_check(CONTROL_RIGHT_OBSERVE,
		   CONTROL_RIGHT_FAILOVER, "order", &e) == -1,
	    "who may only look gives no orders");
	tap_ok(e.kind == ERR_REFUSED && strstr(e.text, "\"failover\"") != NULL,
	    "%s", e.text);
	tap_ok(strstr(e.hint, "failover_group") != NULL &&
		strstr(e.hint, "socket_group") == NULL,
	    "%s", e.hint);
	tap_ok(control_right_check(CONTROL_RIGHTS_ALL & ~CONTROL_RIGHT_OWNER,
		   CONTROL_RIGHT_OWNER, "stop", &e) == -1 &&
		e.hint[0] == '\0',
	    "%s: no group gives it", e.text);
}

int
main(void)
{
	check_members();
	check_settings();
	check_refusals();
	return tap_done();
}
