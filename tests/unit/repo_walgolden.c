/*
 * A stored WAL segment of any version reads for ever: tests/data/wal-stored/N was
 * written by version N of the format from what is made here.
 */

#include <fcntl.h>

#include "base/le.h"
#include "repo/walfile.h"
#include "unit/wal_scratch.h"

#define START (UINT64_C(0x50) * SEGMENT_BYTES)

static const char name[] = "000000010000000000000050";

static void
make(struct walmaker *m)
{
	walmaker_init(m, 15, START);
	(void)wal_commit(m, 4711, 1000000);
	(void)wal_restore_point(m, "before the upgrade", 2000000);
	wal_fill(m, START + 30000);
	wal_switch(m);
}

/* The golden file, where the repository looks for it. */
static void
place(const struct lineage *l, const struct buf *stored)
{
	char folder[1024];
	struct err e = ERR_INIT;

	(void)snprintf(folder, sizeof(folder), "repo/%s/%s/wal/%.8s/%.8s",
	    l->cluster, l->name, name, name + 8);
	if (file_mkdirs_at(AT_FDCWD, folder, 0700, &e) == -1)
		tap_bail("%s", e.text);
	(void)strcat(strcat(folder, "/"), name);
	if (file_publish_at(AT_FDCWD, folder, stored->data, stored->len, 0600,
		FILE_REPLACE, &e) == -1)
		tap_bail("%s", e.text);
}

static void
check(const struct lineage *l)
{
	AUTO_WALMAKER struct walmaker m, other;
	AUTO_WALINDEX struct walindex x = { 0 };
	AUTO_FREE uint8_t *out = mem_alloc(SEGMENT_BYTES);
	struct err e = ERR_INIT;

	make(&m);
	walmaker_init(&other, 15, START);
	tap_ok(wal_read_segment(l, name, out, &e) == 0 &&
		memcmp(out, m.out.data, SEGMENT_BYTES) == 0,
	    "its plain bytes are what they were (%s)", e.text);
	if (!tap_ok(wal_read_index(l, name, &x, &e) == 0, "its index is read"))
		return;
	tap_u64(x.summary.commits, 1, "one commit");
	tap_u64(x.summary.min_xid, 4711, "of this transaction");
	tap_u64(x.summary.restore_points, 1, "one restore point");
	tap_ok(x.summary.has_switch, "a switch");
	tap_u64(x.summary.major, 15, "of version 15");
	tap_u64(x.count, 2, "two moments");
	tap_str(x.moments[0].event.name, "before the upgrade", "the first");
	tap_u64(x.moments[1].event.kind, WAL_EVENT_SWITCH, "the second");
	tap_ok(wal_scratch_store(l, &m, 0, &e),
	    "the same bytes are no conflict (%s)", e.text);
	(void)wal_commit(&other, 4712, 1000000);
	wal_fill(&other, START + SEGMENT_BYTES);
	tap_ok(!wal_scratch_store(l, &other, 0, &e) && e.kind == ERR_CONFLICT,
	    "others are: %s", e.text);
}

/* Once for each version of the format. */
static void
make_golden(const struct lineage *l)
{
	AUTO_WALMAKER struct walmaker m;
	struct err e = ERR_INIT;

	make(&m);
	(void)wal_scratch_store(l, &m, 0, &e);
	tap_diag("now in %s", scratch_path);
	_exit(0);
}

int
main(void)
{
	const char *src = getenv("PGKURA_SRC");
	AUTO_REPO struct repo *r = NULL;
	struct buf stored[WALFILE_VERSION] = { BUF_INIT };
	struct lineage lineage;
	struct err e = ERR_INIT;
	unsigned int i;

	for (i = 0; i < WALFILE_VERSION; i++) {
		AUTO_FREE char *path =
		    mem_printf("%s/tests/data/wal-stored/%u/%s",
			src == NULL ? "." : src, i + 1, name);

		if (getenv("PGKURA_MAKE_GOLDEN") == NULL &&
		    file_slurp_at(
			AT_FDCWD, path, SEGMENT_BYTES, &stored[i], &e) == -1)
			tap_bail("%s", e.text);
	}
	(void)scratch_enter();
	r = wal_scratch_repo(&lineage);
	if (getenv("PGKURA_MAKE_GOLDEN") != NULL)
		make_golden(&lineage);
	for (i = 0; i < WALFILE_VERSION; i++) {
		tap_diag("version %u", i + 1);
		tap_u64(le16_get(stored[i].data + 16), i + 1, "its version");
		place(&lineage, &stored[i]);
		check(&lineage);
		buf_free(&stored[i]);
	}
	return tap_done();
}
