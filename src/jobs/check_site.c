/*
 * check_site: the files and programs of this site.
 *
 * Nothing is made or changed but a probe that is removed at once, so that a
 * check by another user leaves no files that the daemon cannot use.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/size.h"
#include "jobs/check_int.h"
#include "jobs/control.h"
#include "pg/server.h"

#define USER_BYTES 64
#define ASK_MS	   3000

/* ---- rights ---- */

static const char *
user_name(uid_t uid, char out[USER_BYTES])
{
	const struct passwd *pw = getpwuid(uid);

	if (pw != NULL)
		(void)snprintf(out, USER_BYTES, "%s", pw->pw_name);
	else
		(void)snprintf(out, USER_BYTES, "%lu", (unsigned long)uid);
	return out;
}

/*
 * Something below path, at most depth levels down, that is not uid's: a command
 * was run as root once.  The caller frees; NULL when there is none.
 */
static char *
find_foreign(const char *path, uid_t uid, unsigned int depth)
{
	DIR *d = opendir(path);
	const struct dirent *entry;
	char *found = NULL;

	while (d != NULL && found == NULL && (entry = readdir(d)) != NULL) {
		AUTO_FREE char *below = file_join(path, entry->d_name);
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0 ||
		    (entry->d_type != DT_DIR && depth < 2) ||
		    lstat(below, &st) == -1)
			continue;
		if (st.st_uid != uid)
			found = steal_ptr(&below);
		else if (S_ISDIR(st.st_mode) && depth > 1)
			found = find_foreign(below, uid, depth - 1);
	}
	if (d != NULL)
		(void)closedir(d);
	return found;
}

/* Is the folder, and what lies in it, its user's alone?  False: it was said. */
static bool
check_owner(
    struct check *k, const char *what, const char *path, const struct stat *st)
{
	char owner[USER_BYTES], me[USER_BYTES];
	AUTO_FREE char *remedy = NULL, *foreign = NULL;

	(void)user_name(st->st_uid, owner);
	(void)user_name(geteuid(), me);
	if (st->st_uid != geteuid() && geteuid() != 0) {
		remedy =
		    mem_printf("Run this as \"%s\", or \"chown -R %s %s\".",
			owner, me, path);
		check_say(k, CHECK_FAULT, what, remedy,
		    "\"%s\" belongs to user \"%s\", this runs as \"%s\"", path,
		    owner, me);
		return false;
	}
	if ((st->st_mode & 022) != 0) {
		remedy = mem_printf("Run \"chmod go-w %s\".", path);
		check_say(k, CHECK_FAULT, what, remedy,
		    "\"%s\" has mode %04o: others than \"%s\" can change it",
		    path, (unsigned int)(st->st_mode & 07777), owner);
		return false;
	}
	foreign = find_foreign(path, st->st_uid, 4);
	if (foreign == NULL)
		return true;
	remedy = mem_printf("Run \"chown -R %s %s\".", owner, path);
	check_say(k, CHECK_FAULT, what, remedy,
	    "\"%s\" does not belong to user \"%s\"", foreign, owner);
	return false;
}

static void
say_missing(struct check *k, const char *what, const char *path)
{
	AUTO_FREE char *above = file_parent(path);
	AUTO_FREE char *remedy = NULL;
	char me[USER_BYTES];

	if (errno != ENOENT) {
		struct err e = ERR_INIT;

		(void)err_sys(&e, "could not look at \"%s\"", path);
		check_fault(k, what, &e);
	} else if (access(above, W_OK | X_OK) == 0) {
		check_say(k, CHECK_OK, what, NULL, "\"%s\" will be made", path);
	} else {
		remedy = mem_printf("As root: \"install -d -o %s -m 0700 %s\".",
		    user_name(geteuid(), me), path);
		check_say(k, CHECK_FAULT, what, remedy,
		    "\"%s\" does not exist and cannot be made", path);
	}
}

static void
check_folder(struct check *k, const char *what, const char *path)
{
	struct err e = ERR_INIT;
	AUTO_FREE char *probe =
	    mem_printf("%s/.probe.%ld", path, (long)getpid());
	struct stat st;
	char owner[USER_BYTES];

	if (stat(path, &st) == -1) {
		say_missing(k, what, path);
		return;
	}
	if (!check_owner(k, what, path, &st))
		return;
	if (geteuid() == 0 && st.st_uid != 0) {
		check_say(k, CHECK_NOTE, what,
		    "Run this as that user: root does not see which rights "
		    "it lacks.",
		    "\"%s\" belongs to user \"%s\"", path,
		    user_name(st.st_uid, owner));
		return;
	}
	if (file_publish_at(AT_FDCWD, probe, "x", 1, 0600, FILE_REPLACE, &e) ==
		-1 ||
	    file_unlink_at(AT_FDCWD, probe, &e) == -1) {
		if (e.hint[0] == '\0')
			(void)err_hint(&e,
			    "Its user must be able to write there, and there "
			    "must be space.");
		check_fault(k, what, &e);
		return;
	}
	check_say(k, CHECK_OK, what, NULL, "\"%s\" can be written", path);
}

/* ---- what is where ---- */

void
check_conf(struct check *k)
{
	const char *path = k->settings->path;
	struct stat st;
	size_t i;
	bool password = false;

	if (path == NULL || stat(path, &st) == -1)
		return;
	for (i = 0; i < k->settings->cluster_count; i++)
		password |= k->settings->clusters[i].conninfo != NULL &&
		    strstr(k->settings->clusters[i].conninfo, "password=") !=
			NULL;
	if (password && (st.st_mode & 077) != 0)
		check_say(k, CHECK_FAULT, "configuration",
		    "Take the password out (use passfile=, .pgpass), or "
		    "\"chmod 600\" the file.",
		    "\"%s\" holds a password and others can read it", path);
	else
		check_say(k, CHECK_OK, "configuration", NULL, "\"%s\"", path);
}

