/*
 * archive_store: one file that archive_command offers, into the repository.
 *
 *	000000010000000000000007	  stored as a whole segment
 *	000000010000000000000007.partial  what of it is WAL, as a partial
 *	00000002.history		  stored
 *	...7.00000028.backup		  accepted; backups of ours need none
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/le.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/archive_int.h"
#include "pg/control.h"
#include "pg/walpage.h"

#define HISTORY_BYTES_MAX ((off_t)1 << 20)
#define SYSTEM_ID_OFFSET  24 /* in a long page header */

struct archiver {
	const struct settings *settings;
	struct repo *repo;
	/* The WAL that was read last, to go on from. */
	struct walindexer *indexer;
	char lineage[LINEAGE_NAME_BYTES];
	uint32_t timeline;
};

struct archive_member {
	struct lineage lineage;
	char name[ARCHIVE_NAME_BYTES];
	const uint8_t *data; /* borrowed */
	size_t len;
	int level;
	uint32_t timeline; /* of a history */
	enum { READ_SEGMENT, READ_PARTIAL, READ_HISTORY } kind;
	struct walindex index; /* of a segment */
	bool broken_border;
};

struct archiver *
archiver_new(const struct settings *s, struct err *e)
{
	AUTO_ARCHIVER struct archiver *a = mem_zalloc(sizeof(*a));

	a->settings = s;
	a->repo = repo_open(s->repository, s->state_dir, true, e);
	return a->repo == NULL ? NULL : steal_ptr(&a);
}

void
archiver_free(struct archiver *a)
{
	if (a == NULL)
		return;
	walindexer_free(a->indexer);
	repo_close(a->repo);
	free(a);
}

void
archive_member_free(struct archive_member *r)
{
	if (r == NULL)
		return;
	walindex_free(&r->index);
	free(r);
}

/* ---- which cluster ---- */

/* The newest lineage of system_id in cluster; name is "" when there is none. */
static int
lineage_of(const struct archiver *a, const char *cluster, uint64_t system_id,
    char name[LINEAGE_NAME_BYTES], struct err *e)
{
	char **names = NULL, want[LINEAGE_NAME_BYTES];
	unsigned long newest = 0, number;
	size_t count, i, len;

	name[0] = '\0';
	if (lineage_list(a->repo, cluster, &names, &count, e) == -1)
		return -1;
	len = (size_t)snprintf(want, sizeof(want), "%" PRIu64 "-", system_id);
	for (i = 0; i < count; i++) {
		if (strncmp(names[i], want, len) != 0)
			continue;
		number = strtoul(names[i] + len, NULL, 10);
		if (number > newest) {
			newest = number;
			(void)snprintf(
			    name, LINEAGE_NAME_BYTES, "%s", names[i]);
		}
	}
	store_names_free(names);
	return 0;
}

static int
find_lineage(const struct archiver *a, uint64_t system_id,
    const struct cluster_settings **c, struct lineage *l, struct err *e)
{
	char name[LINEAGE_NAME_BYTES];
	size_t i;

	for (i = 0; i < a->settings->cluster_count; i++) {
		*c = &a->settings->clusters[i];
		if (lineage_of(a, (*c)->name, system_id, name, e) == -1)
			return -1;
		if (name[0] != '\0')
			return lineage_open(a->repo, (*c)->name, name, l, e);
	}
	(void)err_set(e, ERR_NOT_FOUND,
	    "no cluster here has system identifier %" PRIu64, system_id);
	return err_hint(e,
	    "A cluster becomes known when pgkura connects to it: run \"pgkura "
	    "backup CLUSTER\" once, or let the daemon receive its WAL.");
}

static int
system_id_of_control(int fd, uint64_t *system_id, struct err *e)
{
	uint8_t data[CONTROL_BYTES];
	struct control control;
	ssize_t got;
	int round;

	if (fd == -1)
		return err_set(e, ERR_USAGE,
		    "this file does not say of which cluster it is, and "
		    "pg_control was not found two folders above it");
	for (round = 0;; round++) {
		got =
		    file_pread_full(fd, data, sizeof(data), 0, "pg_control", e);
		if (got == -1)
			return -1;
		if (control_decode(&control, data, (size_t)got, e) == 0)
			break;
		if (round == 3) /* it was not torn, then */
			return -1;
	}
	*system_id = control.system_id;
	return 0;
}

