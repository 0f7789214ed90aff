/* Settings of the supervisor: read, put into effect, read again. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/list.h"
#include "daemon/notify.h"
#include "daemon/supervisor_int.h"
#include "jobs/promote.h"
#include "jobs/rule.h"
#include "link/keys.h"

#define SETTINGS_BYTES_MAX ((size_t)1 << 20)

static const char *
path_of(const struct supervisor *v)
{
	const char *path = v->config_path;

	if (path == NULL)
		path = getenv("PGKURA_CONF");
	return path == NULL || path[0] == '\0' ? SETTINGS_DEFAULT_PATH : path;
}

/* Locks and sockets lie there, and the duties of before work there still. */
static int
check_unchanged(
    const struct settings *old, const struct settings *new, struct err *e)
{
	const char *what = NULL;

	if (strcmp(old->state_dir, new->state_dir) != 0)
		what = "state_dir";
	else if (strcmp(old->runtime_dir, new->runtime_dir) != 0)
		what = "runtime_dir";
	if (what == NULL)
		return 0;
	(void)err_set(e, ERR_REFUSED, "%s: %s cannot change while pgkurad runs",
	    new->path, what);
	return err_hint(e, "Restart pgkurad: \"systemctl restart pgkurad\".");
}

int
supervisor_load(struct supervisor *v, struct err *e)
{
	AUTO_SETTINGS struct settings *s = NULL;
	AUTO_BUF struct buf text = BUF_INIT;
	const char *path = path_of(v);

	if (file_slurp_at(AT_FDCWD, path, SETTINGS_BYTES_MAX, &text, e) == -1) {
		if (e->kind == ERR_NOT_FOUND) {
			e->kind = ERR_USAGE;
			(void)err_hint(e,
			    "\"pgkura config --sample\" prints a file to "
			    "begin with.");
		}
		return -1;
	}
	s = settings_parse(path, buf_str(&text), text.len, e);
	if (s == NULL)
		return -1;
	promote_adopt(s);
	if (v->settings != NULL && check_unchanged(v->settings, s, e) == -1)
		return -1;
	if (v->control != NULL &&
	    control_server_set_groups(v->control, s, e) == -1)
		return -1;
	if (v->duties == NULL)
		v->duties = duties_new("/proc/self/exe", path);
	if (duties_set_settings(v->duties, buf_str(&text), text.len, e) == -1)
		return -1;
	settings_free(v->settings);
	v->settings = steal_ptr(&s);
	v->settings_loaded_us = clock_now_us();
	log_setup(v->settings->log_format, v->settings->log_level);
	return 0;
}

/* What is known of a peer that we are paired with, as far as it is good. */
static bool
put_pairing(const struct settings *s, const char *peer, struct buf *out)
{
	struct err e = ERR_INIT;
	struct peer p;

	if (peer_read(s->state_dir, peer, &p, &e) == -1)
		return false;
	peer_encode(&p, out);
	return true;
}

static void
put_pairings(const struct settings *s, struct buf *out)
{
	size_t i;

	for (i = 0; i < s->peer_count; i++)
		(void)put_pairing(s, s->peers[i].name, out);
	(void)buf_str(out);
}

/* Do the other sites of the cluster, and how many they are, concern all who work
 * with it?  Else they concern their couriers only, so that one can be added or
 * removed while the others go on. */
static bool
sites_concern_all(const struct cluster_settings *c)
{
	return rule_wanted(c) || c->wal_ack == WAL_ACK_REMOTE;
}

/* What a duty that works with the cluster here works with. */
static void
put_local(
    const struct settings *s, const struct cluster_settings *c, struct buf *out)
{
	struct cluster_settings own = *c;

	if (!sites_concern_all(c))
		own.replicate_to = own.accept_from = NULL;
	settings_exact(s, &own, out);
}

/* What the courier of a peer works with. */
static void
put_shared(const struct settings *s, const struct cluster_settings *c,
    const struct peer_settings *p, struct buf *out)
{
	struct cluster_settings own = *c;

	if (!sites_concern_all(c)) {
		own.replicate_to =
		    list_has(c->replicate_to, p->name) ? p->name : NULL;
		own.accept_from =
		    list_has(c->accept_from, p->name) ? p->name : NULL;
	}
	settings_exact(s, &own, out);
}

/* One that is not paired has nothing to do.  A cluster that is not shared with
 * the peer does not concern its courier. */
static void
want_courier(
    struct supervisor *v, const struct buf *site, const struct peer_settings *p)
{
	const struct settings *s = v->settings;
	AUTO_BUF struct buf signature = BUF_INIT;
	size_t i;

