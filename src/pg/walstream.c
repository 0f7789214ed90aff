#include "pg/walstream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/le.h"
#include "base/mem.h"
#include "pg/session_io.h"

/*
 * Messages inside CopyData (protocol.sgml, walsender.c), big-endian:
 *
 *	'w'  int64 start, int64 server's end, int64 time, WAL
 *	'k'  int64 server's end, int64 time, byte reply requested
 *	'r'  int64 write, int64 flush, int64 apply, int64 time, byte reply
 */
#define DATA_HEADER_BYTES 25
#define KEEPALIVE_BYTES	  18
#define REPLY_BYTES	  34

#define STOP_TIMEOUT_MS 10000

static const char doing[] = "could not stream WAL";

struct walstream {
	struct session *s;
	char *message; /* of libpq, lent to the caller */
	bool in_copy;
	bool ended;
	struct walstream_message end; /* said again when asked again */
};

static void
drop_message(struct walstream *w)
{
	PQfreemem(w->message);
	w->message = NULL;
}

void
walstream_free(struct walstream *w)
{
	if (w == NULL)
		return;
	drop_message(w);
	free(w);
}

/* XX000 is all the SQLSTATE of "not in this server's history" and "ahead of the
 * WAL flush position" (walsender.c, StartReplication()). */
static int
fail_start(struct session *s, const PGresult *res, struct err *e)
{
	struct err drain = ERR_INIT;

	(void)session_fail(s, res, doing, e);
	if (strcmp(s->sqlstate, "XX000") == 0)
		e->kind = ERR_CONFLICT;
	(void)session_drain(s, s->command_ms, &drain);
	return -1;
}

/* (next_tli int8, next_tli_startpos text), then the end of the command. */
static int
take_timeline_end(struct walstream *w, const PGresult *res, struct err *e)
{
	const char *tli = PQgetvalue(res, 0, 0);
	unsigned long long timeline;
	char *end;

	if (PQntuples(res) != 1 || PQnfields(res) < 2)
		return err_set(e, ERR_CORRUPT,
		    "%s: the end of the timeline is not told", doing);
	errno = 0;
	timeline = strtoull(tli, &end, 10);
	if (*tli < '1' || *tli > '9' || *end != '\0' || errno != 0 ||
	    timeline > UINT32_MAX)
		return err_set(e, ERR_CORRUPT,
		    "%s: the next timeline is \"%s\"", doing, tli);
	if (lsn_parse(PQgetvalue(res, 0, 1), &w->end.next_start_lsn, e) == -1)
		return err_ctx(e, "%s", doing);
	w->end.what = WALSTREAM_TIMELINE_END;
	w->end.next_timeline = (uint32_t)timeline;
	w->ended = true;
	return session_drain(w->s, w->s->command_ms, e);
}

struct walstream *
walstream_start(struct session *s, const char *slot, uint64_t start_lsn,
    uint32_t timeline, struct err *e)
{
	AUTO_WALSTREAM struct walstream *w = mem_zalloc(sizeof(*w));
	AUTO_PGRESULT PGresult *res = NULL;
	char command[256], text[LSN_TEXT_BYTES];
	struct session_identity identity;

	/* A standby of 13 and 14 learns its timeline by being asked for it. */
	if (session_major(s) < 15 && session_identify(s, &identity, e) == -1)
		return NULL;
	w->s = s;
	(void)snprintf(command, sizeof(command),
	    "START_REPLICATION %s%.63s%s PHYSICAL %s TIMELINE %" PRIu32,
	    slot == NULL ? "" : "SLOT \"", slot == NULL ? "" : slot,
	    slot == NULL ? "" : "\"", lsn_text(start_lsn, text), timeline);
	if (session_send(s, command, e) == -1 ||
	    session_next_result(s, s->command_ms, &res, e) == -1) {
		(void)err_ctx(e, "%s", doing);
		return NULL;
	}
	switch (PQresultStatus(res)) {
	case PGRES_COPY_BOTH:
		w->in_copy = true;
		return steal_ptr(&w);
	case PGRES_TUPLES_OK: /* the start is the end of an old timeline */
		if (take_timeline_end(w, res, e) == -1)
			return NULL;
		return steal_ptr(&w);
	default:
		(void)fail_start(s, res, e);
		return NULL;
	}
}

