#include "jobs/drill_chain.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "repo/manifest.h"

#define HEAD_FILE      "reports.head"
#define HEAD_BYTES_MAX ((size_t)4096)

/* ---- the head: the last that this site has written ---- */

struct head {
	uint64_t sequence; /* 0: none is known */
	char id[BACKUP_ID_BYTES];
	char sha256[SHA256_HEX_BYTES];
};

static char *
head_path(const struct settings *s, const struct lineage *l)
{
	return mem_printf(
	    "%s/%s/" HEAD_FILE ".%s", s->state_dir, l->cluster, l->name);
}

/* It may be lost with the state directory: then less is known. */
static void
head_read(const struct settings *s, const struct lineage *l, struct head *h)
{
	AUTO_FREE char *path = head_path(s, l);
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = NULL;
	struct head found = { 0 };

	(void)memset(h, 0, sizeof(*h));
	if (file_slurp_at(AT_FDCWD, path, HEAD_BYTES_MAX, &text, NULL) == -1)
		return;
	j = json_parse(text.data, text.len, path, NULL);
	if (j != NULL &&
	    json_need_u64(j, "sequence", &found.sequence, NULL) == 0 &&
	    json_need_text(j, "id", found.id, sizeof(found.id), NULL) == 0 &&
	    json_need_text(
		j, "sha256", found.sha256, sizeof(found.sha256), NULL) == 0)
		*h = found;
}

static int
head_write(const struct settings *s, const struct lineage *l,
    const struct head *h, struct err *e)
{
	AUTO_FREE char *path = head_path(s, l);
	AUTO_FREE char *above = file_parent(path);
	AUTO_JSON json_t *j = json_object();
	AUTO_BUF struct buf text = BUF_INIT;

	json_set_u64(j, "sequence", h->sequence);
	json_set_str(j, "id", h->id);
	json_set_str(j, "sha256", h->sha256);
	json_write(j, &text);
	if (file_mkdirs_at(AT_FDCWD, above, 0700, e) == -1)
		return -1;
	return file_publish_at(
	    AT_FDCWD, path, text.data, text.len, 0600, FILE_REPLACE, e);
}

/* ---- reading ---- */

static void set_fault(struct chain *c, struct chain_link *k, const char *fmt,
    ...) __attribute__((__format__(__printf__, 3, 4)));

/* The first that is found stays. */
static void
set_fault(struct chain *c, struct chain_link *k, const char *fmt, ...)
{
	va_list ap;

	if (k->fault != NULL)
		return;
	va_start(ap, fmt);
	k->fault = mem_vprintf(fmt, ap);
	va_end(ap);
	c->faults++;
}

static void
digest_of(const struct buf *text, char out[SHA256_HEX_BYTES])
{
	uint8_t digest[SHA256_BYTES];

	sha256_of(text->data, text->len, digest);
	sha256_hex(digest, out);
}

/* Marks that are no reports are others'. */
static bool
is_other_mark(const struct buf *text)
{
	AUTO_JSON json_t *j = json_parse(text->data, text->len, "a mark", NULL);

	return j != NULL && json_object_get(j, "report") == NULL;
}

static int
read_one(
    struct chain *c, const struct lineage *l, const char *id, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct chain_link k = { 0 }, *kept;
	char key[STORE_KEY_BYTES], name[64];
	struct err why = ERR_INIT;
	int rc;

	if (store_get(repo_store(l->repo),
		lineage_key(l, key, "marks/%s/1", id), REPORT_BYTES_MAX, &text,
		e) == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e); /* only marks of other numbers */
		return 0;
	}
	(void)snprintf(k.id, sizeof(k.id), "%s", id);
	(void)snprintf(name, sizeof(name), "report \"%s\"", id);
	digest_of(&text, k.sha256);
	rc = lineage_check_signature(l, &text, name, &why);
	if (rc == 0 && is_other_mark(&text))
		return 0;
	if (rc == 0)
		rc = report_decode(&k.report, text.data, text.len, &why);
	c->links = mem_rearray(c->links, c->count + 1, sizeof(c->links[0]));
	kept = &c->links[c->count++];
	*kept = k;
	if (rc == -1)
		set_fault(c, kept, "%s", why.text);
	else if (strcmp(k.report.id, id) != 0)
		set_fault(c, kept, "it is filed under another's id");
	return 0;
}

