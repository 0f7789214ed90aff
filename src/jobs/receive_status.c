/*
 * receive_status: what a receiver is doing, in a small file for `pgkura status`.
 */

#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/show.h"
#include "jobs/receive_int.h"

int
receive_status_begin(struct receive_status *st, const struct settings *s,
    const struct cluster_settings *c, struct err *e)
{
	AUTO_FREE char *dir = file_join(s->state_dir, c->name);

	if (file_mkdirs_at(AT_FDCWD, dir, 0700, e) == -1)
		return -1;
	(void)snprintf(st->path, sizeof(st->path), "%s/receiver.json", dir);
	st->cluster = c->name;
	st->state = "connecting";
	return 0;
}

static void
put_lsn(json_t *j, const char *key, uint64_t lsn)
{
	char text[LSN_TEXT_BYTES];

	if (lsn != LSN_NONE)
		json_set_str(j, key, lsn_text(lsn, text));
}

static void
put_time(json_t *j, const char *key, int64_t us)
{
	if (us != 0)
		json_set_u64(j, key, (uint64_t)us);
}

static void
put_positions(json_t *j, const struct receive_status *st)
{
	put_lsn(j, "received", st->received_lsn);
	put_lsn(j, "flushed", st->flushed_lsn);
	put_lsn(j, "server_end", st->server_end_lsn);
	if (st->flushed_lsn != LSN_NONE && st->server_end_lsn != LSN_NONE)
		json_set_u64(j, "lag_bytes",
		    st->server_end_lsn > st->flushed_lsn
			? st->server_end_lsn - st->flushed_lsn
			: 0);
}

static void
put_all(json_t *j, const struct receive_status *st)
{
	json_set_u64(j, "version", 1);
	json_set_u64(j, "pid", (uint64_t)getpid());
	json_set_str(j, "cluster", st->cluster);
	json_set_str(j, "state", st->state);
	if (st->lineage[0] != '\0')
		json_set_str(j, "lineage", st->lineage);
	if (st->timeline != 0)
		json_set_u64(j, "timeline", st->timeline);
	put_positions(j, st);
	if (st->ack != NULL) {
		json_set_str(j, "ack", st->ack);
		put_lsn(j, "remote", st->remote_lsn);
		put_time(j, "ack_safe_until_boot_us", st->safe_until_us);
		if (st->ack_wait != NULL)
			json_set_str(j, "ack_wait", st->ack_wait);
	}
	put_time(j, "updated_us", clock_now_us());
	put_time(j, "connected_us", st->connected_us);
	put_time(j, "message_us", st->message_us);
	put_time(j, "server_us", st->server_us);
	if (st->err.kind != ERR_NONE) {
		json_set_str(j, "error", st->err.text);
		json_set_str(j, "error_kind", err_kind_name(st->err.kind));
		json_set_str(j, "hint", st->err.hint);
	}
}

void
receive_status_show(struct receive_status *st, bool now)
{
	AUTO_JSON json_t *j = NULL;
	int64_t boot_us = clock_boot_us();

	if (st->path[0] == '\0' ||
	    (!now && boot_us - st->written_us < CLOCK_SECOND_US))
		return;
	st->written_us = boot_us;
	j = json_object();
	put_all(j, st);
	show_write(st->path, j);
}

void
receive_status_end(struct receive_status *st)
{
	if (st->path[0] != '\0')
		(void)unlink(st->path);
	st->path[0] = '\0';
}
