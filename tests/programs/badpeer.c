/*
 * badpeer: what a site that was broken into could send to its peer: it has the
 * site's keys and its repository, and means ill.
 *
 *	badpeer STATE_DIR REPOSITORY SITE PEER ADDRESS CLUSTER ATTACK [NUMBER]
 *
 * Prints a line for each answer ("state ok", "kept BODY WHAT WHY", "wal_no
 * WHY", ...; of many of a kind the first 200), and at the end "session up" or
 * "session down".  What the answers ought to be, the test knows
 * (tests/t/514-hostile-peer.t).
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/zstream.h"
#include "link/keys.h"
#include "link/link.h"
#include "repo/keyset.h"
#include "repo/manifest.h"
#include "repo/objects.h"
#include "repo/repo.h"
#include "repo/walarchive.h"
#include "repo/walstored.h"

#define JOURNAL	    7u
#define BODY(n)	    ((uint64_t)JOURNAL << 48 | (uint64_t)(n))
#define LINES_MAX   200
#define ANSWERS_MAX 4096
#define WAIT_US	    (20 * CLOCK_SECOND_US)

struct piece {
	struct piece *next;
	uint64_t stream, offset;
	size_t len;
	uint8_t data[];
};

struct bad {
	struct link *link;
	struct repo *repo;
	struct lineage lineage;
	bool up;
	unsigned int sessions;
	struct piece *first, *last, *sent;
	unsigned int lines;
	uint64_t answers;
	char kept[ANSWERS_MAX][12]; /* by body % ANSWERS_MAX: the last word */
	char state[8];		    /* "yes", "no" */
	uint64_t wal_lsn;	    /* of wal_at; LSN_NONE */
	bool wal_refused;
	uint64_t offers, busy; /* answers to "want" */
	uint64_t number;       /* of the command line */
	struct lie *lies;      /* NULL: it tells none */
};

/* What it gives to who wants it: tests/t/518-heal.t. */
struct lie {
	struct lie *next;
	uint64_t body;
	struct buf bytes;
};
static void on_want(struct bad *b, const json_t *m);
static void on_given(struct bad *b, const json_t *m);
#define HEALING ((uint64_t)0xffff)
static struct lie no_lie;

/* ---- the link ---- */

static void
on_up(void *arg, uint32_t version)
{
	struct bad *b = arg;

	(void)version;
	b->up = true;
	b->sessions++;
}

static void
on_down(void *arg)
{
	struct bad *b = arg;

	b->up = false;
}

static const char *
text_of(const json_t *m, const char *key)
{
	const char *s = json_string_value(json_object_get(m, key));

	return s == NULL ? "" : s;
}

static void
on_message(void *arg, const uint8_t *data, size_t len)
{
	struct bad *b = arg;
	AUTO_JSON json_t *m = json_parse(data, len, "answer", NULL);
	const char *what = m == NULL ? "" : text_of(m, "m");
	uint64_t body = 0;

	if (strcmp(what, "have") == 0 || strcmp(what, "clock") == 0 ||
	    strcmp(what, "") == 0)
		return;
	b->answers++;
	(void)json_need_u64(m, "body", &body, NULL);
	if (strcmp(what, "want") == 0 && b->lies != NULL)
		on_want(b, m);
	if (strcmp(what, "given") == 0 && b->lies != NULL)
		on_given(b, m);
	b->offers += strcmp(what, "give") == 0 &&
	    strcmp(text_of(m, "what"), "offer") == 0;
	b->busy += strcmp(what, "give") == 0 &&
	    strcmp(text_of(m, "what"), "busy") == 0;
	if (strcmp(what, "state") == 0)
		(void)strcpy(b->state,
		    json_is_true(json_object_get(m, "ok")) ? "yes" : "no");
	if (strcmp(what, "kept") == 0)
		(void)snprintf(b->kept[body % ANSWERS_MAX], sizeof(b->kept[0]),
		    "%s", text_of(m, "what"));
	if (strcmp(what, "wal_at") == 0)
		(void)json_need_u64(m, "lsn", &b->wal_lsn, NULL);
	if (strcmp(what, "wal_no") == 0)
		b->wal_refused = true;
	if (strcmp(text_of(m, "what"), "part") == 0 || b->lines++ >= LINES_MAX)
		return;
	(void)printf("%s %" PRIu64 " %s %s\n", what,
	    body & (((uint64_t)1 << 48) - 1),
	    strcmp(what, "state") == 0 ? b->state : text_of(m, "what"),
	    text_of(m, "why"));
}

static int
on_chunk(void *arg, const struct link_chunk *c, struct err *e)
{
	(void)arg;
	(void)c;
	(void)e;
	return 0;
}

static bool
on_next_chunk(void *arg, struct link_chunk *c)
{
	struct bad *b = arg;
	struct piece *p = b->first;

	free(steal_ptr(&b->sent));
	if (p == NULL)
		return false;
	b->first = p->next;
	*c = (struct link_chunk){ p->stream, p->offset, p->data, p->len };
	b->sent = p;
	return true;
}

/* ---- sending ---- */

static void
pump(struct bad *b, int64_t us)
{
	int64_t end = clock_boot_us() + us;
	struct err e = ERR_INIT;

	do {
		(void)link_run(b->link, NULL, 0, 20, &e);
	} while (clock_boot_us() < end && !child_stop_requested());
}