/* The server has ended its side of the copy: why? */
static int
take_end(struct walstream *w, struct err *e)
{
	AUTO_PGRESULT PGresult *res = NULL;
	AUTO_PGRESULT PGresult *next = NULL;
	const PGresult *last;

	w->in_copy = false;
	if (session_next_result(w->s, w->s->command_ms, &res, e) == -1)
		return err_ctx(e, "%s", doing);
	last = res;
	if (PQresultStatus(res) == PGRES_COPY_IN) {
		if (PQputCopyEnd(w->s->conn, NULL) == -1)
			return session_fail_conn(w->s, doing, e);
		if (session_next_result(w->s, w->s->command_ms, &next, e) == -1)
			return err_ctx(e, "%s", doing);
		last = next;
	}
	if (PQresultStatus(last) == PGRES_TUPLES_OK)
		return take_timeline_end(w, last, e);
	if (PQresultStatus(last) != PGRES_COMMAND_OK)
		return session_fail(w->s, last, doing, e);
	w->ended = true;
	w->end.what = WALSTREAM_SHUTDOWN;
	return 0;
}

static int64_t
time_us(const uint8_t *p)
{
	return (int64_t)(be64_get(p) + (uint64_t)CLOCK_PG_EPOCH_US);
}

static int
decode(const uint8_t *p, size_t len, struct walstream_message *m, struct err *e)
{
	if (p[0] == 'w' && len >= DATA_HEADER_BYTES) {
		m->what = WALSTREAM_DATA;
		m->start_lsn = be64_get(p + 1);
		m->server_end_lsn = be64_get(p + 9);
		m->server_time_us = time_us(p + 17);
		m->data = p + DATA_HEADER_BYTES;
		m->len = len - DATA_HEADER_BYTES;
		return 0;
	}
	if (p[0] == 'k' && len >= KEEPALIVE_BYTES) {
		m->what = WALSTREAM_KEEPALIVE;
		m->server_end_lsn = be64_get(p + 1);
		m->server_time_us = time_us(p + 9);
		m->reply_requested = p[17] != 0;
		return 0;
	}
	return err_set(e, ERR_CORRUPT,
	    "%s: message of type 0x%02x and %zu bytes is not understood", doing,
	    (unsigned int)p[0], len);
}

int
walstream_next(struct walstream *w, int timeout_ms, struct walstream_message *m,
    struct err *e)
{
	int len;

	(void)memset(m, 0, sizeof(*m));
	drop_message(w);
	if (child_check_stop(e) == -1)
		return -1;
	if (!w->ended && !w->in_copy)
		return err_set(
		    e, ERR_BUG, "%s: the stream has been stopped", doing);
	if (!w->ended) {
		len = session_next_copy(w->s, &w->message, timeout_ms, e);
		if (len > 0)
			return decode(
			    (const uint8_t *)w->message, (size_t)len, m, e);
		if (len == SESSION_COPY_TIMEOUT) {
			m->what = WALSTREAM_TIMEOUT;
			return 0;
		}
		if (len == -1)
			return err_ctx(e, "%s", doing);
		if (take_end(w, e) == -1)
			return -1;
	}
	*m = w->end;
	return 0;
}

int
walstream_report(struct walstream *w, uint64_t write_lsn, uint64_t flush_lsn,
    bool reply_requested, struct err *e)
{
	uint8_t reply[REPLY_BYTES];
	int rc;

	if (!w->in_copy)
		return 0;
	reply[0] = 'r';
	be64_put(reply + 1, write_lsn);
	be64_put(reply + 9, flush_lsn);
	be64_put(reply + 17, LSN_NONE);
	be64_put(reply + 25, (uint64_t)(clock_now_us() - CLOCK_PG_EPOCH_US));
	reply[33] = reply_requested;
	/* What the socket does not take now goes out with the next wait. */
	rc = PQputCopyData(w->s->conn, (const char *)reply, sizeof(reply));
	if (rc == 1)
		rc = PQflush(w->s->conn);
	if (rc == -1)
		return session_fail_conn(
		    w->s, "could not report to the server", e);
	return 0;
}

/* The server answers our end with its own; what it still sends is dropped. */
static int
stop_copy(struct walstream *w, struct err *e)
{
	int64_t until_us = clock_boot_us() + (int64_t)STOP_TIMEOUT_MS * 1000;
	int len;

	if (PQputCopyEnd(w->s->conn, NULL) == -1)
		return session_fail_conn(w->s, "could not end the stream", e);
	do {
		drop_message(w);
		len = session_next_copy(w->s, &w->message, STOP_TIMEOUT_MS, e);
		if (len == -1)
			return err_ctx(e, "could not end the stream");
		if (len == SESSION_COPY_TIMEOUT || clock_boot_us() > until_us)
			return err_set(e, ERR_TRANSIENT,
			    "the server did not end the stream in %d s",
			    STOP_TIMEOUT_MS / 1000);
	} while (len > 0);
	return session_drain(w->s, STOP_TIMEOUT_MS, e);
}

int
walstream_stop(struct walstream *w, struct err *e)
{
	int rc;

	if (!w->in_copy)
		return 0;
	w->in_copy = false;
	/* A stop request is why most streams are stopped. */
	w->s->ignore_stop = true;
	rc = stop_copy(w, e);
	w->s->ignore_stop = false;
	return rc;
}
