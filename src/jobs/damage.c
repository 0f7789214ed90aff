#include "jobs/damage.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "conf/list.h"
#include "repo/repo.h"

#define BYTES_MAX ((size_t)16 << 20)
#define WAIT_US	  (20 * CLOCK_SECOND_US)
#define STEP_US	  (CLOCK_SECOND_US / 20)

static char *
path_of(const struct settings *s, const char *cluster)
{
	return mem_printf("%s/%s/damage.json", s->state_dir, cluster);
}

static json_t *
read_list(const char *path)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_JSON json_t *j = NULL;

	if (file_slurp_at(AT_FDCWD, path, BYTES_MAX, &text, NULL) == -1)
		return NULL;
	j = json_parse(text.data, text.len, path, NULL);
	if (j == NULL || !json_is_array(json_object_get(j, "items")))
		return NULL;
	return steal_ptr(&j);
}

json_t *
damage_read(const struct settings *s, const char *cluster)
{
	AUTO_FREE char *path = path_of(s, cluster);

	return read_list(path);
}

static json_t *
empty_list(void)
{
	json_t *j = json_object();

	json_set_u64(j, "version", 1);
	json_set_u64(j, "verified_us", 0);
	json_set_u64(j, "others", 0);
	json_set_u64(j, "healed", 0);
	(void)json_object_set_new(j, "roots", json_object());
	(void)json_object_set_new(j, "items", json_array());
	return j;
}

int
damage_open(struct damage *d, const struct settings *s, const char *cluster,
    bool wait, struct err *e)
{
	int64_t until_us = clock_boot_us() + WAIT_US;
	struct err busy = ERR_INIT;

	d->path = NULL;
	d->json = NULL;
	for (;;) {
		d->lock = cluster_lock(s->state_dir, cluster, "heal", &busy);
		if (d->lock != -1)
			break;
		if (!wait || busy.kind != ERR_TRANSIENT ||
		    clock_boot_us() > until_us) {
			if (e != NULL)
				*e = busy;
			return -1;
		}
		clock_sleep_us(STEP_US);
	}
	d->path = path_of(s, cluster);
	d->json = read_list(d->path);
	if (d->json == NULL)
		d->json = empty_list();
	return 0;
}

int
damage_save(struct damage *d, struct err *e)
{
	AUTO_FREE char *folder = file_parent(d->path);
	AUTO_BUF struct buf text = BUF_INIT;

	json_write(d->json, &text);
	buf_put_u8(&text, '\n');
	if (file_mkdirs_at(AT_FDCWD, folder, 0700, e) == -1)
		return -1;
	return file_publish_at(
	    AT_FDCWD, d->path, text.data, text.len, 0600, FILE_REPLACE, e);
}

void
damage_close(struct damage *d)
{
	free(steal_ptr(&d->path));
	json_decref(d->json);
	d->json = NULL;
	if (d->lock != -1)
		(void)close(d->lock);
	d->lock = -1;
}

/* ---- items ---- */

static bool
is_text(const json_t *o, const char *key, const char *value)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL && strcmp(s, value) == 0;
}

static size_t
index_of(const json_t *items, const char *lineage, const char *name)
{
	size_t i;

	for (i = 0; i < json_array_size(items); i++)
		if (is_text(json_array_get(items, i), "name", name) &&
		    is_text(json_array_get(items, i), "lineage", lineage))
			break;
	return i;
}

json_t *
damage_find(const json_t *list, const char *lineage, const char *name)
{
	const json_t *items = json_object_get(list, "items");

	return json_array_get(items, index_of(items, lineage, name));
}

bool
damage_add(json_t *list, const char *lineage, const char *name,
    const char *what, uint64_t bytes, const uint8_t *sha256, int64_t now_us)
{
	json_t *items = json_object_get(list, "items");
	json_t *item = damage_find(list, lineage, name);

	if (item == NULL) {
		if (json_array_size(items) >= DAMAGE_ITEMS_MAX)
			return false;
		item = json_object();
		json_set_str(item, "lineage", lineage);
		json_set_str(item, "name", name);
		(void)json_array_append_new(items, item);
	}
	json_set_str(item, "what", what);
	json_set_u64(item, "bytes", bytes);
	if (sha256 != NULL)
		json_set_hex(item, "sha256", sha256, SHA256_BYTES);
	json_set_u64(item, "wanted_us", (uint64_t)now_us);
	(void)json_object_del(item, "answers");
	return true;
}

bool
damage_drop(json_t *list, const char *lineage, const char *name)
{
	json_t *items = json_object_get(list, "items");
	size_t i = index_of(items, lineage, name);

	return i < json_array_size(items) && json_array_remove(items, i) == 0;
}

bool
damage_root(const json_t *list, const char *lineage, const char *name,
    uint8_t sha256[SHA256_BYTES])
{
	AUTO_FREE char *key = mem_printf("%s/%s", lineage, name);

	return json_need_hex(json_object_get(list, "roots"), key, sha256,
		   SHA256_BYTES, NULL) == 0;
}

bool
damage_shared(const struct cluster_settings *c, const char *peer)
{
	return list_has(c->replicate_to, peer) ||
	    list_has(c->accept_from, peer);
}

const char *
damage_answer(const json_t *item, const char *peer)
{
	const json_t *a =
	    json_object_get(json_object_get(item, "answers"), peer);

	return json_string_value(json_object_get(a, "why"));
}

bool
damage_is_hopeless(const json_t *item, const struct settings *s,
    const struct cluster_settings *c)
{
	size_t i;

	for (i = 0; i < s->peer_count; i++)
		if (damage_shared(c, s->peers[i].name) &&
		    damage_answer(item, s->peers[i].name) == NULL)
			return false;
	return true;
}
