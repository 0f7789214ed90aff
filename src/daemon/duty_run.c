#include "daemon/duty_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/size.h"
#include "conf/settings.h"
#include "daemon/duty.h"
#include "daemon/duty_store.h"
#include "daemon/duty_watch.h"
#include "daemon/message.h"
#include "jobs/drill.h"
#include "jobs/drill_live.h"
#include "jobs/follow.h"
#include "jobs/jobs.h"
#include "jobs/promote.h"
#include "jobs/rule.h"

#define SETTINGS_BYTES_MAX ((off_t)1 << 20)
#define ORDER_MS	   10000

/* ---- one function a duty; fd leads to the supervisor, or is -1 ---- */

static int
run_receive(const struct settings *s, const struct cluster_settings *c, int fd,
    struct err *e)
{
	struct receive_options options = { .parent_fd = -1 };

	(void)fd;
	return receive_run(s, c, &options, e);
}

static int
run_archive(const struct settings *s, const struct cluster_settings *c, int fd,
    struct err *e)
{
	(void)c;
	(void)fd;
	return archive_serve(s, e);
}

static int
run_watch(const struct settings *s, const struct cluster_settings *c, int fd,
    struct err *e)
{
	(void)c;
	return duty_watch(s, fd, e);
}

static int
run_store(const struct settings *s, const struct cluster_settings *c, int fd,
    struct err *e)
{
	(void)c;
	return duty_store(s, fd, e);
}

static int
run_listen(const struct settings *s, const struct cluster_settings *c, int fd,
    struct err *e)
{
	(void)c;
	(void)fd;
	return listen_run(s, e);
}

static int
run_backup(const struct settings *s, const struct cluster_settings *c, int fd,
    struct err *e)
{
	struct backup_result result;

	(void)fd;
	return backup_run(s, c, &result, e);
}

static int
run_expire(const struct settings *s, const struct cluster_settings *c, int fd,
    struct err *e)
{
	struct expire_result r = { 0 };
	char bytes[SIZE_TEXT_BYTES];
	int rc = expire_run(s, c, false, &r, e);

	(void)fd;
	if (rc == 0 && r.backups + r.packs + r.wal_segments > 0)
		log_event(LOG_LEVEL_INFO, "expire_done",
		    "what is beyond the retention is removed", "cluster",
		    c->name, "size", size_text(r.bytes, bytes), NULL);
	expire_result_free(&r);
	return rc;
}

/* Each piece of damage is an event of its own; this is the sum of it. */
static int
run_verify(const struct settings *s, const struct cluster_settings *c, int fd,
    struct err *e)
{
	struct verify_result r = { 0 };
	char bytes[SIZE_TEXT_BYTES];
	int rc = verify_run(s, c, NULL, c->verify_sample_percent, &r, e);

	(void)fd;
	/* The couriers ask other sites for what is damaged. */
	if (rc == 0)
		rc =
		    verify_record(s, c, &r, c->verify_sample_percent >= 100, e);
	if (rc == 0 && r.finding_count == 0) {
		log_event(LOG_LEVEL_INFO, "verify_done",
		    "all that was read is sound", "cluster", c->name, "size",
		    size_text(r.bytes, bytes), NULL);
	} else if (rc == 0) {
		(void)err_set(e, ERR_CORRUPT,
		    "%zu stored object%s damaged or missing", r.finding_count,
		    r.finding_count == 1 ? " is" : "s are");
		rc = err_hint(
		    e, "\"pgkura verify %s\" lists them all.", c->name);
	}
	verify_result_free(&r);
	return rc;
}

/* The only one that is of a peer. */
static int
run_courier(const struct settings *s, const char *peer, struct err *e)
{
	const struct peer_settings *p;

	if (peer == NULL)
		return err_set(e, ERR_USAGE, "name the peer with --cluster");
	p = settings_peer(s, peer, e);
	return p == NULL ? -1 : courier_run(s, p, e);
}

static int
run_follow(const struct settings *s, const struct cluster_settings *c, int fd,
    struct err *e)
{
	(void)fd;
	return follow_run(s, c, e);
}

static int
run_drill(const struct settings *s, const struct cluster_settings *c, int fd,
    struct err *e)
{
	struct drill_options options = { .ordered_by =
					     "pgkurad, by drill_schedule" };
	struct drill_result r;
	int rc;

	(void)fd;
	if (drill_run(s, c, &options, &r, e) == -1)
		return -1;
	rc = drill_verdict(&r, e);
	drill_result_free(&r);
	return rc;
}

/* What it is to do comes from the supervisor. */
static int
run_drill_live(const struct settings *s, const struct cluster_settings *c,
    int fd, struct err *e)
{
	struct pollfd p = { fd, POLLIN, 0 };
	AUTO_JSON json_t *order = NULL;
	int rc = 1;

	if (fd != -1) {
		(void)poll(&p, 1, ORDER_MS);
		rc = message_receive(fd, &order, e);
	}
	if (rc == 0)
		return err_set(e, ERR_CANCELED, "pgkurad has gone away");
	return rc == -1 ? -1 : drill_live_job(s, c, order, e);
}

