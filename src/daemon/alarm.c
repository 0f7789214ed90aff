#include "daemon/alarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

struct alarm {
	enum alarm_kind kind;
	char *cluster, *message;
	int64_t since_us;      /* wall clock, for people ... */
	int64_t since_boot_us; /* ... which may be set meanwhile */
	bool waits;	       /* perhaps it passes: nobody sees it yet */
};

struct alarms {
	struct alarm *list;
	size_t count;
};

/* next: "%s" is the cluster.  peer: the "cluster" is one, and the message names
 * it. */
static const struct {
	const char *name;
	enum log_level level;
	const char *next;
	bool peer;
} kinds[ALARM_COUNT] = {
	[ALARM_ROLE] = { "role", LOG_LEVEL_ERROR, "pgkura role %s" },
	[ALARM_REPOSITORY_UNREADABLE] = { "repository_unreadable",
	    LOG_LEVEL_ERROR, "pgkura check %s" },
	[ALARM_WAL_GAP] = { "wal_gap", LOG_LEVEL_ERROR, "pgkura backup %s" },
	[ALARM_DAMAGE] = { "damage", LOG_LEVEL_ERROR,
	    "pgkura verify %s --heal" },
	[ALARM_BACKUP_OVERDUE] = { "backup_overdue", LOG_LEVEL_ERROR,
	    "pgkura backup %s" },
	[ALARM_DUTY_FAILING] = { "duty_failing", LOG_LEVEL_ERROR,
	    "pgkura check %s" },
	[ALARM_STANDBY_FAILING] = { "standby_failing", LOG_LEVEL_ERROR,
	    "pgkura standby status %s" },
	[ALARM_FAILBACK_DUE] = { "failback_due", LOG_LEVEL_WARNING,
	    "pgkura failback %s" },
	[ALARM_ROLES_UNATTENDED] = { "roles_unattended", LOG_LEVEL_ERROR,
	    "pgkura role %s" },
	[ALARM_WITNESS_DIFFERS] = { "witness_differs", LOG_LEVEL_ERROR,
	    "pgkura check %s" },
	[ALARM_NO_STANDBY] = { "no_standby", LOG_LEVEL_WARNING,
	    "pgkura role %s" },
	[ALARM_STANDBY_OFF] = { "standby_off", LOG_LEVEL_WARNING,
	    "pgkura standby start %s" },
	[ALARM_RECEIVER_LAGGING] = { "receiver_lagging", LOG_LEVEL_WARNING,
	    "pgkura check %s" },
	[ALARM_RECEIVER_FAILING] = { "receiver_failing", LOG_LEVEL_WARNING,
	    "pgkura check %s" },
	[ALARM_BACKUP_FAILED] = { "backup_failed", LOG_LEVEL_WARNING,
	    "pgkura check %s" },
	[ALARM_EXPIRE_FAILED] = { "expire_failed", LOG_LEVEL_WARNING,
	    "pgkura expire %s" },
	[ALARM_VERIFY_FAILED] = { "verify_failed", LOG_LEVEL_WARNING,
	    "pgkura verify %s" },
	[ALARM_DRILL_FAILED] = { "drill_failed", LOG_LEVEL_ERROR,
	    "pgkura drill list %s" },
	[ALARM_DRILL_LIVE_FAILED] = { "drill_live_failed", LOG_LEVEL_WARNING,
	    "pgkura role %s" },
	[ALARM_DRILL_OVERDUE] = { "drill_overdue", LOG_LEVEL_WARNING,
	    "pgkura drill %s" },
	[ALARM_DRILL_REPORTS] = { "drill_reports_damaged", LOG_LEVEL_ERROR,
	    "pgkura drill list %s" },
	[ALARM_NOT_READY] = { "not_ready", LOG_LEVEL_WARNING,
	    "pgkura ready %s" },
	[ALARM_REPOSITORY_SPACE_LOW] = { "repository_space_low",
	    LOG_LEVEL_WARNING, "pgkura check" },
	[ALARM_WATCHER_SILENT] = { "watcher_silent", LOG_LEVEL_WARNING,
	    "pgkura check" },
	[ALARM_REPLICATION_REFUSED] = { "replication_refused", LOG_LEVEL_ERROR,
	    "pgkura check", true },
	[ALARM_RPO_EXCEEDED] = { "rpo_exceeded", LOG_LEVEL_WARNING,
	    "pgkura check", true },
	[ALARM_PEER_UNREACHABLE] = { "peer_unreachable", LOG_LEVEL_WARNING,
	    "pgkura check", true },
	[ALARM_PATH_DOWN] = { "path_lost", LOG_LEVEL_WARNING, "pgkura check",
	    true },
	[ALARM_PEER_NOT_PAIRED] = { "peer_not_paired", LOG_LEVEL_WARNING,
	    "pgkura site pair --invite", true },
	[ALARM_SETTINGS_REFUSED] = { "settings_refused", LOG_LEVEL_WARNING,
	    "pgkura config" },
	[ALARM_MAINTENANCE] = { "maintenance", LOG_LEVEL_WARNING,
	    "pgkura maintenance %s off" },
};

