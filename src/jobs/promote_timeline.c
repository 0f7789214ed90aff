/*
 * promote_timeline: the number of the timeline that a promotion begins.
 *
 * A server takes the first number behind the timeline that it follows of which it
 * finds no history.  Two sites that are promoted from the same timeline, the one not
 * knowing of the other, would both take the next one, and nothing would tell their WAL
 * apart.  So the site whose role is primary takes odd numbers only, the one whose role
 * is standby even ones, each above all that its repository has; numbers in between
 * get a history that says nothing, which is enough for the server to pass them by.
 * (xlog.c, timeline.c: findNewestTimeLine(); a history without lines is valid and
 * is nobody's ancestor.)  It stays in pg_wal: replicas of the promoted server ask it
 * for the history of every number up to its own.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/promote_int.h"
#include "repo/walarchive.h"

static bool
is_own(const struct cluster_settings *c, uint32_t timeline)
{
	switch (c->role) {
	case INITIAL_PRIMARY:
		return timeline % 2 == 1;
	case INITIAL_STANDBY:
		return timeline % 2 == 0;
	case INITIAL_NONE:
		break;
	}
	return true;
}

uint32_t
promote_timeline_next(
    const struct cluster_settings *c, uint32_t followed, uint32_t newest)
{
	uint32_t timeline = followed > newest ? followed : newest;

	do
		timeline++;
	while (!is_own(c, timeline));
	return timeline;
}

/* The server has to read it. */
static int
give_to_owner(const char *path, const char *pgdata, struct err *e)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (stat(pgdata, &st) == -1 || chown(path, st.st_uid, st.st_gid) == -1)
		return err_sys(e, "could not set the owner of \"%s\"", path);
	return 0;
}

/* The server is to pass this number by. */
static int
pass_by(const struct lineage *l, const char *pgdata, uint32_t timeline,
    struct err *e)
{
	struct timeline_history h = { 0 };
	AUTO_FREE char *path =
	    mem_printf("%s/pg_wal/%08" PRIX32 ".history", pgdata, timeline);
	static const char text[] = WAL_HISTORY_EMPTY;
	struct err local = ERR_INIT;

	if (wal_read_history(l, timeline, &h, NULL, &local) == 0) {
		timeline_history_free(&h);
		return 0; /* restore_command has it */
	}
	/* One that is damaged is passed by like one that is not there. */
	err_clear(&local);
	if (file_publish_at(AT_FDCWD, path, text, sizeof(text) - 1, 0600,
		FILE_WRITE_ONCE, &local) == 0)
		return give_to_owner(path, pgdata, e);
	if (local.kind == ERR_CONFLICT) /* a history is there: as good */
		return 0;
	*e = local;
	return -1;
}

int
promote_timeline_keep(const struct cluster_settings *c, const struct lineage *l,
    const char *pgdata, uint32_t followed, struct err *e)
{
	uint32_t newest, next, t;
	char own[16], behind[16];

	if (c->role == INITIAL_NONE)
		return 0;
	if (wal_newest_timeline(l, &newest, e) == -1)
		return -1;
	next = promote_timeline_next(c, followed, newest);
	for (t = followed + 1; t < next; t++)
		if (pass_by(l, pgdata, t, e) == -1)
			return -1;
	if (next == followed + 1)
		return 0;
	(void)snprintf(own, sizeof(own), "%" PRIu32, next);
	(void)snprintf(behind, sizeof(behind), "%" PRIu32, followed);
	log_event(LOG_LEVEL_INFO, "timeline_passed_by",
	    "numbers of timelines are passed by that may be the other site's",
	    "cluster", c->name, "from", behind, "to", own, NULL);
	return 0;
}