static const struct chain_link *
find_number(const struct chain *c, const char *site, uint64_t sequence)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		if (c->links[i].report.json != NULL &&
		    c->links[i].report.sequence == sequence &&
		    strcmp(c->links[i].report.site, site) == 0)
			return &c->links[i];
	return NULL;
}

/* Does it name the one before it, and is that there as it was? */
static void
judge(struct chain *c, struct chain_link *k)
{
	const struct report *r = &k->report;
	const struct chain_link *before, *other;

	if (r->json == NULL)
		return;
	other = find_number(c, r->site, r->sequence);
	if (other != k)
		set_fault(c, k, "\"%s\" has its number, too", other->id);
	if (r->kind == REPORT_SIGN_OFF) {
		other = chain_find(c, r->of_id);
		if (other == NULL)
			set_fault(c, k, "what it signs, \"%s\", is missing",
			    r->of_id);
		else if (strcmp(other->sha256, r->of_sha256) != 0)
			set_fault(c, k,
			    "what it signs, \"%s\", is not what was signed",
			    r->of_id);
	}
	if (r->sequence == 1)
		return;
	before = chain_find(c, r->previous_id);
	if (before == NULL)
		set_fault(c, k, "the report before it, \"%s\", is missing",
		    r->previous_id);
	else if (strcmp(before->sha256, r->previous_sha256) != 0)
		set_fault(c, k,
		    "the report before it, \"%s\", is not what it was",
		    r->previous_id);
}

/* The newest of this site: a line of its own when it is gone. */
static void
judge_head(struct chain *c, const struct settings *s, const struct lineage *l)
{
	const struct chain_link *there;
	struct chain_link *k;
	struct head h;

	head_read(s, l, &h);
	if (h.sequence == 0)
		return;
	there = chain_find(c, h.id);
	if (there != NULL && strcmp(there->sha256, h.sha256) == 0)
		return;
	if (there != NULL) {
		set_fault(c, &c->links[there - c->links],
		    "it is not what this site has written");
		return;
	}
	c->links = mem_rearray(c->links, c->count + 1, sizeof(c->links[0]));
	k = &c->links[c->count++];
	(void)memset(k, 0, sizeof(*k));
	(void)snprintf(k->id, sizeof(k->id), "%s", h.id);
	set_fault(c, k, "it is missing: this site has written it");
}

int
chain_read(const struct settings *s, const struct lineage *l, struct chain *c,
    struct err *e)
{
	char key[STORE_KEY_BYTES];
	char **names = NULL;
	size_t count, i, len;
	int rc = 0;

	(void)memset(c, 0, sizeof(*c));
	if (store_list(repo_store(l->repo), lineage_key(l, key, "marks"),
		&names, &count, e) == -1)
		return -1;
	for (i = 0; rc == 0 && i < count; i++) {
		len = strlen(names[i]);
		if (len > 0 && names[i][len - 1] == '/')
			names[i][len - 1] = '\0';
		if (report_id_valid(names[i]))
			rc = read_one(c, l, names[i], e);
	}
	store_names_free(names);
	if (rc == -1) {
		chain_free(c);
		return -1;
	}
	for (i = 0; i < c->count; i++)
		judge(c, &c->links[i]);
	judge_head(c, s, l);
	return 0;
}

void
chain_free(struct chain *c)
{
	size_t i;

	for (i = 0; i < c->count; i++) {
		report_free(&c->links[i].report);
		free(c->links[i].fault);
	}
	free(c->links);
	(void)memset(c, 0, sizeof(*c));
}

const struct chain_link *
chain_find(const struct chain *c, const char *id)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		if (strcmp(c->links[i].id, id) == 0)
			return &c->links[i];
	return NULL;
}

struct report *
chain_sign_offs(const struct chain *c, const char *id, size_t *count)
{
	struct report *all = mem_array(c->count + 1, sizeof(*all));
	size_t i;

	*count = 0;
	for (i = 0; i < c->count; i++)
		if (c->links[i].report.json != NULL &&
		    c->links[i].report.kind == REPORT_SIGN_OFF &&
		    strcmp(c->links[i].report.of_id, id) == 0)
			all[(*count)++] = c->links[i].report;
	return all;
}

