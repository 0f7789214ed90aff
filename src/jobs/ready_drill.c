/*
 * ready_drill: what the last drill has proved, and what may have changed since.
 */

#include <gnu/libc-version.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/schedule.h"
#include "jobs/ready_int.h"

#define DAY_US (86400 * CLOCK_SECOND_US)
/* Without a schedule. */
#define OLD_US (92 * DAY_US)

static void
find_drill(struct ready *r)
{
	size_t i;

	for (i = 0; i < r->chain.count; i++) {
		const struct report *p = &r->chain.links[i].report;

		if (p->json != NULL && r->chain.links[i].fault == NULL &&
		    p->kind == REPORT_DRILL &&
		    strcmp(p->site, r->k.settings->site) == 0 &&
		    strcmp(report_text(p->json, "result"), "passed") == 0)
			r->drill = p;
	}
}

/* When should one have passed after this one? */
static bool
is_old(const struct ready *r)
{
	const char *text = r->k.cluster->drill_schedule;
	int64_t at_us = report_number(r->drill->json, "started_us");
	struct schedule s;

	if (text == NULL || schedule_parse(&s, text, NULL) == -1)
		return clock_now_us() - at_us > OLD_US;
	return schedule_next(&s, at_us, at_us) + DAY_US < clock_now_us();
}

static void
look_at_age(struct ready *r)
{
	AUTO_FREE char *remedy =
	    mem_printf("Run \"pgkura drill %s\".", r->k.cluster->name);
	char age[CLOCK_TEXT_BYTES];

	if (r->drill == NULL) {
		check_say(&r->k, CHECK_WARNING, "drill", remedy,
		    "none has passed at this site: nothing is proved");
		return;
	}
	(void)clock_interval(clock_now_us() - r->drill->finished_us, age);
	check_say(&r->k, is_old(r) ? CHECK_WARNING : CHECK_OK, "drill",
	    is_old(r) ? remedy : NULL, "%s passed %s ago", r->drill->id, age);
}

static void
look_at_targets(struct ready *r)
{
	const json_t *rto = json_object_get(r->drill->json, "rto");
	char got[CLOCK_TEXT_BYTES], most[CLOCK_TEXT_BYTES];
	int64_t us = report_number(rto, "achieved_us");

	if (us < 0)
		return;
	(void)clock_interval(us, got);
	if (us > r->k.cluster->rto_target_us)
		check_say(&r->k, CHECK_WARNING, "RTO",
		    "Keep a standby here (standby_dir), take backups more "
		    "often, or set rto_target to what is needed.",
		    "%s by the last drill, rto_target is %s", got,
		    clock_interval(r->k.cluster->rto_target_us, most));
	else
		check_say(
		    &r->k, CHECK_OK, "RTO", NULL, "%s by the last drill", got);
}

/* Versions of collations come from libraries of this machine. */
static void
look_at_collations(struct ready *r)
{
	const json_t *facts = json_object_get(r->drill->json, "facts");
	const char *then = report_text(facts, "libc"),
		   *now = gnu_get_libc_version();
	char host[256] = "?";

	(void)gethostname(host, sizeof(host) - 1);
	if (strcmp(report_text(r->drill->json, "host"), host) != 0)
		check_say(&r->k, CHECK_WARNING, "collations",
		    "Run a drill on this machine.",
		    "the last drill was on \"%s\", this is \"%s\"",
		    report_text(r->drill->json, "host"), host);
	else if (then[0] != '\0' && strcmp(then, now) != 0)
		check_say(&r->k, CHECK_WARNING, "collations",
		    "Run a drill: it compares the versions of collations.",
		    "the C library is %s, at the last drill it was %s", now,
		    then);
	else
		check_say(&r->k, CHECK_OK, "collations", NULL,
		    "equal at the last drill, C library %s since", now);
}

/* "plpgsql 1.0, dblink 1.2": those whose control file is gone, to out. */
static void
look_for(const char *list, const char *share, struct buf *lost, size_t *count)
{
	AUTO_FREE char *copy = mem_strdup(list);
	char *save = NULL, *word;

	for (word = strtok_r(copy, ",", &save); word != NULL;
	     word = strtok_r(NULL, ",", &save)) {
		AUTO_FREE char *path = NULL;

		word += strspn(word, " ");
		word[strcspn(word, " ")] = '\0';
		path = mem_printf("%s/extension/%s.control", share, word);
		(*count)++;
		if (access(path, R_OK) == -1)
			buf_printf(
			    lost, "%s%s", lost->len == 0 ? "" : ", ", word);
	}
}

static void
look_at_extensions(struct ready *r)
{
	static const char prefix[] = "extensions of ";
	json_t *facts = json_object_get(r->drill->json, "facts");
	const char *share = report_text(facts, "sharedir"), *key;
	AUTO_BUF struct buf lost = BUF_INIT;
	size_t count = 0;
	json_t *value;

	if (share[0] == '\0')
		return;
	json_object_foreach(
	    facts, key, value) if (strncmp(key, prefix, strlen(prefix)) == 0 &&
	    json_is_string(value))
	    look_for(json_string_value(value), share, &lost, &count);
	if (lost.len > 0)
		check_say(&r->k, CHECK_FAULT, "extensions",
		    "Install their packages here.",
		    "not installed here any more: %s", buf_str(&lost));
	else
		check_say(&r->k, CHECK_OK, "extensions", NULL,
		    "%zu, all installed here", count);
}

void
ready_look_at_drill(struct ready *r)
{
	struct err e = ERR_INIT;

	if (!r->has_lineage)
		return;
	if (chain_read(r->k.settings, &r->lineage, &r->chain, &e) == -1) {
		check_fault(&r->k, "drill", &e);
		return;
	}
	if (r->chain.faults > 0)
		check_say(&r->k, CHECK_FAULT, "reports",
		    "See \"pgkura drill list\".",
		    "%u reports of drills are not as written", r->chain.faults);
	find_drill(r);
	look_at_age(r);
	if (r->drill == NULL) {
		check_say(&r->k, CHECK_NOTE, "collations",
		    "A drill compares them.", "not known");
		check_say(&r->k, CHECK_NOTE, "extensions",
		    "A drill looks for them.", "not known");
		return;
	}
	look_at_targets(r);
	look_at_collations(r);
	look_at_extensions(r);
}
