/*
 * heal_commit: what it takes, and what not.
 */

#include "unit/heal_scratch.h"

/* ---- what is not taken ---- */

static void
refuse(const struct object *o, enum how how, const struct buf *bytes,
    const char *what)
{
	AUTO_BUF struct buf was = BUF_INIT;
	struct err e = ERR_INIT;
	int rc;

	damage(o, how, &was);
	rc = try_with(o, bytes->data, bytes->len, &e);
	tap_ok(rc == -1 &&
		(e.kind == ERR_CORRUPT || e.kind == ERR_REFUSED ||
		    e.kind == ERR_CONFLICT),
	    "%s: %s", what, e.text);
	tap_ok((how == LOST ? !is_there(o) : is_as_it_was(o, &was)) &&
		aside(&was) == 0 && is_wanted(o),
	    "%s: and nothing has changed", what);
}

static void
flip(struct buf *b, const struct object *o)
{
	buf_clear(b);
	buf_put(b, o->bytes.data, o->bytes.len);
	b->data[b->len / 3] ^= 1;
}

/* The signed text of o with one thing in it another, signed anew by r. */
static void
forge(struct buf *b, const struct object *o, const struct repo *r,
    const char *from, const char *to)
{
	struct err e = ERR_INIT;
	uint8_t *at;

	buf_clear(b);
	buf_put(b, o->bytes.data, o->bytes.len);
	if (lineage_check_signature(&lineage, b, o->name, &e) == -1)
		tap_bail("%s", e.text);
	at = memmem(b->data, b->len, from, strlen(from));
	if (at == NULL)
		tap_bail("no %s", from);
	(void)memcpy(at, to, strlen(to));
	if (repo_sign(r, b, &e) == -1)
		tap_bail("%s", e.text);
}

static void
forget_roots(void)
{
	AUTO_DAMAGE struct damage d = { .lock = -1 };
	struct err e = ERR_INIT;

	if (damage_open(&d, &settings, "main", true, &e) == -1)
		tap_bail("%s", e.text);
	(void)json_object_clear(json_object_get(d.json, "roots"));
	if (damage_save(&d, &e) == -1)
		tap_bail("%s", e.text);
}

static void
check_signed(void)
{
	const struct object *root = &objects[ROOT], *mark = &objects[MARK];
	AUTO_BUF struct buf b = BUF_INIT;
	enum how how;

	know_roots = true;
	forge(&b, root, lineage.repo, "\"started_us\":1", "\"started_us\":2");
	for (how = FLIPPED; how <= LOST; how++)
		refuse(root, how, &b, "another root by the same key");
	know_roots = false;
	forget_roots();
	flip(&b, root);
	refuse(root, LOST, &b, "a root that is not as it was signed");
	flip(&b, mark);
	refuse(mark, FLIPPED, &b, "a mark that is not as it was signed");
	forge(&b, root, lineage.repo, "Z-0001\"", "Z-0002\"");
	refuse(root, FLIPPED, &b, "a root of another name");
	forge(&b, root, lineage.repo, "\"main\"", "\"mein\"");
	refuse(root, FLIPPED, &b, "a root of another cluster");
	forge(&b, root, lineage.repo, "00001-1\"", "00001-2\"");
	refuse(root, FLIPPED, &b, "a root of another lineage");
	forge(&b, root, key2, "\"id\"", "\"id\"");
	refuse(root, FLIPPED, &b, "a root by another key");
	forge(&b, mark, key2, "works", "wOrks");
	refuse(mark, FLIPPED, &b, "a mark by another key");
	know_roots = true;
}

/* How it would be stored, of these bytes, under the name of o. */
static void
stored_as(struct buf *b, const struct object *o, const uint8_t *plain)
{
	char name[WAL_NAME_BYTES], **partials = NULL;
	struct err e = ERR_INIT;
	size_t count;
	bool existed;

	(void)snprintf(name, sizeof(name), "%.24s", strrchr(o->name, '/') + 1);
	if (is_there(o) && unlink(path_of(key_of(o->name))) == -1)
		tap_bail("unlink");
	if (o == &objects[SEGMENT]) {
		if (wal_store_segment(&lineage, name, plain, SEGMENT_BYTES, 3,
			&existed, &e) == -1)
			tap_bail("%s", e.text);
		slurp(key_of(o->name), b);
		return;
	}
	if (wal_store_partial(&lineage, name, plain, 200000, &e) == -1 ||
	    wal_partials(&lineage, &partials, &count, &e) == -1 || count != 1)
		tap_bail("%s", e.text);
	(void)snprintf(name, sizeof(name), "%s", "");
	{
		AUTO_FREE char *other = mem_printf("%.*s%s",
		    (int)(strrchr(o->name, '/') + 1 - o->name), o->name,
		    partials[0]);

		slurp(key_of(other), b);
		(void)unlink(path_of(key_of(other)));
	}
	store_names_free(partials);
}

