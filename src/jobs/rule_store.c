/*
 * rule_store: the durable files of a cluster's roles and votes.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "conf/list.h"
#include "jobs/rule.h"

#define RECORD_FILE_BYTES_MAX ((size_t)256 << 10)
#define BOOT_ID_PATH	      "/proc/sys/kernel/random/boot_id"

bool
rule_wanted(const struct cluster_settings *c)
{
	return c->role != INITIAL_NONE || c->votes_for != NULL;
}

/* ---- seats ---- */

static const struct peer_settings *
peer_named(const struct settings *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->peer_count; i++)
		if (strcmp(s->peers[i].name, name) == 0)
			return &s->peers[i];
	return NULL;
}

/* The one peer that has a copy of the cluster, or sends one. */
static const char *
other_site(
    const struct settings *s, const struct cluster_settings *c, struct err *e)
{
	const char *found = NULL;
	size_t i;

	for (i = 0; i < s->peer_count; i++) {
		const struct peer_settings *p = &s->peers[i];

		if (p->witness || !settings_shares(c, p->name))
			continue;
		if (found != NULL) {
			(void)err_set(e, ERR_USAGE,
			    "cluster \"%s\" has a role here and more than one "
			    "other site: \"%s\" and \"%s\"",
			    c->name, found, p->name);
			return NULL;
		}
		found = p->name;
	}
	if (found == NULL) {
		(void)err_set(e, ERR_USAGE,
		    "cluster \"%s\" has a role here, and no other site",
		    c->name);
		(void)err_hint(e, "Name it with replicate_to and accept_from.");
	}
	return found;
}

/* Seats go by name, so that all sites agree. */
static void
seat_both(struct rule_sites *out, const char *a, const char *b)
{
	bool swap = strcmp(a, b) > 0;

	(void)snprintf(out->first, sizeof(out->first), "%s", swap ? b : a);
	(void)snprintf(out->second, sizeof(out->second), "%s", swap ? a : b);
	out->names[SEAT_FIRST] = out->first;
	out->names[SEAT_SECOND] = out->second;
}

static int
seat_witness(const struct settings *s, const struct cluster_settings *c,
    struct rule_sites *out, struct err *e)
{
	const char *at = c->votes_for;
	char a[RECORD_NAME_BYTES], b[RECORD_NAME_BYTES];

	if (c->role != INITIAL_NONE || list_count(c->votes_for) != 2 ||
	    !list_next(&at, a, sizeof(a)) || !list_next(&at, b, sizeof(b))) {
		(void)err_set(e, ERR_USAGE,
		    "votes_for of cluster \"%s\" does not name two sites, or "
		    "this site has a role of its own",
		    c->name);
		return -1;
	}
	seat_both(out, a, b);
	out->names[SEAT_WITNESS] = s->site;
	out->self = SEAT_WITNESS;
	out->peer = SEAT_FIRST;
	return 0;
}

int
rule_sites(const struct settings *s, const struct cluster_settings *c,
    struct rule_sites *out, struct err *e)
{
	const char *other;
	size_t i;

	(void)memset(out, 0, sizeof(*out));
	if (c->votes_for != NULL)
		return seat_witness(s, c, out, e);
	other = other_site(s, c, e);
	if (other == NULL)
		return -1;
	seat_both(out, s->site, other);
	out->self = strcmp(out->first, s->site) == 0 ? SEAT_FIRST : SEAT_SECOND;
	out->peer = out->self == SEAT_FIRST ? SEAT_SECOND : SEAT_FIRST;
	for (i = 0; i < s->peer_count; i++)
		if (s->peers[i].witness && out->names[SEAT_WITNESS] == NULL)
			out->names[SEAT_WITNESS] = s->peers[i].name;
	return 0;
}

/* ---- files ---- */

char *
rule_path(const struct settings *s, const struct cluster_settings *c,
    const char *what)
{
	return mem_printf("%s/site/%s.%s", s->state_dir, c->name, what);
}

static int
slurp(const char *path, struct buf *text, struct err *e)
{
	return file_slurp_at(AT_FDCWD, path, RECORD_FILE_BYTES_MAX, text, e);
}

static int
publish(const char *path, const struct buf *text, struct err *e)
{
	AUTO_FREE char *folder = file_parent(path);

	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	return file_publish_at(
	    AT_FDCWD, path, text->data, text->len, 0600, FILE_REPLACE, e);
}

int
rule_role_read(const struct settings *s, const struct cluster_settings *c,
    struct record_role_file *r, struct err *e)
{
	AUTO_FREE char *path = rule_path(s, c, "role");
	AUTO_BUF struct buf text = BUF_INIT;

