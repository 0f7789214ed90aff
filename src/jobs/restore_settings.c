/*
 * restore_settings: what turns restored files into a server that recovers as
 * asked: backup_label, postgresql.auto.conf, a signal file, and configuration
 * that does not lie in the data directory.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "jobs/follow.h"
#include "jobs/promote_int.h"
#include "jobs/restore_job.h"
#include "pg/label.h"
#include "pg/recovery.h"

#define AUTO_CONF	    "postgresql.auto.conf"
#define AUTO_CONF_BYTES_MAX ((size_t)16 << 20)

void
restore_label(const struct restore *r, struct buf *out)
{
	backup_label_effective(
	    r->root.backup_label.data, r->root.backup_label.len, out);
}

/* ---- restore_command ---- */

/* A word for sh(1), inside a command in which PostgreSQL expands "%". */
static void
put_word(struct buf *out, const char *word)
{
	const char *p;

	buf_put_u8(out, '\'');
	for (p = word; *p != '\0'; p++) {
		if (*p == '\'')
			buf_put(out, "'\\''", 4);
		else if (*p == '%')
			buf_put(out, "%%", 2);
		else
			buf_put_u8(out, (uint8_t)*p);
	}
	buf_put_u8(out, '\'');
}

/* pgkura-wal lies beside the program that runs; else PATH has it. */
static char *
find_wal_program(void)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	AUTO_FREE char *folder = NULL;
	AUTO_FREE char *beside = NULL;

	if (len == -1)
		return mem_strdup("pgkura-wal");
	self[len] = '\0';
	folder = file_parent(self);
	beside = file_join(folder, "pgkura-wal");
	if (access(beside, X_OK) == -1)
		return mem_strdup("pgkura-wal");
	return steal_ptr(&beside);
}

static void
put_restore_command(const struct restore *r, struct buf *out)
{
	AUTO_FREE char *program = find_wal_program();
	AUTO_FREE char *config = realpath(r->settings->path, NULL);

	put_word(out, program);
	buf_printf(out, " get --config ");
	put_word(out, config != NULL ? config : r->settings->path);
	buf_printf(out, " --cluster ");
	put_word(out, r->cluster->name);
	buf_printf(out, " --lineage ");
	put_word(out, r->lineage.name);
	buf_printf(
	    out, "%s \"%%f\" \"%%p\"", r->options->standby ? " --standby" : "");
}

/* ---- files ---- */

static void
fill_recovery(const struct restore *r, struct recovery_settings *s)
{
	const struct target *t = &r->result->target;
	bool standby = r->options->standby;

	(void)memset(s, 0, sizeof(*s));
	s->target = standby ? TARGET_LATEST : t->pg_kind;
	s->target_text = t->pg_text;
	s->inclusive = t->pg_inclusive;
	s->timeline = standby ? 0 : t->timeline;
	s->action = r->options->action;
	s->standby = standby;
	s->take_over = r->options->take_over;
	s->successor = r->options->follow_marker != NULL;
	if (standby && r->options->take_over)
		s->primary_conninfo = r->cluster->conninfo;
}

/* Letters, digits, "_" and the "." of an extension's. */
static bool
is_setting_name(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') ||
			(name[i] >= 'A' && name[i] <= 'Z') || name[i] == '_' ||
			(i > 0 &&
			    ((name[i] >= '0' && name[i] <= '9') ||
				name[i] == '.'))))
			return false;
	return len > 0;
}

int
restore_check_settings(const struct restore *r, struct err *e)
{
	const char *const *pair = r->options->server_settings;
	const char *eq;

	for (; pair != NULL && *pair != NULL; pair++) {
		eq = strchr(*pair, '=');
		if (eq == NULL || !is_setting_name(*pair, (size_t)(eq - *pair)))
			return err_set(e, ERR_USAGE,
			    "\"%s\" is no setting of a server (name=value)",
			    *pair);
	}
	return 0;
}

static void
put_server_settings(const struct restore *r, struct buf *out)
{
	const char *const *pair = r->options->server_settings;
	const char *eq;

	for (; pair != NULL && *pair != NULL; pair++) {
		eq = strchr(*pair, '=');
		buf_printf(out, "%.*s = ", (int)(eq - *pair), *pair);
		recovery_quote(eq + 1, out);
		buf_put_u8(out, '\n');
	}
}

/* A standby refuses less than its primary has; a configuration outside of the
 * data directory does not come along. */
static void
put_needed_settings(const struct restore *r, struct buf *out)
{
	static const char *const names[] = { "max_connections",
		"max_worker_processes", "max_wal_senders",
		"max_prepared_transactions", "max_locks_per_transaction" };
	const char *value;
	size_t i;

	for (i = 0; r->root.settings != NULL && i < COUNT_OF(names); i++) {
		value = strmap_get(r->root.settings, names[i]);
		if (value == NULL)
			continue;
		buf_printf(out, "%s = ", names[i]);
		recovery_quote(value, out);
		buf_put_u8(out, '\n');
	}
}

