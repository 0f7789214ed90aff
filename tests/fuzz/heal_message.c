/*
 * Messages and chunks that a peer sends, in any order, to the two ends of
 * healing: one that asks for what is damaged in its repository, one that gives
 * from another.  Neither may crash, nor may anything take the place of what is
 * damaged but what is whole.
 *
 * An input is lines.  The first byte says what a line is:
 *
 *	>{...}		a message to the one that asks ("give")
 *	<{...}		a message to the one that gives ("want", "given"); without
 *			"lineage" it gets the right one
 *	=B O TEXT	a chunk of body B at offset O, to the one that asks
 *	~		what the two have to say to each other arrives, chunks too
 *	else		time passes
 *
 * Numbers of bodies are those behind HEAL_JOURNAL; with "raw" they are as they
 * stand.  This file takes the place of courier.c.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/damage.h"
#include "jobs/heal.h"
#include "jobs/heal_check.h"
#include "repo/walarchive.h"
#include "walmaker.h"

#define LINES_MAX   64
#define PENDING_MAX 64
#define PATIENCE_US ((int64_t)20000)

static char dir[64];
static char cluster_name[] = "main", peer_name[] = "far", site_name[] = "near";
static struct cluster_settings cluster = { .name = cluster_name,
	.accept_from = peer_name,
	.replicate_to = peer_name };
static struct peer_settings peer = { .name = peer_name };
static struct settings settings = { .site = site_name,
	.clusters = &cluster,
	.cluster_count = 1,
	.peers = &peer,
	.peer_count = 1 };

/* What it sends waits in pending. */
struct courier {
	struct repo *repo;
	json_t *pending[PENDING_MAX];
	size_t count;
};

/* ---- in place of courier.c ---- */

const struct settings *
courier_settings(const struct courier *c)
{
	(void)c;
	return &settings;
}

const struct peer_settings *
courier_peer(const struct courier *c)
{
	(void)c;
	return &peer;
}

struct repo *
courier_repo(const struct courier *c)
{
	return c->repo;
}

struct allowance *
courier_room(const struct courier *c)
{
	(void)c;
	return NULL;
}

json_t *
courier_message(const char *what, uint64_t journal)
{
	json_t *m = json_object();

	json_set_str(m, "m", what);
	json_set_u64(m, "j", journal);
	return m;
}

void
courier_send(struct courier *c, json_t *m)
{
	if (c->count < PENDING_MAX)
		c->pending[c->count++] = m;
	else
		json_decref(m);
}

void
courier_wake(void *arg)
{
	(void)arg;
}

/* ---- two repositories ---- */

static struct lineage near, far; /* the same, damaged and whole */
static struct walmaker maker;

static void
must(bool ok, const struct err *e)
{
	if (ok)
		return;
	(void)fprintf(stderr, "no repositories: %s\n", e->text);
	abort();
}

static struct repo *
make_repo(const char *name)
{
	char url[128], state[128];
	struct err e = ERR_INIT;
	struct repo *r;

	(void)snprintf(url, sizeof(url), "%s/%s", dir, name);
	(void)snprintf(state, sizeof(state), "%s/%s.state", dir, name);
	must(repo_init(url, &e) == 0, &e);
	r = repo_open(url, state, true, &e);
	must(r != NULL, &e);
	return r;
}

static void
fill(struct repo *r, struct lineage *l)
{
	static const char history[] = "1\t0/1000000\tno recovery target\n";
	const struct cluster_facts f = { .system_id = WALMAKER_SYSTEM_ID,
		.major = 15,
		.version_num = 150018,
		.segment_bytes = WAL_SEGMENT_BYTES_MIN,
		.block_bytes = 8192 };
	char name[WAL_NAME_BYTES];
	struct err e = ERR_INIT;
	bool existed;

	must(lineage_open_for(r, cluster_name, &f, l, &e) == 0 &&
		wal_store_segment(l,
		    wal_name(1, maker.start_lsn, WAL_SEGMENT_BYTES_MIN, name),
		    maker.out.data, WAL_SEGMENT_BYTES_MIN, 1, &existed,
		    &e) == 0 &&
		wal_store_history(l, 2, history, sizeof(history) - 1, &e) == 0,
	    &e);
}

