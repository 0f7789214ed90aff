/*
 * drill_sample: where WAL stands, again and again while a drill runs, as proof
 * that receiving and replication went on.
 *
 * Read, never asked for: the status file of the receiver, or of the courier
 * whose peer sends the cluster, what was noted of the server (walknown.h), and
 * what the repository holds.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/show.h"
#include "conf/list.h"
#include "jobs/drill_int.h"
#include "repo/walarchive.h"
#include "repo/walknown.h"

#define EVERY_US    (2 * CLOCK_SECOND_US)
#define SAMPLES_MAX 200
/* So long behind the server without a move is a stand-still. */
#define STILL_US (60 * CLOCK_SECOND_US)

/* ---- taking ---- */

static json_t *
read_status(const char *path)
{

	return show_read(path);
}

static json_t *
receiver_status(const struct drill *d)
{
	AUTO_FREE char *path = mem_printf(
	    "%s/%s/receiver.json", d->settings->state_dir, d->cluster->name);

	return read_status(path);
}

static void
copy_text(json_t *to, const char *as, const json_t *from, const char *key);

/* What the courier of one peer says of our cluster, in a receiver's words. */
static json_t *
taken_from(const struct drill *d, const char *peer)
{
	AUTO_FREE char *path =
	    mem_printf("%s/link/%s.json", d->settings->state_dir, peer);
	AUTO_JSON json_t *link = read_status(path);
	const json_t *one;
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(link, "accepts"), i, one)
	{
		const char *cluster =
		    json_string_value(json_object_get(one, "cluster"));

		if (cluster == NULL || strcmp(cluster, d->cluster->name) != 0 ||
		    json_object_get(one, "committed") == NULL)
			continue;
		o = json_object();
		copy_text(o, "received", one, "committed");
		copy_text(o, "flushed", one, "committed");
		copy_text(o, "server_end", one, "source_end");
		copy_text(o, "state", one, "state");
		return o;
	}
	return NULL;
}

static json_t *
incoming_status(const struct drill *d)
{
	json_t *o = receiver_status(d);
	size_t i;

	for (i = 0; o == NULL && i < d->settings->peer_count; i++)
		if (list_has(
			d->cluster->accept_from, d->settings->peers[i].name))
			o = taken_from(d, d->settings->peers[i].name);
	return o;
}

static void
copy_text(json_t *to, const char *as, const json_t *from, const char *key)
{
	const char *value = json_string_value(json_object_get(from, key));

	if (value != NULL)
		json_set_str(to, as, value);
}

/* The end of the WAL that is committed here, on the newest timeline. */
static uint64_t
committed_end(const struct drill *d)
{
	AUTO_FREE struct wal_span *spans = NULL;
	uint64_t end = LSN_NONE;
	uint32_t timeline = 0;
	size_t count, i;

	if (wal_spans(&d->lineage, &spans, &count, NULL) == -1)
		return LSN_NONE;
	for (i = 0; i < count; i++)
		if (spans[i].timeline > timeline ||
		    (spans[i].timeline == timeline && spans[i].end_lsn > end)) {
			timeline = spans[i].timeline;
			end = spans[i].end_lsn;
		}
	return end;
}

/* Every other one goes, and they are taken half as often. */
static void
thin_out(struct drill *d)
{
	size_t i;

	for (i = json_array_size(d->samples); i-- > 1;)
		if (i % 2 == 1)
			(void)json_array_remove(d->samples, i);
	d->sample_every_us *= 2;
}