void
check_state(struct check *k)
{
	AUTO_FREE char *key = file_join(k->settings->state_dir, "sign.key");
	AUTO_FREE char *remedy = mem_printf("Run \"chmod 600 %s\".", key);
	struct stat st;

	check_folder(k, "state directory", k->settings->state_dir);
	if (stat(key, &st) == 0 && (st.st_mode & 077) != 0)
		check_say(k, CHECK_FAULT, "signing key", remedy,
		    "others can read \"%s\" and sign backups", key);
}

static void
check_space(struct check *k, const char *path)
{
	struct err e = ERR_INIT;
	uint64_t bytes, want_bytes = k->settings->min_free_bytes;
	char free_text[SIZE_TEXT_BYTES], want[SIZE_TEXT_BYTES];

	if (file_free_bytes(path, &bytes, &e) == -1) {
		check_fault(k, "repository space", &e);
		return;
	}
	(void)size_text(bytes, free_text);
	if (bytes < want_bytes)
		check_say(k, CHECK_FAULT, "repository space",
		    "Make room; \"pgkura expire --dry-run --explain\" says what "
		    "could go.",
		    "%s free, min_free_bytes is %s", free_text,
		    size_text(want_bytes, want));
	else
		check_say(k, CHECK_OK, "repository space", NULL, "%s free",
		    free_text);
}

void
check_repository(struct check *k)
{
	const struct settings *s = k->settings;
	struct err e = ERR_INIT;
	struct stat st;
	const char *local;

	k->repo = repo_open(s->repository, s->state_dir, false, &e);
	if (k->repo != NULL) {
		local = store_local_path(repo_store(k->repo));
		if (local != NULL) {
			check_folder(k, "repository", local);
			check_space(k, local);
			return;
		}
		check_say(
		    k, CHECK_OK, "repository", NULL, "\"%s\"", s->repository);
		return;
	}
	/* Rights explain more than "permission denied". */
	if (s->repository[0] == '/' && stat(s->repository, &st) == 0 &&
	    !check_owner(k, "repository", s->repository, &st))
		return;
	check_fault(k, "repository", &e);
}

static void
check_group(struct check *k, const char *option, const char *group)
{
	if (group != NULL && getgrnam(group) == NULL)
		check_say(k, CHECK_FAULT, option,
		    "Make the group, or name another one.",
		    "there is no group \"%s\"", group);
}

void
check_runtime(struct check *k)
{
	AUTO_JSON json_t *request = control_request("status");
	AUTO_JSON json_t *reply = NULL;
	const struct settings *s = k->settings;
	struct err e = ERR_INIT;

	check_group(k, "socket_group", s->socket_group);
	check_group(k, "observe_group", s->observe_group);
	check_group(k, "backup_group", s->backup_group);
	check_group(k, "drill_group", s->drill_group);
	check_group(k, "failover_group", s->failover_group);
	reply = control_ask(k->settings, request, ASK_MS, &e);
	k->daemon_runs = reply != NULL;
	if (reply != NULL)
		check_say(k, CHECK_OK, "daemon", NULL,
		    "pgkurad runs (process %d)",
		    (int)json_get_int(reply, "pid"));
	else if (e.kind == ERR_NOT_FOUND)
		check_say(k, CHECK_WARNING, "daemon",
		    "Start it: \"systemctl enable --now pgkurad\".",
		    "pgkurad does not run: nothing is scheduled or received");
	else
		check_fault(k, "daemon", &e);
}

/* ---- programs ---- */

static bool
in_path(const char *name)
{
	const char *p = getenv("PATH"), *end;

	for (; p != NULL && *p != '\0'; p = end + (*end == ':')) {
		AUTO_FREE char *path = NULL;

		end = strchrnul(p, ':');
		path = mem_printf("%.*s/%s", (int)(end - p), p, name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

/* restore_command of what is restored here names it. */
static void
check_wal_program(struct check *k)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	AUTO_FREE char *folder = NULL;
	AUTO_FREE char *beside = NULL;

	if (len > 0) {
		self[len] = '\0';
		folder = file_parent(self);
		beside = file_join(folder, "pgkura-wal");
	}
	if (beside != NULL && access(beside, X_OK) == 0)
		check_say(k, CHECK_OK, "pgkura-wal", NULL, "\"%s\"", beside);
	else if (in_path("pgkura-wal"))
		check_say(k, CHECK_OK, "pgkura-wal", NULL, "in PATH");
	else
		check_say(k, CHECK_FAULT, "pgkura-wal",
		    "Install it in the folder of pgkura: restored servers get "
		    "their WAL by it.",
		    "neither beside \"%s\" nor in PATH", self);
}

void
check_programs(struct check *k)
{
	AUTO_BUF struct buf dir = BUF_INIT;
	struct err e = ERR_INIT;

	check_wal_program(k);
	if (k->major == 0)
		return;
	if (server_find_bindir(k->major, k->cluster->bindir, &dir, &e) == -1)
		check_say(k, CHECK_NOTE, "server programs",
		    "Install this version of the server where you mean to "
		    "restore.",
		    "%s: \"restore --start\" will not work here", e.text);
	else
		check_say(k, CHECK_OK, "server programs", NULL, "\"%s\"",
		    buf_str(&dir));
}