	if (!put_pairing(s, p->name, &signature))
		return;
	buf_put(&signature, site->data, site->len);
	settings_exact_peer(p, &signature);
	for (i = 0; i < s->cluster_count; i++)
		if (rule_wanted(&s->clusters[i]) ||
		    settings_shares(&s->clusters[i], p->name))
			put_shared(s, &s->clusters[i], p, &signature);
	duties_want(v->duties, "courier", p->name, buf_str(&signature));
}

/* How often it hears of the peers is their settings'.  Where there is a standby,
 * which server is the cluster's changes with a promotion, in whose midst the rule
 * is: it finds that out by itself. */
static void
want_rule(struct supervisor *v, const struct cluster_settings *c)
{
	AUTO_BUF struct buf signature = BUF_INIT;
	struct cluster_settings own = *c;
	size_t i;

	if (c->standby_dir != NULL) {
		own.conninfo = own.backup_conninfo = NULL;
		own.standby_conninfo = NULL;
		own.receive = false;
	}
	settings_exact(v->settings, &own, &signature);
	for (i = 0; i < v->settings->peer_count; i++)
		settings_exact_peer(&v->settings->peers[i], &signature);
	duties_want(v->duties, "rule", c->name, buf_str(&signature));
}

/* It asks anew who is paired, but has the names of peers. */
static void
want_listener(struct supervisor *v, const struct buf *site)
{
	AUTO_BUF struct buf signature = BUF_INIT;
	size_t i;

	buf_put(&signature, site->data, site->len);
	for (i = 0; i < v->settings->peer_count; i++)
		settings_exact_peer(&v->settings->peers[i], &signature);
	duties_want(v->duties, "listen", "", buf_str(&signature));
}

/*
 * Which duties there are to be.  What one works with is its signature: those of
 * one cluster are not concerned by what is said of another, watcher and archive
 * by all.
 */
void
supervisor_want(struct supervisor *v)
{
	AUTO_BUF struct buf site = BUF_INIT, all = BUF_INIT, one = BUF_INIT;
	AUTO_BUF struct buf local = BUF_INIT;
	const struct settings *s = v->settings;
	size_t i;

	settings_exact(s, NULL, &site);
	duties_want_begin(v->duties);
	duties_want(v->duties, "store", "", buf_str(&site));
	for (i = 0; i < s->cluster_count; i++) {
		const struct cluster_settings *c = &s->clusters[i];

		buf_clear(&one);
		settings_exact(s, c, &one);
		buf_put(&all, one.data, one.len);
		buf_clear(&one);
		put_local(s, c, &one);
		buf_put(&local, one.data, one.len);
		duties_want_jobs(v->duties, c->name);
		if (c->receive)
			duties_want(
			    v->duties, "receive", c->name, buf_str(&one));
		if (rule_wanted(c))
			want_rule(v, c);
		if (c->standby_dir != NULL)
			duties_want(
			    v->duties, "follow", c->name, buf_str(&one));
	}
	if (s->listen != NULL)
		want_listener(v, &site);
	for (i = 0; i < s->peer_count; i++)
		want_courier(v, &site, &s->peers[i]);
	buf_clear(&v->pairings_seen);
	put_pairings(s, &v->pairings_seen);
	if (s->cluster_count > 0) {
		duties_want(v->duties, "watch", "", buf_str(&all));
		duties_want(v->duties, "archive", "", buf_str(&local));
	}
	duties_want_end(v->duties);
}

void
supervisor_look_at_peers(struct supervisor *v)
{
	AUTO_BUF struct buf now = BUF_INIT;

	put_pairings(v->settings, &now);
	if (strcmp(buf_str(&now), buf_str(&v->pairings_seen)) != 0)
		supervisor_want(v);
}

static void
remember_error(struct supervisor *v, const struct err *e)
{
	free(v->facts->settings_error);
	v->facts->settings_error = e == NULL ? NULL : mem_strdup(e->text);
	v->plan_now = true;
}

/* systemd compares the time with that of its signal. */
static void
tell_reloading(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	notify("RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

int
supervisor_reload(struct supervisor *v, struct err *e)
{
	tell_reloading();
	tzset(); /* the machine's zone may be another now */
	if (supervisor_load(v, e) == -1) {
		log_event(LOG_LEVEL_WARNING, "settings_refused", e->text,
		    "hint", e->hint[0] == '\0' ? NULL : e->hint, NULL);
		remember_error(v, e);
		notify("READY=1");
		return err_ctx(e, "the settings stay as they were");
	}
	remember_error(v, NULL);
	facts_set_settings(v->facts, v->settings, clock_now_us());
	supervisor_want(v);
	log_event(LOG_LEVEL_INFO, "settings_loaded",
	    "new settings are in effect", "file", v->settings->path, NULL);
	notify("READY=1");
	return 0;
}
