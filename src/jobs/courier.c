/*
 * courier: the process that owns all connections to one peer.
 *
 *	ship (one a cluster that goes there) --+
 *					       +-- link -- the peer's courier
 *	accept (one a cluster that comes) -----+
 *	asker, giver (what is damaged, heal.h) +
 *
 * One thread runs the link; disks are waited for elsewhere (keeper.c,
 * accept_wal.c).  Every second it says in <state>/link/<peer>.json how things
 * are.
 */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/show.h"
#include "conf/list.h"
#include "jobs/courier_int.h"
#include "jobs/courier_journals.h"
#include "jobs/courier_rule.h"
#include "jobs/heal.h"
#include "jobs/jobs.h"
#include "jobs/pace.h"
#include "link/handover.h"
#include "link/keys.h"

#define TICK_MS	     100
#define AWAITED_MS   20 /* the same while commits wait for a peer */
#define STATUS_US    CLOCK_SECOND_US
#define PATHS_US     (CLOCK_SECOND_US / 5)
#define MESSAGE_NAME 24
/* Bytes of messages that the peer has not taken. */
#define UNSENT_MAX     ((size_t)64 << 20)
#define COMPLAINTS_MAX 20 /* a minute */
#define SHIP_AGAIN_US  (5 * CLOCK_SECOND_US)
/* Of so many chunks in a row one gives way to what heals the other site. */
#define HEAL_TURNS 7

struct courier {
	const struct settings *settings;
	const struct peer_settings *peer;
	struct repo *repo;
	struct link *link;
	struct sign_key *key;
	struct allowance *room;
	bool session;
	struct journals *journals;
	struct asker *asker; /* of a session */
	struct giver *giver;
	unsigned int others; /* chunks in a row that heal nothing */
	uint64_t bodies;
	struct courier_rule *rules;
	int handover_fd, tick_ms;
	char *status_path;
	int64_t status_us, ship_us, paths_us;
	struct pace sent_pace, received_pace; /* bytes on the lanes */
	unsigned int complaints;	      /* in the minute since */
	int64_t complaints_us;
	struct err err; /* of the peer's doing: no reason to go on */
};

/* ---- for ship and accept ---- */

const struct settings *
courier_settings(const struct courier *c)
{
	return c->settings;
}

const struct peer_settings *
courier_peer(const struct courier *c)
{
	return c->peer;
}

struct repo *
courier_repo(const struct courier *c)
{
	return c->repo;
}

struct allowance *
courier_room(const struct courier *c)
{
	return c->room;
}

json_t *
courier_message(const char *what, uint64_t journal)
{
	json_t *m = json_object();

	json_set_str(m, "m", what);
	json_set_u64(m, "j", journal);
	return m;
}

void
courier_send(struct courier *c, json_t *m)
{
	AUTO_BUF struct buf text = BUF_INIT;

	json_write(m, &text);
	json_decref(m);
	if (!c->session)
		return;
	link_send(c->link, text.data, text.len);
	if (link_unsent(c->link) > UNSENT_MAX && c->err.kind == ERR_NONE)
		(void)err_set(&c->err, ERR_TRANSIENT,
		    "site \"%s\" does not take what it is told", c->peer->name);
}

void
courier_complain(
    struct courier *c, const char *event, const char *cluster, struct err *e)
{
	int64_t now_us = clock_boot_us();
	char more[16];

	if (now_us - c->complaints_us >= 60 * CLOCK_SECOND_US) {
		(void)snprintf(more, sizeof(more), "%u",
		    c->complaints > COMPLAINTS_MAX
			? c->complaints - COMPLAINTS_MAX
			: 0);
		if (c->complaints > COMPLAINTS_MAX)
			log_event(LOG_LEVEL_ERROR, "peer_complaints",
			    "more went wrong with the other site than is told",
			    "peer", c->peer->name, "more", more, NULL);
		c->complaints = 0;
		c->complaints_us = now_us;
	}
	if (c->complaints++ >= COMPLAINTS_MAX) {
		err_clear(e);
		return;
	}
	log_event(LOG_LEVEL_ERROR, event, e->text, "cluster", cluster, "peer",
	    c->peer->name, NULL);
	err_clear(e);
}

uint64_t
courier_new_body(struct courier *c, uint64_t journal)
{
	return journal << BODY_JOURNAL_SHIFT | ++c->bodies;
}

void
courier_wake(void *arg)
{
	struct courier *c = arg;

	link_wake(c->link);
}

int64_t
courier_skew_us(const struct courier *c)
{
	struct link_state st;

	link_get_state(c->link, &st);
	return st.skew_us;
}

/* ---- sessions ---- */

static void
on_up(void *arg, uint32_t version)
{
	struct courier *c = arg;
	char number[16];

	c->session = true;
	c->asker = asker_new(c);
	c->giver = giver_new(c);
	c->ship_us = clock_boot_us();
	(void)snprintf(number, sizeof(number), "%u", version);
	log_event(LOG_LEVEL_INFO, "link_up", "the other site answers", "peer",
	    c->peer->name, "version", number, NULL);
	journals_begin(c->journals);
}

