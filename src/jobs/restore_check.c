/*
 * restore_check: may this directory be restored into?  All refusals come from
 * here, before a byte is written.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/strmap.h"
#include "jobs/restore_place.h"
#include "pg/control.h"
#include "pg/server.h"

AUTO_DEFINE(char *, file_names_free);
#define AUTO_NAMES AUTO(file_names_free_auto)

/* The absolute name of a directory that need not exist yet. */
static char *
absolute_path(const char *path, struct err *e)
{
	AUTO_FREE char *parent = NULL, *real = NULL;
	AUTO_FREE char *plain = mem_strdup(path);
	size_t len = strlen(plain);
	const char *base;

	while (len > 1 && plain[len - 1] == '/')
		plain[--len] = '\0';
	real = realpath(plain, NULL);
	if (real != NULL)
		return steal_ptr(&real);
	parent = file_parent(plain);
	real = realpath(parent, NULL);
	if (real == NULL) {
		(void)err_sys(e, "could not find folder \"%s\"", parent);
		(void)err_hint(e,
		    "Create it first: only the last part of "
		    "the path is made here.");
		return NULL;
	}
	base = strrchr(plain, '/');
	return file_join(real, base == NULL ? plain : base + 1);
}

int
place_has_content(const char *path, struct err *e)
{
	AUTO_NAMES char **names = NULL;
	size_t count;

	if (file_list_at(AT_FDCWD, path, &names, &count, e) == -1)
		return -1;
	return count > 0;
}

/* ---- what is there ---- */

/* The system identifier that a restore that did not finish was for. */
static bool
read_marker(const char *path, uint64_t *system_id)
{
	AUTO_FREE char *name = file_join(path, PLACE_MARKER);
	AUTO_BUF struct buf text = BUF_INIT;
	unsigned long long id;

	if (file_slurp_at(AT_FDCWD, name, 4096, &text, NULL) == -1 ||
	    sscanf(buf_str(&text), "system %20llu", &id) != 1)
		return false;
	*system_id = id;
	return true;
}

/* Which cluster is this the directory of?  A pg_control that was put aside
 * counts: then a restore stopped between marker and name. */
static int
look_inside(struct restore_place *p, struct err *e)
{
	AUTO_FREE char *aside = file_join(p->path, PLACE_CONTROL_NEW);
	AUTO_FREE char *version = file_join(p->path, "PG_VERSION");
	AUTO_BUF struct buf bytes = BUF_INIT;
	struct control control;
	int rc;

	if (control_read(&control, p->path, e) == 0) {
		p->has_control = true;
		p->system_id = control.system_id;
		return 0;
	}
	err_clear(e);
	if (read_marker(p->path, &p->system_id))
		return 0;
	rc = file_exists_at(AT_FDCWD, version, e);
	if (rc == -1)
		return -1;
	if (rc == 0) {
		(void)err_set(e, ERR_REFUSED,
		    "\"%s\" is not empty and not a data directory", p->path);
		return err_hint(
		    e, "Give a directory that is empty or does not exist.");
	}
	/* When that cannot be read either, it is unknown whose it is. */
	if (file_slurp_at(AT_FDCWD, aside, CONTROL_BYTES, &bytes, NULL) == 0 &&
	    control_decode(&control, bytes.data, bytes.len, NULL) == 0)
		p->system_id = control.system_id;
	return 0;
}

static int
check_identity(const struct restore_place *p,
    const struct restore_options *options, uint64_t system_id, struct err *e)
{
	if (p->system_id == system_id || options->force_delta)
		return 0;
	if (p->system_id == 0)
		(void)err_set(e, ERR_CONFLICT,
		    "cannot tell which cluster \"%s\" belongs to", p->path);
	else
		(void)err_set(e, ERR_CONFLICT,
		    "\"%s\" belongs to another cluster: system identifier "
		    "%llu, not %llu",
		    p->path, (unsigned long long)p->system_id,
		    (unsigned long long)system_id);
	return err_hint(
	    e, "Restore elsewhere, or add --force-delta to replace it.");
}

