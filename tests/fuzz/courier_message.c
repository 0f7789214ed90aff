/*
 * Messages and chunks that a peer sends, in any order, to the two ends of a
 * journal: one that takes a cluster into an empty repository, one that sends a
 * cluster from another.  Neither may crash, nor wait for ever.
 *
 * An input is lines.  The first byte says what a line is:
 *
 *	>{...}		a message to the one that accepts; "open" begins it, and
 *			without "facts" it gets right ones, with the lineage
 *	<{...}		a message to the one that ships
 *	=B O TEXT	a chunk of body B at offset O; z instead of =: its TEXT is
 *			compressed first, as WAL is
 *	else		time passes
 *
 * This file takes the place of courier.c.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/zstream.h"
#include "jobs/courier_int.h"
#include "repo/walarchive.h"
#include "walmaker.h"

#define LINES_MAX 64

static char dir[64];
static char cluster_name[] = "main", peer_name[] = "far", site_name[] = "near";
static struct cluster_settings cluster = { .name = cluster_name,
	.accept_from = peer_name,
	.replicate_to = peer_name,
	.compress_level = 1 };
static struct peer_settings peer = { .name = peer_name };
static struct settings settings = {
	.site = site_name, .clusters = &cluster, .cluster_count = 1
};

struct courier {
	struct repo *repo;
	uint64_t bodies;
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

void
courier_complain(
    struct courier *c, const char *event, const char *of, struct err *e)
{
	(void)c;
	(void)event;
	(void)of;
	err_clear(e);
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
	AUTO_BUF struct buf text = BUF_INIT;

	(void)c;
	json_write(m, &text);
	json_decref(m);
}

uint64_t
courier_new_body(struct courier *c, uint64_t journal)
{
	return journal << BODY_JOURNAL_SHIFT | ++c->bodies;
}

void
courier_wake(void *arg)
{
	(void)arg;
}

int64_t
courier_skew_us(const struct courier *c)
{
	(void)c;
	return 0;
}

/* ---- two repositories ---- */

static struct repo *source_repo;
static struct lineage source; /* what is shipped */
static struct buf facts;

static struct repo *
make_repo(const char *name)
{
	char url[128];
	struct err e = ERR_INIT;
	struct repo *r;

	(void)snprintf(url, sizeof(url), "%s/%s", dir, name);
	if (repo_init(url, &e) == -1 ||
	    (r = repo_open(url, dir, true, &e)) == NULL) {
		(void)fprintf(stderr, "no repository: %s\n", e.text);
		abort();
	}
	return r;
}

static void
remove_all(void)
{
	repo_close(source_repo);
	buf_free(&facts);
	(void)file_rmtree_at(AT_FDCWD, dir, NULL);
}

/* Two segments, the second open, and a history. */
static void
fill_source(struct repo *r)
{
	static const char history[] = "1\t0/1000000\tno recovery target\n";
	const struct cluster_facts f = { .system_id = WALMAKER_SYSTEM_ID,
		.major = 15,
		.version_num = 150018,
		.segment_bytes = WAL_SEGMENT_BYTES_MIN,
		.block_bytes = 8192 };
	AUTO_WALMAKER struct walmaker m;
	uint8_t zeros[8000] = { 0 };
	char name[WAL_NAME_BYTES];
	struct err e = ERR_INIT;
	bool existed;

	walmaker_init(&m, 15, WAL_SEGMENT_BYTES_MIN);
	while (m.out.len < WAL_SEGMENT_BYTES_MIN)
		(void)walmaker_record(&m, 0, 0x20, 0, zeros, sizeof(zeros));
	if (lineage_open_for(r, cluster_name, &f, &source, &e) == -1 ||
	    wal_store_segment(&source,
		wal_name(1, m.start_lsn, WAL_SEGMENT_BYTES_MIN, name),
		m.out.data, WAL_SEGMENT_BYTES_MIN, 1, &existed, &e) == -1 ||
	    wal_store_history(&source, 2, history, sizeof(history) - 1, &e) ==
		-1 ||
	    lineage_facts_text(&source, &facts, &e) == -1) {
		(void)fprintf(stderr, "no source: %s\n", e.text);
		abort();
	}
}

static void
begin_once(void)
{
	const char *tmp = getenv("TMPDIR");

	if (dir[0] != '\0')
		return;
	log_setup(LOG_PEOPLE, LOG_LEVEL_ERROR + 1);
	(void)snprintf(dir, sizeof(dir), "%.40s/pgkura-fuzz-XXXXXX",
	    tmp == NULL ? "/tmp" : tmp);
	if (mkdtemp(dir) == NULL)
		abort();
	settings.state_dir = settings.runtime_dir = dir;
	(void)atexit(remove_all);
	source_repo = make_repo("source");
	fill_source(source_repo);
}

