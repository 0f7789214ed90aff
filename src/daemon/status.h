#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

/*
 * status: what `pgkura status` shows, as JSON.  Times are microseconds since
 * 1970 (_us); what is not known is left out.
 *
 *	site, pid, since_us, pgkura (its version)
 *	settings {path, loaded_us, error}
 *	health	{level: ok | attention | failing, sentence, next}
 *	alarms	[{name, cluster, level, message, since_us}], the worst first
 *	repository {url, free_bytes}
 *	duties	[{duty, cluster, state, pid, since_us, starts, deaths}]
 *	clusters [{
 *		name, backups, newest_backup, newest_backup_us, seen_us,
 *		gap {timeline, from, to}, repository_error,
 *		receiver {as it says of itself},
 *		jobs {backup, expire, verify: {
 *			running, pid, progress {...}, started_us, finished_us,
 *			success_us, error, next_us, why}},
 *		problem {time_us, level, event, message, hint}
 *	}]
 */

#include <jansson.h>
#include <stdint.h>

#include "conf/settings.h"
#include "daemon/alarm.h"
#include "daemon/duty.h"
#include "daemon/facts.h"

json_t *status_json(const struct settings *s, const struct facts *f,
    const struct duties *d, struct alarms *a, int64_t settings_loaded_us,
    int64_t now_us);

#endif /* !DAEMON_STATUS_H */