/* Until no answer has come for a time. */
static void
settle(struct bad *b)
{
	int64_t end = clock_boot_us() + 2 * WAIT_US;
	uint64_t before;

	do {
		before = b->answers;
		pump(b, 1500000);
	} while ((b->answers != before || b->first != NULL ||
		     link_unsent(b->link) > 0) &&
	    b->up && clock_boot_us() < end);
}

static void
send_text(struct bad *b, const char *text, size_t len)
{
	link_send(b->link, text, len);
}

static void
send_message(struct bad *b, json_t *m)
{
	AUTO_BUF struct buf text = BUF_INIT;

	json_write(m, &text);
	json_decref(m);
	send_text(b, buf_str(&text), text.len);
}

static json_t *
message(const char *what, uint64_t journal)
{
	json_t *m = json_object();

	json_set_str(m, "m", what);
	json_set_u64(m, "j", journal);
	return m;
}

static void
send_piece(
    struct bad *b, uint64_t body, uint64_t offset, const void *data, size_t len)
{
	struct piece *p = mem_alloc(sizeof(*p) + len);

	*p = (struct piece){ .stream = body, .offset = offset, .len = len };
	(void)memcpy(p->data, data, len);
	if (b->first == NULL)
		b->first = p;
	else
		b->last->next = p;
	b->last = p;
	link_wake(b->link);
}

static void
send_bytes(struct bad *b, uint64_t body, const uint8_t *data, size_t len)
{
	size_t at, n;

	for (at = 0; at < len; at += n) {
		n = len - at < LINK_CHUNK_MAX ? len - at : LINK_CHUNK_MAX;
		send_piece(b, body, at, data + at, n);
	}
}

static void
offer_as(struct bad *b, uint64_t body, const char *name, uint64_t bytes,
    const uint8_t sha256[SHA256_BYTES])
{
	json_t *m = message("offer", JOURNAL);

	json_set_u64(m, "body", body);
	json_set_str(m, "name", name);
	json_set_u64(m, "bytes", bytes);
	json_set_hex(m, "sha256", sha256, SHA256_BYTES);
	send_message(b, m);
}

static void
offer(struct bad *b, uint64_t body, const char *name, const void *data,
    size_t len)
{
	uint8_t sum[SHA256_BYTES];

	sha256_of(data, len, sum);
	offer_as(b, body, name, len, sum);
}

static const char *
kept(struct bad *b, uint64_t body)
{
	char *word = b->kept[body % ANSWERS_MAX];
	int64_t end = clock_boot_us() + WAIT_US;

	while ((word[0] == '\0' || strcmp(word, "part") == 0) &&
	    clock_boot_us() < end && b->up)
		pump(b, 20000);
	return word;
}

/* Offer, send when it is wanted, and see what becomes of it. */
static const char *
push(struct bad *b, uint64_t body, const char *name, const void *data,
    size_t len)
{
	char *word = b->kept[body % ANSWERS_MAX];

	word[0] = '\0';
	offer(b, body, name, data, len);
	if (strcmp(kept(b, body), "wanted") != 0)
		return word;
	word[0] = '\0';
	send_bytes(b, body, data, len);
	return kept(b, body);
}

static void
put_keys(json_t *list, const struct keyset *k)
{
	char hex[2 * SIGN_PUBLIC_BYTES + 1];
	size_t i;

	for (i = 0; i < k->count; i++) {
		hex_encode(k->keys[i], SIGN_PUBLIC_BYTES, hex);
		(void)json_array_append_new(list, json_string(hex));
	}
}

static json_t *
open_message(struct bad *b, uint64_t journal, const char *cluster,
    const char *lineage, const char *facts)
{
	json_t *m = message("open", journal), *keys = json_array();

	json_set_str(m, "cluster", cluster);
	json_set_str(m, "lineage", lineage);
	json_set_str(m, "facts", facts);
	put_keys(keys, repo_keys(b->repo));
	(void)json_object_set_new(m, "keys", keys);
	return m;
}

static void
send_open(struct bad *b, json_t *m)
{
	int64_t end = clock_boot_us() + WAIT_US;

	b->state[0] = '\0';
	send_message(b, m);
	while (b->state[0] == '\0' && clock_boot_us() < end && b->up)
		pump(b, 20000);
}

static void
open_rightly(struct bad *b)
{
	AUTO_BUF struct buf facts = BUF_INIT;
	struct err e = ERR_INIT;

	if (lineage_facts_text(&b->lineage, &facts, &e) == -1)
		(void)printf("error %s\n", e.text);
	send_open(b,
	    open_message(b, JOURNAL, b->lineage.cluster, b->lineage.name,
		buf_str(&facts)));
}

/* The newest root of our repository, without its signature. */
static int
newest_root(struct bad *b, char id[BACKUP_ID_BYTES], struct buf *out)
{
	struct err e = ERR_INIT;
	char **ids = NULL, key[STORE_KEY_BYTES];
	size_t count;
	int rc = -1;

	if (backup_list(&b->lineage, &ids, &count, &e) == 0 && count > 0) {
		(void)snprintf(id, BACKUP_ID_BYTES, "%s", ids[count - 1]);
		rc = store_get(repo_store(b->repo),
		    lineage_key(&b->lineage, key, "backups/%s", id),
		    ROOT_BYTES_MAX, out, &e);
		if (rc == 0)
			rc = lineage_check_signature(
			    &b->lineage, out, "root", &e);
	}
	store_names_free(ids);
	if (rc == -1)
		(void)printf("error %s\n", e.text);
	return rc;
}

