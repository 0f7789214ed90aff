/*
 * pgwal: src/pg/walstream.h for test scripts; see driver.h.
 *
 *	pgwal stream CONNINFO START TIMELINE SLOT|- UNTIL|- [FOLDER]
 *
 * Streams from START (its segment's start), follows timelines, and ends in order
 * when UNTIL is reached or the server stops.  Reports all that came as flushed.
 * With FOLDER the bytes go into segment files there.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "pg/walstream.h"
#include "programs/driver.h"

#define WAIT_MS 200

struct stream {
	struct session *s;
	const char *slot, *folder;
	uint64_t segment_bytes, at_lsn, until_lsn, bytes;
	uint32_t timeline;
	unsigned int keepalives, requests, timeouts;
};

static int
put(struct stream *st, const uint8_t *data, size_t len, struct err *e)
{
	uint32_t segment = (uint32_t)st->segment_bytes;
	char name[WAL_NAME_BYTES];
	size_t n;

	while (len > 0) {
		AUTO_FREE char *path = NULL;
		AUTO_FD int fd = -1;

		n = (size_t)(segment - st->at_lsn % segment);
		if (n > len)
			n = len;
		path = mem_printf("%s/%s", st->folder,
		    wal_name(st->timeline, st->at_lsn, segment, name));
		fd = file_open_at(AT_FDCWD, path, O_WRONLY | O_CREAT, 0600, e);
		if (fd == -1 ||
		    file_pwrite_all(
			fd, data, n, st->at_lsn % segment, path, e) == -1)
			return -1;
		st->at_lsn += n;
		data += n;
		len -= n;
	}
	return 0;
}

static int
take(struct stream *st, const struct walstream_message *m, struct err *e)
{
	char have[LSN_TEXT_BYTES], want[LSN_TEXT_BYTES];

	if (m->start_lsn != st->at_lsn)
		return err_set(e, ERR_CORRUPT, "WAL at %s came instead of %s",
		    lsn_text(m->start_lsn, have), lsn_text(st->at_lsn, want));
	st->bytes += m->len;
	if (st->folder != NULL)
		return put(st, m->data, m->len, e);
	st->at_lsn += m->len;
	return 0;
}

/* One stream on one timeline.  1 when there is more on the next. */
static int
run_timeline(struct stream *st, struct err *e)
{
	AUTO_WALSTREAM struct walstream *w = NULL;
	struct walstream_message m;
	char lsn[LSN_TEXT_BYTES];

	w = walstream_start(st->s, st->slot, st->at_lsn, st->timeline, e);
	if (w == NULL)
		return -1;
	(void)printf("streaming %s %" PRIu32 "\n", lsn_text(st->at_lsn, lsn),
	    st->timeline);
	for (;;) {
		if (st->until_lsn != LSN_NONE && st->at_lsn >= st->until_lsn)
			return walstream_stop(w, e);
		if (walstream_next(w, WAIT_MS, &m, e) == -1)
			return -1;
		switch (m.what) {
		case WALSTREAM_DATA:
			if (take(st, &m, e) == -1)
				return -1;
			break;
		case WALSTREAM_KEEPALIVE:
			st->keepalives++;
			st->requests += m.reply_requested;
			break;
		case WALSTREAM_TIMEOUT:
			st->timeouts++;
			break;
		case WALSTREAM_TIMELINE_END:
			st->timeline = m.next_timeline;
			st->at_lsn = m.next_start_lsn;
			(void)printf("next %" PRIu32 " %s\n", m.next_timeline,
			    lsn_text(m.next_start_lsn, lsn));
			st->at_lsn = wal_segment_start(
			    st->at_lsn, (uint32_t)st->segment_bytes);
			return 1;
		case WALSTREAM_SHUTDOWN:
			(void)printf("shutdown 1\n");
			return 0;
		}
		/* The server has to ask when nothing comes. */
		if ((m.what == WALSTREAM_DATA || m.reply_requested) &&
		    walstream_report(w, st->at_lsn, st->at_lsn, false, e) == -1)
			return -1;
	}
}

static int
run(int argc, char *argv[], struct err *e)
{
	AUTO_SESSION struct session *s =
	    session_open(argv[0], SESSION_REPLICATION, "pgwal", e);
	struct stream st = { .s = s,
		.slot = strcmp(argv[3], "-") == 0 ? NULL : argv[3],
		.folder = argc > 5 ? argv[5] : NULL,
		.timeline = (uint32_t)strtoul(argv[2], NULL, 10) };
	struct session_identity id;
	char lsn[LSN_TEXT_BYTES];
	int rc;

	if (s == NULL || lsn_parse(argv[1], &st.at_lsn, e) == -1 ||
	    (strcmp(argv[4], "-") != 0 &&
		lsn_parse(argv[4], &st.until_lsn, e) == -1) ||
	    session_show_bytes(
		s, "wal_segment_size", 1, &st.segment_bytes, e) == -1)
		return -1;
	st.at_lsn = wal_segment_start(st.at_lsn, (uint32_t)st.segment_bytes);
	do
		rc = run_timeline(&st, e);
	while (rc == 1);
	(void)printf("bytes %" PRIu64 "\nat %s\ntimeline %" PRIu32
		     "\nkeepalives %u\nrequests %u\ntimeouts %u\n",
	    st.bytes, lsn_text(st.at_lsn, lsn), st.timeline, st.keepalives,
	    st.requests, st.timeouts);
	if (rc == 0 && st.until_lsn != LSN_NONE &&
	    session_identify(s, &id, e) == -1)
		return err_ctx(e, "after the stream");
	return rc;
}

int
main(int argc, char *argv[])
{
	static const struct driver_command commands[] = { { "stream", 5,
	    run } };

	return driver_main(argc, argv, commands, COUNT_OF(commands));
}