/* ---- reading ---- */

static int
read_all(struct archive_member *r, int fd, off_t max, struct buf *plain,
    struct err *e)
{
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st) == -1)
		return err_sys(e, "could not stat \"%s\"", r->name);
	if (!S_ISREG(st.st_mode) || st.st_size > max)
		return err_set(e, ERR_USAGE,
		    "\"%s\" is no file of at most %lld bytes", r->name,
		    (long long)max);
	if (plain->cap < (size_t)st.st_size) /* not to copy what is in it */
		buf_free(plain);
	buf_clear(plain);
	got = file_pread_full(fd, buf_reserve(plain, (size_t)st.st_size),
	    (size_t)st.st_size, 0, r->name, e);
	if (got == -1)
		return -1;
	r->data = plain->data;
	r->len = plain->len = (size_t)got;
	return 0;
}

/* Segment size and system identifier of a segment's long page header. */
static int
peek(const struct archive_member *r, uint64_t *system_id, struct err *e)
{
	if (r->len < WAL_SEGMENT_BYTES_MIN ||
	    !wal_segment_bytes_valid(le32_get(r->data + 32)) ||
	    le32_get(r->data + 32) != r->len)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" is no WAL segment: it has %zu bytes and its header "
		    "says %u",
		    r->name, r->len,
		    r->len < WAL_SEGMENT_BYTES_MIN ? 0
						   : le32_get(r->data + 32));
	*system_id = le64_get(r->data + SYSTEM_ID_OFFSET);
	return 0;
}

/* ---- checking a segment ---- */

/* Go on with the WAL that was read before this segment.  1 when that went well,
 * 0 when it is other WAL, -1 when it breaks a rule there. */
static int
check_after_last(struct archiver *a, struct archive_member *r,
    uint32_t timeline, uint64_t lsn)
{
	if (a->indexer == NULL || walindexer_position(a->indexer) != lsn ||
	    a->timeline != timeline || strcmp(a->lineage, r->lineage.name) != 0)
		return 0;
	if (walindexer_feed(a->indexer, r->data, r->len, NULL) == -1 ||
	    walindexer_at_zeros(a->indexer)) {
		walindexer_free(steal_ptr(&a->indexer));
		return -1;
	}
	walindexer_cut(a->indexer, &r->index);
	return 1;
}

/* Read it anew, alone or behind what the repository has. */
static int
check_anew(struct archiver *a, struct archive_member *r, uint32_t timeline,
    uint64_t lsn, struct err *e)
{
	bool fits;

	walindexer_free(steal_ptr(&a->indexer));
	if (wal_check_segment(
		&r->lineage, timeline, lsn, r->data, &r->index, &fits, e) == -1)
		return err_ctx(e, "WAL segment \"%s\"", r->name);
	r->broken_border = !fits;
	return 0;
}

/* Leave an indexer behind this segment for the next one. */
static void
prepare_next(struct archiver *a, const struct archive_member *r,
    uint32_t timeline, uint64_t lsn)
{
	struct walindexer *ix;
	AUTO_WALINDEX struct walindex x = { 0 };

	if (a->indexer != NULL)
		return;
	ix = wal_indexer_at(&r->lineage, timeline, lsn);
	if (walindexer_feed(ix, r->data, r->len, NULL) == -1) {
		walindexer_free(ix);
		return;
	}
	walindexer_cut(ix, &x);
	a->indexer = ix;
	a->timeline = timeline;
	(void)snprintf(a->lineage, sizeof(a->lineage), "%s", r->lineage.name);
}

/*
 * Does a history here say that timeline ends in the segment at lsn?  A standby
 * with archive_mode = always offers such a segment as if it were whole.
 */
static bool
timeline_ends_here(const struct lineage *l, uint32_t timeline, uint64_t lsn)
{
	struct timeline_history h = { 0 };
	uint32_t newest, t;
	bool ends = false;
	size_t i;

	if (wal_newest_timeline(l, &newest, NULL) == -1)
		return false;
	for (t = newest; t > timeline && !ends; t--) {
		if (wal_read_history(l, t, &h, NULL, NULL) == -1)
			continue;
		for (i = 0; i + 1 < h.count; i++)
			ends |= h.entries[i].timeline == timeline &&
			    h.entries[i].end_lsn >= lsn &&
			    h.entries[i].end_lsn < lsn + l->facts.segment_bytes;
		timeline_history_free(&h);
	}
	return ends;
}

