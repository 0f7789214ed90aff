#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/child.h"
#include "base/child_spawn.h"
#include "base/mem.h"

#define NAMES_BYTES_MAX	 ((size_t)1 << 20)
#define GROUPS_COUNT_MAX 65536 /* NGROUPS_MAX of Linux */

static void
identity_fini(struct child_identity *id)
{
	free(id->groups);
}

/* Looked up before fork(): after it nothing may be that takes a lock. */
static int
identity_init(struct child_identity *id, uid_t uid, struct err *e)
{
	AUTO_FREE char *names = mem_alloc(NAMES_BYTES_MAX);
	struct passwd pw, *found = NULL;
	int rc = getpwuid_r(uid, &pw, names, NAMES_BYTES_MAX, &found);

	if (found == NULL && rc != 0) {
		errno = rc;
		return err_sys(
		    e, "could not look up user %lu", (unsigned long)uid);
	}
	if (found == NULL)
		return err_set(e, ERR_NOT_FOUND, "there is no user %lu",
		    (unsigned long)uid);
	id->uid = uid;
	id->gid = pw.pw_gid;
	id->group_count = GROUPS_COUNT_MAX;
	id->groups = mem_array(GROUPS_COUNT_MAX, sizeof(*id->groups));
	if (getgrouplist(pw.pw_name, pw.pw_gid, id->groups, &id->group_count) ==
	    -1)
		return err_set(
		    e, ERR_IO, "user \"%s\" is in too many groups", pw.pw_name);
	return 0;
}

pid_t
child_start_apart(
    const char *const *argv, int out_fd, int err_fd, uid_t uid, struct err *e)
{
	AUTO(identity_fini) struct child_identity id = { 0 };
	struct child_spawn how = {
		.out_fd = out_fd, .err_fd = err_fd, .own_session = true
	};

	if (geteuid() == 0 && uid != 0) {
		if (identity_init(&id, uid, e) == -1)
			return -1;
		how.identity = &id;
	}
	return child_spawn(argv, &how, e);
}
