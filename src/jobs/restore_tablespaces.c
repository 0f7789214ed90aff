/*
 * restore_tablespaces: where each tablespace goes, and whether it may.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "jobs/restore_place.h"

/* Does a pair of the map mean this tablespace?  Returns what stands behind its
 * "=", or NULL. */
static const char *
mapped(const char *pair, const struct root_tablespace *t)
{
	const char *eq = strchr(pair, '=');
	char oid[16];
	size_t len;

	if (eq == NULL)
		return NULL;
	len = (size_t)(eq - pair);
	(void)snprintf(oid, sizeof(oid), "%u", t->oid);
	if ((strlen(oid) == len && strncmp(pair, oid, len) == 0) ||
	    (strlen(t->path) == len && strncmp(pair, t->path, len) == 0))
		return eq + 1;
	return NULL;
}

/* Every pair must be sound and mean something; that of a standby's settings may
 * mean what an older backup has not. */
static int
check_map(const struct restore_options *options, const struct root *root,
    struct err *e)
{
	const char *const *pair = options->tablespace_map;
	const char *to;
	size_t i;

	for (; pair != NULL && *pair != NULL; pair++) {
		for (i = 0, to = NULL; to == NULL && i < root->tablespace_count;
		     i++)
			to = mapped(*pair, &root->tablespaces[i]);
		if (to == NULL && options->follow_marker != NULL)
			continue;
		if (to == NULL)
			return err_set(e, ERR_USAGE,
			    "\"%s\" means no tablespace of backup \"%s\"",
			    *pair, root->id);
		if (to[0] != '/')
			return err_set(e, ERR_USAGE,
			    "new place \"%s\" of a tablespace is not absolute",
			    to);
	}
	return 0;
}

static void
choose_location(struct place_link *l, const struct root_tablespace *t,
    const struct restore_options *options)
{
	const char *const *pair = options->tablespace_map;
	const char *to = NULL;

	l->oid = t->oid;
	for (; to == NULL && pair != NULL && *pair != NULL; pair++)
		to = mapped(*pair, t);
	if (to != NULL)
		l->path = mem_strdup(to);
	else if (t->path[0] == '/')
		l->path = mem_strdup(t->path);
}

/* Did the link of the directory that is reused lead to this location? */
static bool
led_there(const struct restore_place *p, const struct place_link *l)
{
	AUTO_FREE char *name = mem_printf("%s/pg_tblspc/%u", p->path, l->oid);
	AUTO_FREE char *old = realpath(name, NULL);
	AUTO_FREE char *now = realpath(l->path, NULL);

	return p->delta && old != NULL && now != NULL && strcmp(old, now) == 0;
}

static int
check_location(const struct restore_place *p,
    const struct restore_options *options, struct place_link *l, struct err *e)
{
	size_t len = strlen(p->path);
	int rc;

	if (l->path == NULL)
		return 0;
	if (strncmp(l->path, p->path, len) == 0 &&
	    (l->path[len] == '/' || l->path[len] == '\0'))
		return err_set(e, ERR_USAGE,
		    "tablespace %u cannot lie inside the data directory",
		    l->oid);
	l->was_ours = led_there(p, l);
	if (l->was_ours)
		return 0;
	rc = place_has_content(l->path, e);
	if (rc <= 0)
		return rc;
	(void)err_set(e, ERR_REFUSED,
	    "folder \"%s\" of tablespace %u is not empty", l->path, l->oid);
	return options->follow_marker != NULL
	    ? err_hint(e,
		  "Empty it, unless another server has its tablespace there, "
		  "or put it elsewhere with standby_tablespaces = %u=FOLDER.",
		  l->oid)
	    : err_hint(e, "Put it elsewhere with --tablespace-map=%u=FOLDER.",
		  l->oid);
}

int
place_check_tablespaces(struct restore_place *p,
    const struct restore_options *options, const struct root *root,
    struct err *e)
{
	size_t i, k;

	if (check_map(options, root, e) == -1)
		return -1;
	p->links = mem_zarray(root->tablespace_count, sizeof(p->links[0]));
	for (i = 0; i < root->tablespace_count; i++) {
		struct place_link *l = &p->links[i];

		choose_location(l, &root->tablespaces[i], options);
		p->link_count++;
		if (check_location(p, options, l, e) == -1)
			return -1;
		for (k = 0; l->path != NULL && k < i; k++)
			if (p->links[k].path != NULL &&
			    strcmp(p->links[k].path, l->path) == 0)
				return err_set(e, ERR_USAGE,
				    "two tablespaces cannot share \"%s\"",
				    l->path);
	}
	return 0;
}