static int
check_segment(struct archiver *a, struct archive_member *r, struct err *e)
{
	uint32_t timeline;
	uint64_t lsn;
	int after;

	if (r->len != r->lineage.facts.segment_bytes ||
	    !wal_name_parse(r->name, (uint32_t)r->len, &timeline, &lsn))
		return err_set(e, ERR_CORRUPT,
		    "WAL segment \"%s\" has %zu bytes, expected %u", r->name,
		    r->len, r->lineage.facts.segment_bytes);
	after = check_after_last(a, r, timeline, lsn);
	if (after == 1)
		return 0;
	if (check_anew(a, r, timeline, lsn, e) == 0) {
		r->broken_border |= after == -1;
		prepare_next(a, r, timeline, lsn);
		return 0;
	}
	if (e->kind != ERR_CORRUPT ||
	    !timeline_ends_here(&r->lineage, timeline, lsn))
		return -1;
	err_clear(e);
	r->kind = READ_PARTIAL;
	return 0;
}

/* ---- one file ---- */

static int
identify(struct archiver *a, struct archive_file *f, struct archive_member *r,
    struct err *e)
{
	const struct cluster_settings *c = NULL;
	uint64_t system_id = 0;

	if ((r->kind == READ_HISTORY
		    ? system_id_of_control(f->control_fd, &system_id, e)
		    : peek(r, &system_id, e)) == -1 ||
	    find_lineage(a, system_id, &c, &r->lineage, e) == -1)
		return -1;
	r->level = c->compress_level;
	(void)snprintf(f->cluster, sizeof(f->cluster), "%s", c->name);
	return 0;
}

struct archive_member *
archive_member_read(struct archiver *a, struct archive_file *f,
    struct buf *plain, struct err *e)
{
	AUTO_ARCHIVE_MEMBER struct archive_member *r = mem_zalloc(sizeof(*r));
	uint32_t timeline;
	uint64_t lsn;

	err_clear(e);
	(void)snprintf(r->name, sizeof(r->name), "%s", f->name);
	if (wal_name_is_history(f->name, &r->timeline))
		r->kind = READ_HISTORY;
	else if (wal_name_is_partial(f->name))
		r->kind = READ_PARTIAL;
	else if (wal_name_parse(
		     f->name, WAL_SEGMENT_BYTES_MIN, &timeline, &lsn))
		r->kind = READ_SEGMENT;
	else if (wal_name_is_backup_label(f->name))
		return NULL;
	else {
		(void)err_set(e, ERR_USAGE,
		    "\"%s\" is not the name of a WAL file", f->name);
		return NULL;
	}
	if (read_all(r, f->fd,
		r->kind == READ_HISTORY ? HISTORY_BYTES_MAX
					: (off_t)WAL_SEGMENT_BYTES_MAX,
		plain, e) == -1 ||
	    identify(a, f, r, e) == -1 ||
	    (r->kind == READ_SEGMENT && check_segment(a, r, e) == -1))
		return NULL;
	return steal_ptr(&r);
}

int
archive_store_read(struct archive_member *r, struct wal_storer *storer,
    bool *existed, struct err *e)
{
	char segment[WAL_NAME_BYTES];

	*existed = false;
	switch (r->kind) {
	case READ_HISTORY:
		return wal_store_history(
		    &r->lineage, r->timeline, r->data, r->len, e);
	case READ_PARTIAL:
		(void)snprintf(segment, sizeof(segment), "%.24s", r->name);
		return wal_store_partial(
		    &r->lineage, segment, r->data, r->len, e);
	case READ_SEGMENT:
		break;
	}
	if (wal_store_checked(storer, &r->lineage, &r->index, r->data, r->level,
		existed, e) == -1)
		return -1;
	if (r->broken_border && !*existed)
		wal_tell_border_broken(&r->lineage, r->name);
	return 0;
}