static int
check_directory(struct restore_place *p, const struct restore_options *options,
    uint64_t system_id, struct err *e)
{
	struct stat st;
	pid_t pid = 0;
	int rc;

	if (stat(p->path, &st) == -1) {
		if (errno == ENOENT)
			return 0;
		return err_sys(e, "could not look up \"%s\"", p->path);
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(
		    e, ERR_USAGE, "\"%s\" is not a directory", p->path);
	p->exists = true;
	rc = place_has_content(p->path, e);
	if (rc <= 0)
		return rc;
	rc = server_is_running(p->path, &pid, e);
	if (rc == -1)
		return -1;
	if (rc == 1) {
		(void)err_set(e, ERR_REFUSED,
		    "a server is running on \"%s\" (pid %ld)", p->path,
		    (long)pid);
		return err_hint(
		    e, "Stop it first, or restore into another directory.");
	}
	if (!options->delta) {
		(void)err_set(
		    e, ERR_REFUSED, "directory \"%s\" is not empty", p->path);
		return err_hint(e,
		    "Add --delta to reuse what is there: only "
		    "blocks that differ are written.");
	}
	p->delta = true;
	if (look_inside(p, e) == -1)
		return -1;
	return check_identity(p, options, system_id, e);
}

/* ---- owner ---- */

static int
use_owner_by_name(struct restore_place *p, const char *spec, struct err *e)
{
	AUTO_FREE char *user = mem_strdup(spec);
	char *colon = strchr(user, ':');
	const struct passwd *pw;
	const struct group *gr;

	if (colon != NULL)
		*colon++ = '\0';
	pw = getpwnam(user);
	if (pw == NULL)
		return err_set(e, ERR_USAGE, "there is no user \"%s\"", user);
	p->uid = pw->pw_uid;
	p->gid = pw->pw_gid;
	if (colon == NULL)
		return 0;
	gr = getgrnam(colon);
	if (gr == NULL)
		return err_set(e, ERR_USAGE, "there is no group \"%s\"", colon);
	p->gid = gr->gr_gid;
	return 0;
}

/*
 * Who shall own it: as asked; else whom the directory belongs to, or the folder
 * above; else "postgres".  Never root: no server would start.
 */
static int
choose_owner(struct restore_place *p, const struct restore_options *options,
    struct err *e)
{
	AUTO_FREE char *parent = file_parent(p->path);
	struct stat st;

	p->set_owner = geteuid() == 0;
	if (options->owner != NULL) {
		if (use_owner_by_name(p, options->owner, e) == -1)
			return -1;
		p->set_owner = p->set_owner || p->uid != geteuid();
		return 0;
	}
	if (!p->set_owner)
		return 0;
	if (stat(p->exists ? p->path : parent, &st) == -1)
		return err_sys(e, "could not look up \"%s\"", parent);
	if (st.st_uid != 0) {
		p->uid = st.st_uid;
		p->gid = st.st_gid;
		return 0;
	}
	if (use_owner_by_name(p, "postgres", NULL) == 0)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "cannot tell who shall own \"%s\": there is no user \"postgres\"",
	    p->path);
	return err_hint(e, "Name the user with --owner=USER.");
}

/* A child takes the owner's place: no thread runs yet. */
bool
place_owner_reads(const struct restore_place *p, const char *path)
{
	const struct passwd *pw = getpwuid(p->uid);
	int status;
	pid_t pid;

	if (geteuid() != 0 || !p->set_owner || pw == NULL)
		return true;
	pid = fork();
	if (pid == -1)
		return true;
	if (pid == 0) {
		if (initgroups(pw->pw_name, p->gid) == -1 ||
		    setgid(p->gid) == -1 || setuid(p->uid) == -1)
			_exit(0);
		_exit(access(path, R_OK) == 0 ? 0 : 1);
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return true;
	return !WIFEXITED(status) || WEXITSTATUS(status) == 0;
}

/* ---- space ---- */

/* Only where it is sure: a fresh restore onto one file system. */
static int
check_space(
    const struct restore_place *p, const struct root *root, struct err *e)
{
	AUTO_FREE char *parent = file_parent(p->path);
	char need[SIZE_TEXT_BYTES], have[SIZE_TEXT_BYTES];
	uint64_t free_bytes;

	if (p->delta || p->link_count > 0)
		return 0;
	if (file_free_bytes(p->exists ? p->path : parent, &free_bytes, e) == -1)
		return -1;
	if (free_bytes >= root->bytes)
		return 0;
	return err_set(e, ERR_REFUSED,
	    "backup \"%s\" needs %s, \"%s\" has %s free", root->id,
	    size_text(root->bytes, need), p->path, size_text(free_bytes, have));
}

static mode_t
mode_mask_of(const struct root *root)
{
	const char *mode = root->settings == NULL
	    ? NULL
	    : strmap_get(root->settings, "data_directory_mode");

	return mode != NULL && strcmp(mode, "0750") == 0 ? 0750 : 0700;
}

int
place_look(struct restore_place *p, const struct restore_options *options,
    uint64_t system_id, struct err *e)
{
	(void)memset(p, 0, sizeof(*p));
	p->fd = -1;
	p->path = absolute_path(options->directory, e);
	if (p->path == NULL)
		return -1;
	return check_directory(p, options, system_id, e);
}

int
place_check(struct restore_place *p, const struct restore_options *options,
    const struct root *root, struct err *e)
{
	p->mode_mask = mode_mask_of(root);
	if (choose_owner(p, options, e) == -1 ||
	    place_check_tablespaces(p, options, root, e) == -1)
		return -1;
	return check_space(p, root, e);
}
