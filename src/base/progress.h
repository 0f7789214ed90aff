#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

/*
 * progress: how far a long work is, its rate and when it will be done.
 *
 * One line on standard error, redrawn at most four times a second, and only on
 * a terminal.  Counting is safe from several threads and cheap.
 */

#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"

struct progress;

/* what: "backup", "restore"; total_bytes 0 when unknown. */
struct progress *progress_new(const char *what, uint64_t total_bytes);
void progress_free(struct progress *p); /* clears the line */
AUTO_DEFINE(struct progress, progress_free);
#define AUTO_PROGRESS AUTO(progress_free_auto)

void progress_set_total(struct progress *p, uint64_t total_bytes);
void progress_add(struct progress *p, uint64_t bytes);
/* A few words shown at once behind the numbers: "waiting for WAL 0/5000060";
 * NULL for none. */
void progress_note(struct progress *p, const char *note);
uint64_t progress_done(const struct progress *p);
/* Where progress goes besides the terminal: a small JSON file replaced at most
 * once a second ({"what","done","total","rate","eta_s","note","pid"}) that
 * `pgkura status` reads; removed by progress_free().  eta_s is -1 when
 * unknown. */
void progress_publish(struct progress *p, const char *path);

/* What there is to say at one moment. */
struct progress_view {
	const char *what;
	uint64_t done, total; /* bytes; total 0 when unknown */
	uint64_t rate;	      /* bytes a second */
	int64_t eta_s;	      /* -1 when unknown */
	const char *note;     /* NULL: none */
};

/* "backup: 1.23 GB of 2.97 GB (41 %), 812 MB/s, 2 s left, waiting for WAL" */
void progress_text(const struct progress_view *v, struct buf *out);

#endif /* !BASE_PROGRESS_H */