/* The segment behind the one that is healed goes away, or comes back. */
static void
hide_next(bool away)
{
	char name[WAL_NAME_BYTES], path[80], from[STORE_KEY_BYTES],
	    to[STORE_KEY_BYTES];
	struct err e = ERR_INIT;

	(void)wal_name(1, 3 * START, SEGMENT_BYTES, name);
	(void)snprintf(
	    path, sizeof(path), "wal/%.8s/%.8s/%.24s", name, name + 8, name);
	(void)lineage_key(&lineage, from, "%s", path);
	(void)lineage_key(&lineage, to, "hidden/next");
	if (store_rename(repo_store(lineage.repo), away ? from : to,
		away ? to : from, &e) == -1)
		tap_bail("%s", e.text);
}

static void
check_wal(void)
{
	const struct object *s = &objects[SEGMENT], *p = &objects[PARTIAL];
	AUTO_FREE uint8_t *plain = mem_alloc(SEGMENT_BYTES);
	AUTO_WALMAKER struct walmaker other, later;
	AUTO_BUF struct buf b = BUF_INIT;

	/* Other records from the start on; from the middle on. */
	walmaker_init(&other, 15, START);
	(void)wal_noop(&other, 777);
	wal_fill(&other, 5 * START);
	walmaker_init(&later, 15, START);
	wal_fill(&later, 2 * START + START / 2);
	(void)wal_noop(&later, 777);
	wal_fill(&later, 5 * START);

	flip(&b, s);
	refuse(s, FLIPPED, &b, "a segment that is damaged itself");
	stored_as(&b, s, wal_segment_of(&other, 1));
	refuse(s, FLIPPED, &b, "a segment with other records");
	refuse(s, CUT, &b, "one that does not fit what is before it");
	refuse(s, LOST, &b, "the same, when nothing is there");
	hide_next(true);
	refuse(s, LOST, &b, "the same, when the next one is lost, too");
	hide_next(false);
	/* In what is left of the record that begins before it. */
	(void)memcpy(plain, wal_segment_of(&maker, 1), SEGMENT_BYTES);
	plain[41] ^= 1;
	stored_as(&b, s, plain);
	refuse(s, CUT, &b, "one whose first record is wrong");
	stored_as(&b, s, wal_segment_of(&later, 1));
	refuse(s, FLIPPED, &b, "a segment with other records at its end");
	refuse(s, CUT, &b, "one that does not fit what is behind it");
	refuse(s, LOST, &b, "the same, when nothing is there");
	refuse(s, FLIPPED, &objects[PARTIAL].bytes, "a partial for a segment");
	restore_all();
	flip(&b, p);
	refuse(p, FLIPPED, &b, "a partial that is damaged itself");
	stored_as(&b, p, wal_segment_of(&other, 3));
	refuse(p, FLIPPED, &b, "a partial with other records");
	refuse(p, LOST, &b, "the same, when nothing is there");
	restore_all();
}

/* The segment in pieces of a quarter, the last of them damaged, with the digest
 * of these plain bytes. */
static void
damaged_with_digest(struct buf *b, const uint8_t *plain)
{
	const struct object *o = &objects[SEGMENT];
	struct wal_storer *w = wal_storer_new();
	AUTO_WALINDEX struct walindex x = { 0 };
	struct walfile_header h = { .version = WALFILE_VERSION,
		.timeline = 1,
		.system_id = lineage.facts.system_id,
		.start_lsn = 2 * START,
		.segment_bytes = SEGMENT_BYTES,
		.plain_bytes = SEGMENT_BYTES,
		.chunk_bytes = SEGMENT_BYTES / 4 };
	struct walfile_trailer t;
	struct err e = ERR_INIT;
	uint8_t *end;
	bool existed;

	x.summary.start_lsn = h.start_lsn;
	(void)store_remove(repo_store(lineage.repo), key_of(o->name), NULL);
	if (wal_storer_put(w, &lineage, key_of(o->name), &h,
		wal_segment_of(&maker, 1), 1, &x, &existed, &e) == -1)
		tap_bail("%s", e.text);
	slurp(key_of(o->name), b);
	end = b->data + b->len - WALFILE_TRAILER_BYTES;
	if (walfile_trailer_decode(&t, end, &e) == -1)
		tap_bail("%s", e.text);
	walfile_digest_of(h.version, plain, SEGMENT_BYTES, t.digest);
	walfile_trailer_encode(&t, end);
	b->data[WALFILE_HEADER_BYTES + t.body_bytes - 1] ^= 1;
	spill(key_of(o->name), b->data, b->len);
	want(o);
	wal_storer_free(w);
}

