/*
 * intake: what goes in comes out, only changes are stored, an interrupted
 * backup is reused, and memory of a file's life stays with the file.
 */

#include "base/mem.h"
#include "repo/intake.h"
#include "repo_scratch.h"

static struct repo_scratch s;

#define FILES 40

struct model {
	char path[64];
	uint8_t *data;
	size_t len;
};

static struct model files[FILES];
static uint64_t dice = 88172645463325252u;

static uint64_t
roll(void)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return dice;
}

/* Files of awkward sizes: empty, one byte, one block and a bit, megabytes. */
static void
make_files(void)
{
	static const size_t sizes[] = { 0, 1, 8191, 8192, 8193, 16384, 300000,
		1u << 20, (1u << 20) + 1, 3500000 };
	size_t i, j;

	for (i = 0; i < FILES; i++) {
		(void)snprintf(files[i].path, sizeof(files[i].path),
		    i % 2 == 0 ? "base/5/%zu" : "pg_xact/%zu", i + 1000);
		files[i].len = sizes[i % COUNT_OF(sizes)];
		files[i].data = mem_zalloc(files[i].len + 1);
		for (j = 0; j < files[i].len; j += 1 + roll() % 97)
			if (j / 8192 % 5 != 3) /* some blocks stay zero */
				files[i].data[j] = (uint8_t)roll();
	}
}

static int
put_file(struct intake *in, const struct model *m, struct err *e)
{
	size_t at, n;

	if (intake_begin(in, ENTRY_FILE, m->path, 0600, 12345, m->len, e) == -1)
		return -1;
	for (at = 0; at < m->len; at += n) {
		n = 1 + roll() % 70000;
		if (n > m->len - at)
			n = m->len - at;
		if (intake_data(in, m->data + at, n, e) == -1)
			return -1;
	}
	return intake_end(in, e);
}

/* One whole backup; parent_id NULL for none.  Commits under id. */
static int
take(const char *id, const char *parent_id, const char *interrupted,
    struct root *root, struct err *e)
{
	AUTO_PACKSET struct packset *ps = packset_new(&s.lineage, 1 << 20);
	AUTO_ROOT struct root parent_root;
	AUTO_PARENT struct parent *parent = NULL;
	AUTO_INTAKE struct intake *in = NULL;
	struct intake_options o = { .backup_id = id,
		.level = 3,
		.workers = 2,
		.parent_exists = parent_id != NULL,
		.segment_blocks = 131072 };
	unsigned int count;
	size_t i;

	root_init(&parent_root);
	root_init(root);
	if (parent_id != NULL &&
	    root_read(&s.lineage, parent_id, &parent_root, e) == -1)
		return -1;
	parent = parent_new(parent_id == NULL ? NULL : &parent_root, ps, e);
	if (parent == NULL ||
	    (interrupted != NULL &&
		parent_add_interrupted(
		    parent, &s.lineage, interrupted, &count, e) == -1))
		return -1;
	in = intake_new(&s.lineage, ps, parent, &o, e);
	for (i = 0; in != NULL && i < FILES; i++)
		if (put_file(in, &files[i], e) == -1)
			return -1;
	if (in == NULL || intake_finish(in, root, e) == -1)
		return -1;
	(void)strcpy(root->id, id);
	(void)strcpy(root->cluster, s.lineage.cluster);
	(void)strcpy(root->lineage, s.lineage.name);
	root->facts = s.lineage.facts;
	return root_commit(&s.lineage, root, e);
}

struct reading {
	struct packset *ps;
	size_t seen, wrong;
};

