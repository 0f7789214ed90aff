/*
 * drill_write: the report of a drill.  pgkura-report(5) describes each member.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "base/who.h"
#include "codec/digest.h"
#include "config.h"
#include "jobs/drill_int.h"
#include "jobs/drill_report.h"

static void
set_time(json_t *o, const char *text, const char *number, int64_t us)
{
	char when[CLOCK_TEXT_BYTES];

	json_set_str(o, text, clock_utc(us, when));
	if (number != NULL)
		(void)json_object_set_new(o, number, json_integer(us));
}

/* ---- what was recovered ---- */

static json_t *
target_json(const struct drill *d)
{
	const struct target *t = &d->target;
	char text[TARGET_TEXT_BYTES], lsn[LSN_TEXT_BYTES];
	json_t *o = json_object();

	json_set_str(
	    o, "asked", target_request_text(&d->options->target, text));
	if (t->backup_id[0] == '\0')
		return o;
	json_set_str(o, "backup", t->backup_id);
	set_time(o, "backup_finished", NULL, d->root.finished_us);
	json_set_u64(o, "backup_bytes", d->root.bytes);
	json_set_u64(o, "timeline", t->timeline);
	json_set_str(o, "position", lsn_text(t->stop_lsn, lsn));
	if (t->stop_us != 0)
		set_time(o, "time", NULL, t->stop_us);
	json_set_u64(o, "wal_bytes",
	    t->wal_to_lsn > t->wal_from_lsn ? t->wal_to_lsn - t->wal_from_lsn
					    : 0);
	json_set_u64(o, "version", (uint64_t)d->root.facts.version_num);
	return o;
}

/* ---- RPO and RTO ---- */

void
drill_add_part(json_t *parts, const char *what, int64_t us, const char *how)
{
	json_t *o = json_object();

	json_set_str(o, "what", what);
	(void)json_object_set_new(o, "us", json_integer(us));
	json_set_str(o, "how", how);
	(void)json_array_append_new(parts, o);
}

json_t *
drill_measure(int64_t target_us, int64_t us, json_t *parts)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "target_us", json_integer(target_us));
	(void)json_object_set_new(
	    o, "achieved_us", us < 0 ? json_null() : json_integer(us));
	(void)json_object_set_new(o, "met",
	    us < 0 || target_us == 0 ? json_null()
				     : json_boolean(us <= target_us));
	(void)json_object_set_new(o, "parts", parts);
	return o;
}

static json_t *
rpo_json(const struct drill *d)
{
	json_t *parts = json_array();
	int64_t known_us = d->known_us != 0 ? d->known_us : d->target.stop_us;
	int64_t us = -1;

	if (known_us != 0) {
		us = d->started_us + d->skew_us - known_us;
		us = us < 0 ? 0 : us;
		drill_add_part(parts,
		    d->skew_known
			? "age of the newest WAL here when the drill began, by "
			  "the server's clock, from which ours differs as "
			  "measured"
			: "age of the newest WAL here when the drill began, by "
			  "the server's clock",
		    us, "measured");
		if (!d->skew_known)
			drill_add_part(parts, "difference of the two clocks", 0,
			    "assumed");
	}
	return drill_measure(d->cluster->rpo_target_us, us, parts);
}

/* The time of a step that passed; -1 when there is none. */
static int64_t
step_us(const struct drill *d, const char *name)
{
	size_t i;

	for (i = 0; i < json_array_size(d->steps); i++) {
		const json_t *o = json_array_get(d->steps, i);
		const char *step =
		    json_string_value(json_object_get(o, "step"));
		const char *result =
		    json_string_value(json_object_get(o, "result"));

		if (step != NULL && result != NULL && strcmp(step, name) == 0 &&
		    strcmp(result, "passed") == 0)
			return json_integer_value(
			    json_object_get(o, "took_us"));
	}
	return -1;
}

static json_t *
rto_json(const struct drill *d)
{
	static const struct {
		const char *step, *what;
	} measured[] = { { "plan", "choose backup and position" },
		{ "restore", "restore files" },
		{ "recover", "start, replay WAL, promote" },
		{ "write", "until the first write is committed" } };
	json_t *parts = json_array();
	int64_t sum_us = 0, us;
	bool whole = true;
	size_t i;

	for (i = 0; i < COUNT_OF(measured); i++) {
		us = step_us(d, measured[i].step);
		if (us < 0) {
			whole = false;
			continue;
		}
		sum_us += us;
		drill_add_part(parts, measured[i].what, us, "measured");
	}
	drill_add_part(parts,
	    "until an alarm says that the server is lost (wal_gap_alarm)",
	    d->cluster->wal_gap_alarm_us, "configured");
	drill_add_part(parts, "decide, and lead clients here (rto_assumed)",
	    d->cluster->rto_assumed_us, "assumed");
	sum_us += d->cluster->wal_gap_alarm_us + d->cluster->rto_assumed_us;
	return drill_measure(
	    d->cluster->rto_target_us, whole ? sum_us : -1, parts);
}

