/*
 * restore_prune: what is in an old directory but not in the backup goes, before
 * anything is written: files of dropped tables, links that lead elsewhere, a
 * stale postmaster.pid, and all old WAL (the archive's counts).
 *
 * What belongs there is remembered as 64-bit hashes of names with their kind,
 * eight bytes a file: a million files take 16 MB.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "jobs/restore_job.h"

AUTO_DEFINE(char *, file_names_free);
#define AUTO_NAMES AUTO(file_names_free_auto)

#define DEPTH_MAX 64

enum kind { KIND_FILE = 1, KIND_DIRECTORY = 2 };

/* A set of hashes; 0 is a free slot. */
struct set {
	uint64_t *slots;
	size_t room, count; /* room: a power of two */
};

static uint64_t
hash_of(const char *path, enum kind kind)
{
	uint64_t h = xxh3_keyed((uint64_t)kind, path, strlen(path));

	return h == 0 ? 1 : h;
}

static bool
set_has(const struct set *s, uint64_t h)
{
	size_t i;

	for (i = (size_t)h & (s->room - 1); s->slots[i] != 0;
	     i = (i + 1) & (s->room - 1))
		if (s->slots[i] == h)
			return true;
	return false;
}

static void
set_put(struct set *s, uint64_t h)
{
	size_t i;

	if (set_has(s, h))
		return;
	for (i = (size_t)h & (s->room - 1); s->slots[i] != 0;)
		i = (i + 1) & (s->room - 1);
	s->slots[i] = h;
	s->count++;
}

static void
set_grow(struct set *s)
{
	struct set bigger = { NULL, s->room * 2, 0 };
	size_t i;

	if (s->count * 4 < s->room * 3)
		return;
	bigger.slots = mem_zarray(bigger.room, sizeof(bigger.slots[0]));
	for (i = 0; i < s->room; i++)
		if (s->slots[i] != 0)
			set_put(&bigger, s->slots[i]);
	free(s->slots);
	*s = bigger;
}

static void
set_add(struct set *s, const char *path, enum kind kind)
{
	set_put(s, hash_of(path, kind));
	set_grow(s);
}

/* ---- what belongs there ---- */

static int
note_entry(void *arg, const struct entry *entry, struct err *e)
{
	struct set *s = arg;
	char path[LEAF_PATH_MAX + 1];
	char *slash;

	if (entry->kind == ENTRY_ATTACHMENT)
		return child_check_stop(e);
	set_add(s, entry->path,
	    entry->kind == ENTRY_FILE ? KIND_FILE : KIND_DIRECTORY);
	/* Folders above it, until one that is known. */
	(void)strcpy(path, entry->path);
	while ((slash = strrchr(path, '/')) != NULL) {
		*slash = '\0';
		if (set_has(s, hash_of(path, KIND_DIRECTORY)))
			break;
		set_add(s, path, KIND_DIRECTORY);
	}
	return child_check_stop(e);
}

/* ---- what is there ---- */

struct prune {
	struct set set;
	const struct restore_place *place;
};

static int
remove_it(int dirfd, const char *name, const char *shown, struct err *e)
{
	if (file_rmtree_at(dirfd, name, e) == -1)
		return err_ctx(e, "could not clear \"%s\"", shown);
	return 0;
}

