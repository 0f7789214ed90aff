/*
 * cmd_standby: a standby at this site: made, shown, started, stopped, removed.
 */

#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "cli/cli.h"
#include "jobs/follow.h"
#include "jobs/rule.h"
#include "pg/server.h"

struct flags {
	const char *to;
	uint64_t port;
	bool delta, yes;
};

/* Does pgkurad keep it?  Then it does what there is to do. */
static int
is_kept(const struct cli *cli, const struct cluster_settings *c, struct err *e)
{
	int pid =
	    cluster_lock_holder(cli->settings->state_dir, c->name, "follow", e);

	return pid == -1 ? -1 : pid > 0;
}

static void
show_progress(void *arg, const char *line)
{
	(void)arg;
	(void)fprintf(stderr, "%s\n", line);
}

static int
start(struct cli *cli, const struct cluster_settings *c, struct err *e)
{
	int kept;

	if (follow_set_off(cli->settings, c, false, e) == -1)
		return -1;
	kept = is_kept(cli, c, e);
	if (kept == -1)
		return -1;
	if (kept == 1) {
		(void)printf("pgkurad starts it\n");
		return 0;
	}
	if (follow_start(cli->settings, c, show_progress, NULL, e) == -1)
		return -1;
	(void)printf("the standby in %s runs\n", c->standby_dir);
	return 0;
}

static int
build(struct cli *cli, const struct cluster_settings *c, bool delta,
    struct err *e)
{
	const struct follow_build how = { .delta = delta };
	struct restore_result r;
	char bytes[SIZE_TEXT_BYTES], took[CLOCK_TEXT_BYTES];

	if (follow_build(cli->settings, c, &how, &r, e) == -1)
		return -1;
	(void)printf("made in %s from backup %s, %s in %s\n", c->standby_dir,
	    r.target.backup_id, size_text(r.bytes, bytes),
	    clock_interval(r.elapsed_us, took));
	if (delta)
		(void)printf("blocks %llu kept, %llu written\n",
		    (unsigned long long)r.kept_blocks,
		    (unsigned long long)r.written_blocks);
	restore_result_free(&r);
	return 0;
}

static int
create(struct cli *cli, const struct cluster_settings *c, const struct flags *f,
    struct err *e)
{
	struct follow_view v;
	int kept = is_kept(cli, c, e);

	if (kept == -1 || follow_look_state(cli->settings, c, &v, e) == -1)
		return -1;
	if (v.state >= FOLLOW_STOPPED) {
		(void)err_set(e, ERR_CONFLICT,
		    "there is a standby in \"%s\" already", c->standby_dir);
		return err_hint(e,
		    "\"pgkura standby start %s\" starts it, \"pgkura standby "
		    "drop %s --yes\" removes it.",
		    c->name, c->name);
	}
	if (kept == 1) {
		if (follow_set_off(cli->settings, c, false, e) == -1)
			return -1;
		(void)printf("pgkurad makes it\n");
		return 0;
	}
	if (build(cli, c, f->delta, e) == -1)
		return -1;
	return start(cli, c, e);
}

static int
stop(struct cli *cli, const struct cluster_settings *c, struct err *e)
{
	struct follow_view v;

	if (follow_look_state(cli->settings, c, &v, e) == -1)
		return -1;
	if (v.state == FOLLOW_PROMOTED) {
		(void)err_set(e, ERR_REFUSED,
		    "the server in \"%s\" has been promoted: it is no standby "
		    "any more",
		    c->standby_dir);
		return err_hint(e, "Stop it as you stop a primary.");
	}
	/* pgkurad may have started it since. */
	if (follow_set_off(cli->settings, c, true, e) == -1 ||
	    follow_look_state(cli->settings, c, &v, e) == -1)
		return -1;
	if (v.state == FOLLOW_STARTING &&
	    server_stop(c->standby_dir, "fast", e) == -1)
		return -1;
	(void)printf("the standby is stopped, until it is started by order\n");
	return 0;
}

static int
drop(struct cli *cli, const struct cluster_settings *c, bool yes, struct err *e)
{
	if (!yes) {
		(void)err_set(e, ERR_USAGE,
		    "\"standby drop\" removes the data directory \"%s\"",
		    c->standby_dir);
		return err_hint(e, "If that is wanted, say --yes.");
	}
	if (follow_drop(cli->settings, c, e) == -1)
		return -1;
	(void)printf("the standby is removed\n");
	return 0;
}