static void
end_all(struct courier *c)
{
	journals_end(c->journals);
	asker_free(steal_ptr(&c->asker));
	giver_free(steal_ptr(&c->giver));
}

static void
on_down(void *arg)
{
	struct courier *c = arg;

	c->session = false;
	log_event(LOG_LEVEL_WARNING, "link_down",
	    "the connection to the other site is lost", "peer", c->peer->name,
	    NULL);
	end_all(c);
}

/* ---- messages ---- */

static void
on_message(void *arg, const uint8_t *data, size_t len)
{
	struct courier *c = arg;
	struct err e = ERR_INIT;
	AUTO_JSON json_t *m = json_parse(data, len, "message", &e);
	char what[MESSAGE_NAME];
	uint64_t journal;

	if (m == NULL || json_need_text(m, "m", what, sizeof(what), &e) == -1 ||
	    json_need_u64(m, "j", &journal, &e) == -1) {
		courier_complain(c, "message_malformed", "", &e);
		return;
	}
	if (strcmp(what, "rule") == 0) {
		courier_rule_message(c->rules, m);
		return;
	}
	if (strcmp(what, "open") == 0) {
		if (journals_open(c->journals, journal, m, &e) == -1)
			c->err = e;
		return;
	}
	if (c->session && journal == HEAL_JOURNAL) {
		if (!asker_message(c->asker, what, m))
			(void)giver_message(c->giver, what, m);
		return;
	}
	journals_message(c->journals, journal, what, m);
}

static int
on_chunk(void *arg, const struct link_chunk *chunk, struct err *e)
{
	struct courier *c = arg;
	uint64_t journal = chunk->stream >> BODY_JOURNAL_SHIFT;

	if (journal == HEAL_JOURNAL)
		return c->asker == NULL || asker_chunk(c->asker, chunk, e) != -1
		    ? 0
		    : -1;
	return journals_chunk(c->journals, journal, chunk, e);
}

static bool
on_next_chunk(void *arg, struct link_chunk *chunk)
{
	struct courier *c = arg;

	if (c->others >= HEAL_TURNS && c->giver != NULL &&
	    giver_next_chunk(c->giver, chunk)) {
		c->others = 0;
		return true;
	}
	c->others++;
	return journals_next_chunk(c->journals, chunk) ||
	    (c->giver != NULL && giver_next_chunk(c->giver, chunk));
}

static void
on_path(void *arg, unsigned int path, bool up)
{
	(void)arg;
	(void)path;
	(void)up;
}

/* ---- the rules ---- */

static size_t
on_beat_out(void *arg, uint8_t *out)
{
	struct courier *c = arg;

	return courier_rule_beat_out(c->rules, out);
}

static void
on_beat_in(void *arg, unsigned int path, const uint8_t *data, size_t len)
{
	struct courier *c = arg;

	(void)path;
	courier_rule_beat_in(c->rules, data, len);
}

static void
send_of_rule(void *arg, json_t *m)
{
	courier_send(arg, m);
}

/* ---- status ---- */

static json_t *
status_of(struct courier *c)
{
	json_t *out = json_object(), *heal;
	struct link_state st;

	link_get_state(c->link, &st);
	json_set_u64(out, "version", 1);
	json_set_u64(out, "pid", (uint64_t)getpid());
	json_set_str(out, "peer", c->peer->name);
	json_set_u64(out, "updated_us", (uint64_t)clock_now_us());
	json_set_u64(out, "boot_us", (uint64_t)clock_boot_us());
	courier_put_link(out, &st);
	pace_note(&c->sent_pace, st.sent_bytes, clock_boot_us());
	pace_note(&c->received_pace, st.received_bytes, clock_boot_us());
	json_set_u64(out, "sent_bytes_per_s", pace_per_s(&c->sent_pace));
	json_set_u64(
	    out, "received_bytes_per_s", pace_per_s(&c->received_pace));
	journals_status(c->journals, out);
	if (c->asker != NULL) {
		heal = json_object();
		asker_status(c->asker, heal);
		giver_status(c->giver, heal);
		(void)json_object_set_new(out, "heal", heal);
	}
	return out;
}

static void
show_status(struct courier *c)
{
	AUTO_JSON json_t *j = status_of(c);

	show_write(c->status_path, j);
}

/* ---- the loop ---- */

