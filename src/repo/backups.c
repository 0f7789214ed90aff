/*
 * backups: the committed backups of a lineage, and the intents of those that
 * write or read now.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "repo/manifest.h"

#define INTENT_BYTES_MAX ((size_t)1 << 16)

void
backup_id_new(int64_t now_us, char out[BACKUP_ID_BYTES])
{
	char when[CLOCK_TEXT_BYTES];
	uint8_t r[2];

	random_bytes(r, sizeof(r));
	(void)snprintf(out, BACKUP_ID_BYTES, "%.16s-%02x%02x",
	    clock_compact(now_us, when), r[0], r[1]);
}

int
root_commit(const struct lineage *l, const struct root *r, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char key[STORE_KEY_BYTES];

	root_encode(r, &text);
	if (repo_sign(l->repo, &text, e) == -1)
		return -1;
	return store_put(repo_store(l->repo),
	    lineage_key(l, key, "backups/%s", r->id), text.data, text.len, e);
}

int
root_read(
    const struct lineage *l, const char *id, struct root *r, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	char key[STORE_KEY_BYTES], name[BACKUP_ID_BYTES + 16];

	root_init(r);
	(void)snprintf(name, sizeof(name), "backup \"%s\"", id);
	if (store_get(repo_store(l->repo),
		lineage_key(l, key, "backups/%s", id), ROOT_BYTES_MAX, &text,
		e) == -1) {
		if (e->kind == ERR_NOT_FOUND) {
			(void)err_set(e, ERR_NOT_FOUND,
			    "there is no backup \"%s\" of cluster \"%s\"", id,
			    l->cluster);
			(void)err_hint(e,
			    "See those there are with \"pgkura list %s\".",
			    l->cluster);
		}
		return -1;
	}
	if (lineage_check_signature(l, &text, name, e) == -1)
		return -1;
	if (root_decode(r, text.data, text.len, e) == -1)
		return err_ctx(e, "%s", name);
	if (strcmp(r->id, id) != 0 || strcmp(r->lineage, l->name) != 0 ||
	    strcmp(r->cluster, l->cluster) != 0) {
		root_free(r);
		return err_set(e, ERR_CORRUPT,
		    "%s is filed under a name that is not its own", name);
	}
	return 0;
}

int
backup_list(const struct lineage *l, char ***ids, size_t *count, struct err *e)
{
	char key[STORE_KEY_BYTES];

	return store_list(
	    repo_store(l->repo), lineage_key(l, key, "backups"), ids, count, e);
}

/* ---- intents ---- */

static void
read_boot_id(char out[40])
{
	AUTO_BUF struct buf b = BUF_INIT;

	out[0] = '\0';
	if (file_slurp_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &b,
		NULL) == -1)
		return;
	(void)snprintf(out, 40, "%.36s", buf_str(&b));
}

static int
put_intent(const struct lineage *l, const struct intent *i, struct err *e)
{
	AUTO_JSON json_t *j = json_object();
	AUTO_BUF struct buf text = BUF_INIT;
	char key[STORE_KEY_BYTES];

	json_set_str(j, "id", i->id);
	json_set_str(j, "kind", i->kind);
	json_set_str(j, "backup", i->backup);
	json_set_str(j, "host", i->host);
	json_set_str(j, "boot_id", i->boot_id);
	json_set_u64(j, "pid", (uint64_t)i->pid);
	(void)json_object_set_new(j, "started_us", json_integer(i->started_us));
	json_write(j, &text);
	repo_seal_text(&text);
	return store_put(repo_store(l->repo),
	    lineage_key(l, key, "intents/%s", i->id), text.data, text.len, e);
}

int
intent_begin(const struct lineage *l, struct intent *i, struct err *e)
{
	bool named = i->id[0] != '\0';
	int tries, rc;

	i->pid = (int)getpid();
	if (gethostname(i->host, sizeof(i->host)) == -1)
		(void)strcpy(i->host, "?");
	i->host[sizeof(i->host) - 1] = '\0';
	read_boot_id(i->boot_id);
	/* Of many readers that begin in the same second two may draw one id. */
	for (tries = 0, rc = -1; rc == -1 && tries < 8; tries++) {
		i->started_us = clock_now_us();
		if (!named)
			backup_id_new(i->started_us, i->id);
		rc = put_intent(l, i, e);
		if (rc == -1 && (named || e->kind != ERR_CONFLICT))
			return -1;
	}
	return rc;
}

int
intent_end(const struct lineage *l, const struct intent *i, struct err *e)
{
	char key[STORE_KEY_BYTES];

	return store_remove(
	    repo_store(l->repo), lineage_key(l, key, "intents/%s", i->id), e);
}

static int
intent_read(
    const struct lineage *l, const char *id, struct intent *i, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = NULL;
	char key[STORE_KEY_BYTES];
	uint32_t pid;

	(void)memset(i, 0, sizeof(*i));
	if (store_get(repo_store(l->repo),
		lineage_key(l, key, "intents/%s", id), INTENT_BYTES_MAX, &text,
		e) == -1)
		return -1;
	if (repo_check_seal(&text, key, e) == -1)
		return -1;
	j = json_parse(text.data, text.len, key, e);
	if (j == NULL ||
	    json_need_text(j, "id", i->id, sizeof(i->id), e) == -1 ||
	    json_need_text(j, "kind", i->kind, sizeof(i->kind), e) == -1 ||
	    json_need_text(j, "backup", i->backup, sizeof(i->backup), e) ==
		-1 ||
	    json_need_text(j, "host", i->host, sizeof(i->host), e) == -1 ||
	    json_need_text(j, "boot_id", i->boot_id, sizeof(i->boot_id), e) ==
		-1 ||
	    json_need_u32(j, "pid", &pid, e) == -1 ||
	    json_need_i64(j, "started_us", &i->started_us, e) == -1)
		return -1;
	i->pid = (int)pid;
	return 0;
}

int
intent_list(const struct lineage *l, struct intent **intents, size_t *count,
    struct err *e)
{
	char key[STORE_KEY_BYTES];
	char **names = NULL;
	size_t n, i;
	int rc = 0;

	*intents = NULL;
	*count = 0;
	if (store_list(repo_store(l->repo), lineage_key(l, key, "intents"),
		&names, &n, e) == -1)
		return -1;
	*intents = mem_zarray(n, sizeof(**intents));
	for (i = 0; rc == 0 && i < n; i++) {
		if (intent_read(l, names[i], &(*intents)[*count], e) == 0)
			(*count)++;
		else if (e->kind == ERR_NOT_FOUND)
			err_clear(e); /* it ended meanwhile */
		else
			rc = -1;
	}
	store_names_free(names);
	if (rc == -1)
		free(steal_ptr(intents));
	return rc;
}

int
intent_is_alive(const struct intent *i)
{
	char host[256] = "", boot_id[40];

	if (gethostname(host, sizeof(host)) == -1)
		return 1;
	host[sizeof(host) - 1] = '\0';
	if (strcmp(host, i->host) != 0)
		return 1;
	read_boot_id(boot_id);
	if (strcmp(boot_id, i->boot_id) != 0)
		return 0;
	return kill((pid_t)i->pid, 0) == 0 || errno == EPERM;
}
