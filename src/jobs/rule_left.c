/*
 * rule_left: what a server that is gone has left: is all that was received of it at
 * the other site, and for how long has it written nothing?
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "jobs/rule_int.h"

/* When a file of the folder was written last; 0: not known. */
static int64_t
newest_us(const char *folder)
{
	AUTO_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char **names = NULL;
	size_t count = 0, i;
	int64_t newest = 0, us;
	struct stat st;

	if (fd == -1 || file_list_at(fd, ".", &names, &count, NULL) == -1)
		return 0;
	for (i = 0; i < count; i++) {
		if (fstatat(fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == -1 ||
		    !S_ISREG(st.st_mode))
			continue;
		us = (int64_t)st.st_mtim.tv_sec * CLOCK_SECOND_US +
		    st.st_mtim.tv_nsec / 1000;
		if (us > newest)
			newest = us;
	}
	file_names_free(names);
	return newest;
}

/* The files of pg_wal say it, also of processes that outlive their server. */
static int64_t
idle_us(const struct rule *r)
{
	AUTO_FREE char *folder = file_join(r->place.pgdata, "pg_wal");
	int64_t wrote_us = newest_us(folder), now_us = clock_now_us();

	return wrote_us == 0 || wrote_us > now_us ? 0 : now_us - wrote_us;
}

void
rule_left_look(struct rule *r)
{
	struct err e = ERR_INIT;
	uint64_t there;
	bool up;

	r->shipped = false;
	r->idle_us = 0;
	if (!r->has_role || r->role.role != ROLE_PRIMARY ||
	    r->look.process != WATCH_PROCESS_ABSENT || r->place.pgdata == NULL)
		return;
	r->idle_us = idle_us(r);
	if (!r->has_lineage || follow_end(&r->lineage, &r->end, &e) == -1)
		return;
	there = rule_peer_committed(r, &up);
	r->shipped = up && there >= r->end.lsn;
}

/* What is not said, because nothing was heard since, counts as written. */
int64_t
rule_left_idle_us(const struct rule *r, int64_t known_us, int64_t now_us)
{
	int64_t said_us = now_us - (clock_boot_us() - r->info.us);

	if (r->info.us == 0 || said_us <= known_us)
		return 0;
	return r->info.idle_us < said_us - known_us ? r->info.idle_us
						    : said_us - known_us;
}
