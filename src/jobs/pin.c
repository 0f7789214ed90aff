#include "jobs/pin.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "conf/list.h"
#include "repo/manifest.h"

#define PIN_BYTES_MAX 4096

/* What one peer's file says. */
struct one {
	uint32_t timeline;
	uint64_t lsn;
	char newest[BACKUP_ID_BYTES];
};

static char *
path_of(const struct settings *s, const char *cluster, const char *peer)
{
	return mem_printf("%s/%s/pin.%s", s->state_dir, cluster, peer);
}

int
pin_write(const struct settings *s, const char *cluster, const char *peer,
    const char *lineage, uint32_t timeline, uint64_t lsn, const char *newest,
    struct err *e)
{
	AUTO_FREE char *path = path_of(s, cluster, peer);
	AUTO_FREE char *folder = file_parent(path);
	AUTO_JSON json_t *j = json_object();
	AUTO_BUF struct buf text = BUF_INIT;

	json_set_str(j, "lineage", lineage);
	json_set_u64(j, "timeline", timeline);
	json_set_u64(j, "lsn", lsn);
	json_set_str(j, "newest", newest);
	json_write(j, &text);
	repo_seal_text(&text);
	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	return file_publish_at(
	    AT_FDCWD, path, text.data, text.len, 0600, FILE_REPLACE, e);
}

/* false: it was never there, or with another lineage. */
static bool
read_one(const struct settings *s, const char *cluster, const char *peer,
    const struct lineage *l, struct one *out)
{
	AUTO_FREE char *path = path_of(s, cluster, peer);
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = NULL;
	char lineage[LINEAGE_NAME_BYTES];

	if (file_slurp_at(AT_FDCWD, path, PIN_BYTES_MAX, &text, NULL) == -1 ||
	    repo_check_seal(&text, path, NULL) == -1)
		return false;
	j = json_parse(text.data, text.len, path, NULL);
	return j != NULL &&
	    json_need_text(j, "lineage", lineage, sizeof(lineage), NULL) == 0 &&
	    strcmp(lineage, l->name) == 0 &&
	    json_need_u32(j, "timeline", &out->timeline, NULL) == 0 &&
	    json_need_u64(j, "lsn", &out->lsn, NULL) == 0 &&
	    json_need_text(
		j, "newest", out->newest, sizeof(out->newest), NULL) == 0;
}

bool
pin_of_peer(const struct settings *s, const char *cluster, const char *peer,
    const struct lineage *l, uint32_t *timeline, uint64_t *lsn)
{
	struct one one;

	if (!read_one(s, cluster, peer, l, &one) || one.timeline == 0)
		return false;
	*timeline = one.timeline;
	*lsn = one.lsn;
	return true;
}

void
pin_read(const struct settings *s, const struct cluster_settings *c,
    const struct lineage *l, struct pin *out)
{
	struct one one;
	size_t i;

	*out = (struct pin){ .lsn = 0 };
	for (i = 0; i < s->peer_count; i++) {
		const struct peer_settings *p = &s->peers[i];

		if (p->keep_lacking_us == 0 ||
		    !list_has(c->replicate_to, p->name) ||
		    !read_one(s, c->name, p->name, l, &one) ||
		    one.timeline == 0)
			continue;
		if (p->keep_lacking_us > out->keep_us)
			out->keep_us = p->keep_lacking_us;
		if (out->peer[0] != '\0' &&
		    (one.timeline > out->timeline ||
			(one.timeline == out->timeline && one.lsn >= out->lsn)))
			continue;
		(void)snprintf(out->peer, sizeof(out->peer), "%s", p->name);
		out->timeline = one.timeline;
		out->lsn = one.lsn;
	}
}

bool
pin_lacks(const struct settings *s, const struct cluster_settings *c,
    const struct lineage *l, const char *backup_id, int64_t age_us,
    char why[PIN_WHY_BYTES])
{
	char text[CLOCK_TEXT_BYTES];
	struct one one;
	size_t i;

	for (i = 0; i < s->peer_count; i++) {
		const struct peer_settings *p = &s->peers[i];

		if (age_us >= p->keep_lacking_us ||
		    !list_has(c->replicate_to, p->name) ||
		    !read_one(s, c->name, p->name, l, &one) ||
		    one.newest[0] == '\0' || strcmp(backup_id, one.newest) <= 0)
			continue;
		(void)snprintf(why, PIN_WHY_BYTES,
		    "site \"%s\" lacks it; kept for %s", p->name,
		    clock_interval(p->keep_lacking_us, text));
		return true;
	}
	return false;
}
