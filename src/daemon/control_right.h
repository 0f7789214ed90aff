#ifndef DAEMON_CONTROL_RIGHT_H
#define DAEMON_CONTROL_RIGHT_H

/*
 * control_right: what members of which groups may ask at the control socket.
 *
 *	observe_group	OBSERVE
 *	backup_group	OBSERVE, BACKUP
 *	drill_group	OBSERVE, DRILL
 *	failover_group	OBSERVE, FAILOVER
 *	socket_group	OBSERVE, BACKUP, DRILL
 *
 * Who is in several has the union; root and our own user have all.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "conf/settings.h"

enum control_right {
	CONTROL_RIGHT_OBSERVE = 1 << 0,
	CONTROL_RIGHT_BACKUP = 1 << 1,
	CONTROL_RIGHT_DRILL = 1 << 2,
	CONTROL_RIGHT_FAILOVER = 1 << 3,
	CONTROL_RIGHT_OWNER = 1 << 4 /* root and our own user */
};
#define CONTROL_RIGHTS_ALL 0x1fU

#define CONTROL_RIGHT_GROUPS 5

/* The groups of the settings, as the machine knows them. */
struct control_rights {
	struct {
		gid_t gid;
		unsigned int rights;
	} groups[CONTROL_RIGHT_GROUPS];
	size_t count;
	gid_t socket_group; /* (gid_t)-1: none */
	/* Is one of the four set that the mode of the socket cannot say? */
	bool by_role;
};

/* ERR_USAGE: a group is not there; *out is not touched. */
int control_right_read(
    const struct settings *s, struct control_rights *out, struct err *e);
/* What a member of these groups may. */
unsigned int control_right_of(
    const struct control_rights *r, const gid_t *gids, size_t count);
/* 0 when has contains needs; else ERR_REFUSED, and which option would give it.
 * what: the request, as in "may not ask for ...". */
int control_right_check(unsigned int has, enum control_right needs,
    const char *what, struct err *e);
/* "observe", "backup", "drill", "failover", "owner" */
const char *control_right_name(enum control_right right);

#endif /* !DAEMON_CONTROL_RIGHT_H */