static int
compare_entry(void *arg, const struct entry *entry, struct err *e)
{
	struct reading *r = arg;
	const struct model *m = &files[r->seen++];
	AUTO_FILEMAP struct filemap map;
	AUTO_ZCODEC struct zcodec *z = zcodec_new();
	AUTO_FREE uint8_t *raw = mem_alloc(PACK_FRAME_RAW_MAX);
	uint32_t b, blocks = entry_blocks(entry->size_bytes);

	if (entry_map(entry, r->ps, &map, e) == -1)
		return -1;
	if (strcmp(entry->path, m->path) != 0 || entry->size_bytes != m->len ||
	    entry->crc32c != crc32c(0, m->data, m->len))
		r->wrong++;
	for (b = 0; b < blocks; b++) {
		size_t at = (size_t)b * PACK_BLOCK_BYTES,
		       len = m->len - at < PACK_BLOCK_BYTES ? m->len - at
							    : PACK_BLOCK_BYTES;
		const uint8_t *got = raw;
		struct block_place p;
		const struct pack_index *x;

		if (filemap_places(&map, r->ps, b, 1, &p, e) == -1)
			return -1;
		if (p.kind == EXTENT_ZERO) {
			(void)memset(raw, 0, len);
		} else {
			if (packset_read_frame(
				r->ps, p.pack, p.frame, z, raw, e) == -1 ||
			    (x = packset_index_get(r->ps, p.pack, e)) == NULL)
				return -1;
			got =
			    raw + pack_index_block_offset(x, p.frame, p.index);
			if (pack_index_block_len(x, p.frame, p.index) != len)
				r->wrong++;
			packset_index_put(r->ps, x);
		}
		if (memcmp(got, m->data + at, len) != 0)
			r->wrong++;
	}
	return 0;
}

static void
check_reads_back(const char *id, const char *what)
{
	AUTO_PACKSET struct packset *ps = packset_new(&s.lineage, 1 << 16);
	AUTO_ROOT struct root root;
	struct reading r = { ps, 0, 0 };
	struct err e = ERR_INIT;

	if (!tap_ok(root_read(&s.lineage, id, &root, &e) == 0 &&
		    root_walk(&root, ps, compare_entry, &r, &e) == 0,
		"%s: can be read %s", what, e.text))
		return;
	tap_u64(r.seen, FILES, "%s: every file is there", what);
	tap_u64(r.wrong, 0, "%s: with its bytes", what);
}

static void
check_full_and_changes(void)
{
	AUTO_ROOT struct root a, b, c;
	struct err e = ERR_INIT;
	size_t i;

	tap_ok(take("20260101T000000Z-0001", NULL, NULL, &a, &e) == 0,
	    "a first backup %s", e.text);
	check_reads_back(a.id, "first");
	tap_ok(take("20260101T000000Z-0002", a.id, NULL, &b, &e) == 0,
	    "a second one of the same %s", e.text);
	tap_u64(b.new_blocks, 0, "stores no block");
	tap_u64(b.stored_bytes, 0, "and no byte");
	check_reads_back(b.id, "second");
	files[9].data[1234567] ^= 1;
	files[19].data[0] ^= 1;
	(void)memset(files[29].data, 0, 8192);
	for (i = 0; i < files[39].len; i++)
		files[39].data[i] = (uint8_t)roll();
	files[8].len -= 5;
	tap_ok(take("20260101T000000Z-0003", b.id, NULL, &c, &e) == 0,
	    "a third with changes %s", e.text);
	tap_u64(c.new_blocks, 3 + (files[39].len + 8191) / 8192,
	    "stores the changed blocks only");
	check_reads_back(c.id, "third");
}

static void
check_live_counts(void)
{
	AUTO_ROOT struct root r;
	struct err e = ERR_INIT;
	uint64_t live = 0, blocks = 0;
	size_t i, j, zero = 0;

	(void)root_read(&s.lineage, "20260101T000000Z-0003", &r, &e);
	for (i = 0; i < r.pack_count; i++)
		live += r.packs[i].live;
	for (i = 0; i < FILES; i++) {
		blocks += (files[i].len + 8191) / 8192;
		for (j = 0; j < files[i].len; j += 8192) {
			size_t k,
			    n = files[i].len - j < 8192 ? files[i].len - j
							: 8192;

			for (k = 0; k < n && files[i].data[j + k] == 0; k++)
				continue;
			zero += k == n;
		}
	}
	/* Leaves and maps in frames count one each. */
	tap_ok(live >= blocks - zero + r.leaf_count &&
		live <= blocks - zero + r.leaf_count + FILES,
	    "live blocks are counted: %llu of %llu", (unsigned long long)live,
	    (unsigned long long)(blocks - zero));
}

