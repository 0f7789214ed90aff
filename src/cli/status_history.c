#include "cli/status_history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/size.h"
#include "conf/list.h"
#include "jobs/trail.h"

#define SINCE_DEFAULT_US (3600 * CLOCK_SECOND_US)
#define PEER_BYTES	 64

/* One copy of one cluster. */
struct course {
	const char *cluster;
	enum trail_way way;
	char peer[PEER_BYTES];
	struct trail_sample *samples;
	size_t count;
};

struct courses {
	struct course *list;
	size_t count;
	int64_t since_us, now_us;
};

static void
courses_free(struct courses *all)
{
	size_t i;

	for (i = 0; i < all->count; i++)
		free(all->list[i].samples);
	free(all->list);
}

static uint64_t
per_s(const struct trail_sample *s)
{
	return s->covered_ms == 0 ? 0 : s->bytes * 1000 / s->covered_ms;
}

/* ---- reading ---- */

static int
add_peers(struct courses *all, const struct settings *s,
    const struct cluster_settings *c, enum trail_way way, struct err *e)
{
	const char *peers = way == TRAIL_TO ? c->replicate_to : c->accept_from;
	struct course *k;
	char peer[PEER_BYTES];

	while (list_next(&peers, peer, sizeof(peer))) {
		all->list =
		    mem_rearray(all->list, all->count + 1, sizeof(*all->list));
		k = &all->list[all->count++];
		*k = (struct course){ .cluster = c->name, .way = way };
		(void)memcpy(k->peer, peer, sizeof(peer));
		if (trail_read(s->state_dir, c->name, way, peer, all->since_us,
			all->now_us, &k->samples, &k->count, e) == -1)
			return -1;
	}
	return 0;
}

static int
read_all(struct courses *all, const struct settings *s, struct err *e)
{
	size_t i;

	for (i = 0; i < s->cluster_count; i++)
		if (add_peers(all, s, &s->clusters[i], TRAIL_TO, e) == -1 ||
		    add_peers(all, s, &s->clusters[i], TRAIL_FROM, e) == -1)
			return -1;
	return 0;
}

/* "1d" is so long ago; all else is a time as restore takes it. */
static int
read_since(const char *text, int64_t now_us, int64_t *since_us, struct err *e)
{
	int64_t back_us = SINCE_DEFAULT_US;

	if (text == NULL || clock_parse_interval(text, &back_us, NULL) == 0) {
		*since_us = now_us - back_us;
		return 0;
	}
	return clock_parse(text, now_us, since_us, e);
}

/* ---- telling ---- */

static void
print_json(const struct cli *cli, const struct courses *all)
{
	json_t *o = json_object(), *list = json_array();
	size_t i, k;

	for (i = 0; i < all->count; i++)
		for (k = 0; k < all->list[i].count; k++) {
			const struct course *c = &all->list[i];
			const struct trail_sample *s = &c->samples[k];
			json_t *j = json_object();

			json_set_str(j, "cluster", c->cluster);
			json_set_str(
			    j, c->way == TRAIL_TO ? "to" : "from", c->peer);
			json_set_u64(j, "time_us", (uint64_t)s->time_us);
			json_set_u64(j, "span_us", (uint64_t)s->span_us);
			json_set_u64(
			    j, "covered_us", (uint64_t)s->covered_ms * 1000);
			json_set_u64(j, "behind_bytes", s->behind_bytes);
			if (s->behind_us != TRAIL_UNKNOWN)
				json_set_u64(j, "behind_us", s->behind_us);
			json_set_u64(j, "bytes", s->bytes);
			json_set_u64(j, "bytes_per_s", per_s(s));
			(void)json_array_append_new(list, j);
		}
	json_set_u64(o, "since_us", (uint64_t)all->since_us);
	(void)json_object_set_new(o, "samples", list);
	cli_print_json(cli, o);
}

static void
print_csv(const struct courses *all)
{
	char when[CLOCK_TEXT_BYTES];
	size_t i, k;

	(void)printf("time,cluster,way,peer,span_s,covered_s,behind_bytes,"
		     "behind_s,bytes,bytes_per_s\n");
	for (i = 0; i < all->count; i++)
		for (k = 0; k < all->list[i].count; k++) {
			const struct course *c = &all->list[i];
			const struct trail_sample *s = &c->samples[k];

			(void)printf("%s,%s,%s,%s,%" PRId64 ",%.1f,%" PRIu64
				     ",",
			    clock_utc(s->time_us, when), c->cluster,
			    c->way == TRAIL_TO ? "to" : "from", c->peer,
			    s->span_us / CLOCK_SECOND_US,
			    (double)s->covered_ms / 1000, s->behind_bytes);
			if (s->behind_us != TRAIL_UNKNOWN)
				(void)printf(
				    "%.3f", (double)s->behind_us / 1e6);
			(void)printf(
			    ",%" PRIu64 ",%" PRIu64 "\n", s->bytes, per_s(s));
		}
}

static void
print_course(const struct course *c)
{
	static const char *const heads[] = { "time", ">behind", ">late",
		">a second" };
	AUTO_TABLE struct table *t = table_new(heads, COUNT_OF(heads));
	char when[CLOCK_TEXT_BYTES], behind[SIZE_TEXT_BYTES],
	    late[CLOCK_TEXT_BYTES], rate[SIZE_TEXT_BYTES];
	size_t i;

	(void)printf("cluster %s %s %s\n", c->cluster,
	    c->way == TRAIL_TO ? "to" : "from", c->peer);
	for (i = 0; i < c->count; i++) {
		const struct trail_sample *s = &c->samples[i];

		table_cell(t, "%.16s", clock_local(s->time_us, when));
		table_cell(t, "%s", size_text(s->behind_bytes, behind));
		table_cell(t, "%s",
		    s->behind_us == TRAIL_UNKNOWN
			? "?"
			: clock_interval((int64_t)s->behind_us, late));
		table_cell(t, "%s", size_text(per_s(s), rate));
	}
	if (c->count > 0)
		table_print(t, stdout);
	else
		(void)printf("nothing is known of that time\n");
}

int
status_history(
    const struct cli *cli, const struct status_history *h, struct err *e)
{
	AUTO(courses_free) struct courses all = { .now_us = clock_now_us() };
	size_t i;

	if (read_since(h->since, all.now_us, &all.since_us, e) == -1 ||
	    read_all(&all, cli->settings, e) == -1)
		return -1;
	if (all.count == 0)
		return err_set(
		    e, ERR_USAGE, "no cluster goes to or comes from a site");
	if (cli->json)
		print_json(cli, &all);
	else if (h->csv)
		print_csv(&all);
	for (i = 0; i < all.count && !cli->json && !h->csv; i++) {
		if (i > 0)
			(void)printf("\n");
		print_course(&all.list[i]);
	}
	return 0;
}
