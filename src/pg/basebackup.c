#include "pg/basebackup.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "pg/basebackup_command.h"
#include "pg/basebackup_run.h"

static void
run_fini(struct basebackup_run *r)
{
	PQclear(r->next);
	free(r->tablespaces);
}

static void
take_notice(void *arg, const PGresult *res)
{
	const struct basebackup_run *r = arg;
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
take_end(struct basebackup_run *r, struct basebackup_end *end, struct err *e)
{
	for (;;) {
		AUTO_PGRESULT PGresult *res = NULL;

		if (basebackup_run_peek(r, e) == -1)
			return -1;
		res = steal_ptr(&r->next);
		if (res == NULL)
			return 0;
		if (PQresultStatus(res) == PGRES_COMMAND_OK)
			continue;
		(void)session_fail(r->s, res, basebackup_doing, e);
		if (strcmp(session_sqlstate(r->s), "XX001") != 0)
			return -1;
		end->checksum_failures = true;
		err_clear(e);
	}
}

static int
run_all(struct basebackup_run *r, const char *command,
    struct basebackup_end *end, struct err *e)
{
	struct basebackup_end got = { 0 };

	if (session_send(r->s, command, e) == -1)
		return err_ctx(e, "%s", basebackup_doing);
	if (basebackup_run_position(
		r, &r->start.start_lsn, &r->start.timeline, e) == -1 ||
	    basebackup_run_tablespaces(r, e) == -1)
		return -1;
	if (r->ops->started != NULL &&
	    r->ops->started(r->arg, &r->start, e) == -1)
		return -1;
	if (session_version_num(r->s) < 150000) {
		if (basebackup_run_copies(r, e) == -1)
			return -1;
	} else if (basebackup_run_typed_copy(r, e) == -1)
		return -1;
	if (basebackup_run_position(r, &got.stop_lsn, &got.timeline, e) == -1)
		return -1;
	if (r->archives_done != r->start.tablespace_count)
		return err_set(e, ERR_CORRUPT,
		    "%s: the server sent %zu archives of %zu", basebackup_doing,
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
	AUTO(run_fini)
	struct basebackup_run r = { .s = s, .ops = ops, .arg = arg };
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
