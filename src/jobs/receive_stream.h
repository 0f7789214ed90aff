#ifndef JOBS_RECEIVE_STREAM_H
#define JOBS_RECEIVE_STREAM_H

/*
 * receive_stream: one stream, between receive_stream.c (messages) and
 * receive_take.c (bytes and what of them is durable).
 */

#include "jobs/receive_int.h"

/* So long what is not durable may wait for more, in milliseconds. */
#define RECEIVE_SYNC_MS 50

struct stream {
	struct receiver *r;
	struct walstream *w;
	struct walindexer *ix;
	struct publisher *publisher;
	struct receive_segment *current; /* NULL between two */
	struct receive_segment *held;	 /* full, before current; NULL */
	uint64_t received_lsn;
	int64_t unsynced_us; /* since when something is not durable; 0 */
	uint64_t reported_lsn;
	int64_t reported_us;
	int64_t known_us; /* by the server's clock: what was noted last */
	bool spoiled;	  /* the last bytes are not WAL */
};

/* ---- receive_take.c ---- */

/* Begin to take WAL of r->lineage where r->plan says, from whomever: s is all
 * zero but for s->w, which is the server's stream, or NULL. */
void stream_begin(struct stream *s, struct receiver *r);
void stream_fini(struct stream *s); /* files stay */
/* WAL of a message: checked, and into segments. */
int
stream_take(struct stream *s, const struct walstream_message *m, struct err *e);
/* Up to where everything is stored or synced. */
uint64_t stream_durable(const struct stream *s);
/* Is there anything that is not durable yet? */
bool stream_is_pending(const struct stream *s);
/* How far the server is ahead. */
uint64_t stream_behind(const struct stream *s);
/* Make all that was received durable, the earlier before the later. */
int stream_sync(struct stream *s, struct err *e);
/* Let a full segment be stored though the record that crosses its end has not
 * been seen to its end. */
int stream_release(struct stream *s, struct err *e);
/* Make durable what was received, whatever ended the stream; what has turned
 * out not to be WAL is forgotten. */
int stream_leave(struct stream *s, struct err *e);

#endif /* !JOBS_RECEIVE_STREAM_H */
