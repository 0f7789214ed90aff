/*
 * restore_salvage: the last WAL of a server that is gone lies in its pg_wal.
 * Before the directory is changed, what continues the archive goes there, so
 * that the restore can go on to the last transaction.
 *
 * Nothing in the archive is ever replaced: a segment that differs from the one
 * that is there is reported, and the archive's counts.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/restore_job.h"
#include "pg/walreader.h"
#include "repo/walarchive.h"

AUTO_DEFINE(char *, file_names_free);
#define AUTO_NAMES AUTO(file_names_free_auto)

#define HISTORY_BYTES_MAX ((size_t)1 << 20)

struct salvage {
	struct restore *r;
	int fd;		   /* pg_wal */
	uint8_t *bytes;	   /* one segment */
	uint32_t timeline; /* of the segment before ... */
	uint64_t end_lsn;  /* ... which was WAL up to here */
	unsigned int segments, partials, refused;
};

/* One that could not be stored is no reason to stop. */
static int
refused(struct salvage *s, const char *name, struct err *e)
{
	if (e->kind != ERR_CONFLICT && e->kind != ERR_CORRUPT)
		return err_ctx(e, "old WAL \"%s\"", name);
	log_event(LOG_LEVEL_WARNING, "salvage_refused",
	    "old WAL was not taken over", "cluster", s->r->cluster->name,
	    "file", name, "reason", e->text, NULL);
	err_clear(e);
	s->refused++;
	return 0;
}

static int
store_history(
    struct salvage *s, const char *name, uint32_t timeline, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;

	if (file_slurp_at(s->fd, name, HISTORY_BYTES_MAX, &text, e) == -1)
		return -1;
	if (wal_store_history(
		&s->r->lineage, timeline, text.data, text.len, e) == -1)
		return refused(s, name, e);
	return 0;
}

/* Is this segment wanted: not there yet, but adjoining what is, or the one just
 * taken?  The first segment of a timeline adjoins its parent. */
static int
is_wanted(struct salvage *s, uint32_t timeline, uint64_t lsn, bool *wanted,
    struct err *e)
{
	const uint32_t segment_bytes = s->r->lineage.facts.segment_bytes;
	AUTO_FREE struct wal_span *spans = NULL;
	size_t count, i;

