#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/child.h"
#include "pg/basebackup_run.h"

#define TAR_TRAILER_BYTES 1024 /* two blocks of zeros */

/* ---- archives ---- */

static int
archive_begin(struct basebackup_run *r, const struct basebackup_tablespace *t,
    struct err *e)
{
	r->in_archive = true;
	return r->ops->archive_begin(r->arg, t, e);
}

static int
archive_end(struct basebackup_run *r, struct err *e)
{
	if (!r->in_archive)
		return 0;
	r->in_archive = false;
	r->archives_done++;
	return r->ops->archive_end(r->arg, e);
}

/* Take the next result, which has to begin a copy. */
static int
take_copy_start(struct basebackup_run *r, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;

	if (basebackup_run_peek(r, e) == -1)
		return -1;
	res = steal_ptr(&r->next);
	if (PQresultStatus(res) != PGRES_COPY_OUT)
		return session_fail(r->s, res, basebackup_doing, e);
	return 0;
}

/*
 * The end of a copy: by the server's will or by its failure?  To be known before
 * the archive is said to be whole.
 */
static int
take_copy_end(struct basebackup_run *r, struct err *e)
{
	if (basebackup_run_peek(r, e) == -1)
		return -1;
	if (PQresultStatus(r->next) == PGRES_FATAL_ERROR)
		return session_fail(r->s, r->next, basebackup_doing, e);
	return 0;
}

/* All messages of one copy, each given to take(). */
static int
take_copy(struct basebackup_run *r,
    int (*take)(
	struct basebackup_run *r, const char *data, size_t len, struct err *e),
    struct err *e)
{
	char *data;
	int len, rc;

	for (;;) {
		if (child_check_stop(e) == -1)
			return -1;
		data = NULL;
		len = session_next_copy(r->s, &data, -1, e);
		if (len <= 0)
			return len == 0 ? take_copy_end(r, e)
					: err_ctx(e, "%s", basebackup_doing);
		rc = take(r, data, (size_t)len, e);
		PQfreemem(data);
		if (rc == -1)
			return -1;
	}
}

/* ---- 13 and 14: a copy for each archive, then one for the manifest ---- */

static int
take_archive_bytes(
    struct basebackup_run *r, const char *data, size_t len, struct err *e)
{
	return r->ops->archive_data(r->arg, data, len, e);
}

static int
take_manifest_bytes(
    struct basebackup_run *r, const char *data, size_t len, struct err *e)
{
	return r->ops->manifest_data(r->arg, data, len, e);
}

int
basebackup_run_copies(struct basebackup_run *r, struct err *e)
{
	static const char trailer[TAR_TRAILER_BYTES];
	size_t i;

	for (i = 0; i < r->start.tablespace_count; i++) {
		if (take_copy_start(r, e) == -1 ||
		    archive_begin(r, &r->tablespaces[i], e) == -1 ||
		    take_copy(r, take_archive_bytes, e) == -1)
			return -1;
		/* These servers leave the end of the tar to the client. */
		if (r->ops->archive_data(r->arg, trailer, sizeof(trailer), e) ==
			-1 ||
		    archive_end(r, e) == -1)
			return -1;
	}
	if (take_copy_start(r, e) == -1)
		return -1;
	return take_copy(r, take_manifest_bytes, e);
}

/* ---- 15 to 18: one copy, whose messages begin with their type ---- */

/* 'n': name of the archive, then location of its tablespace, "" for base. */
static int
take_archive_name(
    struct basebackup_run *r, const char *data, size_t len, struct err *e)
{
	const char *location = memchr(data, '\0', len);
	size_t i;

	if (location == NULL ||
	    memchr(location + 1, '\0', len - (size_t)(location + 1 - data)) ==
		NULL)
		return err_set(e, ERR_CORRUPT, "%s: an archive has no name",
		    basebackup_doing);
	location++;
	if (archive_end(r, e) == -1)
		return -1;
	for (i = 0; i < r->start.tablespace_count; i++) {
		const struct basebackup_tablespace *t = &r->tablespaces[i];
		char name[32] = "base.tar";

		if (t->oid != 0)
			(void)snprintf(
			    name, sizeof(name), "%u.tar", (unsigned int)t->oid);
		if (strcmp(name, data) == 0 &&
		    strcmp(t->location, location) == 0)
			return archive_begin(r, t, e);
	}
	return err_set(e, ERR_CORRUPT,
	    "%s: archive \"%.64s\" belongs to no tablespace", basebackup_doing,
	    data);
}

/* basebackup_copy.c, bbsink_copystream_*() */
static int
take_typed(
    struct basebackup_run *r, const char *data, size_t len, struct err *e)
{
	switch (data[0]) {
	case 'd':
		if (r->in_manifest)
			return r->ops->manifest_data(
			    r->arg, data + 1, len - 1, e);
		if (r->in_archive)
			return r->ops->archive_data(
			    r->arg, data + 1, len - 1, e);
		break;
	case 'n':
		if (!r->in_manifest)
			return take_archive_name(r, data + 1, len - 1, e);
		break;
	case 'm':
		r->in_manifest = true;
		return archive_end(r, e);
	case 'p': /* how far the server is: the caller counts bytes */
		return 0;
	default:
		break;
	}
	return err_set(e, ERR_CORRUPT,
	    "%s: message of type 0x%02x is out of place", basebackup_doing,
	    (unsigned int)(unsigned char)data[0]);
}

int
basebackup_run_typed_copy(struct basebackup_run *r, struct err *e)
{
	if (take_copy_start(r, e) == -1 || take_copy(r, take_typed, e) == -1)
		return -1;
	return archive_end(r, e);
}