	if (slurp(path, &text, e) == -1 ||
	    record_role_parse(r, text.data, text.len, e) == -1)
		return -1;
	if (strcmp(r->thing, c->name) != 0 || strcmp(r->site, s->site) != 0)
		return err_set(e, ERR_CORRUPT,
		    "\"%s\" is of cluster \"%s\" at site \"%s\"", path,
		    r->thing, r->site);
	return 0;
}

int
rule_term_read(const struct settings *s, const struct cluster_settings *c,
    struct record_term *t, struct err *e)
{
	AUTO_FREE char *path = rule_path(s, c, "term");
	AUTO_BUF struct buf text = BUF_INIT;

	if (slurp(path, &text, e) == -1 ||
	    record_term_parse(t, text.data, text.len, e) == -1)
		return -1;
	if (strcmp(t->thing, c->name) != 0)
		return err_set(e, ERR_CORRUPT, "\"%s\" is of cluster \"%s\"",
		    path, t->thing);
	return 0;
}

int
rule_role_write(const struct settings *s, const struct cluster_settings *c,
    struct record_role_file *r, struct err *e)
{
	AUTO_FREE char *path = rule_path(s, c, "role");
	AUTO_BUF struct buf text = BUF_INIT;

	r->serial++;
	record_role_print(r, &text);
	return publish(path, &text, e);
}

int
rule_term_write(const struct settings *s, const struct cluster_settings *c,
    const struct record_term *t, struct err *e)
{
	AUTO_FREE char *path = rule_path(s, c, "term");
	AUTO_BUF struct buf text = BUF_INIT;

	record_term_print(t, &text);
	return publish(path, &text, e);
}

/* ---- what they are read with ---- */

void
rule_decide_settings(const struct settings *s, const struct cluster_settings *c,
    const struct rule_sites *sites, struct decide_settings *out)
{
	const struct decide_settings initial = DECIDE_SETTINGS_DEFAULT;
	const struct peer_settings *p =
	    peer_named(s, sites->names[sites->peer]);

	*out = initial;
	out->automatic = c->failover == FAILOVER_AUTOMATIC;
	if (p != NULL) {
		out->beat_us = p->beat_interval_us;
		out->misses = p->beat_misses;
	}
	out->hold_us = c->hold_us;
	if (out->stop_margin_us > c->lease_us / 4)
		out->stop_margin_us = c->lease_us / 4;
	out->rpo_limit_us = c->rpo_limit_us == 0 ? -1 : c->rpo_limit_us;
	out->backoff_us = c->failover_backoff_us;
	if (out->retry_us > c->lease_us / 8)
		out->retry_us = c->lease_us / 8;
	out->hook = c->fence_hook != NULL;
	out->resign = c->server_failed == SERVER_FAILED_FAILOVER;
}

static int
read_boot_id(char out[RECORD_BOOT_BYTES], struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;

	if (file_slurp_at(AT_FDCWD, BOOT_ID_PATH, 256, &text, e) == -1)
		return -1;
	(void)snprintf(out, RECORD_BOOT_BYTES, "%.*s",
	    (int)strcspn(buf_str(&text), "\n"), buf_str(&text));
	return 0;
}

int
rule_voter_start(const struct settings *s, const struct cluster_settings *c,
    const struct rule_sites *sites, struct voter *v, struct err *e)
{
	char boot_id[RECORD_BOOT_BYTES];
	struct record_term t;
	struct voter_config config = { .thing = c->name,
		.boot_id = boot_id,
		.self = sites->self,
		.lease_us = c->lease_us,
		.round = (uint64_t)clock_now_us() };
	bool known;
	int seat;

	for (seat = 0; seat < SEATS; seat++)
		config.seats[seat] = sites->names[seat];
	if (read_boot_id(boot_id, e) == -1)
		return -1;
	known = rule_term_read(s, c, &t, e) == 0;
	if (!known && e->kind != ERR_NOT_FOUND && e->kind != ERR_CORRUPT)
		return -1;
	err_clear(e);
	voter_start(v, &config, known ? &t : NULL, clock_boot_us());
	return 0;
}

bool
rule_may_follow(const struct settings *s, const struct cluster_settings *c)
{
	struct record_role_file r;

	if (c->role == INITIAL_NONE)
		return true;
	if (rule_role_read(s, c, &r, NULL) == -1)
		return c->role == INITIAL_STANDBY;
	return r.role == ROLE_STANDBY && r.handover == HANDOVER_NONE;
}

bool
rule_may_receive(const struct settings *s, const struct cluster_settings *c)
{
	struct record_role_file r;

	if (c->role == INITIAL_NONE)
		return true;
	if (rule_role_read(s, c, &r, NULL) == -1)
		return c->role == INITIAL_PRIMARY;
	return r.role == ROLE_PRIMARY;
}