/* ---- attacks ---- */

static void
attack_names(struct bad *b)
{
	static const char *const names[] = { "../../evil", "/etc/passwd",
		"repo", "keys/2", "../../keys/2", "backups/../../../keys/2",
		"backups/20261121T030405Z-7f3a/../x", "packs/../repo",
		"packs/zz/20261121T030405Z-7f3a.00001",
		"packs/..//20261121T030405Z-7f3a.00001", "cluster/2",
		"cluster/9999", "intents/20261121T030405Z-7f3a",
		"withdrawn/20261121T030405Z-7f3a", "wal/open/x", "wal/",
		"wal/00000001/00000000/../../../repo",
		"wal/00000001/00000000/000000010000000000000001.partial",
		"marks/../20261121T030405Z-7f3a/1", "damaged/x", "", ".", "..",
		"wal/00000001.history", "incoming/tokyo/x" };
	char longest[100000];
	size_t i;

	open_rightly(b);
	for (i = 0; i < COUNT_OF(names); i++)
		(void)push(b, BODY(i + 1), names[i], "evil", 4);
	(void)memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	(void)push(b, BODY(100), longest, "evil", 4);
	(void)memcpy(longest, "backups/", 8);
	(void)push(b, BODY(101), longest, "evil", 4);
}

struct existing {
	struct bad *b;
	unsigned int n;
};

static int
push_over(void *arg, const char *name, struct err *e)
{
	struct existing *x = arg;
	struct bad *b = x->b;
	AUTO_BUF struct buf data = BUF_INIT;
	char key[STORE_KEY_BYTES];

	if (store_get(repo_store(b->repo),
		lineage_key(&b->lineage, key, "%s", name), (size_t)1 << 30,
		&data, e) == -1)
		return -1;
	if (data.len == 0)
		return 0;
	data.data[data.len / 2] ^= 1;
	(void)push(b, BODY(++x->n), name, data.data, data.len);
	send_bytes(b, BODY(x->n), data.data, data.len); /* wanted or not */
	(void)push(b, BODY(++x->n), name, "short", 5);
	return 0;
}

static void
attack_replace(struct bad *b)
{
	static const enum object_kind kinds[] = { OBJECT_BACKUP, OBJECT_PACK,
		OBJECT_HISTORY, OBJECT_SEGMENT, OBJECT_PARTIAL, OBJECT_MARK,
		OBJECT_FACTS };
	struct existing x = { b, 0 };
	struct err e = ERR_INIT;
	size_t i;

	open_rightly(b);
	for (i = 0; i < COUNT_OF(kinds); i++)
		if (objects_each(&b->lineage, kinds[i], push_over, &x, &e) ==
		    -1)
			(void)printf("error %s\n", e.text);
}

/* Two bodies of the same bytes: when one has become an object, other bytes come
 * for the second. */
static void
attack_twin(struct bad *b)
{
	char name[STORE_KEY_BYTES], key[STORE_KEY_BYTES];
	uint8_t *data = mem_zalloc(200000), *other = mem_zalloc(200000);

	(void)pack_key(&b->lineage, "20200101T000000Z-abcd.00001", key);
	(void)snprintf(name, sizeof(name), "%s", strstr(key, "/packs/") + 1);
	(void)memset(data, 'a', 200000);
	(void)memset(other, 'b', 200000);
	open_rightly(b);
	offer(b, BODY(1), name, data, 200000);
	offer(b, BODY(2), name, data, 200000);
	(void)kept(b, BODY(1));
	(void)kept(b, BODY(2));
	b->kept[BODY(1) % ANSWERS_MAX][0] = '\0';
	send_bytes(b, BODY(1), data, 200000);
	(void)kept(b, BODY(1));
	send_bytes(b, BODY(2), other, 100000);
	settle(b);
	free(data);
	free(other);
}

static void
sign_and_push(struct bad *b, uint64_t body, const char *id,
    const struct buf *document, struct repo *by)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char name[STORE_KEY_BYTES];
	struct err e = ERR_INIT;

	buf_put(&text, document->data, document->len);
	if (repo_sign(by, &text, &e) == -1)
		(void)printf("error %s\n", e.text);
	(void)snprintf(name, sizeof(name), "backups/%s", id);
	(void)push(b, body, name, text.data, text.len);
}

/* With from, of the same length, replaced by to, wherever it is. */
static void
swap_text(struct buf *t, const char *from, const char *to)
{
	size_t n = strlen(from), i;

	for (i = 0; i + n <= t->len; i++)
		if (memcmp(t->data + i, from, n) == 0)
			(void)memcpy(t->data + i, to, n);
}