struct alarms *
alarms_new(void)
{
	return mem_zalloc(sizeof(struct alarms));
}

void
alarms_free(struct alarms *a)
{
	size_t i;

	if (a == NULL)
		return;
	for (i = 0; i < a->count; i++) {
		free(a->list[i].cluster);
		free(a->list[i].message);
	}
	free(a->list);
	free(a);
}

static size_t
find(const struct alarms *a, enum alarm_kind kind, const char *cluster)
{
	size_t i;

	for (i = 0; i < a->count; i++)
		if (a->list[i].kind == kind &&
		    strcmp(a->list[i].cluster, cluster) == 0)
			break;
	return i;
}

bool
alarm_is_raised(
    const struct alarms *a, enum alarm_kind kind, const char *cluster)
{
	size_t i = find(a, kind, cluster);

	return i < a->count && !a->list[i].waits;
}

static void
remove_at(struct alarms *a, size_t i)
{
	free(a->list[i].cluster);
	free(a->list[i].message);
	a->list[i] = a->list[--a->count];
}

/* true when it is new. */
static bool
set(struct alarms *a, enum alarm_kind kind, const char *cluster,
    const char *message)
{
	size_t i = find(a, kind, cluster);
	bool is_new = i == a->count;

	if (is_new) {
		a->list = mem_rearray(a->list, a->count + 1, sizeof(*a->list));
		a->list[a->count++] = (struct alarm){ .kind = kind,
			.cluster = mem_strdup(cluster),
			.since_us = clock_now_us(),
			.since_boot_us = clock_boot_us() };
	}
	free(a->list[i].message);
	a->list[i].message = mem_strdup(message);
	return is_new;
}

static void
tell(enum alarm_kind kind, const char *cluster, const char *message)
{
	log_event(kinds[kind].level, kinds[kind].name, message, "cluster",
	    cluster[0] == '\0' ? NULL : cluster, NULL);
}

void
alarm_raise(struct alarms *a, enum alarm_kind kind, const char *cluster,
    const char *message)
{
	bool is_new = set(a, kind, cluster, message);
	struct alarm *m = &a->list[find(a, kind, cluster)];

	if (!is_new && !m->waits)
		return;
	m->waits = false;
	tell(kind, cluster, message);
}

void
alarm_raise_after(struct alarms *a, enum alarm_kind kind, const char *cluster,
    const char *message, int64_t after_us)
{
	bool is_new = set(a, kind, cluster, message);
	struct alarm *m = &a->list[find(a, kind, cluster)];

	if (is_new)
		m->waits = true;
	if (!m->waits || clock_boot_us() - m->since_boot_us < after_us)
		return;
	m->waits = false;
	tell(kind, cluster, message);
}