static int
write_auto_conf(const struct restore *r, struct err *e)
{
	AUTO_BUF struct buf old = BUF_INIT;
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_BUF struct buf more = BUF_INIT;
	AUTO_BUF struct buf command = BUF_INIT;
	struct recovery_settings s;

	if (file_slurp_at(
		r->place.fd, AUTO_CONF, AUTO_CONF_BYTES_MAX, &old, e) == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
	}
	put_restore_command(r, &command);
	fill_recovery(r, &s);
	s.restore_command = buf_str(&command);
	if (r->options->follow_marker != NULL) {
		put_needed_settings(r, &more);
		put_server_settings(r, &more);
		recovery_block(
		    old.data, old.len, &s, r->root.facts.major, &more, &text);
	} else {
		recovery_merge(
		    old.data, old.len, &s, r->root.facts.major, &text);
		put_server_settings(r, &text);
	}
	return place_publish(&r->place, AUTO_CONF, text.data, text.len, e);
}

static int
write_signal(const struct restore *r, struct err *e)
{
	const char *name =
	    r->options->standby ? "standby.signal" : "recovery.signal";
	const char *other =
	    r->options->standby ? "recovery.signal" : "standby.signal";

	/* One that the backup of a standby brought would win. */
	if (file_unlink_at(r->place.fd, other, e) == -1)
		return -1;
	return place_publish(&r->place, name, "", 0, e);
}

/* What is restored to be the server begins a timeline that no other site has. */
static int
keep_timeline(const struct restore *r, struct err *e)
{
	if (!r->options->take_over || r->options->standby)
		return 0;
	return promote_timeline_keep(r->cluster, &r->lineage, r->place.path,
	    r->result->target.timeline, e);
}

/* What says that the directory is a standby that we keep, and may make anew.  One
 * that the backup of such a standby brought means another directory. */
static int
write_marker(const struct restore *r, struct err *e)
{
	const char *text = r->options->follow_marker;

	if (text == NULL)
		return file_unlink_at(r->place.fd, FOLLOW_MARKER, e);
	return place_publish(&r->place, FOLLOW_MARKER, text, strlen(text), e);
}

/* Beside the data directory nothing that is there is touched. */
static int
write_config_outside(const struct restore *r, const struct restore_config *c,
    const char *folder, struct err *e)
{
	AUTO_FREE char *path = file_join(folder, c->name);
	AUTO_FREE char *above = file_parent(path);
	AUTO_FD int fd = -1;

	if (file_mkdirs_at(AT_FDCWD, above, 0755, e) == -1)
		return -1;
	if (file_publish_at(AT_FDCWD, path, c->text.data, c->text.len, 0640,
		FILE_WRITE_ONCE, e) == -1) {
		if (e->kind != ERR_CONFLICT)
			return -1;
		err_clear(e);
		return 0;
	}
	if (!r->place.set_owner)
		return 0;
	fd = file_open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, 0, e);
	if (fd == -1)
		return -1;
	return fchown(fd, r->place.uid, r->place.gid) == 0
	    ? 0
	    : err_sys(e, "could not set owner of \"%s\"", path);
}

static int
write_config_inside(
    const struct restore *r, const struct restore_config *c, struct err *e)
{
	AUTO_FREE char *path = file_join(RESTORE_CONFIG_FOLDER, c->name);
	AUTO_FREE char *above = file_parent(path);

	if (place_mkdirs(&r->place, above, 0700, e) == -1)
		return -1;
	return place_publish(&r->place, path, c->text.data, c->text.len, e);
}

static int
write_configs(const struct restore *r, struct err *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < r->config_count; i++)
		if (!file_path_is_safe(r->configs[i].name))
			rc = err_set(e, ERR_CORRUPT,
			    "kept configuration \"%s\" leads elsewhere",
			    r->configs[i].name);
		else if (r->options->config_dir != NULL)
			rc = write_config_outside(
			    r, &r->configs[i], r->options->config_dir, e);
		else if (!r->has_main_config)
			rc = write_config_inside(r, &r->configs[i], e);
	return rc;
}

int
restore_write_settings(struct restore *r, struct err *e)
{
	AUTO_BUF struct buf label = BUF_INIT;

	restore_label(r, &label);
	if (place_publish(
		&r->place, "backup_label", label.data, label.len, e) == -1 ||
	    write_configs(r, e) == -1)
		return -1;
	if (r->options->no_recovery_settings)
		return 0;
	if (write_auto_conf(r, e) == -1 || write_signal(r, e) == -1 ||
	    keep_timeline(r, e) == -1)
		return -1;
	return write_marker(r, e);
}

/* The signal first: whatever interrupts this, no primary starts there. */
int
restore_convert(struct restore *r, struct err *e)
{
	r->place.fd = file_open_dir(r->place.path, e);
	if (r->place.fd == -1 || write_signal(r, e) == -1 ||
	    write_auto_conf(r, e) == -1 || write_marker(r, e) == -1)
		return -1;
	return place_sync(&r->place, e);
}
