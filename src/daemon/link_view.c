#include "daemon/link_view.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/show.h"
#include "base/size.h"
#include "conf/list.h"
#include "jobs/skew.h"

#define STALE_US (15 * CLOCK_SECOND_US)

json_t *
link_view(const struct settings *s, const char *peer)
{
	AUTO_FREE char *path =
	    mem_printf("%s/link/%s.json", s->state_dir, peer);

	return show_read(path);
}

static void
set(struct alarms *a, enum alarm_kind kind, const char *peer, const char *text)
{
	if (text[0] == '\0')
		alarm_clear(a, kind, peer);
	else
		alarm_raise(a, kind, peer, text);
}

/* Does nothing pass, and not only since nobody has tried for long enough? */
static bool
is_lost(const struct peer_settings *p, const json_t *heard, const json_t *path,
    int64_t now_us)
{
	int64_t patience_us = p->beat_interval_us * (int64_t)p->beat_misses;

	return !json_is_true(json_object_get(heard, "up")) &&
	    (json_object_get(heard, "heard_ago_us") != NULL ||
		now_us - json_get_int(path, "since_us") > patience_us);
}

/* Is there a link?  What to say when there is not.  A courier that has just begun and
 * has heard nothing yet says nothing either way: an alarm that there is stays. */
static bool
judge_reach(struct alarms *a, const struct peer_settings *p, const json_t *v,
    int64_t now_us)
{
	char text[600] = "";
	bool fresh = show_age_us(v) < STALE_US;
	const json_t *path = json_array_get(json_object_get(v, "paths"), 0);

	if (!fresh)
		(void)snprintf(text, sizeof(text),
		    "nothing is known of the connection to \"%s\"", p->name);
	else if (is_lost(p, v, path, now_us))
		(void)snprintf(text, sizeof(text),
		    "site \"%s\" cannot be reached%s%.160s", p->name,
		    json_get_str(path, "error")[0] == '\0' ? "" : ": ",
		    json_get_str(path, "error"));
	if (text[0] != '\0' || json_is_true(json_object_get(v, "up")))
		set(a, ALARM_PEER_UNREACHABLE, p->name, text);
	return fresh && text[0] == '\0';
}

static void
judge_paths(struct alarms *a, const struct peer_settings *p,
    const json_t *paths, int64_t now_us)
{
	char text[600] = "";
	const json_t *path;
	size_t i, down = 0;

	json_array_foreach(paths, i, path)
	{
		if (!is_lost(p, path, path, now_us))
			continue;
		if (down++ == 0)
			(void)snprintf(text, sizeof(text),
			    "path %zu of %zu to \"%s\" is down (%.60s): there "
			    "is less redundancy",
			    i + 1, json_array_size(paths), p->name,
			    json_get_str(path, "remote"));
	}
	set(a, ALARM_PATH_DOWN, p->name,
	    down < json_array_size(paths) ? text : "");
}

static int64_t
rpo_target(const struct settings *s, const char *cluster)
{
	const struct cluster_settings *c = settings_cluster(s, cluster, NULL);

	return c == NULL ? 0 : c->rpo_target_us;
}

static void
judge_rpo(struct alarms *a, const struct settings *s,
    const struct peer_settings *p, const json_t *v, int64_t now_us)
{
	char text[600] = "", refused[600] = "", late[CLOCK_TEXT_BYTES],
	     bytes[SIZE_TEXT_BYTES];
	const json_t *one;
	int64_t since, late_us;
	size_t i;

	json_array_foreach(json_object_get(v, "ships"), i, one)
	{
		since = json_get_int(one, "lacking_since_us");
		if (since != 0 &&
		    rpo_target(s, json_get_str(one, "cluster")) > 0 &&
		    now_us - since >
			rpo_target(s, json_get_str(one, "cluster")))
			(void)snprintf(text, sizeof(text),
			    "site \"%s\" lacks %s of cluster \"%.60s\", the "
			    "oldest of it for %s",
			    p->name,
			    size_text(
				(uint64_t)json_get_int(one, "behind_bytes"),
				bytes),
			    json_get_str(one, "cluster"),
			    clock_interval(now_us - since, late));
		if (json_get_str(one, "why")[0] != '\0')
			(void)snprintf(refused, sizeof(refused),
			    "site \"%s\" does not take cluster \"%.60s\": "
			    "%.160s",
			    p->name, json_get_str(one, "cluster"),
			    json_get_str(one, "why"));
	}
	json_array_foreach(json_object_get(v, "accepts"), i, one)
	{
		if (json_get_str(one, "why")[0] != '\0')
			(void)snprintf(refused, sizeof(refused),
			    "cluster \"%.60s\" of site \"%s\" is not taken "
			    "here: %.160s",
			    json_get_str(one, "cluster"), p->name,
			    json_get_str(one, "why"));
		late_us = skew_late_us(v, one);
		if (json_get_int(one, "source_us") == 0 ||
		    strcmp(json_get_str(one, "state"), "accepting") != 0 ||
		    rpo_target(s, json_get_str(one, "cluster")) <= 0 ||
		    late_us <= rpo_target(s, json_get_str(one, "cluster")) ||
		    json_object_get(one, "zero_loss_proved_for_us") != NULL)
			continue;
		(void)snprintf(text, sizeof(text),
		    "what is here of cluster \"%.60s\" of site \"%s\" is %s "
		    "old: so much a failover now may lose",
		    json_get_str(one, "cluster"), p->name,
		    clock_interval(late_us, late));
	}
	set(a, ALARM_RPO_EXCEEDED, p->name, text);
	set(a, ALARM_REPLICATION_REFUSED, p->name, refused);
}

void
judge_link(
    struct alarms *a, const struct settings *s, const struct peer_settings *p)
{
	AUTO_JSON json_t *v = link_view(s, p->name);
	int64_t now_us;

	if (v == NULL)
		return; /* a courier that begins, or cannot: that alarms itself */
	now_us = show_now_us(v);
	if (judge_reach(a, p, v, now_us))
		judge_paths(a, p, json_object_get(v, "paths"), now_us);
	else
		alarm_clear(a, ALARM_PATH_DOWN, p->name);
	judge_rpo(a, s, p, v, now_us);
}
