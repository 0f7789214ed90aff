#include "pg/recovery.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "pg/scan.h"

#define COMMENT	    "# recovery settings written by pgkura"
#define BLOCK_BEGIN "# settings of a standby of pgkura begin here"
#define BLOCK_END   "# settings of a standby of pgkura end here"

#define MAJOR_MIN 13
#define MAJOR_MAX 99

/* What a copy gets, in the versions that know the name. */
static const struct {
	const char *name;
	int from, to; /* majors */
	const char *value;
	bool unless_successor;
} copy_settings[] = {
	{ "archive_mode", MAJOR_MIN, MAJOR_MAX, "off", false },
	{ "archive_command", MAJOR_MIN, MAJOR_MAX, "", false },
	{ "archive_library", 15, MAJOR_MAX, "", false },
	{ "archive_cleanup_command", MAJOR_MIN, MAJOR_MAX, "", false },
	{ "recovery_end_command", MAJOR_MIN, MAJOR_MAX, "", false },
	{ "synchronous_standby_names", MAJOR_MIN, MAJOR_MAX, "", false },
	{ "sync_replication_slots", 17, MAJOR_MAX, "off", false },
	{ "max_logical_replication_workers", MAJOR_MIN, MAJOR_MAX, "0", true },
	{ "external_pid_file", MAJOR_MIN, MAJOR_MAX, "external.pid", false },
	{ "stats_temp_directory", MAJOR_MIN, 14, "pg_stat_tmp", false },
};

static const struct {
	enum recovery_target target;
	const char *name;
} targets[] = {
	{ TARGET_IMMEDIATE, "recovery_target" },
	{ TARGET_TIME, "recovery_target_time" },
	{ TARGET_LSN, "recovery_target_lsn" },
	{ TARGET_XID, "recovery_target_xid" },
	{ TARGET_NAME, "recovery_target_name" },
};

static const char *const action_names[] = {
	[ACTION_PAUSE] = "pause",
	[ACTION_PROMOTE] = "promote",
	[ACTION_SHUTDOWN] = "shutdown",
};

/* Source: the rule for STRING in guc-file.l, GUC_scanstr(). */
void
recovery_quote(const char *value, struct buf *out)
{
	const char *p;

	buf_put_u8(out, '\'');
	for (p = value; *p != '\0'; p++) {
		if (*p == '\n')
			buf_put(out, "\\n", 2);
		else {
			if (*p == '\'' || *p == '\\')
				buf_put_u8(out, (uint8_t)*p);
			buf_put_u8(out, (uint8_t)*p);
		}
	}
	buf_put_u8(out, '\'');
}

static void
put(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s = ", name);
	recovery_quote(value == NULL ? "" : value, out);
	buf_put_u8(out, '\n');
}

static void
put_targets(const struct recovery_settings *r, struct buf *out)
{
	const char *chosen = NULL;
	size_t i;

	/* A name set to '' behind the chosen one would count as a second target
	 * before the server looks at the value, so the chosen one is last. */
	for (i = 0; i < COUNT_OF(targets); i++)
		if (targets[i].target == r->target)
			chosen = targets[i].name;
		else
			put(out, targets[i].name, "");
	if (r->target == TARGET_IMMEDIATE)
		put(out, chosen, "immediate");
	else if (chosen != NULL) {
		assert(r->target_text != NULL);
		put(out, chosen, r->target_text);
	}
}

static void
put_timeline(const struct recovery_settings *r, struct buf *out)
{
	if (r->timeline_current)
		put(out, "recovery_target_timeline", "current");
	else if (r->timeline == 0)
		put(out, "recovery_target_timeline", "latest");
	else
		buf_printf(
		    out, "recovery_target_timeline = '%u'\n", r->timeline);
}

void
recovery_format(const struct recovery_settings *r, int major, struct buf *out)
{
	size_t i;

	buf_printf(out, COMMENT "\n");
	put(out, "restore_command", r->restore_command);
	put_targets(r, out);
	put(out, "recovery_target_inclusive", r->inclusive ? "on" : "off");
	put_timeline(r, out);
	put(out, "recovery_target_action", action_names[r->action]);
	if (!r->standby)
		put(out, "recovery_min_apply_delay", "0");
	if (r->standby || !r->take_over) {
		put(out, "primary_conninfo",
		    r->standby ? r->primary_conninfo : NULL);
		put(out, "primary_slot_name",
		    r->standby ? r->primary_slot : NULL);
	}
	if (r->take_over)
		return;
	for (i = 0; i < COUNT_OF(copy_settings); i++)
		if (major >= copy_settings[i].from &&
		    major <= copy_settings[i].to &&
		    !(r->successor && copy_settings[i].unless_successor))
			put(out, copy_settings[i].name, copy_settings[i].value);
}

/* ---- an older file ---- */

/* The name that a line sets: what the server's lexer takes as an identifier.
 * Empty for a comment, a blank line and anything else. */
static struct scan
name_of(struct scan line)
{
	struct scan name;
	unsigned char c;

	scan_blanks(&line);
	name = (struct scan){ line.p, 0 };
	for (; name.left < line.left; name.left++) {
		c = (unsigned char)line.p[name.left];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '_' || c == '.' ||
			c >= 0x80))
			break;
	}
	return name;
}

/* Does any line of ours set name?  Names are equal in either case. */
static bool
sets(const struct buf *ours, struct scan name)
{
	struct scan s = { (const char *)ours->data, ours->len }, line, other;

	if (name.left == 0)
		return false;
	while (scan_line(&s, &line)) {
		other = name_of(line);
		if (other.left == name.left &&
		    strncasecmp(other.p, name.p, name.left) == 0)
			return true;
	}
	return false;
}

static bool
is_line(const struct scan *line, const char *text)
{
	struct scan rest = *line;

	return scan_word(&rest, text) && rest.left == 0;
}

/* The next line of s outside of a block. */
static bool
next_line(struct scan *s, struct scan *line)
{
	while (scan_line(s, line)) {
		if (!is_line(line, BLOCK_BEGIN))
			return true;
		while (scan_line(s, line))
			if (is_line(line, BLOCK_END))
				break;
	}
	return false;
}

static void
put_line(struct buf *out, const struct scan *line)
{
	buf_put(out, line->p, line->left);
	buf_put_u8(out, '\n');
}

void
recovery_merge(const void *old, size_t len, const struct recovery_settings *r,
    int major, struct buf *out)
{
	AUTO_BUF struct buf ours = BUF_INIT;
	struct scan s = { old, len }, line;

	recovery_format(r, major, &ours);
	while (next_line(&s, &line))
		if (!is_line(&line, COMMENT) && !sets(&ours, name_of(line)))
			put_line(out, &line);
	buf_put(out, ours.data, ours.len);
}

void
recovery_block(const void *old, size_t len, const struct recovery_settings *r,
    int major, const struct buf *more, struct buf *out)
{
	struct scan s = { old, len }, line;

	while (next_line(&s, &line))
		put_line(out, &line);
	buf_printf(out, BLOCK_BEGIN "\n");
	recovery_format(r, major, out);
	buf_put(out, more->data, more->len);
	buf_printf(out, BLOCK_END "\n");
}
