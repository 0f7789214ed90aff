#include "pg/basebackup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/child.h"
#include "base/mem.h"
#include "pg/basebackup_command.h"
#include "pg/session_io.h"

#define TAR_TRAILER_BYTES 1024 /* two blocks of zeros */

static const char doing[] = "could not take the base backup";

struct run {
	struct session *s;
	const struct basebackup_ops *ops;
	void *arg;
	struct basebackup_start start;
	struct basebackup_tablespace *tablespaces;
	size_t archives_done;
	bool in_archive, in_manifest;
};

static void
run_fini(struct run *r)
{
	free(r->tablespaces);
}

/* ---- results 1, 2 and the last: positions and tablespaces ---- */

/* Take the next result, which has to be rows; *res is NULL on -1. */
static int
take_rows(struct run *r, int columns, PGresult **res, struct err *e)
{
	/* No bound: the server makes a checkpoint first. */
	if (session_next_result(r->s, -1, res, e) == -1)
		return err_ctx(e, "%s", doing);
	if (PQresultStatus(*res) != PGRES_TUPLES_OK)
		return session_fail(r->s, *res, doing, e);
	if (PQntuples(*res) < 1 || PQnfields(*res) < columns)
		return err_set(e, ERR_CORRUPT,
		    "%s: the server's answer has %d rows of %d columns", doing,
		    PQntuples(*res), PQnfields(*res));
	return 0;
}

static int
number(const char *text, uint64_t max, uint64_t *value, struct err *e)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
	    *value > max)
		return err_set(
		    e, ERR_CORRUPT, "%s: \"%s\" is no number", doing, text);
	return 0;
}

static int
take_position(struct run *r, uint64_t *lsn, uint32_t *timeline, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;
	uint64_t value;

	if (take_rows(r, 2, &res, e) == -1)
		return -1;
	if (lsn_parse(PQgetvalue(res, 0, 0), lsn, e) == -1)
		return err_ctx(e, "%s", doing);
	if (number(PQgetvalue(res, 0, 1), UINT32_MAX, &value, e) == -1)
		return -1;
	*timeline = (uint32_t)value;
	return 0;
}

/* A row of (spcoid, spclocation, size in KiB); the first two are null for the
 * data directory itself. */
static int
take_tablespace(const PGresult *res, int row, struct basebackup_tablespace *out,
    struct err *e)
{
	uint64_t oid = 0, kib = 0;

	if (!PQgetisnull(res, row, 0) &&
	    number(PQgetvalue(res, row, 0), UINT32_MAX, &oid, e) == -1)
		return -1;
	if (!PQgetisnull(res, row, 2) &&
	    number(PQgetvalue(res, row, 2), UINT64_MAX >> 20, &kib, e) == -1)
		return -1;
	if (PQgetlength(res, row, 1) >= (int)sizeof(out->location))
		return err_set(e, ERR_CORRUPT,
		    "%s: location of tablespace %u is too long", doing,
		    (unsigned int)oid);
	out->oid = (uint32_t)oid;
	(void)strcpy(out->location, PQgetvalue(res, row, 1));
	out->size_bytes = kib * 1024;
	return 0;
}

static int
take_tablespaces(struct run *r, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;
	size_t count, i;

	if (take_rows(r, 3, &res, e) == -1)
		return -1;
	count = (size_t)PQntuples(res);
	if (count > BASEBACKUP_TABLESPACES_MAX)
		return err_set(e, ERR_REFUSED,
		    "%s: the server has %zu tablespaces, more than %d", doing,
		    count, BASEBACKUP_TABLESPACES_MAX);
	r->tablespaces = mem_zarray(count, sizeof(*r->tablespaces));
	for (i = 0; i < count; i++) {
		if (take_tablespace(res, (int)i, &r->tablespaces[i], e) == -1)
			return -1;
		r->start.total_bytes += r->tablespaces[i].size_bytes;
	}
	r->start.tablespaces = r->tablespaces;
	r->start.tablespace_count = count;
	return 0;
}

/* ---- archives ---- */

static int
archive_begin(
    struct run *r, const struct basebackup_tablespace *t, struct err *e)
{
	r->in_archive = true;
	return r->ops->archive_begin(r->arg, t, e);
}

static int
archive_end(struct run *r, struct err *e)
{
	if (!r->in_archive)
		return 0;
	r->in_archive = false;
	r->archives_done++;
	return r->ops->archive_end(r->arg, e);
}

/* Take the next result, which has to begin a copy. */
static int
take_copy_start(struct run *r, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;

	if (session_next_result(r->s, -1, &res, e) == -1)
		return err_ctx(e, "%s", doing);
	if (PQresultStatus(res) != PGRES_COPY_OUT)
		return session_fail(r->s, res, doing, e);
	return 0;
}

