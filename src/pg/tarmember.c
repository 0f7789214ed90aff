#include "pg/tarmember.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#define TABLESPACES "pg_tblspc/"

void
tarmember_links_fini(struct tarmember_links *l)
{
	free(l->oids);
}

/*
 * "pg_tblspc/16384" or a path below it: the oid, with what follows it in *rest.
 * 0 when path is no such thing.
 */
static uint32_t
tablespace_oid(const char *path, const char **rest)
{
	const char *digits = path + strlen(TABLESPACES);
	unsigned long long oid;
	char *end;

	if (strncmp(path, TABLESPACES, strlen(TABLESPACES)) != 0 ||
	    *digits < '1' || *digits > '9')
		return 0;
	errno = 0;
	oid = strtoull(digits, &end, 10);
	if (errno != 0 || oid > UINT32_MAX || (*end != '\0' && *end != '/'))
		return 0;
	*rest = end;
	return (uint32_t)oid;
}

static bool
is_link(const struct tarmember_links *l, uint32_t oid)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		if (l->oids[i] == oid)
			return true;
	return false;
}

static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if (iscntrl((unsigned char)*text))
			return true;
	return false;
}

static int
take_link(struct tar_member *m, const char *target,
    struct tarmember_links *links, struct err *e)
{
	const char *rest = "";
	uint32_t oid = tablespace_oid(m->path, &rest);

	if (oid == 0 || *rest != '\0')
		return err_set(e, ERR_CORRUPT,
		    "tar member \"%s\" is a symbolic link outside of pg_tblspc",
		    m->path);
	if (target == NULL || *target == '\0' || has_control(target) ||
	    strlen(target) >= sizeof(m->target))
		return err_set(e, ERR_CORRUPT,
		    "symbolic link \"%s\" in tar has a bad target", m->path);
	if (links->count == TARMEMBER_LINKS_MAX)
		return err_set(e, ERR_CORRUPT,
		    "tar has more than %d symbolic links", TARMEMBER_LINKS_MAX);
	links->oids =
	    mem_rearray(links->oids, links->count + 1, sizeof(*links->oids));
	links->oids[links->count++] = oid;
	(void)strcpy(m->target, target);
	return 0;
}

/* Without leading "./" and trailing "/"; *skip for "." itself. */
static int
take_path(struct tar_member *m, const char *path, bool *skip, struct err *e)
{
	size_t len;

	*skip = false;
	if (path == NULL)
		return err_set(e, ERR_CORRUPT, "tar member has no name");
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	len = strlen(path);
	if (len > 0 && path[len - 1] == '/')
		len--;
	if (m->kind == TAR_DIRECTORY &&
	    (len == 0 || (len == 1 && path[0] == '.'))) {
		*skip = path[0] != '/';
		if (*skip)
			return 0;
	}
	if (len >= sizeof(m->path))
		return err_set(
		    e, ERR_CORRUPT, "tar member has a name of %zu bytes", len);
	(void)memcpy(m->path, path, len);
	m->path[len] = '\0';
	if (!file_path_is_safe(m->path)) {
		(void)err_set(e, ERR_CORRUPT,
		    "tar member \"%.200s\" has an unsafe name", m->path);
		return err_hint(e,
		    "No PostgreSQL server sends such a name: find out what answers at the server's address.");
	}
	return 0;
}

static int
take_kind(struct tar_member *m, struct archive_entry *entry, struct err *e)
{
	const char *path = archive_entry_pathname(entry);

	if (archive_entry_hardlink(entry) == NULL)
		switch (archive_entry_filetype(entry)) {
		case AE_IFREG:
			m->kind = TAR_FILE;
			return 0;
		case AE_IFDIR:
			m->kind = TAR_DIRECTORY;
			return 0;
		case AE_IFLNK:
			m->kind = TAR_SYMLINK;
			return 0;
		default:
			break;
		}
	return err_set(e, ERR_CORRUPT,
	    "tar member \"%.200s\" is neither file, directory nor symbolic link",
	    path == NULL ? "" : path);
}

int
tarmember_take(struct tar_member *m, struct archive_entry *entry,
    struct tarmember_links *links, bool *skip, struct err *e)
{
	const char *rest = "";
	int64_t size = archive_entry_size(entry);
	uint32_t oid;

	*skip = false;
	m->target[0] = '\0';
	if (take_kind(m, entry, e) == -1 ||
	    take_path(m, archive_entry_pathname(entry), skip, e) == -1)
		return -1;
	if (*skip)
		return 0;
	if (size < 0 || (size > 0 && m->kind != TAR_FILE))
		return err_set(e, ERR_CORRUPT,
		    "tar member \"%s\" has an impossible size", m->path);
	oid = tablespace_oid(m->path, &rest);
	if (oid != 0 && is_link(links, oid))
		return err_set(e, ERR_CORRUPT,
		    "tar member \"%s\" is below a symbolic link", m->path);
	if (m->kind == TAR_SYMLINK &&
	    take_link(m, archive_entry_symlink(entry), links, e) == -1)
		return -1;
	m->mode = (uint32_t)archive_entry_perm(entry);
	m->mtime_s = (int64_t)archive_entry_mtime(entry);
	m->size_bytes = (uint64_t)size;
	return 0;
}
