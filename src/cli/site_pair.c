/*
 * site_pair: pairing, at the site that invites and at the one that comes.
 *
 * Who invites leaves an invitation (invitation.h); the daemon's listener
 * answers.  Who comes talks to that listener itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli/site.h"
#include "conf/address.h"
#include "conf/list.h"
#include "jobs/control.h"
#include "link/invitation.h"
#include "link/keys.h"
#include "link/pair.h"

#define ASK_MS	   3000
#define CONNECT_MS 10000
#define PAIR_MS	   20000
#define LOOK_US	   (CLOCK_SECOND_US / 5)

/* ---- both ---- */

static void
print_paired(struct cli *cli, const struct peer *p)
{
	const struct settings *s = cli->settings;
	bool configured = settings_peer(s, p->name, NULL) != NULL;
	char key[KEY_FINGERPRINT_BYTES];
	json_t *out;

	(void)key_fingerprint(p->key, key);
	if (cli->json) {
		out = json_object();
		json_set_str(out, "paired", p->name);
		json_set_str(out, "key", key);
		json_set_str(out, "addresses", p->addresses);
		(void)json_object_set_new(
		    out, "configured", json_boolean(configured));
		cli_print_json(cli, out);
		return;
	}
	(void)printf("paired with site \"%s\", key %s\n", p->name, key);
	if (configured)
		return;
	(void)printf("\nAdd to \"%s\", then \"pgkura reload\":\n\n[peer %s]\n",
	    s->path, p->name);
	if (p->addresses[0] != '\0')
		(void)printf("address = %s\n", p->addresses);
	(void)printf("\nand to the section of each cluster that is to have a "
		     "copy there, or comes from there:\n\n"
		     "replicate_to = %s\naccept_from = %s\n",
	    p->name, p->name);
}

/* ---- the site that invites ---- */

static int
need_listener(const struct settings *s, struct err *e)
{
	AUTO_JSON json_t *request = control_request("status");
	AUTO_JSON json_t *reply = NULL;
	const json_t *duty;
	size_t i;

	if (s->listen == NULL) {
		(void)err_set(e, ERR_USAGE, "this site does not listen");
		return err_hint(e,
		    "Set listen in [pgkura], such as *:7432, and reload; or "
		    "invite at the other site.");
	}
	reply = control_ask(s, request, ASK_MS, e);
	if (reply == NULL)
		return -1;
	json_array_foreach(json_object_get(reply, "duties"), i, duty)
	{
		const char *name =
		    json_string_value(json_object_get(duty, "duty"));
		const char *state =
		    json_string_value(json_object_get(duty, "state"));

		if (name != NULL && state != NULL &&
		    strcmp(name, "listen") == 0 &&
		    strcmp(state, "running") == 0)
			return 0;
	}
	(void)err_set(
	    e, ERR_REFUSED, "pgkurad does not listen for other sites now");
	return err_hint(e,
	    "\"pgkura reload\" puts listen into effect; \"pgkura events\" says "
	    "what is wrong.");
}

static void
print_invitation(struct cli *cli, const struct invitation *i)
{
	json_t *out;

	if (cli->json) {
		out = json_object();
		json_set_str(out, "code", i->code);
		(void)json_object_set_new(
		    out, "until_us", json_integer(i->until_us));
		cli_print_json(cli, out);
	} else {
		(void)printf("code: %s\n", i->code);
		(void)fprintf(stderr,
		    "At the other site, within 15 minutes (this one listens "
		    "on %s):\n\n    pgkura site pair HOST:PORT %s\n\n",
		    cli->settings->listen, i->code);
	}
	(void)fflush(stdout);
}

static void
show_waiting(const struct invitation *i)
{
	char left[CLOCK_TEXT_BYTES];

	if (isatty(STDERR_FILENO) == 1)
		(void)fprintf(stderr, "\rwaiting for it, %s left\033[K",
		    clock_interval((i->until_us - clock_now_us()) /
			    CLOCK_SECOND_US * CLOCK_SECOND_US,
			left));
}