void
alarm_note(struct alarms *a, enum alarm_kind kind, const char *cluster,
    const char *message)
{
	(void)set(a, kind, cluster, message);
}

void
alarm_clear(struct alarms *a, enum alarm_kind kind, const char *cluster)
{
	size_t i = find(a, kind, cluster);
	char name[64], lasted[CLOCK_TEXT_BYTES];

	if (i == a->count)
		return;
	(void)snprintf(name, sizeof(name), "%s_cleared", kinds[kind].name);
	if (!a->list[i].waits)
		log_event(LOG_LEVEL_INFO, name, "this is over", "cluster",
		    cluster[0] == '\0' ? NULL : cluster, "lasted",
		    clock_interval(
			clock_boot_us() - a->list[i].since_boot_us, lasted),
		    NULL);
	remove_at(a, i);
}

void
alarms_keep(struct alarms *a,
    bool (*keep)(const void *arg, const char *cluster), const void *arg)
{
	size_t i;

	for (i = 0; i < a->count;)
		if (a->list[i].cluster[0] == '\0' ||
		    keep(arg, a->list[i].cluster))
			i++;
		else
			remove_at(a, i);
}

/* ---- what is said of them ---- */

static int
by_importance(const void *a, const void *b)
{
	const struct alarm *x = a, *y = b;

	if (x->waits != y->waits)
		return y->waits ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->cluster, y->cluster);
}

/* The worst first; how many are to be seen. */
static size_t
sort(struct alarms *a)
{
	size_t count = 0, i;

	if (a->count > 0)
		qsort(a->list, a->count, sizeof(*a->list), by_importance);
	for (i = 0; i < a->count; i++)
		count += a->list[i].waits ? 0 : 1;
	return count;
}

json_t *
alarms_json(struct alarms *a)
{
	json_t *all = json_array();
	size_t count = sort(a), i;

	for (i = 0; i < count; i++) {
		const struct alarm *m = &a->list[i];
		json_t *one = json_object();

		json_set_str(one, "name", kinds[m->kind].name);
		if (m->cluster[0] != '\0')
			json_set_str(one, "cluster", m->cluster);
		json_set_str(
		    one, "level", log_level_name(kinds[m->kind].level));
		json_set_str(one, "message", m->message);
		(void)json_object_set_new(
		    one, "since_us", json_integer(m->since_us));
		(void)json_array_append_new(all, one);
	}
	return all;
}

/* "pgkura check %s" and "main" */
static void
put_next(struct buf *out, const char *next, const char *cluster)
{
	size_t len = strcspn(next, "%");
	bool of_cluster = next[len] != '\0';

	while (cluster[0] == '\0' && len > 0 && next[len - 1] == ' ')
		len--;
	buf_put(out, next, len);
	if (of_cluster)
		buf_printf(out, "%s%s", cluster, strchr(next, '%') + 2);
}

json_t *
alarms_health(struct alarms *a)
{
	AUTO_BUF struct buf sentence = BUF_INIT, next = BUF_INIT;
	json_t *health = json_object();
	size_t count = sort(a);
	const struct alarm *worst;

	if (count == 0) {
		json_set_str(health, "level", "ok");
		json_set_str(health, "sentence", "all is well");
		return health;
	}
	worst = &a->list[0];
	if (worst->cluster[0] != '\0' && !kinds[worst->kind].peer)
		buf_printf(&sentence, "cluster %s: ", worst->cluster);
	buf_printf(&sentence, "%s", worst->message);
	if (count > 1)
		buf_printf(&sentence, " (and %zu more)", count - 1);
	put_next(&next, kinds[worst->kind].next, worst->cluster);
	json_set_str(health, "level",
	    kinds[worst->kind].level == LOG_LEVEL_ERROR ? "failing"
							: "attention");
	json_set_str(health, "sentence", buf_str(&sentence));
	json_set_str(health, "next", buf_str(&next));
	return health;
}