static int
run_rule(const struct settings *s, const struct cluster_settings *c, int fd,
    struct err *e)
{
	(void)fd;
	return rule_run(s, c, e);
}

static const struct {
	const char *name;
	bool of_cluster;
	int (*run)(const struct settings *s, const struct cluster_settings *c,
	    int fd, struct err *e);
} runs[] = {
	{ "receive", true, run_receive },
	{ "follow", true, run_follow },
	{ "rule", true, run_rule },
	{ "archive", false, run_archive },
	{ "watch", false, run_watch },
	{ "store", false, run_store },
	{ "listen", false, run_listen },
	{ "backup", true, run_backup },
	{ "expire", true, run_expire },
	{ "verify", true, run_verify },
	{ "drill", true, run_drill },
	{ DRILL_LIVE_JOB, true, run_drill_live },
};

/* ---- what is around them ---- */

/* Every event from info on goes to the supervisor.  It reads whenever it can;
 * when it cannot, the line on standard error has to do. */
static void
to_supervisor(void *arg, enum log_level level, const char *event,
    const char *message, const char *const *keys, const char *const *values,
    unsigned int count)
{
	const int *fd = arg;
	AUTO_JSON json_t *m = NULL;

	if (level < LOG_LEVEL_INFO)
		return;
	m = message_of_event(level, event, message, keys, values, count);
	(void)message_send(*fd, m, NULL);
}

static struct settings *
settings_from_supervisor(const char *path, struct err *e)
{
	AUTO_FREE char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(DUTY_SETTINGS_FD, &st) == -1 ||
	    st.st_size > SETTINGS_BYTES_MAX) {
		(void)err_sys(e, "could not get settings");
		return NULL;
	}
	text = mem_alloc((size_t)st.st_size);
	n = file_pread_full(
	    DUTY_SETTINGS_FD, text, (size_t)st.st_size, 0, path, e);
	if (n == -1)
		return NULL;
	return settings_parse(path, text, (size_t)n, e);
}

/* Programs that a duty starts have no business with these. */
static int
keep_from_children(struct err *e)
{
	if (fcntl(DUTY_SETTINGS_FD, F_SETFD, FD_CLOEXEC) == -1 ||
	    fcntl(DUTY_MESSAGE_FD, F_SETFD, FD_CLOEXEC) == -1) {
		(void)err_sys(e, "--supervised is for pgkurad itself");
		if (e != NULL)
			e->kind = ERR_USAGE;
		return -1;
	}
	return 0;
}

static int
run(const struct duty_call *call, const struct settings *s, int fd,
    struct err *e)
{
	const struct cluster_settings *c = NULL;
	size_t i;

	if (strcmp(call->name, "courier") == 0)
		return run_courier(s, call->cluster, e);
	for (i = 0; i < COUNT_OF(runs); i++) {
		if (strcmp(runs[i].name, call->name) != 0)
			continue;
		if (runs[i].of_cluster &&
		    (c = settings_cluster(s, call->cluster, e)) == NULL)
			return -1;
		return runs[i].run(s, c, fd, e);
	}
	return err_set(e, ERR_USAGE, "there is no duty \"%s\"", call->name);
}

/* The one place that reports: "receive_failed". */
static void
report(const struct duty_call *call, const struct err *e)
{
	char event[64];

	(void)snprintf(event, sizeof(event), "%s_failed", call->name);
	log_event(
	    e->kind == ERR_TRANSIENT ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
	    event, e->text,
	    strcmp(call->name, "courier") == 0 ? "peer" : "cluster",
	    call->cluster, "kind", err_kind_name(e->kind), "hint",
	    e->hint[0] == '\0' ? NULL : e->hint, NULL);
}

int
duty_run(const struct duty_call *call)
{
	AUTO_SETTINGS struct settings *s = NULL;
	struct err e = ERR_INIT;
	static int fd; /* outlives this: the sink's */

	fd = call->supervised ? DUTY_MESSAGE_FD : -1;
	if (call->supervised && keep_from_children(&e) == 0)
		s = settings_from_supervisor(call->config_path, &e);
	else if (!call->supervised)
		s = settings_load(call->config_path, &e);
	if (s != NULL) {
		promote_adopt(s);
		log_setup(s->log_format, s->log_level);
	}
	if (fd != -1)
		log_set_sink(to_supervisor, &fd);
	child_catch_stop_signals();
	if (s != NULL && run(call, s, fd, &e) == 0)
		return 0;
	if (e.kind != ERR_CANCELED || !child_stop_requested())
		report(call, &e);
	return err_exit_status(&e);
}