static void
tick(struct courier *c)
{
	int64_t now_us = clock_boot_us();
	struct link_state st;
	bool more = journals_tick(c->journals, now_us);

	if (c->session) {
		asker_tick(c->asker, now_us);
		if (giver_tick(c->giver, now_us))
			more = true;
	}
	if (more)
		link_more(c->link);
	if (c->session && now_us - c->ship_us >= SHIP_AGAIN_US) {
		c->ship_us = now_us;
		journals_begin(c->journals);
	}
	if (now_us - c->paths_us >= PATHS_US) {
		c->paths_us = now_us;
		link_get_state(c->link, &st);
		courier_rule_paths(c->rules, &st);
		if (!courier_is_reached(&st))
			journals_silence(c->journals);
	}
	if (now_us - c->status_us >= STATUS_US) {
		c->status_us = now_us;
		journals_tell_receivers(c->journals);
		show_status(c);
		link_set_max_rate(
		    c->link, settings_peer_rate(c->peer, clock_now_us()));
	}
}

static int
run(struct courier *c, struct err *e)
{
	struct pollfd p[2] = { { .fd = c->handover_fd, .events = POLLIN },
		{ .fd = courier_rule_fd(c->rules), .events = POLLIN } };

	for (;;) {
		int fd;

		if (child_check_stop(e) == -1)
			return -1;
		if (c->err.kind != ERR_NONE) {
			*e = c->err;
			return -1;
		}
		p[0].revents = p[1].revents = 0;
		if (link_run(c->link, p, COUNT_OF(p), c->tick_ms, e) == -1)
			return -1;
		if ((p[1].revents & POLLIN) != 0)
			courier_rule_take(c->rules, send_of_rule, c);
		if ((p[0].revents & POLLIN) != 0 &&
		    (fd = handover_take(c->handover_fd)) != -1)
			link_adopt(c->link, fd);
		tick(c);
	}
}

/* One path for each address; the last of bind holds for all that follow. */
static void
set_paths(struct link_params *params, const struct peer_settings *p)
{
	const char *address = p->address, *bind = p->bind;
	size_t i;

	for (i = 0; i < LINK_PATHS_MAX; i++) {
		struct link_path *path = &params->paths[i];

		if (!list_next(&address, path->address, sizeof(path->address)))
			break;
		if (!list_next(&bind, path->bind, sizeof(path->bind)) && i > 0)
			(void)strcpy(path->bind, path[-1].bind);
	}
	params->path_count = i == 0 ? 1 : i; /* the peer dials: by one */
}

static int
open_all(struct courier *c, struct err *e)
{
	static const struct link_ops ops = { .up = on_up,
		.down = on_down,
		.message = on_message,
		.chunk = on_chunk,
		.next_chunk = on_next_chunk,
		.beat_out = on_beat_out,
		.beat_in = on_beat_in,
		.path_changed = on_path };
	const struct settings *s = c->settings;
	struct link_params params = { .site = s->site,
		.peer = c->peer->name,
		.lanes = c->peer->lanes,
		.congestion = strcmp(c->peer->congestion, "system") == 0
		    ? NULL
		    : c->peer->congestion,
		.beat_interval_us = c->peer->beat_interval_us,
		.beat_misses = c->peer->beat_misses };
	AUTO_FREE char *folder = file_join(s->state_dir, "link");
	AUTO_FREE char *socket = NULL;
	struct peer known;

	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	c->status_path = mem_printf("%s/%s.json", folder, c->peer->name);
	c->repo = repo_open(s->repository, s->state_dir, true, e);
	if (c->repo == NULL)
		return -1;
	c->room =
	    allowance_new(s, c->peer, store_local_path(repo_store(c->repo)));
	c->key = key_load(s->state_dir, true, e);
	if (c->key == NULL ||
	    peer_read(s->state_dir, c->peer->name, &known, e) == -1)
		return -1;
	params.key = c->key;
	(void)memcpy(params.peer_key, known.key, sizeof(params.peer_key));
	set_paths(&params, c->peer);
	socket = handover_path(s->runtime_dir, c->peer->name);
	c->handover_fd = handover_listen(socket, e);
	if (c->handover_fd == -1)
		return -1;
	c->rules = courier_rule_new(s, c->peer, known.key, e);
	if (c->rules == NULL)
		return -1;
	c->link = link_new(&params, &ops, c);
	return 0;
}

int
courier_run(
    const struct settings *s, const struct peer_settings *p, struct err *e)
{
	struct courier c = {
		.settings = s, .peer = p, .handover_fd = -1, .tick_ms = TICK_MS
	};
	size_t i;
	int rc = -1;

	for (i = 0; i < s->cluster_count; i++)
		if (s->clusters[i].wal_ack == WAL_ACK_REMOTE)
			c.tick_ms = AWAITED_MS;
	c.journals = journals_new(&c);
	if (open_all(&c, e) == 0)
		rc = run(&c, e);
	end_all(&c);
	link_free(c.link);
	courier_rule_free(c.rules);
	sign_key_free(c.key);
	allowance_free(c.room);
	repo_close(c.repo);
	if (c.handover_fd != -1)
		(void)close(c.handover_fd);
	if (c.status_path != NULL)
		(void)unlink(c.status_path);
	free(c.status_path);
	journals_free(c.journals);
	if (rc == -1 && e->kind == ERR_CANCELED) {
		err_clear(e);
		return 0;
	}
	return rc;
}