/* Who was paired last, since then. */
static int
newest_peer(
    const char *state_dir, int64_t since_us, struct peer *p, struct err *e)
{
	char **names = NULL;
	struct peer one;
	size_t count, i;
	bool found = false;

	if (peer_names(state_dir, &names, &count, e) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		if (peer_read(state_dir, names[i], &one, NULL) == -1 ||
		    one.paired_us < since_us)
			continue;
		*p = one;
		since_us = one.paired_us;
		found = true;
	}
	file_names_free(names);
	if (found)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "the invitation is void: %d wrong codes came, or it was taken back",
	    INVITATION_TRIES);
	return err_hint(e,
	    "\"pgkura events\" says from where; begin anew with \"pgkura site "
	    "pair --invite\".");
}

/* 1: still open, 0: it was used, -1: it is void. */
static int
look_at(const char *state_dir, const struct invitation *ours, struct err *e)
{
	struct invitation i;
	struct err why = ERR_INIT;

	if (invitation_read(state_dir, &i, &why) == -1) {
		if (why.kind == ERR_NOT_FOUND)
			return 0;
		*e = why;
		return -1;
	}
	if (strcmp(i.code, ours->code) != 0)
		return err_set(e, ERR_CONFLICT,
		    "another invitation has taken the place of this one");
	if (clock_now_us() < i.until_us)
		return 1;
	(void)err_set(e, ERR_TRANSIENT, "nobody came in time");
	return err_hint(e, "Begin anew with \"pgkura site pair --invite\".");
}

static int
wait_for_peer(
    const struct settings *s, const struct invitation *i, struct err *e)
{
	int rc;

	while ((rc = look_at(s->state_dir, i, e)) == 1) {
		show_waiting(i);
		clock_sleep_us(LOOK_US);
		if (child_check_stop(e) == -1)
			return -1;
	}
	return rc;
}

static int
invite(struct cli *cli, const char *only, struct err *e)
{
	const struct settings *s = cli->settings;
	AUTO_SIGN_KEY struct sign_key *key = NULL;
	struct invitation i = { .tries = 0 };
	int64_t since_us = clock_now_us();
	struct peer p;
	int rc;

	if (only != NULL && !peer_name_valid(only))
		return err_set(
		    e, ERR_USAGE, "\"%s\" is not a site's name", only);
	if (need_listener(s, e) == -1 ||
	    (key = key_load(s->state_dir, true, e)) == NULL)
		return -1;
	pair_code_new(i.code);
	if (only != NULL)
		(void)strcpy(i.site, only);
	i.until_us = since_us + INVITATION_US;
	if (invitation_write(s->state_dir, &i, e) == -1)
		return -1;
	print_invitation(cli, &i);
	rc = wait_for_peer(s, &i, e);
	if (isatty(STDERR_FILENO) == 1)
		(void)fprintf(stderr, "\r\033[K");
	if (rc == -1) {
		(void)invitation_remove(s->state_dir, i.code, NULL);
		return -1;
	}
	if (newest_peer(s->state_dir, since_us, &p, e) == -1)
		return -1;
	print_paired(cli, &p);
	return 0;
}

/* ---- the site that comes ---- */

static int
connect_one(const struct addrinfo *a, struct err *e)
{
	AUTO_FD int fd =
	    socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { fd, POLLOUT, 0 };
	socklen_t len = sizeof(errno);
	int error = 0;

	if (fd == -1)
		return err_sys(e, "could not make a socket");
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return steal_fd(&fd);
	if (errno != EINPROGRESS)
		return err_sys(e, "could not connect");
	if (poll(&p, 1, CONNECT_MS) != 1)
		return err_set(e, ERR_TRANSIENT,
		    "could not connect: no answer within %d s",
		    CONNECT_MS / 1000);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	errno = error;
	return error == 0 ? steal_fd(&fd) : err_sys(e, "could not connect");
}

