/*
 * promote_adopt: which server is the cluster's at this site, after a promotion.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "jobs/control.h"
#include "jobs/follow.h"
#include "jobs/promote.h"

#define NOTE_BYTES_MAX ((size_t)16 << 10)
#define RELOAD_MS      5000

static char *
note_path(const struct settings *s, const struct cluster_settings *c)
{
	return mem_printf("%s/%s/promoted.json", s->state_dir, c->name);
}

int
promote_note(const struct settings *s, const struct cluster_settings *c,
    uint32_t timeline, uint64_t fork_lsn, struct err *e)
{
	AUTO_FREE char *path = note_path(s, c);
	AUTO_BUF struct buf conninfo = BUF_INIT, text = BUF_INIT;
	AUTO_JSON json_t *j = json_object();
	char lsn[LSN_TEXT_BYTES];

	if (follow_conninfo(c, &conninfo, e) == -1)
		return -1;
	json_set_u64(j, "version", 1);
	json_set_str(j, "directory", c->standby_dir);
	json_set_str(j, "conninfo", buf_str(&conninfo));
	json_set_u64(j, "timeline", timeline);
	json_set_str(j, "fork", lsn_text(fork_lsn, lsn));
	json_set_u64(j, "time_us", (uint64_t)clock_now_us());
	json_write(j, &text);
	buf_put_u8(&text, '\n');
	return file_publish_at(
	    AT_FDCWD, path, text.data, text.len, 0600, FILE_REPLACE, e);
}

int
promote_forget(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	AUTO_FREE char *path = note_path(s, c);

	return file_unlink_at(AT_FDCWD, path, e);
}

/* The note about this directory; NULL when there is none. */
static json_t *
read_note(const struct settings *s, const struct cluster_settings *c)
{
	AUTO_FREE char *path = note_path(s, c);
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = NULL;
	const char *directory;

	if (file_slurp_at(AT_FDCWD, path, NOTE_BYTES_MAX, &text, NULL) == -1)
		return NULL;
	j = json_parse(text.data, text.len, path, NULL);
	if (j == NULL ||
	    json_need_str(j, "directory", &directory, NULL) == -1 ||
	    strcmp(directory, c->standby_dir) != 0)
		return NULL;
	return steal_ptr(&j);
}

bool
promote_has_note(const struct settings *s, const struct cluster_settings *c)
{
	AUTO_JSON json_t *note = read_note(s, c);

	return note != NULL;
}

int
promote_is_done(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	struct follow_view v;

	if (c->standby_dir == NULL)
		return 0;
	if (promote_has_note(s, c))
		return 1;
	if (follow_look_state(s, c, &v, e) == -1)
		return -1;
	return v.state == FOLLOW_PROMOTED;
}

void
promote_tell_daemon(const struct settings *s)
{
	AUTO_JSON json_t *request = control_request("reload");
	AUTO_JSON json_t *reply = control_ask(s, request, RELOAD_MS, NULL);
}

/* A conninfo that leads to the promoted server, never to the old primary. */
static void
find_conninfo(
    const struct settings *s, const struct cluster_settings *c, struct buf *out)
{
	AUTO_JSON json_t *note = read_note(s, c);
	const char *noted;

	if (follow_conninfo(c, out, NULL) == 0)
		return;
	buf_clear(out);
	if (note != NULL && json_need_str(note, "conninfo", &noted, NULL) == 0)
		buf_printf(out, "%s", noted);
	else /* it does not run, and nobody has noted how it did */
		buf_printf(out, "port=%u",
		    c->standby_port == 0 ? 5432 : c->standby_port);
}

static void
adopt_promoted(const struct settings *s, struct cluster_settings *c)
{
	AUTO_BUF struct buf conninfo = BUF_INIT;

	find_conninfo(s, c, &conninfo);
	free(c->conninfo);
	free(steal_ptr(&c->backup_conninfo));
	c->conninfo = mem_strdup(buf_str(&conninfo));
	c->receive = true;
}

/* A standby here, and all comes from elsewhere: conninfo names it, if anything.
 */
static void
adopt_standby(const struct settings *s, struct cluster_settings *c)
{
	struct follow_view v;

	if (c->accept_from == NULL || c->conninfo == NULL ||
	    follow_look_state(s, c, &v, NULL) == -1 ||
	    v.state == FOLLOW_FOREIGN)
		return;
	if (c->standby_conninfo == NULL)
		c->standby_conninfo = steal_ptr(&c->conninfo);
	free(steal_ptr(&c->conninfo));
	c->receive = false;
}

void
promote_adopt(struct settings *s)
{
	size_t i;

	for (i = 0; i < s->cluster_count; i++) {
		struct cluster_settings *c = &s->clusters[i];

		if (c->standby_dir == NULL)
			continue;
		if (promote_is_done(s, c, NULL) == 1)
			adopt_promoted(s, c);
		else
			adopt_standby(s, c);
	}
}
