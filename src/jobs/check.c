/*
 * check: test the whole set-up of a cluster, and explain each fault with its
 * remedy.
 *
 * Only REPLICATION may be assumed.  SHOW works on a replication connection;
 * what needs SQL is tried and left out with a note when refused.
 */

#include "jobs/check_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "pg/server.h"
#include "repo/walarchive.h"

void
check_say(struct check *k, enum check_verdict verdict, const char *what,
    const char *remedy, const char *fmt, ...)
{
	struct check_result *r = k->result;
	struct check_item *i;
	va_list ap;

	r->items = mem_rearray(r->items, r->count + 1, sizeof(r->items[0]));
	i = &r->items[r->count++];
	i->verdict = verdict;
	i->what = mem_strdup(what);
	i->remedy = remedy == NULL ? NULL : mem_strdup(remedy);
	va_start(ap, fmt);
	i->found = mem_vprintf(fmt, ap);
	va_end(ap);
	if (verdict == CHECK_FAULT)
		r->faults++;
	if (verdict == CHECK_WARNING)
		r->warnings++;
}

void
check_fault(struct check *k, const char *what, const struct err *e)
{
	check_say(k, CHECK_FAULT, what,
	    e->hint[0] == '\0' ? "See the message." : e->hint, "%s", e->text);
}

void
check_result_free(struct check_result *r)
{
	size_t i;

	for (i = 0; i < r->count; i++) {
		free(r->items[i].what);
		free(r->items[i].found);
		free(r->items[i].remedy);
	}
	free(r->items);
	(void)memset(r, 0, sizeof(*r));
}

/* ---- files of this site ---- */

static void
check_conf(struct check *k)
{
	const char *path = k->settings->path;
	struct stat st;
	size_t i;
	bool password = false;

	if (path == NULL || stat(path, &st) == -1)
		return;
	for (i = 0; i < k->settings->cluster_count; i++)
		password |= strstr(k->settings->clusters[i].conninfo,
				"password=") != NULL;
	if (password && (st.st_mode & 077) != 0)
		check_say(k, CHECK_FAULT, "configuration",
		    "Take the password out (use passfile=, .pgpass), or "
		    "\"chmod 600\" the file.",
		    "\"%s\" holds a password and others can read it", path);
	else
		check_say(k, CHECK_OK, "configuration", NULL, "\"%s\"", path);
}

static void
check_dir(struct check *k, const char *what, const char *path)
{
	struct err e = ERR_INIT;
	AUTO_FREE char *probe =
	    mem_printf("%s/.probe.%ld", path, (long)getpid());

	if (file_mkdirs_at(AT_FDCWD, path, 0700, &e) == -1 ||
	    file_publish_at(AT_FDCWD, probe, "x", 1, 0600, FILE_REPLACE, &e) ==
		-1 ||
	    file_unlink_at(AT_FDCWD, probe, &e) == -1) {
		if (e.hint[0] == '\0')
			(void)err_hint(&e,
			    "Let the user that runs pgkura own \"%s\".", path);
		check_fault(k, what, &e);
		return;
	}
	check_say(k, CHECK_OK, what, NULL, "\"%s\" can be written", path);
}

static void
check_repository(struct check *k)
{
	const struct settings *s = k->settings;
	struct err e = ERR_INIT;
	uint64_t bytes;
	char free_text[SIZE_TEXT_BYTES], want[SIZE_TEXT_BYTES];
	const char *local;

	k->repo = repo_open(s->repository, s->state_dir, true, &e);
	if (k->repo == NULL) {
		check_fault(k, "repository", &e);
		return;
	}
	local = store_local_path(repo_store(k->repo));
	if (local == NULL) {
		check_say(
		    k, CHECK_OK, "repository", NULL, "\"%s\"", s->repository);
		return;
	}
	check_dir(k, "repository", local);
	if (file_free_bytes(local, &bytes, &e) == -1) {
		check_fault(k, "repository space", &e);
		return;
	}
	(void)size_text(bytes, free_text);
	if (bytes < s->min_free_bytes)
		check_say(k, CHECK_FAULT, "repository space",
		    "Make room; \"pgkura expire --dry-run --explain\" says what "
		    "could go.",
		    "%s free, min_free_bytes is %s", free_text,
		    size_text(s->min_free_bytes, want));
	else
		check_say(k, CHECK_OK, "repository space", NULL, "%s free",
		    free_text);
}

/* ---- what the repository has of the cluster ---- */