/* All messages of one copy, each given to take(). */
static int
take_copy(struct run *r,
    int (*take)(struct run *r, const char *data, size_t len, struct err *e),
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
			return len == 0 ? 0 : err_ctx(e, "%s", doing);
		rc = take(r, data, (size_t)len, e);
		PQfreemem(data);
		if (rc == -1)
			return -1;
	}
}

/* ---- 13 and 14: a copy for each archive, then one for the manifest ---- */

static int
take_archive_bytes(struct run *r, const char *data, size_t len, struct err *e)
{
	return r->ops->archive_data(r->arg, data, len, e);
}

static int
take_manifest_bytes(struct run *r, const char *data, size_t len, struct err *e)
{
	return r->ops->manifest_data(r->arg, data, len, e);
}

static int
take_copies(struct run *r, struct err *e)
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
take_archive_name(struct run *r, const char *data, size_t len, struct err *e)
{
	const char *location = memchr(data, '\0', len);
	size_t i;

	if (location == NULL ||
	    memchr(location + 1, '\0', len - (size_t)(location + 1 - data)) ==
		NULL)
		return err_set(
		    e, ERR_CORRUPT, "%s: an archive has no name", doing);
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
	    "%s: archive \"%.64s\" belongs to no tablespace", doing, data);
}

/* basebackup_copy.c, bbsink_copystream_*() */
static int
take_typed(struct run *r, const char *data, size_t len, struct err *e)
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
	    "%s: message of type 0x%02x is out of place", doing,
	    (unsigned int)(unsigned char)data[0]);
}

static int
take_typed_copy(struct run *r, struct err *e)
{
	if (take_copy_start(r, e) == -1 || take_copy(r, take_typed, e) == -1)
		return -1;
	return archive_end(r, e);
}

/* ---- the whole ---- */

static void
take_notice(void *arg, const PGresult *res)
{
	const struct run *r = arg;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (r->ops->notice != NULL && text != NULL)
		r->ops->notice(
		    r->arg, severity == NULL ? "NOTICE" : severity, text);
}

/*
 * The rest behind the stop position.  Damaged pages make the server end with an
 * error although it has sent everything.
 */
static int
take_end(struct run *r, struct basebackup_end *end, struct err *e)
{
	for (;;) {
		AUTO_PGRESULT PGresult *res = NULL;

		if (session_next_result(r->s, -1, &res, e) == -1)
			return err_ctx(e, "%s", doing);
		if (res == NULL)
			return 0;
		if (PQresultStatus(res) == PGRES_COMMAND_OK)
			continue;
		(void)session_fail(r->s, res, doing, e);
		if (strcmp(session_sqlstate(r->s), "XX001") != 0)
			return -1;
		end->checksum_failures = true;
		err_clear(e);
	}
}

static int
run_all(struct run *r, const char *command, struct basebackup_end *end,
    struct err *e)
{
	struct basebackup_end got = { 0 };

	if (session_send(r->s, command, e) == -1)
		return err_ctx(e, "%s", doing);
	if (take_position(r, &r->start.start_lsn, &r->start.timeline, e) ==
		-1 ||
	    take_tablespaces(r, e) == -1)
		return -1;
	if (r->ops->started != NULL &&
	    r->ops->started(r->arg, &r->start, e) == -1)
		return -1;
	if (session_version_num(r->s) < 150000) {
		if (take_copies(r, e) == -1)
			return -1;
	} else if (take_typed_copy(r, e) == -1)
		return -1;
	if (take_position(r, &got.stop_lsn, &got.timeline, e) == -1)
		return -1;
	if (r->archives_done != r->start.tablespace_count)
		return err_set(e, ERR_CORRUPT,
		    "%s: the server sent %zu archives of %zu", doing,
		    r->archives_done, r->start.tablespace_count);
	if (take_end(r, &got, e) == -1)
		return -1;
	*end = got;
	return 0;
}

int
basebackup_run(struct session *s, const struct basebackup_options *options,
    const struct basebackup_ops *ops, void *arg, struct basebackup_end *end,
    struct err *e)
{
	AUTO_BUF struct buf command = BUF_INIT;
	AUTO(run_fini) struct run r = { .s = s, .ops = ops, .arg = arg };
	PQnoticeReceiver before;
	int rc;

	if (basebackup_command(options, session_version_num(s), &command, e) ==
	    -1)
		return -1;
	before = PQsetNoticeReceiver(s->conn, take_notice, &r);
	rc = run_all(&r, buf_str(&command), end, e);
	(void)PQsetNoticeReceiver(s->conn, before, NULL);
	return rc;
}
