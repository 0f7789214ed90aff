/*
 * check_link: the other sites, and what the kernel gives connections to them.
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/show.h"
#include "conf/list.h"
#include "jobs/check_int.h"
#include "link/keys.h"

#define STATUS_MAX   ((size_t)4 << 20)
#define STATUS_US    (10 * CLOCK_SECOND_US) /* a courier writes each second */
#define CONTROL_NAME 16			    /* TCP_CA_NAME_MAX of the kernel */

/* ---- congestion control ---- */

/* What a socket gets that asks for wanted (NULL: the system's), as read back;
 * the errno of a refusal. */
static int
ask_congestion(const char *wanted, char got[CONTROL_NAME])
{
	AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = CONTROL_NAME - 1;
	int error = 0;

	(void)memset(got, 0, CONTROL_NAME);
	if (fd == -1)
		return errno;
	if (wanted != NULL &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, wanted,
		(socklen_t)strlen(wanted)) == -1)
		error = errno;
	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, got, &len) == -1)
		return errno;
	return error;
}

static void
check_congestion(struct check *k, const struct peer_settings *p)
{
	const char *wanted =
	    strcmp(p->congestion, "system") == 0 ? NULL : p->congestion;
	char got[CONTROL_NAME];
	int error = ask_congestion(wanted, got);

	if (error == 0) {
		check_say(k, CHECK_OK, "congestion", NULL,
		    "connections to \"%s\" get %s", p->name, got);
		return;
	}
	check_say(k, CHECK_WARNING, "congestion",
	    "As root: \"modprobe tcp_bbr\" and \"sysctl -w "
	    "net.ipv4.tcp_allowed_congestion_control='reno cubic bbr'\"; for "
	    "the next boot, put the line \"tcp_bbr\" into "
	    "/etc/modules-load.d/pgkura.conf and that setting into "
	    "/etc/sysctl.d/60-pgkura.conf (packages bring both).  Or set "
	    "congestion = system for a line that loses nothing.",
	    "connections to \"%s\" get %s, not %s (%s): slow where packets get "
	    "lost",
	    p->name, got[0] == '\0' ? "the system's" : got, wanted,
	    strerror(error));
}

/* ---- is it there ---- */

/* What its courier says; NULL: none runs. */
static json_t *
courier_status(const struct settings *s, const char *peer)
{
	AUTO_FREE char *path =
	    mem_printf("%s/link/%s.json", s->state_dir, peer);
	AUTO_JSON json_t *j = show_read(path);

	if (show_age_us(j) > STATUS_US)
		return NULL;
	return steal_ptr(&j);
}

static void
say_unreached(struct check *k, const char *what, const json_t *paths)
{
	const char *error = NULL;
	size_t i;

	for (i = 0; i < json_array_size(paths) && error == NULL; i++)
		error = json_string_value(
		    json_object_get(json_array_get(paths, i), "error"));
	check_say(k, CHECK_WARNING, what,
	    "pgkurad must run at both sites and firewalls must let it "
	    "through; \"pgkura site list\" at both shows whether each has the "
	    "other's key.",
	    "not reached now%s%s", error == NULL ? "" : ": ",
	    error == NULL ? "" : error);
}

/* What one of the two does not take of the cluster. */
static void
check_refused(struct check *k, const json_t *link, const char *what)
{
	static const char *const ways[] = { "ships", "accepts" };
	const json_t *one;
	size_t way, i;

	for (way = 0; way < COUNT_OF(ways); way++)
		json_array_foreach(json_object_get(link, ways[way]), i, one)
		{
			if (strcmp(json_get_str(one, "cluster"),
				k->cluster->name) != 0 ||
			    json_get_str(one, "why")[0] == '\0')
				continue;
			check_say(k, CHECK_FAULT, what,
			    way == 0
				? "It has to be mended there: quota, space, "
				  "accept_from; it goes on by itself."
				: "Mend it here: quota, space, accept_from; "
				  "it goes on by itself.",
			    "%s: %s",
			    way == 0 ? "not taken there" : "not taken here",
			    json_get_str(one, "why"));
		}
}

static void
check_reached(struct check *k, const struct peer_settings *p, const char *what)
{
	AUTO_JSON json_t *j = courier_status(k->settings, p->name);
	const json_t *paths = json_object_get(j, "paths");
	size_t i, up = 0, count = json_array_size(paths);
	json_int_t rtt_us = 0;

	if (j == NULL) {
		check_say(k, k->daemon_runs ? CHECK_WARNING : CHECK_NOTE, what,
		    k->daemon_runs ? "\"pgkura events\" says why." : NULL,
		    "not known whether it can be reached: no courier runs");
		return;
	}
	for (i = 0; i < count; i++) {
		const json_t *path = json_array_get(paths, i);

		if (!json_is_true(json_object_get(path, "up")))
			continue;
		up++;
		rtt_us = json_get_int(path, "rtt_us");
	}
	if (!json_is_true(json_object_get(j, "up")))
		say_unreached(k, what, paths);
	else if (up < count)
		check_say(k, CHECK_WARNING, what,
		    "Look at the line, and at \"pgkura events\".",
		    "reached by %zu of %zu paths", up, count);
	else
		check_say(k, CHECK_OK, what, NULL,
		    "reached by %zu path%s, %.1f ms there and back, %s", up,
		    up == 1 ? "" : "s", (double)rtt_us / 1000,
		    json_string_value(json_object_get(j, "congestion")));
	check_refused(k, j, what);
}

static void
check_peer(struct check *k, const struct peer_settings *p)
{
	AUTO_FREE char *what = mem_printf("peer %s", p->name);
	char print[KEY_FINGERPRINT_BYTES];
	struct err e = ERR_INIT;
	struct peer peer;

	if (peer_read(k->settings->state_dir, p->name, &peer, &e) == -1) {
		check_fault(k, what, &e);
		return;
	}
	check_say(k, CHECK_OK, what, NULL, "paired, key %s",
	    key_fingerprint(peer.key, print));
	if (p->address == NULL && k->settings->listen == NULL) {
		check_say(k, CHECK_FAULT, what,
		    "Set address in its section, or listen in [pgkura].",
		    "neither does this site dial it nor listen for it");
		return;
	}
	check_reached(k, p, what);
	check_congestion(k, p);
}

static void
check_link_key(struct check *k)
{
	AUTO_FREE char *key = file_join(k->settings->state_dir, "link.key");
	AUTO_FREE char *remedy = mem_printf("Run \"chmod 600 %s\".", key);
	struct stat st;

	if (stat(key, &st) == 0 && (st.st_mode & 077) != 0)
		check_say(k, CHECK_FAULT, "link key", remedy,
		    "others can read \"%s\" and take this site's place", key);
}

void
check_link(struct check *k)
{
	const struct settings *s = k->settings;
	size_t i;

	check_link_key(k);
	for (i = 0; i < s->peer_count; i++)
		if (settings_shares(k->cluster, s->peers[i].name) ||
		    list_has(k->cluster->votes_for, s->peers[i].name) ||
		    s->peers[i].witness)
			check_peer(k, &s->peers[i]);
}
