/*
 * backup_wal: the WAL from a backup's start to its stop must be durable here
 * before the backup is committed.
 *
 * A receiver of this cluster brings it; where none runs, the backup runs one of
 * its own in a child process that ends with it.  What lies before where the
 * receiver began is fetched here (backup_head.c).
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/show.h"
#include "jobs/backup_head.h"
#include "jobs/backup_int.h"
#include "pg/walimages.h"
#include "pg/walreader.h"

#define WAL_POLL_US  (100 * (int64_t)1000)
#define WAL_STALL_US (300 * CLOCK_SECOND_US)
/* A receiver that cannot work says so within this. */
#define RECEIVER_ERROR_US (20 * CLOCK_SECOND_US)
/* For so long segments may be stored in another order than they lie. */
#define HOLE_US	      (3 * CLOCK_SECOND_US)
#define HOLE_AGAIN_US (30 * CLOCK_SECOND_US)

/* Keep the server from removing WAL before somebody fetched it. */
int
backup_wal_reserve(struct backup *b, struct err *e)
{
	(void)snprintf(
	    b->slot, sizeof(b->slot), "pgkura_backup_%ld", (long)getpid());
	if (session_create_slot(b->session, b->slot, true, e) == -1) {
		/* No slot left: the receiver's own holds the WAL. */
		log_error("backup_slot_unavailable", e);
		err_clear(e);
		b->slot[0] = '\0';
	}
	return 0;
}

static _Noreturn void
receiver_main(struct backup *b, int parent_fd, uint64_t start_lsn)
{
	struct receive_options options = {
		.no_slot = true, .from_lsn = start_lsn, .parent_fd = parent_fd
	};
	struct cluster_settings c = *b->cluster;
	struct err e = ERR_INIT;

	if (c.backup_conninfo != NULL)
		c.conninfo = c.backup_conninfo;
	if (receive_run(b->settings, &c, &options, &e) == -1 &&
	    e.kind != ERR_CANCELED) {
		log_error("backup_receiver_failed", &e);
		_exit(1);
	}
	_exit(0);
}

int
backup_wal_start(struct backup *b, uint64_t start_lsn, struct err *e)
{
	int holder = cluster_lock_holder(
	    b->settings->state_dir, b->cluster->name, "receive", e);
	int fds[2];

	if (holder == -1)
		return -1;
	if (holder > 0)
		return 0;
	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_sys(e, "could not make a pipe");
	b->receiver = fork(); /* no thread runs yet */
	if (b->receiver == -1)
		return err_sys(e, "could not start a process");
	if (b->receiver == 0) {
		(void)close(fds[1]);
		receiver_main(b, fds[0], start_lsn);
	}
	(void)close(fds[0]);
	b->receiver_pipe = fds[1];
	return 0;
}

void
backup_wal_stop(struct backup *b)
{
	int status;

	if (b->receiver_pipe != -1)
		(void)close(steal_fd(&b->receiver_pipe));
	if (b->receiver <= 0)
		return;
	(void)kill(b->receiver, SIGTERM);
	while (waitpid(b->receiver, &status, 0) == -1 && errno == EINTR)
		continue;
	b->receiver = -1;
}

static int
check_receiver(struct backup *b, struct err *e)
{
	int status;

	if (b->receiver <= 0 ||
	    waitpid(b->receiver, &status, WNOHANG) != b->receiver)
		return 0;
	b->receiver = -1;
	(void)err_set(e, ERR_TRANSIENT,
	    "the receiver of the backup's WAL ended before position was "
	    "reached");
	return err_hint(e, "Its message stands above. Try again.");
}

