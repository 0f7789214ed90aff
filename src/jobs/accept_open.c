/*
 * accept_open: which cluster and lineage a peer opens, and what of it is here.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/list.h"
#include "jobs/accept_int.h"
#include "repo/objects.h"

#define HAVE_NAMES_MAX 4000 /* in one message */
#define FACTS_MAX      ((size_t)1 << 16)

static const struct cluster_settings *
find_cluster(const struct courier *c, const char *name, struct err *e)
{
	const struct settings *s = courier_settings(c);
	const char *peer = courier_peer(c)->name;
	size_t i;

	for (i = 0; i < s->cluster_count; i++)
		if (strcmp(s->clusters[i].name, name) == 0 &&
		    list_has(s->clusters[i].accept_from, peer))
			return &s->clusters[i];
	(void)err_set(e, ERR_REFUSED,
	    "site \"%s\" does not accept cluster \"%.64s\" from \"%s\"",
	    s->site, name, peer);
	(void)err_hint(e,
	    "Set accept_from = %s in [cluster %.64s] of its configuration.",
	    peer, name);
	return NULL;
}

static int
add_keys(struct accept *a, const json_t *m, struct err *e)
{
	const json_t *keys, *key;
	uint8_t public_key[SIGN_PUBLIC_BYTES];
	size_t i;

	if (json_need_array(m, "keys", &keys, e) == -1)
		return -1;
	if (json_array_size(keys) > LINEAGE_KEYS_MAX)
		return err_set(e, ERR_CORRUPT, "too many keys");
	json_array_foreach(keys, i, key)
	{
		if (!json_is_string(key) ||
		    hex_decode(json_string_value(key), public_key,
			sizeof(public_key)) == -1)
			return err_set(e, ERR_CORRUPT, "a malformed key");
		if (lineage_add_key(&a->lineage, public_key,
			courier_peer(a->courier)->name, e) == 0)
			continue;
		if (e->kind != ERR_REFUSED)
			return -1;
		/* What it signs is refused; the rest may come. */
		courier_complain(
		    a->courier, "accept_refused", a->cluster->name, e);
	}
	return 0;
}

/*
 * Two sites that mean different clusters by one name: a server of this site has
 * its lineage here, and what is offered is another system's.  Both would lie under
 * one name, and the newest of them would be restored.
 */
static int
check_same_cluster(const struct accept *a, const char *name, struct err *e)
{
	struct lineage own;
	unsigned long long id = strtoull(name, NULL, 10);

	if (a->cluster->conninfo == NULL)
		return 0;
	if (lineage_open(courier_repo(a->courier), a->cluster->name, NULL, &own,
		e) == -1) {
		if (e->kind != ERR_NOT_FOUND)
			return -1;
		err_clear(e);
		return 0;
	}
	if (own.facts.system_id == id)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "cluster \"%s\" of site \"%s\" is not the one here: its system "
	    "identifier is %llu, here it is %llu",
	    a->cluster->name, courier_peer(a->courier)->name, id,
	    (unsigned long long)own.facts.system_id);
	return err_hint(e,
	    "Give one of them another name, at all its sites; or, when the server "
	    "here is no more, remove its conninfo.");
}

static int
open_lineage(struct accept *a, const json_t *m, struct err *e)
{
	AUTO_BUF struct buf facts = BUF_INIT;
	const char *cluster, *name, *text;

	if (json_need_str(m, "cluster", &cluster, e) == -1 ||
	    json_need_str(m, "lineage", &name, e) == -1 ||
	    json_need_str(m, "facts", &text, e) == -1)
		return -1;
	a->cluster = find_cluster(a->courier, cluster, e);
	if (a->cluster == NULL || check_same_cluster(a, name, e) == -1)
		return -1;
	if (strlen(text) > FACTS_MAX)
		return err_set(e, ERR_CORRUPT, "a record that is too long");
	buf_put(&facts, text, strlen(text));
	return lineage_adopt(
	    courier_repo(a->courier), cluster, name, &facts, &a->lineage, e);
}

int
accept_open(struct accept *a, const json_t *m, struct err *e)
{
	if (open_lineage(a, m, e) == -1)
		return -1;
	return add_keys(a, m, e);
}

/* ---- what is here ---- */

struct names {
	struct accept *a;
	json_t *list;
};

static void
send_names(struct names *n, bool last)
{
	json_t *m = courier_message("have", n->a->journal);

	(void)json_object_set_new(m, "names", n->list);
	(void)json_object_set_new(m, "last", json_boolean(last));
	courier_send(n->a->courier, m);
	n->list = json_array();
}

static int
add_name(void *arg, const char *name, struct err *e)
{
	struct names *n = arg;

	(void)e;
	(void)json_array_append_new(n->list, json_string(name));
	if (strncmp(name, "backups/", 8) == 0 &&
	    strcmp(name + 8, n->a->newest) > 0)
		(void)snprintf(
		    n->a->newest, sizeof(n->a->newest), "%.21s", name + 8);
	if (json_array_size(n->list) >= HAVE_NAMES_MAX)
		send_names(n, false);
	return 0;
}

int
accept_say_what_is_here(struct accept *a, struct err *e)
{
	static const enum object_kind kinds[] = { OBJECT_FACTS, OBJECT_HISTORY,
		OBJECT_PARTIAL, OBJECT_PACK, OBJECT_BACKUP, OBJECT_MARK };
	struct names n = { a, json_array() };
	json_t *m;
	size_t i;

	for (i = 0; i < COUNT_OF(kinds); i++)
		if (objects_each(&a->lineage, kinds[i], add_name, &n, e) ==
		    -1) {
			json_decref(n.list);
			return -1;
		}
	send_names(&n, true);
	json_decref(n.list);
	m = courier_message("state", a->journal);
	(void)json_object_set_new(m, "ok", json_true());
	json_set_str(m, "newest", a->newest);
	courier_send(a->courier, m);
	return 0;
}