void
drill_sample(struct drill *d, const char *phase, bool now)
{
	AUTO_JSON json_t *receiver = NULL;
	int64_t boot_us = clock_boot_us();
	char when[CLOCK_TEXT_BYTES], lsn[LSN_TEXT_BYTES];
	struct wal_known known;
	uint64_t end;
	json_t *o;

	if (phase != d->phase)
		(void)snprintf(d->phase, sizeof(d->phase), "%s", phase);
	if (d->sample_every_us == 0)
		d->sample_every_us = EVERY_US;
	if (d->samples == NULL || d->lineage.repo == NULL ||
	    (!now && boot_us - d->sample_us < d->sample_every_us))
		return;
	d->sample_us = boot_us;
	if (json_array_size(d->samples) >= SAMPLES_MAX)
		thin_out(d);
	o = json_object();
	receiver = incoming_status(d);
	wal_known_read(&d->lineage, &known);
	json_set_str(o, "at", clock_utc(clock_now_us(), when));
	json_set_u64(o, "us", (uint64_t)(boot_us - d->began_us));
	json_set_str(o, "phase", d->phase);
	copy_text(o, "received", receiver, "received");
	copy_text(o, "flushed", receiver, "flushed");
	copy_text(o, "server", receiver, "server_end");
	copy_text(o, "receiver", receiver, "state");
	if (known.lsn != LSN_NONE) {
		json_set_str(o, "known", lsn_text(known.lsn, lsn));
		json_set_str(o, "known_time", clock_utc(known.server_us, when));
	}
	end = committed_end(d);
	if (end != LSN_NONE)
		json_set_str(o, "committed", lsn_text(end, lsn));
	(void)json_array_append_new(d->samples, o);
}

int64_t
drill_known_us(const struct drill *d)
{
	struct wal_known known;

	wal_known_read(&d->lineage, &known);
	return known.server_us;
}

/* ---- judging ---- */

static uint64_t
lsn_of(const json_t *sample, const char *key)
{
	const char *text = json_string_value(json_object_get(sample, key));
	uint64_t lsn;

	if (text == NULL || lsn_parse(text, &lsn, NULL) == -1)
		return LSN_NONE;
	return lsn;
}

/*
 * The longest time for which the server was ahead of what is durable here, and
 * that did not move.
 */
static int64_t
longest_still_us(const json_t *samples)
{
	int64_t longest_us = 0, since_us = -1, us;
	uint64_t before = LSN_NONE, flushed, server;
	size_t i;

	for (i = 0; i < json_array_size(samples); i++) {
		const json_t *s = json_array_get(samples, i);

		us = json_get_int(s, "us");
		flushed = lsn_of(s, "flushed");
		server = lsn_of(s, "server");
		if (flushed == LSN_NONE || server <= flushed ||
		    flushed != before)
			since_us = us;
		else if (us - since_us > longest_us)
			longest_us = us - since_us;
		before = flushed;
	}
	return longest_us;
}

json_t *
drill_replication(const struct drill *d)
{
	size_t count = json_array_size(d->samples);
	const json_t *first = json_array_get(d->samples, 0);
	const json_t *last =
	    count == 0 ? NULL : json_array_get(d->samples, count - 1);
	uint64_t from = lsn_of(first, "committed"),
		 to = lsn_of(last, "committed");
	int64_t still_us = longest_still_us(d->samples);
	bool received = json_object_get(first, "receiver") != NULL;
	char a[LSN_TEXT_BYTES], b[LSN_TEXT_BYTES], took[CLOCK_TEXT_BYTES];
	AUTO_BUF struct buf verdict = BUF_INIT;
	json_t *o = json_object();
	bool went_on;

	went_on = to >= from && still_us < STILL_US &&
	    (!received || json_object_get(last, "receiver") != NULL);
	if (!went_on)
		buf_printf(&verdict,
		    "replication did not go on as it should: committed %s at "
		    "the start, %s at the end, longest stand-still %s",
		    lsn_text(from, a), lsn_text(to, b),
		    clock_interval(still_us, took));
	else if (to > from)
		buf_printf(&verdict,
		    "it went on: committed %s at the start, %s at the end, "
		    "%llu bytes came meanwhile",
		    lsn_text(from, a), lsn_text(to, b),
		    (unsigned long long)(to - from));
	else
		buf_printf(&verdict,
		    "nothing was to be received: %s at the start and at the "
		    "end%s",
		    lsn_text(from, a),
		    received ? ", with the sender in contact"
			     : ", and nobody sends WAL to this site now");
	(void)json_object_set_new(o, "went_on", json_boolean(went_on));
	json_set_str(o, "verdict", buf_str(&verdict));
	json_set_u64(o, "bytes", to > from ? to - from : 0);
	json_set_u64(o, "longest_still_us", (uint64_t)still_us);
	(void)json_object_set(o, "samples", d->samples);
	return o;
}