#define SEGMENT "wal/00000001/00000000/000000010000000000000001"
#define HISTORY "wal/00000002.history"
#define LACKED	"backups/20260101T000000Z-0001"

/* As before the input before. */
static void
damage_it(void)
{
	static const char *const names[] = { SEGMENT, HISTORY, LACKED };
	AUTO_DAMAGE struct damage d = { .lock = -1 };
	char key[STORE_KEY_BYTES], path[STORE_KEY_BYTES + 80];
	struct err e = ERR_INIT;
	size_t i;

	must(damage_open(&d, &settings, cluster_name, true, &e) == 0, &e);
	(void)json_array_clear(json_object_get(d.json, "items"));
	for (i = 0; i < COUNT_OF(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/near/%s", dir,
		    lineage_key(&near, key, "%s", names[i]));
		if (i < 2 && truncate(path, 100) == -1)
			(void)unlink(path);
		(void)damage_add(
		    d.json, near.name, names[i], "damaged", 1, NULL, 1);
	}
	must(damage_save(&d, &e) == 0, &e);
	(void)snprintf(path, sizeof(path), "%s/near/%s", dir,
	    lineage_key(&near, key, "damaged"));
	(void)file_rmtree_at(AT_FDCWD, path, NULL);
	(void)snprintf(path, sizeof(path), "%s/near/incoming", dir);
	(void)file_rmtree_at(AT_FDCWD, path, NULL);
}

/* What is struck off the list is whole. */
static void
check_it(void)
{
	static const char *const names[] = { SEGMENT, HISTORY };
	AUTO_JSON json_t *list = damage_read(&settings, cluster_name);
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < COUNT_OF(names); i++)
		if (damage_find(list, near.name, names[i]) == NULL &&
		    heal_check(&near, names[i], NULL, &e) == -1)
			abort();
	if (damage_find(list, near.name, LACKED) == NULL)
		abort();
}

static void
remove_all(void)
{
	walmaker_fini(&maker);
	(void)file_rmtree_at(AT_FDCWD, dir, NULL);
}

static void
begin_once(struct repo **near_repo, struct repo **far_repo)
{
	static struct repo *n, *f;
	const char *tmp = getenv("TMPDIR");
	uint8_t zeros[8000] = { 0 };

	if (n == NULL) {
		log_setup(LOG_PEOPLE, LOG_LEVEL_ERROR + 1);
		(void)snprintf(dir, sizeof(dir), "%.40s/pgkura-fuzz-XXXXXX",
		    tmp == NULL ? "/tmp" : tmp);
		if (mkdtemp(dir) == NULL)
			abort();
		settings.state_dir = settings.runtime_dir = dir;
		(void)atexit(remove_all);
		walmaker_init(&maker, 15, WAL_SEGMENT_BYTES_MIN);
		while (maker.out.len < WAL_SEGMENT_BYTES_MIN)
			(void)walmaker_record(
			    &maker, 0, 0x20, 0, zeros, sizeof(zeros));
		n = make_repo("near");
		f = make_repo("far");
		fill(n, &near);
		fill(f, &far);
	}
	*near_repo = n;
	*far_repo = f;
}

/* ---- one input ---- */

struct ends {
	struct courier in, out;
	struct asker *asker;
	struct giver *giver;
};

static uint64_t
body_of(uint64_t n)
{
	return HEAL_JOURNAL << BODY_JOURNAL_SHIFT | n;
}