/* All content goes, the folder (or the link that stands for it) stays. */
static int
empty_folder(int dirfd, const char *name, const char *shown, struct err *e)
{
	AUTO_NAMES char **names = NULL;
	AUTO_FD int fd =
	    openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t count, i;

	if (fd == -1)
		return err_sys(e, "could not open folder \"%s\"", shown);
	if (file_list_at(fd, ".", &names, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (remove_it(fd, names[i], shown, e) == -1)
			return -1;
	return 0;
}

/* What the restore itself needs, or the file system.  Links to tablespaces that
 * were ours stay: they tell the next try that those are. */
static bool
is_kept(const struct prune *p, const char *path)
{
	unsigned int oid;
	int end = 0;
	size_t i;

	if (strcmp(path, PLACE_MARKER) == 0 ||
	    strcmp(path, PLACE_CONTROL_NEW) == 0 ||
	    strcmp(path, "lost+found") == 0)
		return true;
	if (sscanf(path, "pg_tblspc/%10u%n", &oid, &end) != 1 ||
	    path[end] != '\0')
		return false;
	for (i = 0; i < p->place->link_count; i++)
		if (p->place->links[i].oid == oid &&
		    p->place->links[i].was_ours)
			return true;
	return false;
}

static int prune_folder(
    const struct prune *p, int fd, const char *path, int depth, struct err *e);

static int
prune_one(const struct prune *p, int dirfd, const char *name, const char *path,
    int depth, struct err *e)
{
	struct stat st;
	AUTO_FD int fd = -1;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT
		    ? 0
		    : err_sys(e, "could not look up \"%s\"", path);
	if (is_kept(p, path) ||
	    (S_ISREG(st.st_mode) && set_has(&p->set, hash_of(path, KIND_FILE))))
		return 0;
	/* pg_wal may be a link to another disk, which is kept. */
	if (strcmp(path, "pg_wal") == 0 &&
	    (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)))
		return empty_folder(dirfd, name, path, e);
	/* Links of tablespaces are made anew by the restore. */
	if (!S_ISDIR(st.st_mode) ||
	    !set_has(&p->set, hash_of(path, KIND_DIRECTORY)))
		return remove_it(dirfd, name, path, e);
	fd = openat(
	    dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return err_sys(e, "could not open folder \"%s\"", path);
	return prune_folder(p, fd, path, depth + 1, e);
}

/* path is "" for the data directory. */
static int
prune_folder(
    const struct prune *p, int fd, const char *path, int depth, struct err *e)
{
	AUTO_NAMES char **names = NULL;
	size_t count, i;

	if (depth > DEPTH_MAX)
		return err_set(
		    e, ERR_REFUSED, "folder \"%s\" is nested too deeply", path);
	if (child_check_stop(e) == -1 ||
	    file_list_at(fd, ".", &names, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		AUTO_FREE char *below = path[0] == '\0'
		    ? mem_strdup(names[i])
		    : file_join(path, names[i]);

		if (prune_one(p, fd, names[i], below, depth, e) == -1)
			return -1;
	}
	return 0;
}

/* A tablespace that was the old directory's too.  Folders of other major
 * versions belong to other servers. */
static int
prune_location(const struct restore *r, const struct prune *p,
    const struct place_link *l, struct err *e)
{
	AUTO_NAMES char **names = NULL;
	AUTO_FD int fd = file_open_dir(l->path, e);
	char version[16];
	size_t count, i;

	if (fd == -1 || file_list_at(fd, ".", &names, &count, e) == -1)
		return -1;
	(void)snprintf(version, sizeof(version), "PG_%d_", r->root.facts.major);
	for (i = 0; i < count; i++) {
		AUTO_FREE char *path =
		    mem_printf("pg_tblspc/%u/%s", l->oid, names[i]);

		if (strncmp(names[i], version, strlen(version)) == 0 &&
		    prune_one(p, fd, names[i], path, 0, e) == -1)
			return -1;
	}
	return 0;
}

static void
prune_free(struct prune *p)
{
	free(p->set.slots);
}

int
restore_prune(struct restore *r, struct err *e)
{
	AUTO(prune_free) struct prune p = { { NULL, 1024, 0 }, &r->place };
	size_t i;

	if (!r->place.delta)
		return 0;
	p.set.slots = mem_zarray(p.set.room, sizeof(p.set.slots[0]));
	if (root_walk(&r->root, r->packs, note_entry, &p.set, e) == -1)
		return -1;
	for (i = 0; i < r->place.link_count; i++)
		if (r->place.links[i].was_ours &&
		    prune_location(r, &p, &r->place.links[i], e) == -1)
			return -1;
	return prune_folder(&p, r->place.fd, "", 0, e);
}