static void
attack_roots(struct bad *b)
{
	AUTO_BUF struct buf root = BUF_INIT;
	AUTO_BUF struct buf other = BUF_INIT;
	char id[BACKUP_ID_BYTES], fresh[BACKUP_ID_BYTES], last;
	struct err e = ERR_INIT;
	AUTO_FREE char *state = mem_printf("%s.stranger", repo_url(b->repo));
	AUTO_FREE char *url = mem_printf("%s/repo", state);
	AUTO_REPO struct repo *stranger = NULL;

	if (repo_init(url, &e) == 0)
		stranger = repo_open(url, state, true, &e);
	if (stranger == NULL || newest_root(b, id, &root) == -1) {
		(void)printf("error %s\n", e.text);
		return;
	}
	open_rightly(b);
	/* Of a new id: by a stranger's key, in our own words, and under a
	 * name that is not its own. */
	(void)strcpy(fresh, id);
	last = fresh[20] == '0' ? '1' : '0';
	fresh[20] = last;
	buf_put(&other, root.data, root.len);
	swap_text(&other, id, fresh);
	sign_and_push(b, BODY(1), fresh, &other, stranger);
	sign_and_push(b, BODY(2), fresh, &root, b->repo);
	/* Of another cluster, of another lineage. */
	swap_text(&other, b->lineage.cluster, "evil");
	sign_and_push(b, BODY(3), fresh, &other, b->repo);
	swap_text(&other, "evil", b->lineage.cluster);
	other.data[other.len / 2] = '\0';
	sign_and_push(b, BODY(4), fresh, &other, b->repo);
	sign_and_push(b, BODY(5), fresh, &(struct buf){ 0 }, b->repo);
}

static void
attack_keys(struct bad *b)
{
	AUTO_BUF struct buf facts = BUF_INIT;
	uint8_t key[SIGN_PUBLIC_BYTES];
	char hex[2 * SIGN_PUBLIC_BYTES + 1];
	struct err e = ERR_INIT;
	int turn, i;

	if (lineage_facts_text(&b->lineage, &facts, &e) == -1)
		return;
	for (turn = 0; turn < 30 && b->up; turn++) {
		json_t *m = open_message(b, JOURNAL, b->lineage.cluster,
		    b->lineage.name, buf_str(&facts));
		json_t *list = json_array();

		for (i = 0; i < 60; i++) {
			random_bytes(key, sizeof(key));
			hex_encode(key, sizeof(key), hex);
			(void)json_array_append_new(list, json_string(hex));
		}
		(void)json_object_set_new(m, "keys", list);
		send_open(b, m);
	}
}

/* Objects that are begun and never ended, and offers of them by thousands. */
static void
attack_offers(struct bad *b)
{
	static const uint8_t byte[1] = { 'x' };
	char name[STORE_KEY_BYTES], id[48], key[STORE_KEY_BYTES];
	uint8_t sum[SHA256_BYTES];
	uint64_t i;

	open_rightly(b);
	for (i = 1; i <= b->number && b->up; i++) {
		random_bytes(sum, sizeof(sum));
		(void)snprintf(id, sizeof(id), "20200101T000000Z-%04x.%05u",
		    (unsigned int)(i >> 8 & 0xffff), (unsigned int)(i & 255));
		(void)pack_key(&b->lineage, id, key);
		(void)snprintf(
		    name, sizeof(name), "%s", strstr(key, "/packs/") + 1);
		offer_as(b, BODY(i), name, 900000000, sum);
		send_piece(b, BODY(i), 899999999, byte, 1);
		if (i % 500 == 0)
			pump(b, 50000);
	}
	settle(b);
}

/* Single bytes with holes between, more than was wanted, all over again. */
static void
attack_pieces(struct bad *b)
{
	char name[STORE_KEY_BYTES], key[STORE_KEY_BYTES];
	uint8_t *data = mem_zalloc(LINK_CHUNK_MAX), sum[SHA256_BYTES];
	uint64_t i;

	random_bytes(sum, sizeof(sum));
	(void)pack_key(&b->lineage, "20200101T000000Z-beef.00001", key);
	(void)snprintf(name, sizeof(name), "%s", strstr(key, "/packs/") + 1);
	open_rightly(b);
	offer_as(b, BODY(1), name, 500000000, sum);
	(void)kept(b, BODY(1));
	for (i = 0; i < b->number && b->up; i++) {
		send_piece(b, BODY(1), 2 * i + 1, data, 1);
		if (i % 5000 == 0)
			pump(b, 50000);
	}
	settle(b);
	send_piece(b, BODY(1), 499999990, data, LINK_CHUNK_MAX);
	send_piece(b, BODY(1), UINT64_MAX - 10, data, LINK_CHUNK_MAX);
	for (i = 0; i < 4000 && b->up; i++) { /* 250 MiB nobody asked for */
		send_piece(
		    b, BODY(99), i * LINK_CHUNK_MAX, data, LINK_CHUNK_MAX);
		if (i % 100 == 0)
			pump(b, 20000);
	}
	settle(b);
	free(data);
}

static void
ask_wal(struct bad *b, uint64_t body, uint32_t timeline, uint64_t end,
    uint64_t from, bool anew)
{
	json_t *m = message("wal", JOURNAL);
	int64_t until = clock_boot_us() + WAIT_US;

	json_set_u64(m, "body", body);
	json_set_u64(m, "timeline", timeline);
	json_set_u64(m, "end", end);
	json_set_u64(m, "from", from);
	(void)json_object_set_new(m, "anew", json_boolean(anew));
	b->wal_lsn = LSN_NONE;
	b->wal_refused = false;
	send_message(b, m);
	while (b->wal_lsn == LSN_NONE && !b->wal_refused &&
	    clock_boot_us() < until && b->up)
		pump(b, 20000);
}