/* ---- one input ---- */

struct ends {
	struct courier in, out;
	struct accept *accept;
	struct ship *ship;
	struct zdeflate *deflate;
};

static void
to_accept(struct ends *x, const char *what, uint64_t journal, json_t *m)
{
	struct err e = ERR_INIT;

	if (strcmp(what, "open") != 0) {
		if (x->accept != NULL && accept_journal(x->accept) == journal)
			(void)accept_message(x->accept, what, m);
		return;
	}
	if (json_object_get(m, "facts") == NULL) {
		json_set_str(m, "facts", buf_str(&facts));
		json_set_str(m, "lineage", source.name);
	}
	accept_free(x->accept);
	x->accept = accept_new(&x->in, journal, m, &e);
}

static void
message(struct ends *x, bool in, const uint8_t *data, size_t len)
{
	AUTO_JSON json_t *m = json_parse(data, len, "message", NULL);
	uint64_t journal;
	char what[24];

	if (m == NULL ||
	    json_need_text(m, "m", what, sizeof(what), NULL) == -1 ||
	    json_need_u64(m, "j", &journal, NULL) == -1)
		return;
	if (in)
		to_accept(x, what, journal, m);
	else if (x->ship != NULL)
		(void)ship_message(x->ship, what, m);
}

static void
chunk(struct ends *x, const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf text = BUF_INIT, small = BUF_INIT;
	struct link_chunk c = { 0 };
	struct err e = ERR_INIT;
	char *end;

	buf_put(&text, data + 1, len - 1);
	c.stream = strtoull(buf_str(&text), &end, 10);
	c.offset = strtoull(end, &end, 10);
	if (*end == ' ')
		end++;
	c.data = (const uint8_t *)end;
	c.len = text.len - (size_t)(end - buf_str(&text));
	if (data[0] == 'z') {
		zdeflate_put(x->deflate, c.data, c.len, &small);
		c.data = small.data;
		c.len = small.len;
	}
	if (x->accept == NULL || c.len == 0 || c.len > LINK_CHUNK_MAX)
		return; /* frame_decode() refuses these */
	if (accept_chunk(x->accept, &c, &e) == -1) {
		accept_free(x->accept); /* the session is over */
		x->accept = NULL;
	}
}

static void
time_passes(struct ends *x)
{
	AUTO_JSON json_t *a = json_object(), *s = json_object();
	int64_t now_us = clock_boot_us() + CLOCK_SECOND_US;
	struct link_chunk c;
	int i;

	if (x->accept != NULL) {
		accept_tick(x->accept, now_us);
		accept_status(x->accept, a);
	}
	if (x->ship == NULL)
		return;
	(void)ship_tick(x->ship, now_us);
	for (i = 0; i < 8 && ship_next_chunk(x->ship, &c); i++)
		if (c.len > LINK_CHUNK_MAX)
			abort();
	ship_status(x->ship, s);
}

static void
line(struct ends *x, const uint8_t *data, size_t len)
{
	if (len > 0 && (data[0] == '>' || data[0] == '<'))
		message(x, data[0] == '>', data + 1, len - 1);
	else if (len > 0 && (data[0] == '=' || data[0] == 'z'))
		chunk(x, data, len);
	else
		time_passes(x);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ends x = { 0 };
	struct err e = ERR_INIT;
	const uint8_t *end;
	char path[80];
	int lines;

	begin_once();
	x.in.repo = make_repo("sink");
	x.out.repo = source_repo;
	x.deflate = zdeflate_new(1);
	x.ship = ship_new(&x.out, 0, &cluster, &e);
	if (x.ship == NULL || ship_open(x.ship, &e) == -1)
		abort();
	for (lines = 0; len > 0 && lines < LINES_MAX; lines++) {
		end = memchr(data, '\n', len);
		line(&x, data, end == NULL ? len : (size_t)(end - data));
		len -= end == NULL ? len : (size_t)(end + 1 - data);
		data = end == NULL ? data : end + 1;
	}
	time_passes(&x);
	accept_free(x.accept);
	ship_free(x.ship);
	zdeflate_free(x.deflate);
	repo_close(x.in.repo);
	(void)snprintf(path, sizeof(path), "%s/sink", dir);
	if (file_rmtree_at(AT_FDCWD, path, &e) == -1)
		abort();
	return 0;
}