/* ---- writing ---- */

/* The last of this site, as the repository and the head know it. */
static void
find_last(const struct settings *s, const struct lineage *l,
    const struct chain *c, struct head *last)
{
	size_t i;

	head_read(s, l, last);
	for (i = 0; i < c->count; i++) {
		const struct chain_link *k = &c->links[i];

		if (k->report.json == NULL ||
		    strcmp(k->report.site, s->site) != 0 ||
		    k->report.sequence <= last->sequence)
			continue;
		last->sequence = k->report.sequence;
		(void)memcpy(last->id, k->id, sizeof(last->id));
		(void)memcpy(last->sha256, k->sha256, sizeof(last->sha256));
	}
}

static json_t *
reference(const char *id, const char *sha256)
{
	json_t *o = json_object();

	json_set_str(o, "id", id);
	json_set_str(o, "sha256", sha256);
	return o;
}

static int
put_locked(const struct settings *s, const struct lineage *l, json_t *report,
    char id[BACKUP_ID_BYTES], struct err *e)
{
	AUTO_CHAIN struct chain c = { 0 };
	AUTO_BUF struct buf text = BUF_INIT;
	char key[STORE_KEY_BYTES];
	struct head last;

	if (chain_read(s, l, &c, e) == -1)
		return -1;
	find_last(s, l, &c, &last);
	if (report_id_valid(report_text(report, "id"))) {
		(void)snprintf(
		    id, BACKUP_ID_BYTES, "%s", report_text(report, "id"));
	} else {
		backup_id_new(clock_now_us(), id);
		json_set_str(report, "id", id);
	}
	json_set_u64(report, "sequence", last.sequence + 1);
	(void)json_object_set_new(report, "previous",
	    last.sequence == 0 ? json_null() : reference(last.id, last.sha256));
	json_write(report, &text);
	if (repo_sign(l->repo, &text, e) == -1 ||
	    store_put(repo_store(l->repo),
		lineage_key(l, key, "marks/%s/1", id), text.data, text.len,
		e) == -1)
		return -1;
	last.sequence++;
	(void)memcpy(last.id, id, sizeof(last.id));
	digest_of(&text, last.sha256);
	return head_write(s, l, &last, e);
}

int
chain_put(const struct settings *s, const struct lineage *l, json_t *report,
    char id[BACKUP_ID_BYTES], struct err *e)
{
	AUTO_FREE char *folder = file_join(s->state_dir, l->cluster);
	AUTO_FREE char *path = file_join(folder, "reports.lock");
	AUTO_FD int lock = -1;

	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	lock = file_lock(path, false, true, e);
	return lock == -1 ? -1 : put_locked(s, l, report, id, e);
}

int
chain_sign_off(const struct settings *s, const struct lineage *l,
    const char *id, const char *by, const char *note,
    char sign_off_id[BACKUP_ID_BYTES], struct err *e)
{
	AUTO_CHAIN struct chain c = { 0 };
	AUTO_JSON json_t *j = json_object();
	const struct chain_link *k;
	int64_t now_us = clock_now_us();
	char when[CLOCK_TEXT_BYTES];

	if (chain_read(s, l, &c, e) == -1)
		return -1;
	k = chain_find(&c, id);
	if (k == NULL || k->report.json == NULL ||
	    k->report.kind == REPORT_SIGN_OFF) {
		(void)err_set(
		    e, ERR_NOT_FOUND, "there is no readable report \"%s\"", id);
		return err_hint(e,
		    "See those there are with \"pgkura drill list %s\".",
		    l->cluster);
	}
	(void)json_object_set_new(j, "report", json_integer(REPORT_FORMAT));
	json_set_str(j, "kind", "sign-off");
	json_set_str(j, "site", s->site);
	json_set_str(j, "cluster", l->cluster);
	json_set_str(j, "lineage", l->name);
	(void)json_object_set_new(j, "of", reference(id, k->sha256));
	json_set_str(j, "by", by);
	json_set_str(j, "note", note);
	json_set_str(j, "finished", clock_utc(now_us, when));
	(void)json_object_set_new(j, "finished_us", json_integer(now_us));
	return chain_put(s, l, j, sign_off_id, e);
}
