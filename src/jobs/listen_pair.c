/*
 * listen_pair: pairing at the site that has invited.
 *
 * Each try is a process of its own, so that a slow one holds nobody up.  It is
 * counted before it begins: a try that is killed has been one.  When it ends
 * without a wrong code (the line broke) it is taken back.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/listen_int.h"
#include "link/invitation.h"
#include "link/keys.h"
#include "link/pair.h"

#define EXIT_WRONG_CODE 10

struct
try {
	pid_t pid; /* 0: free */
	char code[PAIR_CODE_BYTES];
};

struct pairing {
	const struct settings *settings;
	struct told refused;
	struct try tries[INVITATION_TRIES];
};

struct pairing *
pairing_new(const struct settings *s)
{
	struct pairing *p = mem_zalloc(sizeof(*p));

	p->settings = s;
	return p;
}

void
pairing_free(struct pairing *p)
{
	size_t i;

	for (i = 0; p != NULL && i < COUNT_OF(p->tries); i++) {
		if (p->tries[i].pid == 0)
			continue;
		(void)kill(p->tries[i].pid, SIGKILL);
		(void)waitpid(p->tries[i].pid, NULL, 0);
	}
	free(p);
}

bool
pairing_is_busy(const struct pairing *p)
{
	size_t i;

	for (i = 0; i < COUNT_OF(p->tries); i++)
		if (p->tries[i].pid != 0)
			return true;
	return false;
}

/* ---- one try ---- */

static int
answer(const struct settings *s, const struct invitation *i, int fd,
    const char *host, struct err *e)
{
	AUTO_SIGN_KEY struct sign_key *key = key_load(s->state_dir, true, e);
	struct pair_side us = { .name = "" }, other = { .name = "" };
	struct peer peer = { .paired_us = clock_now_us() };
	char print[KEY_FINGERPRINT_BYTES];

	if (key == NULL)
		return -1;
	(void)snprintf(us.name, sizeof(us.name), "%s", s->site);
	(void)snprintf(us.addresses, sizeof(us.addresses), "%s", s->listen);
	(void)strcpy(other.name, i->site);
	sign_key_public(key, us.key);
	if (pair_answer(fd, i->code, &us, &other, LISTEN_PAIRING_MS, e) == -1)
		return -1;
	(void)strcpy(peer.name, other.name);
	(void)memcpy(peer.key, other.key, sizeof(peer.key));
	pair_place(other.addresses, host, peer.addresses);
	if (peer_write(s->state_dir, &peer, e) == -1 ||
	    invitation_remove(s->state_dir, i->code, e) == -1)
		return -1;
	log_event(LOG_LEVEL_INFO, "site_paired", "this site is paired", "peer",
	    peer.name, "key", key_fingerprint(peer.key, print), "host", host,
	    NULL);
	return 0;
}

static int
run_try(const struct settings *s, const struct invitation *i, int fd,
    const char *host)
{
	struct err e = ERR_INIT;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (answer(s, i, fd, host, &e) == 0)
		return 0;
	log_event(
	    LOG_LEVEL_WARNING, "pairing_failed", e.text, "host", host, NULL);
	return e.kind == ERR_REFUSED ? EXIT_WRONG_CODE : 1;
}

/* ---- all of them ---- */

static int
count_try(const struct settings *s, const char *code, int more, struct err *e)
{
	struct invitation i;

	if (invitation_read(s->state_dir, &i, e) == -1)
		return -1;
	if (strcmp(i.code, code) != 0 || (more < 0 && i.tries == 0))
		return 0;
	i.tries += (unsigned int)more;
	return invitation_write(s->state_dir, &i, e);
}

static struct try *
free_place(struct pairing *p)
{
	size_t i;

	for (i = 0; i < COUNT_OF(p->tries); i++)
		if (p->tries[i].pid == 0)
			return &p->tries[i];
	return NULL;
}

void
pairing_visit(struct pairing *p, int visitor, const char *host)
{
	const struct settings *s = p->settings;
	AUTO_FD int fd = visitor;
	struct try *t = free_place(p);
	struct err e = ERR_INIT;
	struct invitation i;
	pid_t pid;

	if (invitation_read(s->state_dir, &i, &e) == -1 ||
	    !invitation_is_open(&i, clock_now_us()) || t == NULL) {
		listen_tell(&p->refused, "pairing_refused",
		    e.kind != ERR_NONE && e.kind != ERR_NOT_FOUND
			? e.text
			: "no invitation is open, and somebody asks to pair",
		    NULL, NULL, host);
		return;
	}
	if (count_try(s, i.code, 1, &e) == -1) {
		log_error("pairing_failed", &e);
		return;
	}
	pid = fork();
	if (pid == 0)
		_exit(run_try(s, &i, fd, host));
	if (pid == -1) {
		(void)err_sys(&e, "could not start a process");
		log_error("pairing_failed", &e);
		return;
	}
	t->pid = pid;
	(void)strcpy(t->code, i.code);
}

/* After the last wrong code, when no other try goes on. */
static void
end_when_void(const struct pairing *p, const char *code)
{
	const char *state_dir = p->settings->state_dir;
	struct invitation i;
	struct err e = ERR_INIT;

	if (pairing_is_busy(p) || invitation_read(state_dir, &i, &e) == -1 ||
	    strcmp(i.code, code) != 0 || i.tries < INVITATION_TRIES)
		return;
	if (invitation_remove(state_dir, code, &e) == -1)
		log_error("pairing_failed", &e);
	else
		log_event(LOG_LEVEL_WARNING, "pairing_void",
		    "the invitation is void: too many wrong codes came", NULL);
}

void
pairing_reap(struct pairing *p)
{
	struct err e = ERR_INIT;
	size_t i;
	int status;

	for (i = 0; i < COUNT_OF(p->tries); i++) {
		struct try *t = &p->tries[i];

		if (t->pid == 0 || waitpid(t->pid, &status, WNOHANG) != t->pid)
			continue;
		t->pid = 0;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 1 &&
		    count_try(p->settings, t->code, -1, &e) == -1 &&
		    e.kind != ERR_NOT_FOUND)
			log_error("pairing_failed", &e);
		end_when_void(p, t->code);
	}
}