static void
check_gaps(struct check *k, const struct lineage *l)
{
	AUTO_FREE struct wal_span *spans = NULL;
	char from[LSN_TEXT_BYTES], to[LSN_TEXT_BYTES];
	struct err e = ERR_INIT;
	size_t count, i, holes = 0;

	if (wal_spans(l, &spans, &count, &e) == -1) {
		check_fault(k, "WAL", &e);
		return;
	}
	for (i = 1; i < count; i++) {
		if (spans[i].timeline != spans[i - 1].timeline)
			continue;
		holes++;
		check_say(k, CHECK_WARNING, "WAL",
		    "Times inside cannot be restored. A backup taken after it "
		    "makes all later ones recoverable.",
		    "timeline %u: %s to %s is missing", spans[i].timeline,
		    lsn_text(spans[i - 1].end_lsn, from),
		    lsn_text(spans[i].start_lsn, to));
	}
	if (count == 0)
		check_say(k, CHECK_NOTE, "WAL", NULL, "none yet");
	else if (holes == 0)
		check_say(k, CHECK_OK, "WAL", NULL,
		    "without a gap up to %s on timeline %u",
		    lsn_text(spans[count - 1].end_lsn, to),
		    spans[count - 1].timeline);
}

static void
check_backups(struct check *k, const struct lineage *l)
{
	AUTO_ROOT struct root r;
	char **ids = NULL;
	char age[CLOCK_TEXT_BYTES];
	struct err e = ERR_INIT;
	size_t count;

	root_init(&r);
	if (backup_list(l, &ids, &count, &e) == -1) {
		check_fault(k, "backups", &e);
		return;
	}
	if (count == 0) {
		check_say(k, CHECK_WARNING, "backups",
		    "Take one with \"pgkura backup\".", "none yet");
	} else if (root_read(l, ids[count - 1], &r, &e) == -1) {
		check_fault(k, "backups", &e);
	} else {
		(void)clock_interval(clock_now_us() - r.finished_us, age);
		check_say(k, r.damaged_pages > 0 ? CHECK_WARNING : CHECK_OK,
		    "backups",
		    r.damaged_pages > 0 ? "See \"pgkura list\" and pg_amcheck."
					: NULL,
		    "%zu, the newest %s old%s", count, age,
		    r.damaged_pages > 0 ? ", with damaged pages" : "");
	}
	store_names_free(ids);
}

static void
check_lineage(struct check *k)
{
	struct lineage l;
	struct err e = ERR_INIT;

	if (k->repo == NULL)
		return;
	if (lineage_open(k->repo, k->cluster->name, NULL, &l, &e) == -1) {
		if (e.kind == ERR_NOT_FOUND)
			check_say(k, CHECK_WARNING, "backups",
			    "Take one with \"pgkura backup\".", "none yet");
		else
			check_fault(k, "backups", &e);
		return;
	}
	check_backups(k, &l);
	check_gaps(k, &l);
}

static void
check_receiver(struct check *k)
{
	struct err e = ERR_INIT;
	int pid;

	if (!k->cluster->receive)
		return;
	pid = cluster_lock_holder(
	    k->settings->state_dir, k->cluster->name, "receive", &e);
	if (pid > 0)
		check_say(
		    k, CHECK_OK, "receiver", NULL, "running (process %d)", pid);
	else
		check_say(k, CHECK_WARNING, "receiver",
		    "Start pgkurad: \"systemctl enable --now pgkurad\".",
		    "not running: WAL is not received now");
}

/* ---- programs ---- */

static void
check_programs(struct check *k)
{
	AUTO_BUF struct buf dir = BUF_INIT;
	struct err e = ERR_INIT;

	if (k->major != 0) {
		if (server_find_bindir(
			k->major, k->cluster->bindir, &dir, &e) == -1)
			check_say(k, CHECK_NOTE, "server programs",
			    "Install postgresql-server of this version where "
			    "you mean to restore.",
			    "%s: \"restore --start\" will not work here",
			    e.text);
		else
			check_say(k, CHECK_OK, "server programs", NULL, "%s",
			    buf_str(&dir));
	}
}

int
check_run(const struct settings *s, const struct cluster_settings *c,
    struct check_result *result, struct err *e)
{
	struct check k = { .settings = s, .cluster = c, .result = result };

	(void)memset(result, 0, sizeof(*result));
	check_conf(&k);
	check_dir(&k, "state directory", s->state_dir);
	check_repository(&k);
	check_server(&k);
	check_programs(&k);
	check_receiver(&k);
	check_lineage(&k);
	repo_close(k.repo);
	return child_check_stop(e);
}
