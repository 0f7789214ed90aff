#ifndef JOBS_DRILL_REPORT_H
#define JOBS_DRILL_REPORT_H

/*
 * drill_report: reports of drills and sign-offs as they are kept: one JSON
 * object, described in pgkura-report(5).  Reading trusts none of it.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/digest.h"
#include "repo/repo.h"

#define REPORT_FORMAT	 1
#define REPORT_BYTES_MAX ((size_t)16 << 20)
#define REPORT_SITE_MAX	 64

enum report_kind {
	REPORT_DRILL,
	REPORT_LIVE, /* of a live drill */
	REPORT_SIGN_OFF
};

/* What every report has; the rest is in json. */
struct report {
	enum report_kind kind;
	char id[BACKUP_ID_BYTES];
	char site[REPORT_SITE_MAX];
	uint64_t sequence; /* its number in the chain of its site, from 1 */
	char previous_id[BACKUP_ID_BYTES]; /* "" for the first */
	char previous_sha256[SHA256_HEX_BYTES];
	char of_id[BACKUP_ID_BYTES]; /* of a sign-off: what is signed */
	char of_sha256[SHA256_HEX_BYTES];
	int64_t finished_us;
	json_t *json;
};

/* Without its signature, which the caller has checked.  *r need not be
 * initialised.  ERR_CORRUPT. */
int
report_decode(struct report *r, const void *text, size_t len, struct err *e);
void report_free(struct report *r);
#define AUTO_REPORT AUTO(report_free)

/* Is text of the form "20261121T030405Z-7f3a"? */
bool report_id_valid(const char *text);

/* A page of HTML that needs nothing else: for people.  chain says how it stands
 * in its chain ("sound", or what is wrong); sign_offs are reports of that kind
 * that are of this one. */
void report_html(const struct report *r, const char *chain,
    const struct report *sign_offs, size_t sign_off_count, struct buf *out);

/* ---- members that may be missing or of another type ---- */
const char *report_text(const json_t *o, const char *key); /* "" */
int64_t report_number(const json_t *o, const char *key);   /* -1 */

#endif /* !JOBS_DRILL_REPORT_H */