/* Packs without a root are what an interrupted backup leaves. */
static void
check_interrupted_is_reused(void)
{
	AUTO_ROOT struct root a, b;
	struct err e = ERR_INIT;
	char key[STORE_KEY_BYTES];
	size_t i, j;

	for (i = 0; i < FILES; i++)
		for (j = 0; j < files[i].len; j++)
			files[i].data[j] = (uint8_t)roll();
	(void)take("20260101T000000Z-0004", NULL, NULL, &a, &e);
	(void)store_remove(repo_store(s.repo),
	    lineage_key(&s.lineage, key, "backups/%s", a.id), &e);
	tap_ok(take("20260101T000000Z-0005", "20260101T000000Z-0003", a.id, &b,
		   &e) == 0,
	    "a backup after an interrupted one %s", e.text);
	tap_u64(b.new_blocks, 0, "stores nothing again");
	check_reads_back(b.id, "resumed");
}

static void
check_refuses_wrong_sizes(void)
{
	AUTO_PACKSET struct packset *ps = packset_new(&s.lineage, 1 << 20);
	struct err e = ERR_INIT;
	AUTO_PARENT struct parent *parent = parent_new(NULL, ps, &e);
	struct intake_options o = { .backup_id = "20260101T000000Z-0009",
		.level = 3,
		.workers = 1,
		.segment_blocks = 131072 };
	AUTO_INTAKE struct intake *in =
	    intake_new(&s.lineage, ps, parent, &o, &e);

	tap_ok(intake_begin(in, ENTRY_FILE, "a", 0600, 0, 10, &e) == 0 &&
		intake_data(in, "0123456789A", 11, &e) == -1,
	    "more bytes than said: %s", e.text);
	tap_ok(intake_data(in, "01234", 5, &e) == 0 && intake_end(in, &e) == -1,
	    "fewer bytes than said: %s", e.text);
}

static void
check_every_flip_in_packs(void)
{
	AUTO_ROOT struct root r;
	struct err e = ERR_INIT;
	size_t i, n, missed = 0;
	char key[STORE_KEY_BYTES], path[1024];

	(void)root_read(&s.lineage, "20260101T000000Z-0003", &r, &e);
	for (i = 0; i < 400; i++) {
		const struct root_pack *p = &r.packs[roll() % r.pack_count];
		uint64_t at = roll() % p->bytes;
		uint8_t byte, bad;
		int fd;

		(void)snprintf(path, sizeof(path), "%s/%s", s.url,
		    pack_key(&s.lineage, p->id, key));
		fd = open(path, O_RDWR | O_CLOEXEC);
		n = (size_t)pread(fd, &byte, 1, (off_t)at);
		bad = (uint8_t)(byte ^ 1 << roll() % 8);
		n += (size_t)pwrite(fd, &bad, 1, (off_t)at);
		if (pack_verify(&s.lineage, p->id, false, p->sha256, &e) == 0)
			missed++;
		n += (size_t)pwrite(fd, &byte, 1, (off_t)at);
		(void)close(fd);
		if (n != 3)
			tap_bail("could not change a byte");
	}
	tap_u64(missed, 0, "400 flipped bits in packs are all found");
}

int
main(void)
{
	size_t i;

	repo_scratch_init(&s);
	make_files();
	check_full_and_changes();
	check_live_counts();
	check_every_flip_in_packs();
	check_interrupted_is_reused();
	check_refuses_wrong_sizes();
	for (i = 0; i < FILES; i++)
		free(files[i].data);
	repo_scratch_fini(&s);
	return tap_done();
}
