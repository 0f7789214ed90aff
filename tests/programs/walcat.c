/*
 * walcat: the records of WAL files as lines, for tests.
 *
 *	walcat [-e] [-q] [-v] [-p BYTES] [-b TIMES] FILE...
 *
 * The files are neighbouring segments; the first starts with a long page
 * header, the last may be cut short.
 *
 *	-e	the events only
 *	-q	nothing but the last line
 *	-v	only what is valid: what may follow are old pages
 *	-p	feed in pieces of so many bytes
 *	-b	read so many times and print the speed
 *
 * Exit status 0, 1 when a file cannot be read, or 3 when the reader refuses
 * the bytes: standard error says why.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/le.h"
#include "pg/walreader.h"

static bool quiet, events_only;
static struct walreader *reader;

static void
print_event(const struct walreader_record *r)
{
	char lsn[LSN_TEXT_BYTES], redo[LSN_TEXT_BYTES];
	struct wal_event ev;

	wal_event_decode(r, walreader_major(reader), &ev);
	if (ev.kind == WAL_EVENT_NONE)
		return;
	(void)printf("%s %s xid %u time_us %" PRId64 " redo %s timeline %u/%u "
		     "wal_level %u dropped %u relation %u/%u/%u blocks %u "
		     "name \"%s\" path \"%s\"\n",
	    lsn_text(ev.lsn, lsn), wal_event_kind_name(ev.kind), ev.xid,
	    ev.time_us, lsn_text(ev.redo_lsn, redo), ev.timeline,
	    ev.previous_timeline, ev.wal_level, ev.dropped_relations,
	    ev.tablespace, ev.database, ev.relation, ev.blocks, ev.name,
	    ev.path == NULL ? "" : ev.path);
}

static int
print_record(void *arg, const struct walreader_record *r, struct err *e)
{
	static const char *const forks[] = { "main", "fsm", "vm", "init" };
	char lsn[LSN_TEXT_BYTES], prev[LSN_TEXT_BYTES], name[16];
	const struct walreader_block *b;
	unsigned int i;

	(void)arg;
	(void)e;
	if (events_only) {
		print_event(r);
		return 0;
	}
	(void)printf("%s %s info %02X len %u/%u tx %u prev %s",
	    lsn_text(r->lsn, lsn), walrecord_rmgr_name(r->rmid, name), r->info,
	    r->total_bytes - r->image_bytes, r->total_bytes, r->xid,
	    lsn_text(r->prev_lsn, prev));
	for (i = 0; i < r->block_count; i++) {
		b = &r->blocks[i];
		(void)printf(", #%u %u/%u/%u %s %u%s%s", b->id, b->tablespace,
		    b->database, b->relation,
		    b->fork < 4 ? forks[b->fork] : "?", b->block,
		    b->has_image ? " FPW" : "",
		    b->has_image && !b->apply_image ? " for check" : "");
	}
	(void)printf("\n");
	return 0;
}

/* The whole file behind what buf holds; false with a message when it cannot. */
static bool
append_file(struct buf *b, const char *path)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd == -1 || fstat(fd, &st) == -1) {
		perror(path);
		return false;
	}
	(void)buf_reserve(b, (size_t)st.st_size + 1);
	while ((n = read(fd, b->data + b->len, b->cap - b->len)) > 0)
		b->len += (size_t)n;
	if (n == -1)
		perror(path);
	return n == 0;
}

static int
feed_all(const struct buf *b, size_t piece_bytes, struct err *e)
{
	size_t at, n;

	for (at = 0; at < b->len; at += n) {
		n = piece_bytes < b->len - at ? piece_bytes : b->len - at;
		if (walreader_feed(reader, b->data + at, n, e) == -1)
			return -1;
	}
	return 0;
}

static double
now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Read all times over; the fastest counts. */
static void
measure(const struct buf *b, const struct walreader_options *options, int times,
    size_t piece_bytes)
{
	double start, best = 1e9;
	struct err e = ERR_INIT;
	int i;

	for (i = 0; i < times; i++) {
		AUTO_WALREADER struct walreader *w =
		    walreader_new(options, NULL, NULL);

		reader = w;
		start = now_s();
		(void)feed_all(b, piece_bytes, &e);
		if (now_s() - start < best)
			best = now_s() - start;
	}
	(void)printf("%.2f GB/s\n", (double)b->len / best / 1e9);
}

static int
run(const struct buf *b, const struct walreader_options *options,
    size_t piece_bytes)
{
	AUTO_WALREADER struct walreader *w =
	    walreader_new(options, quiet ? NULL : print_record, NULL);
	char valid[LSN_TEXT_BYTES], last[LSN_TEXT_BYTES], at[LSN_TEXT_BYTES];
	struct err e = ERR_INIT;
	int rc;

	reader = w;
	rc = feed_all(b, piece_bytes, &e);
	(void)printf("valid to %s, last record %s, position %s, version %d, "
		     "timeline %u%s%s\n",
	    lsn_text(walreader_valid_end(w), valid),
	    lsn_text(walreader_last_record(w), last),
	    lsn_text(walreader_position(w), at), walreader_major(w),
	    walreader_timeline(w), walreader_in_record(w) ? ", in record" : "",
	    walreader_at_end(w) ? ", at end" : "");
	(void)fflush(stdout);
	if (rc == -1)
		(void)fprintf(stderr, "walcat: %s\n", e.text);
	return rc == -1 ? 3 : 0;
}

int
main(int argc, char *argv[])
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct walreader_options options = { 0 };
	size_t piece_bytes = SIZE_MAX;
	bool valid_only = false;
	int opt, times = 0;

	while ((opt = getopt(argc, argv, "eqvp:b:")) != -1) {
		if (opt == 'e')
			events_only = true;
		else if (opt == 'q')
			quiet = true;
		else if (opt == 'v')
			valid_only = true;
		else if (opt == 'p')
			piece_bytes = strtoul(optarg, NULL, 10);
		else if (opt == 'b')
			times = atoi(optarg);
		else
			return 1;
	}
	for (; optind < argc; optind++)
		if (!append_file(&b, argv[optind]))
			return 1;
	if (b.len < 40 || piece_bytes == 0 ||
	    !wal_segment_bytes_valid(le32_get(b.data + 32))) {
		(void)fprintf(stderr, "walcat: no segment to read\n");
		return 1;
	}
	options.start_lsn = le64_get(b.data + 8) & ~(uint64_t)8191;
	options.segment_bytes = le32_get(b.data + 32);
	options.system_id = le64_get(b.data + 24);
	if (valid_only)
		b.len = walreader_valid_prefix(&options, b.data, b.len) -
		    options.start_lsn;
	if (times > 0)
		measure(&b, &options, times, piece_bytes);
	return times > 0 ? 0 : run(&b, &options, piece_bytes);
}
