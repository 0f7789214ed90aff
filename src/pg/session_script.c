#include "pg/session_script.h"

#include <string.h>

#include "base/clock.h"
#include "pg/session_io.h"

#define OID_BOOL 16 /* pg_type.dat */

void
script_result_free(struct script_result *r)
{
	buf_free(&r->output);
}

static void
put_row(struct buf *out, const PGresult *res, int row)
{
	int i;

	for (i = 0; i < PQnfields(res); i++)
		buf_printf(out, "%s%.200s", i == 0 ? "" : " | ",
		    PQgetisnull(res, row, i) ? "(null)"
					     : PQgetvalue(res, row, i));
	buf_put_u8(out, '\n');
}

static void
take_rows(struct script_result *r, const PGresult *res)
{
	int i, count = PQntuples(res);

	for (i = 0; i < count; i++) {
		if (PQnfields(res) > 0 && PQftype(res, 0) == OID_BOOL &&
		    strcmp(PQgetvalue(res, i, 0), "f") == 0)
			r->false_rows++;
		if (r->output.len < SCRIPT_OUTPUT_MAX)
			put_row(&r->output, res, i);
	}
	r->rows += (uint64_t)count;
}

static int
take_result(struct session *s, struct script_result *r, const PGresult *res,
    struct err *e)
{
	switch (PQresultStatus(res)) {
	case PGRES_TUPLES_OK:
		take_rows(r, res);
		r->statements++;
		return 0;
	case PGRES_COMMAND_OK:
		r->statements++;
		return 0;
	case PGRES_EMPTY_QUERY:
		return 0;
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		return err_set(
		    e, ERR_USAGE, "COPY from or to the client is not possible");
	default:
		return session_fail(s, res, "could not run a statement", e);
	}
}

int
session_script(struct session *s, const char *sql, int timeout_ms,
    struct script_result *r, struct err *e)
{
	int64_t until_us = clock_boot_us() + (int64_t)timeout_ms * 1000;
	int left_ms = timeout_ms;

	(void)memset(r, 0, sizeof(*r));
	if (session_send(s, sql, e) == -1)
		return -1;
	for (;;) {
		AUTO_PGRESULT PGresult *res = NULL;

		if (timeout_ms >= 0) {
			left_ms =
			    (int)((until_us - clock_boot_us() + 999) / 1000);
			if (left_ms < 0)
				left_ms = 0;
		}
		if (session_next_result(s, left_ms, &res, e) == -1) {
			if (e != NULL && e->kind == ERR_TRANSIENT &&
			    timeout_ms >= 0 && clock_boot_us() >= until_us) {
				char text[CLOCK_TEXT_BYTES];

				(void)err_set(e, ERR_TRANSIENT,
				    "it did not end within %s",
				    clock_interval(
					(int64_t)timeout_ms * 1000, text));
			}
			return -1;
		}
		if (res == NULL)
			return 0;
		if (take_result(s, r, res, e) == -1)
			return -1;
	}
}