/* ---- the rest ---- */

static json_t *
untested_json(const struct drill *d)
{
	static const char *const always[] = {
		"That clients find the way here: addresses, DNS, poolers",
		"The load of production: the copy had 128 MB of shared buffers "
		"and no clients",
		"Logical replication, archiving and scheduled jobs: they are "
		"off in the copy",
		"The way back to the first site"
	};
	json_t *all = json_copy(d->untested);
	size_t i;

	for (i = 0; i < COUNT_OF(always); i++)
		(void)json_array_append_new(all, json_string(always[i]));
	if (d->open)
		(void)json_array_insert_new(all, 0,
		    json_string("NOT ISOLATED: nothing kept the copy from "
				"reaching out"));
	return all;
}

static json_t *
limits_json(const struct drill *d)
{
	json_t *o = json_object();

	(void)json_object_set_new(
	    o, "time_us", json_integer(d->cluster->drill_time_limit_us));
	json_set_u64(o, "space_bytes", d->cluster->drill_space_limit_bytes);
	json_set_u64(o, "used_bytes", d->space_most_bytes);
	return o;
}

static void
set_digest(json_t *o, const char *key, const struct buf *text)
{
	uint8_t digest[SHA256_BYTES];

	sha256_of(text->data, text->len, digest);
	json_set_hex(o, key, digest, sizeof(digest));
}

static json_t *
checks_json(const struct drill *d)
{
	char *const *path = d->checks;
	json_t *all = json_array();
	size_t i;

	for (i = 0; d->sql != NULL && path != NULL && path[i] != NULL; i++) {
		json_t *o = json_object();

		json_set_str(o, "file", path[i]);
		set_digest(o, "sha256", &d->sql[i]);
		(void)json_array_append_new(all, o);
	}
	return all;
}

static void
set_names(const struct drill *d, json_t *j)
{
	AUTO_BUF struct buf settings = BUF_INIT;
	char host[256] = "?";

	json_set_str(j, "site", d->settings->site);
	json_set_str(j, "cluster", d->cluster->name);
	json_set_str(j, "lineage", d->lineage.name);
	json_set_str(j, "pgkura", PACKAGE_VERSION);
	(void)gethostname(host, sizeof(host) - 1);
	json_set_str(j, "host", host);
	if (d->options->ordered_by != NULL) {
		json_set_str(j, "ordered_by", d->options->ordered_by);
	} else {
		AUTO_FREE char *who = who_orders();

		json_set_str(j, "ordered_by", who);
	}
	/* What the drill was to do, as an auditor's "version of the plan". */
	settings_exact(d->settings, d->cluster, &settings);
	set_digest(j, "settings_sha256", &settings);
}

json_t *
drill_write_head(const struct drill *d, const char *kind, const char *scenario)
{
	json_t *j = json_object();
	AUTO_FREE char *verdict = NULL;

	(void)json_object_set_new(j, "report", json_integer(REPORT_FORMAT));
	json_set_str(j, "kind", kind);
	json_set_str(j, "id", d->result->id);
	set_names(d, j);
	json_set_str(j, "scenario", scenario);
	set_time(j, "started", "started_us", d->started_us);
	set_time(j, "finished", "finished_us", clock_now_us());
	json_set_str(j, "result", drill_outcome_name(d->outcome));
	if (d->outcome == DRILL_PASSED)
		verdict = mem_strdup("Everything that was tested is as it "
				     "should be.");
	else
		verdict = mem_printf(
		    "%.*s", (int)d->verdict.len, (const char *)d->verdict.data);
	json_set_str(j, "verdict", verdict);
	(void)json_object_set(j, "steps", d->steps);
	(void)json_object_set(j, "facts", d->facts);
	return j;
}

json_t *
drill_write_report(const struct drill *d, json_t *cleanup)
{
	json_t *j = drill_write_head(d, "drill",
	    "The server and its site are lost. The cluster is brought back "
	    "from this repository alone, in isolation, and takes writes.");

	(void)json_object_set_new(j, "isolated", json_boolean(!d->open));
	(void)json_object_set_new(j, "target", target_json(d));
	(void)json_object_set_new(j, "rpo", rpo_json(d));
	(void)json_object_set_new(j, "rto", rto_json(d));
	(void)json_object_set_new(j, "not_tested", untested_json(d));
	(void)json_object_set_new(j, "checks", checks_json(d));
	(void)json_object_set_new(j, "replication", drill_replication(d));
	(void)json_object_set_new(j, "limits", limits_json(d));
	(void)json_object_set_new(j, "cleanup", cleanup);
	return j;
}
