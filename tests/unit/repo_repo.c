/*
 * repositories: made once, opened, signed, sealed; lineages never mix.
 */

#include <sys/wait.h>
#include <unistd.h>

#include "repo/manifest.h"
#include "repo_scratch.h"

static struct repo_scratch s;

static void
check_made_once(void)
{
	struct err e = ERR_INIT;

	tap_ok(repo_init(s.url, &e) == -1 && e.kind == ERR_CONFLICT,
	    "a repository is not made over another: %s", e.text);
}

static void
check_key_survives(void)
{
	struct err e = ERR_INIT;
	AUTO_REPO struct repo *r = repo_open(s.url, s.state, true, &e);

	tap_ok(
	    r != NULL, "it opens again with the same signing key %s", e.text);
	tap_ok(r != NULL && repo_block_key(r) == repo_block_key(s.repo),
	    "with the same block key");
}

static void
check_state_lost(void)
{
	struct err e = ERR_INIT;
	AUTO_BUF struct buf doc = BUF_INIT;
	char other[100];
	AUTO_REPO struct repo *r = NULL;

	(void)snprintf(other, sizeof(other), "%s/other-state", s.dir);
	r = repo_open(s.url, other, true, &e);
	tap_ok(r != NULL, "without its state directory a new key is made");
	buf_printf(&doc, "hello");
	tap_ok(r != NULL && repo_sign(r, &doc, &e) == 0, "which signs");
	tap_ok(r != NULL && repo_check_signature(r, &doc, "doc", &e) == 0,
	    "and is known to the repository %s", e.text);
}

/* The duties of a daemon that starts for the first time do this together. */
static void
check_opened_at_once(void)
{
	struct err e = ERR_INIT;
	char state[100];
	unsigned int round, i, failed = 0;
	int status;
	pid_t pid;

	for (round = 0; round < 10; round++) {
		(void)snprintf(
		    state, sizeof(state), "%s/race-%u", s.dir, round);
		for (i = 0; i < 8; i++) {
			pid = fork();
			if (pid == -1)
				tap_bail("could not fork");
			if (pid == 0) {
				AUTO_REPO struct repo *r =
				    repo_open(s.url, state, true, &e);

				_exit(r == NULL);
			}
		}
		while (wait(&status) != -1)
			failed += status != 0;
	}
	tap_u64(failed, 0,
	    "eight processes that make the signing key at once "
	    "agree on one");
}

static void
check_every_signed_bit(void)
{
	struct err e = ERR_INIT;
	AUTO_BUF struct buf doc = BUF_INIT;
	AUTO_BUF struct buf bad = BUF_INIT;
	size_t i, missed = 0;

	buf_printf(&doc, "{\"a\":1}");
	(void)repo_sign(s.repo, &doc, &e);
	for (i = 0; i < doc.len * 8; i++) {
		buf_clear(&bad);
		buf_put(&bad, doc.data, doc.len);
		bad.data[i / 8] ^= (uint8_t)(1 << i % 8);
		if (repo_check_signature(s.repo, &bad, "doc", &e) == 0)
			missed++;
	}
	tap_u64(missed, 0, "no flipped bit passes a signature");
	for (i = 0; i < doc.len; i++) {
		buf_clear(&bad);
		buf_put(&bad, doc.data, i);
		if (repo_check_signature(s.repo, &bad, "doc", &e) == 0)
			missed++;
	}
	tap_u64(missed, 0, "nor a text that is cut off");
}

static void
check_every_sealed_bit(void)
{
	struct err e = ERR_INIT;
	AUTO_BUF struct buf doc = BUF_INIT;
	AUTO_BUF struct buf bad = BUF_INIT;
	size_t i, missed = 0;

	buf_printf(&doc, "{\"a\":1}");
	repo_seal_text(&doc);
	for (i = 0; i < doc.len * 8; i++) {
		buf_clear(&bad);
		buf_put(&bad, doc.data, doc.len);
		bad.data[i / 8] ^= (uint8_t)(1 << i % 8);
		if (repo_check_seal(&bad, "doc", &e) == 0)
			missed++;
	}
	tap_u64(missed, 0, "no flipped bit passes a seal");
	tap_ok(repo_check_seal(&doc, "doc", &e) == 0, "the whole text does");
	tap_str(buf_str(&doc), "{\"a\":1}", "and comes back as it was");
}

static void
check_lineages(void)
{
	struct cluster_facts f = s.lineage.facts;
	struct lineage l;
	struct err e = ERR_INIT;

	f.version_num = 150019;
	tap_ok(lineage_open_for(s.repo, "main", &f, &l, &e) == 0 &&
		strcmp(l.name, s.lineage.name) == 0,
	    "a minor upgrade keeps the lineage");
	f.segment_bytes *= 2;
	tap_ok(lineage_open_for(s.repo, "main", &f, &l, &e) == -1 &&
		e.kind == ERR_CONFLICT,
	    "another segment size does not: %s", e.text);
	f = s.lineage.facts;
	f.system_id++;
	f.major = 16;
	tap_ok(lineage_open_for(s.repo, "main", &f, &l, &e) == 0 &&
		strcmp(l.name, s.lineage.name) != 0,
	    "another system identifier opens a lineage of its own");
	tap_ok(lineage_open(s.repo, "nobody", NULL, &l, &e) == -1 &&
		e.kind == ERR_NOT_FOUND,
	    "an unknown cluster: %s", e.text);
	tap_ok(lineage_open(s.repo, "../main", NULL, &l, &e) == -1 &&
		e.kind == ERR_USAGE,
	    "a name that leads out: %s", e.text);
}

static void
check_intents(void)
{
	struct intent i = { .kind = "backup" }, *list = NULL;
	struct err e = ERR_INIT;
	size_t count;

	tap_ok(intent_begin(&s.lineage, &i, &e) == 0, "an intent begins");
	tap_ok(intent_list(&s.lineage, &list, &count, &e) == 0 && count == 1 &&
		strcmp(list[0].id, i.id) == 0 && intent_is_alive(&list[0]),
	    "is listed and alive");
	list[0].pid = 0x3ffffff;
	tap_ok(!intent_is_alive(&list[0]), "is dead when its process is gone");
	(void)strcpy(list[0].host, "elsewhere");
	tap_ok(intent_is_alive(&list[0]), "is believed alive on another host");
	free(list);
	tap_ok(intent_end(&s.lineage, &i, &e) == 0 &&
		intent_list(&s.lineage, &list, &count, &e) == 0 && count == 0,
	    "and ends");
	free(list);
}

static void
check_locks(void)
{
	struct err e = ERR_INIT;
	int fd = cluster_lock(s.state, "main", "backup", &e);

	tap_ok(fd != -1, "a lock is taken");
	tap_ok(cluster_lock(s.state, "main", "backup", &e) == -1 &&
		e.kind == ERR_TRANSIENT,
	    "once: %s", e.text);
	tap_u64((uint64_t)cluster_lock_holder(s.state, "main", "backup", &e),
	    (uint64_t)getpid(), "its holder is known");
	(void)close(fd);
	tap_u64((uint64_t)cluster_lock_holder(s.state, "main", "backup", &e), 0,
	    "and gone with the descriptor");
}

int
main(void)
{
	repo_scratch_init(&s);
	check_made_once();
	check_key_survives();
	check_state_lost();
	check_opened_at_once();
	check_every_signed_bit();
	check_every_sealed_bit();
	check_lineages();
	check_intents();
	check_locks();
	repo_scratch_fini(&s);
	return tap_done();
}
