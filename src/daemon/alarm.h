#ifndef DAEMON_ALARM_H
#define DAEMON_ALARM_H

/*
 * alarm: what is wrong now.  An alarm is raised with an event when its
 * condition begins and cleared with another ("<name>_cleared") when it ends;
 * in between it is silent.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/log.h"

enum alarm_kind {
	ALARM_ROLE,		/* who may write: it waits for the operator */
	ALARM_ROLES_UNATTENDED, /* what decides on that hangs */
	ALARM_WITNESS_DIFFERS,	/* or it is not known that it does not */
	ALARM_REPOSITORY_UNREADABLE,
	ALARM_WAL_GAP,
	ALARM_DAMAGE,
	ALARM_BACKUP_OVERDUE,
	ALARM_DUTY_FAILING,
	ALARM_STANDBY_FAILING,
	ALARM_FAILBACK_DUE,
	ALARM_NO_STANDBY, /* at the other site */
	ALARM_STANDBY_OFF,
	ALARM_RECEIVER_LAGGING,
	ALARM_RECEIVER_FAILING,
	ALARM_BACKUP_FAILED,
	ALARM_EXPIRE_FAILED,
	ALARM_VERIFY_FAILED,
	ALARM_DRILL_FAILED,
	ALARM_DRILL_LIVE_FAILED,
	ALARM_DRILL_OVERDUE,
	ALARM_DRILL_REPORTS,
	ALARM_NOT_READY,
	ALARM_REPOSITORY_SPACE_LOW,
	ALARM_WATCHER_SILENT,
	ALARM_REPLICATION_REFUSED, /* of these the "cluster" is the peer */
	ALARM_RPO_EXCEEDED,
	ALARM_PEER_UNREACHABLE,
	ALARM_PATH_DOWN,
	ALARM_PEER_NOT_PAIRED,
	ALARM_SETTINGS_REFUSED,
	ALARM_MAINTENANCE
}; /* in order of importance */
#define ALARM_COUNT (ALARM_MAINTENANCE + 1)

struct alarms;

struct alarms *alarms_new(void);
void alarms_free(struct alarms *a);
AUTO_DEFINE(struct alarms, alarms_free);
#define AUTO_ALARMS AUTO(alarms_free_auto)

/*
 * The condition holds: message says how.  cluster "" for the site's.  A newer
 * message replaces the older one without an event.
 */
void alarm_raise(struct alarms *a, enum alarm_kind kind, const char *cluster,
    const char *message);
/* As alarm_raise(), but somebody else has told of it. */
void alarm_note(struct alarms *a, enum alarm_kind kind, const char *cluster,
    const char *message);
/* As alarm_raise(), of what may pass by itself: once it has been said for so long
 * without alarm_clear() in between. */
void alarm_raise_after(struct alarms *a, enum alarm_kind kind,
    const char *cluster, const char *message, int64_t after_us);
/* The condition does not hold. */
void alarm_clear(struct alarms *a, enum alarm_kind kind, const char *cluster);
bool alarm_is_raised(
    const struct alarms *a, enum alarm_kind kind, const char *cluster);
/* Forget those of clusters for which keep() is false, without an event. */
void alarms_keep(struct alarms *a,
    bool (*keep)(const void *arg, const char *cluster), const void *arg);

/* [{name, cluster, level, message, since_us}], the worst first. */
json_t *alarms_json(struct alarms *a);
/*
 * {level: "ok", "attention" or "failing", sentence, next}: the worst in one
 * sentence, and the command to type next.
 */
json_t *alarms_health(struct alarms *a);

#endif /* !DAEMON_ALARM_H */