/* Bytes that are no WAL of this system, where the WAL of the other side ends. */
static void
send_wrong_wal(struct bad *b, uint64_t body, const uint8_t *plain, size_t len)
{
	AUTO_BUF struct buf out = BUF_INIT;
	struct zdeflate *z = zdeflate_new(1);

	zdeflate_put(z, plain, len, &out);
	zdeflate_free(z);
	send_bytes(b, body, out.data, out.len);
	settle(b);
}

/* Over and over: 1 GiB of zeros in a few KiB, and what is no zstd. */
static void
attack_wal(struct bad *b)
{
	size_t len = (size_t)4 << 20, i;
	uint8_t *plain = mem_zalloc(len);
	uint64_t far = (uint64_t)1 << 40;

	open_rightly(b);
	ask_wal(b, BODY(1), 0, far, 0, false);
	ask_wal(b, BODY(2), 1, (uint64_t)1 << 20, 0, false); /* behind */
	ask_wal(b, BODY(3), 1, far, far, false);
	if (b->wal_lsn != LSN_NONE)
		send_wrong_wal(b, BODY(3), plain, len);
	ask_wal(b, BODY(4), 1, far, 0, false);
	for (i = 0; i < len; i++)
		plain[i] = (uint8_t)(i * 7 + i / 251);
	if (b->wal_lsn != LSN_NONE)
		send_wrong_wal(b, BODY(4), plain, len);
	ask_wal(b, BODY(5), 1, far, 0, false);
	if (b->wal_lsn != LSN_NONE)
		send_bytes(b, BODY(5), plain, len); /* no stream at all */
	settle(b);
	ask_wal(b, BODY(6), UINT32_MAX, far, far, true);
	ask_wal(b, BODY(7), 1, UINT64_MAX, UINT64_MAX, true);
	free(plain);
}

/* Pieces of the WAL that lie over each other and never begin. */
static void
attack_window(struct bad *b)
{
	uint8_t *data = mem_zalloc(LINK_CHUNK_MAX);
	uint64_t far = (uint64_t)1 << 40, i;

	open_rightly(b);
	ask_wal(b, BODY(1), 1, far, 0, false);
	for (i = 1; i <= b->number && b->up; i++) {
		send_piece(b, BODY(1), i, data, LINK_CHUNK_MAX);
		if (i % 200 == 0)
			pump(b, 20000);
	}
	settle(b);
	free(data);
}

static void
send_deep(struct bad *b, size_t depth)
{
	AUTO_BUF struct buf t = BUF_INIT;
	size_t i;

	buf_printf(&t, "{\"m\":\"open\",\"j\":1,\"keys\":");
	for (i = 0; i < depth; i++)
		buf_printf(&t, "[");
	for (i = 0; i < depth; i++)
		buf_printf(&t, "]");
	buf_printf(&t, "}");
	send_text(b, buf_str(&t), t.len);
}

