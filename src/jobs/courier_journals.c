#include "jobs/courier_journals.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/list.h"
#include "jobs/courier_int.h"
#include "jobs/remote_ack.h"

#define JOURNALS_MAX 512
/* Openings at once, besides one a cluster; then one a second. */
#define OPENS_MAX 64

struct journals {
	struct courier *c;
	const struct settings *settings;
	const struct peer_settings *peer;
	struct ship **ships; /* by cluster of the settings; NULL none */
	size_t turn;	     /* whose chunk is next */
	struct accept **accepts;
	size_t accept_count;
	double opens; /* that the peer may still do */
	int64_t opens_us;
};

struct journals *
journals_new(struct courier *c)
{
	struct journals *j = mem_zalloc(sizeof(*j));

	j->c = c;
	j->settings = courier_settings(c);
	j->peer = courier_peer(c);
	j->ships =
	    mem_zarray(j->settings->cluster_count + 1, sizeof(struct ship *));
	return j;
}

void
journals_free(struct journals *j)
{
	if (j == NULL)
		return;
	journals_end(j);
	free(j->ships);
	free(j->accepts);
	free(j);
}

void
journals_begin(struct journals *j)
{
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < j->settings->cluster_count; i++) {
		const struct cluster_settings *cl = &j->settings->clusters[i];

		if (j->ships[i] != NULL ||
		    !list_has(cl->replicate_to, j->peer->name))
			continue;
		j->ships[i] = ship_new(j->c, i, cl, &e);
		if (j->ships[i] == NULL) {
			if (e.kind != ERR_NOT_FOUND)
				log_error("ship_failed", &e);
			err_clear(&e);
		} else if (ship_open(j->ships[i], &e) == -1) {
			log_error("ship_failed", &e);
			err_clear(&e);
			ship_free(steal_ptr(&j->ships[i]));
		}
	}
}

void
journals_end(struct journals *j)
{
	size_t i;

	for (i = 0; i < j->settings->cluster_count; i++)
		ship_free(steal_ptr(&j->ships[i]));
	for (i = 0; i < j->accept_count; i++)
		accept_free(j->accepts[i]);
	j->accept_count = 0;
}

/* ---- from the peer ---- */

static struct accept *
find_accept(const struct journals *j, uint64_t journal)
{
	size_t i;

	for (i = 0; i < j->accept_count; i++)
		if (accept_journal(j->accepts[i]) == journal)
			return j->accepts[i];
	return NULL;
}

/* Of one cluster there is one: two would write to the same places. */
static void
drop_accepts(struct journals *j, uint64_t journal, const char *cluster)
{
	size_t i;

	for (i = j->accept_count; i-- > 0;) {
		struct accept *a = j->accepts[i];

		if (accept_journal(a) != journal &&
		    strcmp(accept_cluster(a), cluster) != 0)
			continue;
		accept_free(a);
		j->accepts[i] = j->accepts[--j->accept_count];
	}
}

/* Each opening reads folders and begins a thread: not without end. */
static int
check_opens(struct journals *j, struct err *e)
{
	double most = OPENS_MAX + (double)j->settings->cluster_count;
	int64_t now_us = clock_boot_us();

	j->opens += (double)(now_us - j->opens_us) / (double)CLOCK_SECOND_US;
	j->opens_us = now_us;
	if (j->opens > most)
		j->opens = most;
	if (j->opens < 1)
		return err_set(e, ERR_TRANSIENT,
		    "site \"%s\" opens clusters again and again",
		    j->peer->name);
	j->opens--;
	return 0;
}

int
journals_open(
    struct journals *j, uint64_t journal, const json_t *m, struct err *e)
{
	const char *cluster = json_string_value(json_object_get(m, "cluster"));
	struct err refused = ERR_INIT;
	struct accept *a;

	if (check_opens(j, e) == -1)
		return -1;
	drop_accepts(j, journal, cluster == NULL ? "" : cluster);
	if (j->accept_count >= JOURNALS_MAX)
		return 0;
	a = accept_new(j->c, journal, m, &refused);
	if (a == NULL) {
		courier_complain(j->c, "accept_refused",
		    cluster != NULL && cluster_name_valid(cluster) ? cluster
								   : "",
		    &refused);
		return 0;
	}
	j->accepts = mem_rearray(
	    j->accepts, j->accept_count + 1, sizeof(struct accept *));
	j->accepts[j->accept_count++] = a;
	return 0;
}

/* ---- to and fro ---- */

static void
tell_receiver(const struct journals *j, size_t i)
{
	uint32_t timeline;
	uint64_t lsn;

	ship_committed(j->ships[i], &timeline, &lsn);
	if (timeline != 0)
		remote_ack_tell(
		    j->settings, &j->settings->clusters[i], timeline, lsn);
}

void
journals_message(
    struct journals *j, uint64_t journal, const char *what, const json_t *m)
{
	struct accept *a = find_accept(j, journal);

	if (a != NULL && accept_message(a, what, m))
		return;
	if (journal >= j->settings->cluster_count || j->ships[journal] == NULL)
		return;
	(void)ship_message(j->ships[journal], what, m);
	if (strcmp(what, "taken") == 0)
		tell_receiver(j, journal);
}

int
journals_chunk(struct journals *j, uint64_t journal,
    const struct link_chunk *chunk, struct err *e)
{
	struct accept *a = find_accept(j, journal);

	return a == NULL ? 0 : accept_chunk(a, chunk, e);
}

bool
journals_next_chunk(struct journals *j, struct link_chunk *chunk)
{
	size_t i, n = j->settings->cluster_count;

	for (i = 0; i < n; i++) {
		struct ship *s = j->ships[(j->turn + i) % n];

		if (s != NULL && ship_next_chunk(s, chunk)) {
			j->turn = (j->turn + i + 1) % n;
			return true;
		}
	}
	return false;
}

/* ---- as time goes ---- */

bool
journals_tick(struct journals *j, int64_t now_us)
{
	bool more = false;
	size_t i;

	for (i = 0; i < j->accept_count; i++)
		accept_tick(j->accepts[i], now_us);
	for (i = 0; i < j->settings->cluster_count; i++)
		if (j->ships[i] != NULL && ship_tick(j->ships[i], now_us))
			more = true;
	return more;
}

void
journals_silence(struct journals *j)
{
	size_t i;

	for (i = 0; i < j->accept_count; i++)
		accept_silence(j->accepts[i]);
}

void
journals_tell_receivers(const struct journals *j)
{
	size_t i;

	for (i = 0; i < j->settings->cluster_count; i++)
		if (j->ships[i] != NULL)
			tell_receiver(j, i);
}

void
journals_status(const struct journals *j, json_t *out)
{
	json_t *ships = json_array(), *accepts = json_array(), *one;
	size_t i;

	for (i = 0; i < j->settings->cluster_count; i++)
		if (j->ships[i] != NULL) {
			one = json_object();
			ship_status(j->ships[i], one);
			(void)json_array_append_new(ships, one);
		}
	for (i = 0; i < j->accept_count; i++) {
		one = json_object();
		accept_status(j->accepts[i], one);
		(void)json_array_append_new(accepts, one);
	}
	(void)json_object_set_new(out, "ships", ships);
	(void)json_object_set_new(out, "accepts", accepts);
}