static void
message(struct ends *x, bool in, const uint8_t *data, size_t len)
{
	AUTO_JSON json_t *m = json_parse(data, len, "message", NULL);
	uint64_t body;
	char what[24];

	if (m == NULL || json_need_text(m, "m", what, sizeof(what), NULL) == -1)
		return;
	if (json_object_get(m, "raw") == NULL &&
	    json_need_u64(m, "body", &body, NULL) == 0)
		json_set_u64(m, "body", body_of(body));
	if (!in && json_object_get(m, "lineage") == NULL)
		json_set_str(m, "lineage", far.name);
	if (in && x->asker != NULL)
		(void)asker_message(x->asker, what, m);
	else if (!in)
		(void)giver_message(x->giver, what, m);
}

static void
take_chunk(struct ends *x, const struct link_chunk *c)
{
	struct err e = ERR_INIT;

	if (x->asker == NULL || c->len == 0 || c->len > LINK_CHUNK_MAX)
		return; /* frame_decode() refuses these */
	if (asker_chunk(x->asker, c, &e) == -1) {
		asker_free(x->asker); /* the session is over */
		x->asker = NULL;
	}
}

static void
chunk(struct ends *x, const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct link_chunk c = { 0 };
	char *end;

	buf_put(&text, data + 1, len - 1);
	c.stream = body_of(strtoull(buf_str(&text), &end, 10));
	c.offset = strtoull(end, &end, 10);
	if (*end == ' ')
		end++;
	c.data = (const uint8_t *)end;
	c.len = text.len - (size_t)(end - buf_str(&text));
	take_chunk(x, &c);
}

/* As much as there is. */
static void
deliver(struct ends *x)
{
	struct courier *both[] = { &x->in, &x->out };
	struct link_chunk c;
	size_t i, j;

	for (i = 0; i < COUNT_OF(both); i++) {
		for (j = 0; j < both[i]->count; j++) {
			json_t *m = both[i]->pending[j];
			const char *what =
			    json_string_value(json_object_get(m, "m"));

			if (i == 0)
				(void)giver_message(x->giver, what, m);
			else if (x->asker != NULL)
				(void)asker_message(x->asker, what, m);
			json_decref(m);
		}
		both[i]->count = 0;
	}
	while (giver_next_chunk(x->giver, &c))
		take_chunk(x, &c);
}

static void
time_passes(struct ends *x, int64_t step_us)
{
	AUTO_JSON json_t *a = json_object(), *g = json_object();
	static int64_t later_us;

	later_us += step_us;
	clock_sleep_us(PATIENCE_US / 10); /* threads look, and write */
	if (x->asker != NULL) {
		asker_tick(x->asker, clock_boot_us() + later_us);
		asker_status(x->asker, a);
	}
	(void)giver_tick(x->giver, clock_boot_us());
	giver_status(x->giver, g);
}

static void
line(struct ends *x, const uint8_t *data, size_t len)
{
	if (len > 0 && (data[0] == '>' || data[0] == '<'))
		message(x, data[0] == '>', data + 1, len - 1);
	else if (len > 0 && data[0] == '=')
		chunk(x, data, len);
	else if (len > 0 && data[0] == '~')
		deliver(x);
	else
		time_passes(x, CLOCK_SECOND_US);
}

static void
forget(struct courier *c)
{
	while (c->count > 0)
		json_decref(c->pending[--c->count]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ends x = { 0 };
	const uint8_t *end;
	int lines;

	begin_once(&x.in.repo, &x.out.repo);
	damage_it();
	x.asker = asker_new(&x.in);
	x.giver = giver_new(&x.out);
	for (lines = 0; len > 0 && lines < LINES_MAX; lines++) {
		end = memchr(data, '\n', len);
		line(&x, data, end == NULL ? len : (size_t)(end - data));
		len -= end == NULL ? len : (size_t)(end + 1 - data);
		data = end == NULL ? data : end + 1;
	}
	time_passes(&x, CLOCK_SECOND_US);
	asker_free(x.asker);
	giver_free(x.giver);
	forget(&x.in);
	forget(&x.out);
	check_it();
	return 0;
}