static void
print_view(const struct cluster_settings *c, const struct follow_view *v)
{
	char lsn[LSN_TEXT_BYTES], bytes[SIZE_TEXT_BYTES],
	    late[CLOCK_TEXT_BYTES];

	(void)printf("standby   %s in %s\n", follow_state_name(v->state),
	    c->standby_dir);
	if (v->replayed_lsn != LSN_NONE)
		(void)printf("replayed  %s%s, timeline %u%s\n",
		    v->exact ? "" : "at least ", lsn_text(v->replayed_lsn, lsn),
		    v->timeline, v->paused ? ", paused" : "");
	if (v->end.timeline != 0)
		(void)printf("received  %s, timeline %u\n",
		    lsn_text(v->end.lsn, lsn), v->end.timeline);
	if (v->replayed_lsn != LSN_NONE)
		(void)printf("behind    %s of what is here",
		    size_text(v->behind_bytes, bytes));
	if (v->replayed_lsn != LSN_NONE && v->behind_us >= 0)
		(void)printf(", %s behind the primary",
		    clock_interval(v->behind_us, late));
	if (v->replayed_lsn != LSN_NONE)
		(void)printf("\n");
	if (v->err.kind != ERR_NONE)
		(void)printf("its server does not answer: %s\n", v->err.text);
}

/* 0 when it follows. */
static int
status(struct cli *cli, const struct cluster_settings *c, struct err *e)
{
	AUTO_FOLLOW struct follow f;
	struct follow_view v;

	if (follow_open(&f, cli->settings, c, e) == -1 ||
	    follow_look(&f, &v, e) == -1)
		return -1;
	if (cli->json) {
		json_t *j = follow_json(&v);

		json_set_str(j, "cluster", c->name);
		json_set_str(j, "directory", c->standby_dir);
		cli_print_json(cli, j);
	} else {
		print_view(c, &v);
	}
	if (v.state == FOLLOW_RUNNING || v.state == FOLLOW_PROMOTED)
		return 0;
	return err_set(e, ERR_REFUSED, "the standby does not follow: it is %s",
	    follow_state_name(v.state));
}

/* What is no standby is no standby's to be ordered about, the primary least of all. */
static int
check_order(const struct cli *cli, const struct cluster_settings *c,
    const struct flags *f, struct err *e)
{
	struct record_role_file role;
	struct follow_view v;

	if (f->to != NULL || f->delta)
		return 0;
	if (rule_wanted(c) && rule_role_read(cli->settings, c, &role, e) == 0 &&
	    role.role == ROLE_PRIMARY)
		return err_set(e, ERR_REFUSED,
		    "this site is the primary of cluster \"%s\": its server is "
		    "no standby",
		    c->name);
	err_clear(e);
	if (follow_look_state(cli->settings, c, &v, e) == -1)
		return -1;
	if (v.state != FOLLOW_FOREIGN)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "\"%s\" is not a standby that pgkura has made", c->standby_dir);
	return err_hint(e,
	    "Of an old primary \"pgkura failback %s\" makes one; else name "
	    "another folder in standby_dir.",
	    c->name);
}

int
cmd_standby(struct cli *cli, int argc, char *argv[], struct err *e)
{
	struct flags f = { 0 };
	const struct cli_option options[] = {
		{ "to", "DIRECTORY", "another directory than standby_dir",
		    CLI_TEXT, &f.to },
		{ "port", "PORT", "create: another port than standby_port",
		    CLI_NUMBER, &f.port },
		{ "delta", NULL,
		    "create: over what is there; write only what differs",
		    CLI_FLAG, &f.delta },
		{ "yes", NULL, "drop: yes, remove it", CLI_FLAG, &f.yes },
	};
	const struct cluster_settings *named;
	struct cluster_settings c;
	const char *args[2];

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 1, 2,
		NULL, e) == -1)
		return -1;
	named = cli_cluster(cli, args[1], e);
	if (named == NULL)
		return -1;
	c = *named; /* borrowed, with another directory or port */
	if (f.to != NULL)
		c.standby_dir = (char *)(uintptr_t)f.to;
	if (f.port != 0)
		c.standby_port = (unsigned int)f.port;
	if (follow_need(&c, e) == -1)
		return -1;
	if (strcmp(args[0], "status") == 0)
		return status(cli, &c, e);
	if (check_order(cli, &c, &f, e) == -1)
		return -1;
	if (strcmp(args[0], "create") == 0)
		return create(cli, &c, &f, e);
	if (strcmp(args[0], "start") == 0)
		return start(cli, &c, e);
	if (strcmp(args[0], "stop") == 0)
		return stop(cli, &c, e);
	if (strcmp(args[0], "drop") == 0)
		return drop(cli, &c, f.yes, e);
	(void)err_set(e, ERR_USAGE, "there is no \"standby %s\"", args[0]);
	return err_hint(e, "There are: create, status, start, stop, drop.");
}