static void
attack_messages(struct bad *b)
{
	static const char *const texts[] = { "", "{", "null", "[]", "{}",
		"{\"m\":1,\"j\":7}", "{\"m\":\"open\"}",
		"{\"m\":\"open\",\"j\":-1}", "{\"m\":\"open\",\"j\":7}",
		"{\"m\":\"open\",\"j\":7,\"cluster\":5}",
		"{\"m\":\"open\",\"j\":7,\"cluster\":\"\",\"lineage\":\"\"}",
		"{\"m\":\"offer\",\"j\":7,\"body\":\"x\"}",
		"{\"m\":\"wal\",\"j\":7}", "{\"m\":\"stamp\",\"j\":7}",
		"{\"m\":\"kept\",\"j\":0,\"body\":1,\"what\":\"done\"}",
		"{\"m\":\"have\",\"j\":0,\"names\":{\"a\":1}}",
		"{\"m\":\"taken\",\"j\":0,\"body\":1,\"consumed\":-1}",
		"{\"m\":\"state\",\"j\":0,\"ok\":7,\"newest\":[]}",
		"{\"m\":\"a name that is much longer than any\",\"j\":7}",
		"{\"m\":\"offer\",\"m\":\"open\",\"j\":7}",
		"{\"m\":\"x\",\"j\":99999999999999999999999999}",
		"\xff\xfe\x00", "{\"m\":\"\\u0000\",\"j\":7}" };
	AUTO_BUF struct buf big = BUF_INIT;
	size_t i, turn;

	open_rightly(b);
	for (turn = 0; turn < 200 && b->up; turn++) {
		for (i = 0; i < COUNT_OF(texts); i++)
			send_text(b, texts[i], strlen(texts[i]));
		pump(b, 20000);
	}
	send_deep(b, 1000);
	send_deep(b, 100000);
	buf_printf(&big, "{\"m\":\"x\",\"j\":7,\"s\":\"");
	while (big.len < LINK_MESSAGE_MAX - 100)
		buf_printf(
		    &big, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	buf_printf(&big, "\"}");
	for (i = 0; i < 50 && b->up; i++) {
		send_text(b, buf_str(&big), big.len);
		pump(b, 20000);
	}
	settle(b);
}

/* For journals that do not exist. */
static void
attack_journals(struct bad *b)
{
	static const char *const whats[] = { "offer", "wal", "wal_end", "stamp",
		"kept", "have", "state", "wal_at", "wal_no", "taken", "clock" };
	static const uint64_t journals[] = { 0, 1, 65535, 65536,
		(uint64_t)1 << 40, INT64_MAX };
	uint8_t data[100] = { 0 };
	size_t i, j;

	for (i = 0; i < COUNT_OF(journals); i++) {
		for (j = 0; j < COUNT_OF(whats); j++) {
			json_t *m = message(whats[j], journals[i]);

			json_set_u64(m, "body", 1);
			json_set_u64(m, "lsn", 1);
			json_set_u64(m, "timeline", 1);
			json_set_str(m, "what", "done");
			json_set_u64(m, "offset", 1);
			json_set_u64(m, "consumed", INT64_MAX);
			json_set_u64(m, "durable", INT64_MAX);
			send_message(b, m);
		}
		send_piece(b, journals[i] << 48 | 1, 0, data, sizeof(data));
	}
	settle(b);
}

static void
attack_opens(struct bad *b)
{
	AUTO_BUF struct buf facts = BUF_INIT;
	struct err e = ERR_INIT;
	uint64_t i;

	if (lineage_facts_text(&b->lineage, &facts, &e) == -1)
		return;
	for (i = 0; i < b->number && b->up; i++) {
		send_message(b,
		    open_message(b, i, b->lineage.cluster, b->lineage.name,
			buf_str(&facts)));
		if (i % 50 == 0)
			pump(b, 20000);
	}
	settle(b);
}

/* What is not accepted, and lineages that are none or not its own. */
static void
attack_others(struct bad *b)
{
	static const char *const clusters[] = { "local", "nowhere", "..",
		"../main", "keys", "incoming", "", "MAIN", "main/x" };
	static const char *const lineages[] = { "..", "1-1", "1-0", "0-1",
		"../x", "99999999999999999999999-1", "" };
	AUTO_BUF struct buf facts = BUF_INIT;
	char name[LINEAGE_NAME_BYTES];
	struct err e = ERR_INIT;
	size_t i;

	if (lineage_facts_text(&b->lineage, &facts, &e) == -1)
		return;
	for (i = 0; i < COUNT_OF(clusters); i++)
		send_open(b,
		    open_message(b, JOURNAL, clusters[i], b->lineage.name,
			buf_str(&facts)));
	for (i = 0; i < COUNT_OF(lineages); i++)
		send_open(b,
		    open_message(b, JOURNAL, b->lineage.cluster, lineages[i],
			buf_str(&facts)));
	send_open(b,
	    open_message(
		b, JOURNAL, b->lineage.cluster, b->lineage.name, "{}"));
	/* Lineages of the right system, without end. */
	for (i = 2; i <= b->number && b->up; i++) {
		(void)snprintf(name, sizeof(name), "%llu-%zu",
		    (unsigned long long)b->lineage.facts.system_id, i);
		send_open(b,
		    open_message(
			b, JOURNAL, b->lineage.cluster, name, buf_str(&facts)));
		pump(b, 1000000); /* as fast as is borne */
	}
}

/* ---- healing ---- */

static void
say_give(struct bad *b, uint64_t body, const char *what, uint64_t bytes,
    const uint8_t sha256[SHA256_BYTES])
{
	json_t *m = message("give", HEALING);

	json_set_u64(m, "body", body);
	json_set_str(m, "what", what);
	json_set_u64(m, "bytes", bytes);
	json_set_hex(m, "sha256", sha256, SHA256_BYTES);
	send_message(b, m);
}

/* A root of that name that says something else, rightly signed. */
static void
forge_root(struct bad *b, const char *name, struct buf *out)
{
	char key[STORE_KEY_BYTES];
	struct err e = ERR_INIT;
	uint8_t *p;

	if (store_get(repo_store(b->repo),
		lineage_key(&b->lineage, key, "%s", name), ROOT_BYTES_MAX, out,
		&e) == -1 ||
	    repo_check_signature(b->repo, out, name, &e) == -1)
		return;
	p = memmem(out->data, out->len, "\"stored_bytes\"", 14);
	for (; p != NULL && (*p < '0' || *p > '9'); p++)
		;
	if (p != NULL)
		*p = *p == '9' ? '8' : (uint8_t)(*p + 1);
	(void)repo_sign(b->repo, out, &e);
}

/* A segment of that name with one byte changed, its sums made right. */
static void
forge_segment(struct bad *b, const char *name, struct buf *out)
{
	struct wal_storer *w = wal_storer_new();
	struct walfile_header h;
	struct walindex x;
	struct walstored *s;
	char key[STORE_KEY_BYTES], scratch[STORE_KEY_BYTES];
	struct err e = ERR_INIT;
	uint8_t *plain;
	uint64_t at;
	bool existed;

	s = walstored_open(
	    &b->lineage, lineage_key(&b->lineage, key, "%s", name), &e);
	if (s == NULL)
		return;
	h = *walstored_header(s);
	plain = mem_alloc(h.plain_bytes);
	(void)snprintf(
	    scratch, sizeof(scratch), "scratch/%s", strrchr(name, '/') + 1);
	(void)store_remove(repo_store(b->repo), scratch, NULL);
	if (walstored_read(s, 0, h.plain_bytes, plain, &e) == 0 &&
	    walstored_index(s, &x, &e) == 0) {
		/* Of the first record that begins there: behind the last there
		 * may be nothing, and the end of one from the segment before
		 * tells only when that is whole. */
		at = x.summary.first_record_lsn == LSN_NONE
		    ? 50
		    : x.summary.first_record_lsn - h.start_lsn + 8;
		plain[at] ^= 1;
		if (wal_storer_put(w, &b->lineage, scratch, &h, plain, 1, &x,
			&existed, &e) == 0)
			(void)store_get(repo_store(b->repo), scratch,
			    (size_t)64 << 20, out, &e);
		walindex_free(&x);
	}
	free(plain);
	walstored_close(s);
	wal_storer_free(w);
}

static void
on_want(struct bad *b, const json_t *m)
{
	struct lie *l = mem_zalloc(sizeof(*l));
	const char *name = text_of(m, "name");
	uint8_t sha256[SHA256_BYTES];

	(void)json_need_u64(m, "body", &l->body, NULL);
	if (strncmp(name, "backups/", 8) == 0)
		forge_root(b, name, &l->bytes);
	else if (strncmp(name, "wal/", 4) == 0)
		forge_segment(b, name, &l->bytes);
	if (l->bytes.len == 0) {
		(void)memset(buf_reserve(&l->bytes, 300000), 'x', 300000);
		l->bytes.len = 300000;
	}
	sha256_of(l->bytes.data, l->bytes.len, sha256);
	/* Of what is known there: the right digest, and other bytes. */
	(void)json_need_hex(m, "sha256", sha256, sizeof(sha256), NULL);
	l->next = b->lies;
	b->lies = l;
	say_give(b, l->body, "looking", 0, sha256);
	say_give(b, l->body, "offer", l->bytes.len, sha256);
	say_give(b, l->body, "offer", l->bytes.len, sha256);
}

static void
on_given(struct bad *b, const json_t *m)
{
	struct lie *l;
	uint64_t body = 0;

	(void)json_need_u64(m, "body", &body, NULL);
	for (l = b->lies; l != NULL && l->body != body; l = l->next)
		;
	if (l != NULL && l->bytes.len > 0 &&
	    strcmp(text_of(m, "what"), "wanted") == 0)
		send_bytes(b, body, l->bytes.data, l->bytes.len);
}

/* For number seconds, or until nobody wants anything for a time. */
static void
attack_lies(struct bad *b)
{
	int64_t end = clock_boot_us() + (int64_t)b->number * CLOCK_SECOND_US;
	uint64_t before = 0, i, quiet = 0;
	uint8_t sha256[SHA256_BYTES], byte[100] = { 0 };

	b->lies = &no_lie;
	(void)printf("up\n");
	/* What nobody has asked for. */
	random_bytes(sha256, sizeof(sha256));
	for (i = 1; i < 20; i++) {
		say_give(b, HEALING << 48 | i, "offer", 100, sha256);
		send_piece(b, HEALING << 48 | i, 0, byte, sizeof(byte));
	}
	while (clock_boot_us() < end && b->up && quiet < 20) {
		pump(b, 1000000);
		quiet = before == b->answers && before > 0 ? quiet + 1 : 0;
		before = b->answers;
	}
}

struct wishes {
	struct bad *b;
	char names[64][STORE_KEY_BYTES];
	size_t count;
};

static int
add_wish(void *arg, const char *name, struct err *e)
{
	struct wishes *w = arg;

	(void)e;
	if (w->count < COUNT_OF(w->names))
		(void)snprintf(
		    w->names[w->count++], sizeof(w->names[0]), "%s", name);
	return 0;
}

static void
send_want(struct bad *b, uint64_t body, const char *cluster,
    const char *lineage, const char *name)
{
	json_t *m = message("want", HEALING);
	uint8_t sha256[SHA256_BYTES];
	const char *slash = strrchr(name, '/');

	json_set_u64(m, "body", body);
	json_set_str(m, "cluster", cluster);
	json_set_str(m, "lineage", lineage);
	json_set_str(m, "name", name);
	if (strncmp(name, "packs/", 6) == 0 &&
	    pack_digest(&b->lineage, slash + 1, sha256, NULL) == 0)
		json_set_hex(m, "sha256", sha256, sizeof(sha256));
	send_message(b, m);
}

/* All that there is, over and over, and what there is not. */
static void
attack_wants(struct bad *b)
{
	static const char *const odd[] = { "../../../etc/passwd", "keys/1",
		"packs/../../repo", "cluster/1", "", "wal/00000001.history",
		"packs/00/20200101T000000Z-abcd.00000",
		"backups/20200101T000000Z-abcd", "intents/x", "sign.key" };
	struct wishes *w = mem_zalloc(sizeof(*w));
	struct err e = ERR_INIT;
	uint64_t i, body;

	w->b = b;
	(void)objects_each(&b->lineage, OBJECT_PACK, add_wish, w, &e);
	(void)objects_each(&b->lineage, OBJECT_BACKUP, add_wish, w, &e);
	(void)objects_each(&b->lineage, OBJECT_SEGMENT, add_wish, w, &e);
	body = HEALING << 48;
	for (i = 0; i < COUNT_OF(odd) && b->up; i++)
		send_want(
		    b, ++body, b->lineage.cluster, b->lineage.name, odd[i]);
	send_want(b, ++body, "local", b->lineage.name, w->names[0]);
	send_want(b, ++body, "../x", "../y", w->names[0]);
	send_want(b, ++body, b->lineage.cluster, "1-1", w->names[0]);
	send_want(b, BODY(1), b->lineage.cluster, b->lineage.name, w->names[0]);
	pump(b, 2000000);
	for (i = 0; i < b->number && b->up; i++) {
		send_want(b, ++body, b->lineage.cluster, b->lineage.name,
		    w->names[i % w->count]);
		if (i % 500 == 0)
			pump(b, 200000);
	}
	settle(b);
	(void)printf(
	    "offers %" PRIu64 " busy %" PRIu64 "\n", b->offers, b->busy);
	free(w);
}

/* Whole objects without end, each of a MiB: until nobody wants more. */
static void
attack_fill(struct bad *b)
{
	char name[STORE_KEY_BYTES], id[48], key[STORE_KEY_BYTES];
	size_t len = (size_t)1 << 20;
	uint8_t *data = mem_alloc(len);
	uint64_t i;

	random_bytes(data, 4096);
	open_rightly(b);
	for (i = 1; i <= b->number && b->up; i++) {
		random_bytes(data, 64);
		(void)snprintf(id, sizeof(id), "20200101T000000Z-%04x.%05u",
		    (unsigned int)(i >> 8 & 0xffff), (unsigned int)(i & 255));
		(void)pack_key(&b->lineage, id, key);
		(void)snprintf(
		    name, sizeof(name), "%s", strstr(key, "/packs/") + 1);
		if (strcmp(push(b, BODY(i), name, data, len), "done") != 0)
			break;
	}
	free(data);
}

static void
free_all(struct bad *b)
{
	void *next;

	for (; b->first != NULL; b->first = next) {
		next = b->first->next;
		free(b->first);
	}
	free(b->sent);
	for (; b->lies != NULL && b->lies != &no_lie; b->lies = next) {
		next = b->lies->next;
		buf_free(&b->lies->bytes);
		free(b->lies);
	}
}

static const struct {
	const char *name;
	void (*run)(struct bad *b);
} attacks[] = {
	{ "names", attack_names },
	{ "replace", attack_replace },
	{ "twin", attack_twin },
	{ "roots", attack_roots },
	{ "keys", attack_keys },
	{ "offers", attack_offers },
	{ "pieces", attack_pieces },
	{ "wal", attack_wal },
	{ "window", attack_window },
	{ "messages", attack_messages },
	{ "journals", attack_journals },
	{ "opens", attack_opens },
	{ "others", attack_others },
	{ "fill", attack_fill },
	{ "lies", attack_lies },
	{ "wants", attack_wants },
};

static int
prepare(struct bad *b, char *argv[], struct sign_key **key, struct peer *peer,
    struct link_params *params, struct err *e)
{
	static const struct link_ops ops = { .up = on_up,
		.down = on_down,
		.message = on_message,
		.chunk = on_chunk,
		.next_chunk = on_next_chunk };

	*key = key_load(argv[1], false, e);
	if (*key == NULL || peer_read(argv[1], argv[4], peer, e) == -1)
		return -1;
	b->repo = repo_open(argv[2], argv[1], true, e);
	if (b->repo == NULL ||
	    lineage_open(b->repo, argv[6], NULL, &b->lineage, e) == -1)
		return -1;
	params->site = argv[3];
	params->peer = argv[4];
	params->key = *key;
	(void)memcpy(params->peer_key, peer->key, sizeof(params->peer_key));
	(void)snprintf(params->paths[0].address,
	    sizeof(params->paths[0].address), "%s", argv[5]);
	b->link = link_new(params, &ops, b);
	return 0;
}

int
main(int argc, char *argv[])
{
	struct link_params params = { .path_count = 1,
		.lanes = 2,
		.beat_interval_us = CLOCK_SECOND_US,
		.beat_misses = 5 };
	AUTO_FREE struct bad *b = mem_zalloc(sizeof(*b));
	AUTO_SIGN_KEY struct sign_key *key = NULL;
	int64_t end = clock_boot_us() + 3 * WAIT_US;
	struct err e = ERR_INIT;
	struct peer peer;
	size_t i;

	if (argc < 8) {
		(void)fprintf(stderr,
		    "usage: badpeer STATE REPOSITORY SITE "
		    "PEER ADDRESS CLUSTER ATTACK [NUMBER]\n");
		return 2;
	}
	child_catch_stop_signals();
	(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	log_setup(LOG_TEXT, LOG_LEVEL_ERROR);
	b->number = argc > 8 ? strtoull(argv[8], NULL, 10) : 1000;
	for (i = 0;
	     i < COUNT_OF(attacks) && strcmp(attacks[i].name, argv[7]) != 0;
	     i++)
		;
	if (i == COUNT_OF(attacks))
		return 2;
	if (prepare(b, argv, &key, &peer, &params, &e) == -1) {
		(void)fprintf(stderr, "badpeer: %s\n", e.text);
		return 1;
	}
	while (!b->up && clock_boot_us() < end)
		pump(b, 50000);
	if (!b->up) {
		(void)fprintf(stderr, "badpeer: no session\n");
		return 1;
	}
	attacks[i].run(b);
	pump(b, 500000);
	(void)printf("answers %" PRIu64 "\nsessions %u\nsession %s\n",
	    b->answers, b->sessions, b->up ? "up" : "down");
	link_free(b->link);
	repo_close(b->repo);
	free_all(b);
	return 0;
}