static int
connect_to(const char *text, struct err *e)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM }, *all = NULL, *a;
	struct address address;
	int rc, fd = -1;

	if (address_parse(&address, text, false, e) == -1)
		return -1;
	rc = getaddrinfo(address.host, address.port, &want, &all);
	if (rc != 0)
		return err_set(e, ERR_TRANSIENT,
		    "could not find the address of \"%s\": %s", text,
		    gai_strerror(rc));
	for (a = all; a != NULL && fd == -1; a = a->ai_next)
		fd = connect_one(a, e);
	freeaddrinfo(all);
	if (fd == -1) {
		(void)err_ctx(e, "\"%s\"", text);
		if (e != NULL)
			e->kind = ERR_TRANSIENT;
		return err_hint(e,
		    "pgkurad must run there with listen set, and firewalls "
		    "must let it through.");
	}
	err_clear(e);
	return fd;
}

/* A code in the command line is seen by all users of the machine; this way it
 * is not. */
static int
read_code(char out[PAIR_CODE_BYTES], struct err *e)
{
	char line[128];

	if (isatty(STDIN_FILENO) == 1)
		(void)fprintf(stderr, "code: ");
	if (fgets(line, sizeof(line), stdin) == NULL)
		return err_set(e, ERR_USAGE, "the code is missing");
	line[strcspn(line, "\r\n")] = '\0';
	return pair_code_parse(line, out, e);
}

/* Where to find the other one: as it was found, and what else it says. */
static void
place(struct peer *p, const char *dialled, const char *said)
{
	char word[ADDRESS_TEXT_BYTES];
	size_t len;

	(void)snprintf(p->addresses, sizeof(p->addresses), "%s", dialled);
	while (list_next(&said, word, sizeof(word))) {
		len = strlen(p->addresses);
		if (word[0] != '*' && strcmp(word, dialled) != 0 &&
		    len + 2 + strlen(word) < sizeof(p->addresses))
			(void)sprintf(p->addresses + len, ", %s", word);
	}
}

static int
come(struct cli *cli, const struct site_pair *how, struct err *e)
{
	const struct settings *s = cli->settings;
	AUTO_SIGN_KEY struct sign_key *key = NULL;
	struct pair_side us = { .name = "" }, other = { .name = "" };
	struct peer p = { .paired_us = clock_now_us() };
	char code[PAIR_CODE_BYTES];
	AUTO_FD int fd = -1;

	if ((how->code != NULL ? pair_code_parse(how->code, code, e)
			       : read_code(code, e)) == -1 ||
	    (key = key_load(s->state_dir, true, e)) == NULL ||
	    (fd = connect_to(how->address, e)) == -1)
		return -1;
	(void)snprintf(us.name, sizeof(us.name), "%s", s->site);
	if (s->listen != NULL)
		(void)snprintf(
		    us.addresses, sizeof(us.addresses), "%s", s->listen);
	sign_key_public(key, us.key);
	if (pair_dial(fd, code, &us, &other, PAIR_MS, e) == -1) {
		if (e->kind == ERR_CORRUPT) /* nothing of ours is damaged */
			e->kind = ERR_REFUSED;
		return err_ctx(e, "\"%s\"", how->address);
	}
	(void)strcpy(p.name, other.name);
	(void)memcpy(p.key, other.key, sizeof(p.key));
	place(&p, how->address, other.addresses);
	if (peer_write(s->state_dir, &p, e) == -1)
		return -1;
	print_paired(cli, &p);
	return 0;
}

int
site_pair(struct cli *cli, const struct site_pair *how, struct err *e)
{
	if (how->invite == (how->address != NULL) ||
	    (how->only != NULL && !how->invite)) {
		(void)err_set(e, ERR_USAGE,
		    "pair needs either --invite or the address of the site "
		    "that invites");
		return err_hint(e,
		    "At one site: \"pgkura site pair --invite\"; at the other: "
		    "\"pgkura site pair HOST:PORT CODE\".");
	}
	return how->invite ? invite(cli, how->only, e) : come(cli, how, e);
}
