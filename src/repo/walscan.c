/*
 * walscan: reading the WAL of a history from end to end, for exact answers.
 */

#include "base/mem.h"
#include "repo/walarchive.h"

struct scan {
	struct walreader *reader;
	uint64_t from_lsn, to_lsn;
	wal_scan_fn *fn;
	void *arg;
	bool stopped;
};

static int
on_record(void *arg, const struct walreader_record *r, struct err *e)
{
	struct scan *s = arg;
	struct wal_event ev;
	int rc;

	if (s->stopped || r->lsn < s->from_lsn || r->lsn >= s->to_lsn)
		return 0;
	wal_event_decode(r, walreader_major(s->reader), &ev);
	ev.lsn = r->lsn;
	ev.end_lsn = r->end_lsn;
	rc = s->fn(s->arg, &ev, e);
	if (rc == 1)
		s->stopped = true;
	return rc == -1 ? -1 : 0;
}

/*
 * Read the segment at lsn: of the newest timeline of h that has it, for a
 * timeline's first segment begins with its parent's WAL.
 */
static int
read_newest(const struct lineage *l, const struct timeline_history *h,
    uint64_t lsn, uint8_t *data, size_t *valid, struct err *e)
{
	char name[WAL_NAME_BYTES];
	struct err local = ERR_INIT;
	size_t i;

	(void)err_set(&local, ERR_NOT_FOUND, "no timeline has that WAL");
	for (i = h->count; i-- > 0;) {
		/* Behind its switch a timeline is another history's. */
		if (lsn >= h->entries[i].end_lsn)
			break;
		if (wal_segment_start(
			h->entries[i].begin_lsn, l->facts.segment_bytes) > lsn)
			continue;
		(void)wal_name(
		    h->entries[i].timeline, lsn, l->facts.segment_bytes, name);
		if (wal_read_tail(l, name, data, valid, &local) == 0)
			return 0;
		if (local.kind != ERR_NOT_FOUND)
			break;
	}
	if (e != NULL)
		*e = local;
	return -1;
}

int
wal_scan(const struct lineage *l, const struct timeline_history *h,
    uint64_t from_lsn, uint64_t to_lsn, wal_scan_fn *fn, void *arg,
    struct err *e)
{
	uint32_t bytes = l->facts.segment_bytes;
	AUTO_FREE uint8_t *data = mem_alloc(bytes);
	struct scan s = {
		.from_lsn = from_lsn, .to_lsn = to_lsn, .fn = fn, .arg = arg
	};
	struct walreader_options options = {
		.start_lsn = wal_segment_start(from_lsn, bytes),
		.segment_bytes = bytes,
		.system_id = l->facts.system_id,
	};
	AUTO_WALREADER struct walreader *reader =
	    walreader_new(&options, on_record, &s);
	uint64_t lsn = options.start_lsn;
	size_t valid = bytes;

	s.reader = reader;
	/* A record that begins before to_lsn may end in a later segment. */
	while (valid == bytes && !s.stopped &&
	    (lsn < to_lsn || walreader_in_record(reader))) {
		if (read_newest(l, h, lsn, data, &valid, e) == -1) {
			if (lsn < to_lsn)
				return -1;
			err_clear(e);
			return 0;
		}
		if (walreader_feed(reader, data, valid, e) == -1)
			return -1;
		lsn += bytes;
	}
	return 0;
}