/* Who can make other WAL with the same digest gets no further. */
static void
check_forged_digest(void)
{
	const struct object *o = &objects[SEGMENT];
	AUTO_WALMAKER struct walmaker other;
	AUTO_BUF struct buf forged = BUF_INIT, was = BUF_INIT;
	struct err e = ERR_INIT;

	walmaker_init(&other, 15, START);
	wal_fill(&other, 2 * START + START / 2);
	(void)wal_noop(&other, 777);
	wal_fill(&other, 5 * START);
	forget_aside();
	stored_as(&forged, o, wal_segment_of(&other, 1));
	damaged_with_digest(&was, wal_segment_of(&other, 1));
	tap_ok(try_with(o, forged.data, forged.len, &e) == -1 &&
		e.kind == ERR_CORRUPT && is_as_it_was(o, &was) && is_wanted(o),
	    "other WAL with the digest that was here is not taken: %s", e.text);
	tap_str(strstr(e.text, "came with other WAL than what can be read"),
	    "came with other WAL than what can be read here",
	    "for this reason");
	damaged_with_digest(&was, wal_segment_of(&maker, 1));
	tap_ok(try_with(o, o->bytes.data, o->bytes.len, &e) == 0 && is_whole(o),
	    "what was here is (%s)", e.text);
	restore_all();
}

static void
seal(struct buf *b, const char *text)
{
	buf_clear(b);
	buf_printf(b, "%s# crc32c %08x\n", text, crc32c(0, text, strlen(text)));
}

static void
check_history(void)
{
	const struct object *h = &objects[HISTORY];
	AUTO_WALMAKER struct walmaker fifth;
	AUTO_BUF struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	walmaker_init(&fifth, 15, 8 * START);
	fifth.timeline = 5;
	wal_fill(&fifth, 10 * START);
	if (!wal_scratch_store(&lineage, &fifth, 0, &e))
		tap_bail("%s", e.text);
	seal(&b, "1\t0/250000\tx\n4\t0/300000\tagain\n");
	refuse(h, FLIPPED, &b, "a history that is not its parent's");
	seal(&b, "2\t0/200000\tx\n4\t0/300000\tagain\n");
	refuse(h, FLIPPED, &b, "a history that comes from another timeline");
	seal(&b, "1\t0/200000\tx\n2\t0/250000\tx\n4\t0/300000\tagain\n");
	refuse(h, FLIPPED, &b, "a history that is longer than its parent's");
	seal(&b, "4\t0/300000\tagain\n");
	refuse(h, FLIPPED, &b, "a history without its parent's");
	seal(&b, "1\t0/200000\tno recovery target\n4\t0/900000\tagain\n");
	refuse(h, LOST, &b, "a history that begins behind its WAL");
	seal(&b, "what is this\n");
	refuse(h, FLIPPED, &b, "a history that is none");
	flip(&b, h);
	refuse(h, CUT, &b, "a history that does not match its checksum");
}

static void
check_others(void)
{
	AUTO_BUF struct buf b = BUF_INIT, was = BUF_INIT;
	struct err e = ERR_INIT;
	size_t i;

	flip(&b, &objects[PACK]);
	refuse(&objects[PACK], FLIPPED, &b, "a pack that is damaged itself");
	refuse(&objects[PACK], LOST, &b, "the same, when nothing is there");
	for (i = 0; i < object_count; i++) {
		const struct object *o = &objects[i];

		damage(o, FLIPPED, &was);
		want(NULL);
		tap_ok(try_with(o, o->bytes.data, o->bytes.len, &e) == -1 &&
			e.kind == ERR_REFUSED && is_as_it_was(o, &was),
		    "%.8s: what nobody has asked for is not taken", o->name);
		damage(o, FLIPPED, &was);
		tap_ok(heal_is_whole(&lineage, &settings, o->name, &e) == 0 &&
			is_wanted(o),
		    "%.8s: it is known to be damaged", o->name);
		damage(o, WHOLE, &was);
		tap_ok(heal_is_whole(&lineage, &settings, o->name, &e) == 1 &&
			!is_wanted(o),
		    "%.8s: it is known to be whole", o->name);
		damage(o, WHOLE, &was);
		flip(&b, o);
		tap_ok(try_with(o, b.data, b.len, &e) == 0 &&
			is_as_it_was(o, &was) && aside(&was) == 0 &&
			!is_wanted(o),
		    "%.8s: what is whole stays", o->name);
	}
}

int
main(void)
{
	heal_scratch_init();
	check_signed();
	check_wal();
	check_forged_digest();
	check_history();
	check_others();
	heal_scratch_fini();
	return tap_done();
}