	*wanted = s->timeline == timeline && s->end_lsn == lsn;
	if (*wanted)
		return 0;
	if (wal_spans(&s->r->lineage, &spans, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		const struct wal_span *w = &spans[i];

		if (w->timeline > timeline || w->start_lsn > lsn ||
		    w->end_lsn < lsn)
			continue;
		*wanted = true;
		if (w->timeline == timeline &&
		    w->end_lsn >= lsn + segment_bytes) {
			*wanted = false;
			return 0;
		}
	}
	return 0;
}

static int
note_switch(void *arg, const struct walreader_record *r, struct err *e)
{
	bool *is_switch = arg;
	struct wal_event ev;

	(void)e;
	wal_event_decode(r, 0, &ev);
	*is_switch = ev.kind == WAL_EVENT_SWITCH;
	return 0;
}

/* Is every byte of the segment WAL?  Else *valid_lsn is where it stops. */
static bool
is_whole(const struct salvage *s, uint64_t lsn, uint64_t *valid_lsn)
{
	const uint32_t segment_bytes = s->r->lineage.facts.segment_bytes;
	struct walreader_options options = { .start_lsn = lsn,
		.segment_bytes = segment_bytes,
		.system_id = s->r->lineage.facts.system_id };
	struct err ignored = ERR_INIT;
	bool is_switch = false;
	AUTO_WALREADER struct walreader *w =
	    walreader_new(&options, note_switch, &is_switch);
	int rc = walreader_feed(w, s->bytes, segment_bytes, &ignored);

	*valid_lsn = walreader_valid_end(w);
	return rc == 0 &&
	    (is_switch || walreader_in_record(w) ||
		*valid_lsn == lsn + segment_bytes);
}

static int
store_segment(struct salvage *s, const char *name, uint32_t timeline,
    uint64_t lsn, struct err *e)
{
	const struct lineage *l = &s->r->lineage;
	uint64_t valid;
	bool existed;

	s->timeline = timeline;
	if (is_whole(s, lsn, &valid)) {
		if (wal_store_segment(l, name, s->bytes, l->facts.segment_bytes,
			s->r->cluster->compress_level, &existed, e) == -1)
			return refused(s, name, e);
		s->end_lsn = lsn + l->facts.segment_bytes;
		s->segments += existed ? 0 : 1;
		return 0;
	}
	if (valid == LSN_NONE)
		return 0; /* a recycled one: old bytes under a later name */
	if (wal_store_partial(l, name, s->bytes, (size_t)(valid - lsn), e) ==
	    -1)
		return refused(s, name, e);
	s->end_lsn = valid;
	s->partials++;
	return 0;
}

static int
take_segment(struct salvage *s, const char *name, uint32_t timeline,
    uint64_t lsn, struct err *e)
{
	const uint32_t segment_bytes = s->r->lineage.facts.segment_bytes;
	AUTO_FD int fd = -1;
	ssize_t got;
	bool wanted;

	if (is_wanted(s, timeline, lsn, &wanted, e) == -1)
		return -1;
	if (!wanted)
		return 0;
	fd = file_open_at(s->fd, name, O_RDONLY | O_NOFOLLOW, 0, e);
	if (fd == -1)
		return -1;
	got = file_read_full(fd, s->bytes, segment_bytes, name, e);
	if (got == -1)
		return -1;
	if ((size_t)got != segment_bytes)
		return 0;
	return store_segment(s, name, timeline, lsn, e);
}

/* Names sort by timeline, then by position. */
static int
take_all(struct salvage *s, struct err *e)
{
	AUTO_NAMES char **names = NULL;
	uint32_t timeline;
	uint64_t lsn;
	size_t count, i;

	if (file_list_at(s->fd, ".", &names, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++)
		if (wal_name_is_history(names[i], &timeline) &&
		    store_history(s, names[i], timeline, e) == -1)
			return -1;
	for (i = 0; i < count; i++)
		if (wal_name_parse(names[i], s->r->lineage.facts.segment_bytes,
			&timeline, &lsn) &&
		    take_segment(s, names[i], timeline, lsn, e) == -1)
			return -1;
	return 0;
}

static void
report(struct salvage *s)
{
	struct restore_result *result = s->r->result;
	char end[LSN_TEXT_BYTES];

	if (s->segments + s->partials == 0)
		return;
	(void)snprintf(result->salvaged, sizeof(result->salvaged),
	    "%u segments, up to %s", s->segments + s->partials,
	    lsn_text(s->end_lsn, end));
	log_event(LOG_LEVEL_INFO, "wal_salvaged",
	    "WAL of the old directory was taken into the archive", "cluster",
	    s->r->cluster->name, "what", result->salvaged, NULL);
}

static void
salvage_free(struct salvage *s)
{
	free(s->bytes);
	if (s->fd != -1)
		(void)close(s->fd);
}

int
restore_salvage(struct restore *r, struct err *e)
{
	AUTO(salvage_free) struct salvage s = { r, -1, NULL, 0, 0, 0, 0, 0 };
	AUTO_FREE char *path = file_join(r->place.path, "pg_wal");

	if (!r->place.delta || !r->place.has_control ||
	    r->place.system_id != r->lineage.facts.system_id)
		return 0;
	s.fd = file_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, e);
	if (s.fd == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	s.bytes = mem_pages(r->lineage.facts.segment_bytes);
	if (take_all(&s, e) == -1)
		return err_ctx(e, "salvage of old WAL");
	report(&s);
	return 0;
}