/* Everything of [start, stop] here?  Sets ranges when it is. */
static int
covered(struct backup *b, uint64_t *missing, struct err *e)
{
	struct root *r = &b->root;
	struct timeline_history h = { 0 };
	AUTO_BUF struct buf text = BUF_INIT;
	size_t i;
	int rc;

	*missing = r->start_lsn;
	if (wal_read_history(&b->lineage, r->stop_timeline, &h, &text, e) ==
	    -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	rc =
	    wal_covered(&b->lineage, &h, r->start_lsn, r->stop_lsn, missing, e);
	if (rc == 0 && *missing >= r->stop_lsn) {
		free(steal_ptr(&r->ranges));
		r->range_count = 0;
		r->ranges = mem_zarray(h.count, sizeof(r->ranges[0]));
		for (i = 0; i < h.count; i++) {
			uint64_t from = h.entries[i].begin_lsn,
				 to = h.entries[i].end_lsn;

			from = from < r->start_lsn ? r->start_lsn : from;
			to = to > r->stop_lsn ? r->stop_lsn : to;
			if (from < to)
				r->ranges[r->range_count++] =
				    (struct pgmanifest_range){
					    h.entries[i].timeline, from, to
				    };
		}
	}
	timeline_history_free(&h);
	return rc;
}

/* The receiver of this cluster is in trouble: its words, or 0. */
static int
receiver_trouble(struct backup *b, struct err *e)
{
	AUTO_FREE char *path = mem_printf(
	    "%s/%s/receiver.json", b->settings->state_dir, b->cluster->name);
	AUTO_JSON json_t *j = show_read(path);
	const char *error = NULL, *hint = NULL;
	struct err ignored = ERR_INIT;

	if (j == NULL || json_need_str(j, "error", &error, &ignored) == -1)
		return 0;
	(void)err_set(
	    e, ERR_TRANSIENT, "the receiver does not bring WAL: %s", error);
	if (json_need_str(j, "hint", &hint, &ignored) == 0)
		(void)err_hint(e, "%s", hint);
	return -1;
}

/* WAL behind what is missing is here, but not that: nobody else brings it, but
 * perhaps archive_command. */
static int
fill_hole(struct backup *b, uint64_t missing, int64_t *again_us, struct err *e)
{
	struct err local = ERR_INIT;

	if (clock_boot_us() < *again_us)
		return 0;
	*again_us = clock_boot_us() + HOLE_AGAIN_US;
	if (backup_head_fetch(b, missing, &local) == 0)
		return 0;
	if (local.kind == ERR_CANCELED) {
		*e = local;
		return -1;
	}
	(void)err_ctx(&local, "WAL from before the receiver began");
	log_error("backup_wal_failed", &local);
	return 0;
}

int
backup_wal_wait(struct backup *b, struct err *e)
{
	uint64_t missing = 0, last = 0;
	int64_t moved_us = clock_boot_us(), again_us = 0;
	char have[LSN_TEXT_BYTES], want[LSN_TEXT_BYTES], note[80];

	for (;;) {
		if (child_check_stop(e) == -1 || covered(b, &missing, e) == -1)
			return -1;
		if (missing >= b->root.stop_lsn)
			return 0;
		if (check_receiver(b, e) == -1)
			return -1;
		if (missing != last) {
			moved_us = clock_boot_us();
			again_us = moved_us + HOLE_US;
		}
		last = missing;
		if (fill_hole(b, missing, &again_us, e) == -1)
			return -1;
		(void)lsn_text(missing, have);
		(void)lsn_text(b->root.stop_lsn, want);
		if (clock_boot_us() - moved_us > WAL_STALL_US)
			break;
		if (clock_boot_us() - moved_us > RECEIVER_ERROR_US &&
		    receiver_trouble(b, e) == -1)
			return -1;
		(void)snprintf(
		    note, sizeof(note), "waiting for WAL %s of %s", have, want);
		progress_note(b->progress, note);
		clock_sleep_us(WAL_POLL_US);
	}
	(void)err_set(e, ERR_TRANSIENT,
	    "WAL from %s on has not arrived, the backup needs it up to %s",
	    have, want);
	return err_hint(e,
	    "See \"pgkura wal gaps %s\" and whether the receiver runs. The "
	    "next backup reuses what this one stored.",
	    b->cluster->name);
}

/* ---- torn or damaged ---- */

static int
feed_segment(struct backup *b, struct walreader *w, uint32_t timeline,
    uint64_t from, uint64_t to, uint8_t *segment, struct err *e)
{
	uint32_t bytes = b->lineage.facts.segment_bytes;
	uint64_t start = wal_segment_start(from, bytes);
	char name[WAL_NAME_BYTES];
	size_t valid;

	(void)wal_name(timeline, start, bytes, name);
	if (wal_read_tail(&b->lineage, name, segment, &valid, e) == -1)
		return -1;
	if (to > start + valid)
		to = start + valid;
	return walreader_feed(
	    w, segment + (from - start), (size_t)(to - from), e);
}

/* Feed the images with the records of one range. */
static int
scan_range(struct backup *b, const struct pgmanifest_range *r,
    struct walimages *images, struct err *e)
{
	uint32_t bytes = b->lineage.facts.segment_bytes;
	AUTO_FREE uint8_t *segment = mem_pages(bytes);
	struct walreader_options options = { .start_lsn = r->start_lsn -
		    r->start_lsn % WAL_PAGE_BYTES,
		.segment_bytes = bytes,
		.system_id = b->lineage.facts.system_id,
		.timeline = r->timeline };
	AUTO_WALREADER struct walreader *w =
	    walreader_new(&options, walimages_on_record, images);
	uint64_t at = options.start_lsn, next,
		 end = (r->end_lsn + WAL_PAGE_BYTES - 1) / WAL_PAGE_BYTES *
	    WAL_PAGE_BYTES;

	while (at < end && !walreader_at_end(w)) {
		next = wal_segment_start(at, bytes) + bytes;
		if (feed_segment(b, w, r->timeline, at, next < end ? next : end,
			segment, e) == -1)
			return -1;
		at = next;
	}
	return 0;
}

static void
add_damage(struct backup *b, const struct intake_suspect *s)
{
	struct root *r = &b->root;
	char block[24];

	r->damaged_pages++;
	(void)snprintf(block, sizeof(block), "%u", s->block);
	if (r->damage_count >= 1000)
		return;
	log_event(LOG_LEVEL_WARNING, "page_damaged",
	    "a page's checksum does not match", "cluster", b->cluster->name,
	    "file", s->path, "block", block, NULL);
	r->damage =
	    mem_rearray(r->damage, r->damage_count + 1, sizeof(r->damage[0]));
	r->damage[r->damage_count++] =
	    (struct root_damage){ mem_strdup(s->path), s->block,
		    mem_strdup("checksum") };
}

static const struct walimages_key *
suspect_key(const struct intake_suspect *s, struct walimages_key *key)
{
	*key = (struct walimages_key){ s->relation.tablespace,
		s->relation.database, s->relation.relation,
		(uint8_t)s->relation.fork, s->block };
	return key;
}

int
backup_judge_pages(struct backup *b, struct err *e)
{
	AUTO_WALIMAGES struct walimages *images = NULL;
	const struct intake_suspect *s;
	struct walimages_key key;
	uint64_t all;
	size_t count, i;

	s = intake_suspects(b->intake, &count, &all);
	if (count == 0)
		return 0;
	images = walimages_new();
	for (i = 0; i < count; i++)
		if (walimages_want(images, suspect_key(&s[i], &key), e) == -1)
			return -1;
	for (i = 0; i < b->root.range_count; i++)
		if (scan_range(b, &b->root.ranges[i], images, e) == -1)
			return err_ctx(e, "looking for page images");
	for (i = 0; i < count; i++)
		if (!walimages_restored(images, suspect_key(&s[i], &key)))
			add_damage(b, &s[i]);
	b->root.damaged_pages += all - count;
	return 0;
}
