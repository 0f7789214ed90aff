#include "conf/settings.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/inifile.h"
#include "conf/list.h"
#include "conf/nearest.h"
#include "conf/rate_windows.h"
#include "conf/settings_table.h"

#define SITE_SECTION	"pgkura"
#define CLUSTER_SECTION "cluster"
#define PEER_SECTION	"peer"
#define OPTIONS_MAX	128

/* Reading one file. */
struct parse {
	struct settings *s;
	enum option_scope scope; /* of the section that is being read */
	void *base; /* what it fills; NULL: in front of the first */
	unsigned int lines[OPTIONS_MAX]; /* where each option was set; 0 not */
	unsigned int site_line, section_line;
	unsigned int *cluster_lines; /* of clusters[i]'s section */
	unsigned int *peer_lines;
};

static const char *
scope_section(enum option_scope scope)
{
	static const char *const sections[OPTION_SCOPES] = {
		[OPTION_SITE] = "[" SITE_SECTION "]",
		[OPTION_CLUSTER] = "[" CLUSTER_SECTION " NAME]",
		[OPTION_PEER] = "[" PEER_SECTION " NAME]"
	};

	return sections[scope];
}

/* ---- defaults and what must be there ---- */

static void
set_initial(enum option_scope scope, void *base)
{
	struct err e = ERR_INIT;
	size_t i;

	for (i = 0; i < settings_option_count; i++) {
		const struct option *o = &settings_options[i];

		if (o->scope != scope || o->initial == NULL)
			continue;
		if (option_set(o, base, o->initial, &e) == -1)
			abort(); /* the table is wrong; a test sees it */
	}
}

/* Is another option there that makes o needless? */
static bool
is_excused(const struct parse *p, const struct option *o)
{
	const struct option *other;
	const char *at = o->unless;
	char key[64];

	while (list_next(&at, key, sizeof(key))) {
		other = option_find(o->scope, key);
		if (other != NULL && p->lines[other - settings_options] != 0)
			return true;
	}
	return false;
}

/* The section that ends here: has it all that it must have? */
static int
end_section(const struct parse *p, struct err *e)
{
	size_t i;

	if (p->base == NULL)
		return 0;
	for (i = 0; i < settings_option_count; i++) {
		const struct option *o = &settings_options[i];

		if (o->scope != p->scope || !o->required || p->lines[i] != 0 ||
		    is_excused(p, o))
			continue;
		(void)err_set(e, ERR_USAGE,
		    "the section that begins in line %u lacks %s",
		    p->section_line, o->key);
		return err_hint(
		    e, "Add a line such as: %s = %s", o->key, o->example);
	}
	return 0;
}

/* ---- sections ---- */

static int
begin_cluster(
    struct parse *p, unsigned int line, const char *name, struct err *e)
{
	static const struct option name_option = { .key = "the cluster's name",
		.type = OPTION_NAME,
		.offset = offsetof(struct cluster_settings, name),
		.example = "main" };
	struct settings *s = p->s;
	struct cluster_settings made = { 0 };
	size_t i;

	for (i = 0; i < s->cluster_count; i++)
		if (strcmp(s->clusters[i].name, name) == 0)
			return err_set(e, ERR_USAGE,
			    "cluster \"%s\" is there already, in line %u", name,
			    p->cluster_lines[i]);
	if (s->cluster_count == SETTINGS_CLUSTERS_MAX)
		return err_set(e, ERR_USAGE, "there are more than %d clusters",
		    SETTINGS_CLUSTERS_MAX);
	if (option_set(&name_option, &made, name, e) == -1)
		return err_hint(e,
		    "Use small letters, digits, \"_\", \".\" and \"-\"; for "
		    "example: [cluster main]");
	set_initial(OPTION_CLUSTER, &made);
	s->clusters = mem_rearray(
	    s->clusters, s->cluster_count + 1, sizeof(*s->clusters));
	p->cluster_lines = mem_rearray(
	    p->cluster_lines, s->cluster_count + 1, sizeof(*p->cluster_lines));
	p->cluster_lines[s->cluster_count] = line;
	p->base = &s->clusters[s->cluster_count];
	s->clusters[s->cluster_count++] = made;
	p->scope = OPTION_CLUSTER;
	return 0;
}

static int
begin_peer(struct parse *p, unsigned int line, const char *name, struct err *e)
{
	static const struct option name_option = { .key = "the peer's name",
		.type = OPTION_NAME,
		.offset = offsetof(struct peer_settings, name),
		.example = "osaka" };
	struct settings *s = p->s;
	struct peer_settings made = { 0 };
	size_t i;

	for (i = 0; i < s->peer_count; i++)
		if (strcmp(s->peers[i].name, name) == 0)
			return err_set(e, ERR_USAGE,
			    "peer \"%s\" is there already, in line %u", name,
			    p->peer_lines[i]);
	if (s->peer_count == SETTINGS_PEERS_MAX)
		return err_set(e, ERR_USAGE, "there are more than %d peers",
		    SETTINGS_PEERS_MAX);
	if (option_set(&name_option, &made, name, e) == -1)
		return err_hint(e,
		    "Use small letters, digits, \"_\", \".\" and \"-\", as "
		    "the other site names itself; for example: [peer osaka]");
	set_initial(OPTION_PEER, &made);
	s->peers = mem_rearray(s->peers, s->peer_count + 1, sizeof(*s->peers));
	p->peer_lines = mem_rearray(
	    p->peer_lines, s->peer_count + 1, sizeof(*p->peer_lines));
	p->peer_lines[s->peer_count] = line;
	p->base = &s->peers[s->peer_count];
	s->peers[s->peer_count++] = made;
	p->scope = OPTION_PEER;
	return 0;
}

static bool
is_section(const char *section, size_t len, const char *word)
{
	return len == strlen(word) && strncmp(section, word, len) == 0;
}

static int
begin_section(
    struct parse *p, unsigned int line, const char *section, struct err *e)
{
	size_t word = strcspn(section, " \t");
	const char *name = section + word + strspn(section + word, " \t");

	if (end_section(p, e) == -1)
		return -1;
	(void)memset(p->lines, 0, sizeof(p->lines));
	p->section_line = line;
	if (is_section(section, word, CLUSTER_SECTION))
		return begin_cluster(p, line, name, e);
	if (is_section(section, word, PEER_SECTION))
		return begin_peer(p, line, name, e);
	if (strcmp(section, SITE_SECTION) != 0) {
		(void)err_set(
		    e, ERR_USAGE, "there is no section \"[%s]\"", section);
		return err_hint(e,
		    "Sections are [%s], [%s NAME] and [%s NAME].", SITE_SECTION,
		    CLUSTER_SECTION, PEER_SECTION);
	}
	if (p->site_line != 0)
		return err_set(e, ERR_USAGE,
		    "section [%s] is there already, in line %u", section,
		    p->site_line);
	p->site_line = line;
	p->scope = OPTION_SITE;
	p->base = p->s;
	return 0;
}

/* ---- keys ---- */

static int
unknown_key(const struct parse *p, const char *key, struct err *e)
{
	const char *keys[OPTIONS_MAX], *nearest;
	size_t i, count = 0;
	int other;

	(void)err_set(e, ERR_USAGE, "there is no option \"%s\" in %s", key,
	    scope_section(p->scope));
	for (other = 0; other < OPTION_SCOPES; other++)
		if (option_find((enum option_scope)other, key) != NULL)
			return err_hint(e, "It belongs into %s.",
			    scope_section((enum option_scope)other));
	for (i = 0; i < settings_option_count; i++)
		if (settings_options[i].scope == p->scope)
			keys[count++] = settings_options[i].key;
	nearest = nearest_word(key, keys, count);
	if (nearest != NULL)
		return err_hint(e, "Perhaps you meant %s.", nearest);
	return err_hint(e, "pgkura.conf(5) lists the options.");
}

static int
take_line(void *arg, unsigned int line, const char *section, const char *key,
    const char *value, struct err *e)
{
	struct parse *p = arg;
	const struct option *o;
	unsigned int *set_in;

	if (key == NULL)
		return begin_section(p, line, section, e);
	if (p->base == NULL) {
		(void)err_set(e, ERR_USAGE,
		    "option \"%s\" stands in front of the first section", key);
		return err_hint(e, "Put a line [%s] above it.", SITE_SECTION);
	}
	if ((o = option_find(p->scope, key)) == NULL)
		return unknown_key(p, key, e);
	set_in = &p->lines[o - settings_options];
	if (*set_in != 0)
		return err_set(e, ERR_USAGE,
		    "option \"%s\" is set already, in line %u", key, *set_in);
	*set_in = line;
	if (value[0] == '\0') {
		(void)err_set(e, ERR_USAGE, "option \"%s\" has no value", key);
		return err_hint(e,
		    "Leave the line out for the default, or write: %s = %s",
		    key, o->example);
	}
	return option_set(o, p->base, value, e);
}

/* ---- the whole ---- */

/* Each name of the list is a peer. */
static int
check_names(const struct parse *p, unsigned int line, const char *key,
    const char *list, struct err *e)
{
	char name[64];
	size_t i;

	while (list_next(&list, name, sizeof(name))) {
		for (i = 0; i < p->s->peer_count; i++)
			if (strcmp(p->s->peers[i].name, name) == 0)
				break;
		if (i < p->s->peer_count)
			continue;
		(void)err_set(e, ERR_USAGE,
		    "%s of the cluster that begins in line %u names \"%s\", "
		    "and there is no such peer",
		    key, line, name);
		return err_hint(e, "Add a section [peer %s].", name);
	}
	return 0;
}

/* The sites of a cluster must ask the same witness: of two, each could win the votes
 * of another one. */
static int
check_witness(const struct parse *p, struct err *e)
{
	const struct settings *s = p->s;
	const char *first = NULL;
	bool has_role = false;
	size_t i;

	for (i = 0; i < s->cluster_count; i++)
		has_role |= s->clusters[i].role != INITIAL_NONE;
	for (i = 0; i < s->peer_count && has_role; i++) {
		if (!s->peers[i].witness)
			continue;
		if (first == NULL) {
			first = s->peers[i].name;
			continue;
		}
		(void)err_set(e, ERR_USAGE,
		    "the peer in line %u is a second witness, beside \"%s\"",
		    p->peer_lines[i], first);
		return err_hint(e,
		    "Keep one, and the same at both sites: of two, each site "
		    "could win the vote of another one.");
	}
	return 0;
}

/* What concerns more than one section. */
static int
check_sections(const struct parse *p, struct err *e)
{
	struct settings *s = p->s;
	size_t i;

	for (i = 0; i < s->peer_count; i++) {
		if (strcmp(s->peers[i].name, s->site) != 0)
			continue;
		(void)err_set(e, ERR_USAGE,
		    "the peer in line %u has the name of this site, \"%s\"",
		    p->peer_lines[i], s->site);
		return err_hint(e,
		    "Each site needs a name of its own: site = NAME in [%s].",
		    SITE_SECTION);
	}
	for (i = 0; i < s->cluster_count; i++) {
		struct cluster_settings *c = &s->clusters[i];

		if (c->conninfo == NULL)
			c->receive = false; /* there is no server */
		if (check_names(p, p->cluster_lines[i], "replicate_to",
			c->replicate_to, e) == -1 ||
		    check_names(p, p->cluster_lines[i], "accept_from",
			c->accept_from, e) == -1 ||
		    check_names(p, p->cluster_lines[i], "votes_for",
			c->votes_for, e) == -1)
			return -1;
	}
	return check_witness(p, e);
}

struct settings *
settings_parse(const char *name, const char *text, size_t len, struct err *e)
{
	AUTO_SETTINGS struct settings *s = mem_zalloc(sizeof(*s));
	struct parse p = { .s = s };
	int rc;

	s->path = mem_strdup(name);
	set_initial(OPTION_SITE, s);
	rc = inifile_read(name, text, len, take_line, &p, e);
	if (rc == 0) {
		if ((rc = end_section(&p, e)) == 0)
			rc = check_sections(&p, e);
		if (rc == -1)
			(void)err_ctx(e, "%s", name);
	}
	free(p.cluster_lines);
	free(p.peer_lines);
	if (rc == -1)
		return NULL;
	if (p.site_line == 0) {
		(void)err_set(e, ERR_USAGE, "%s: there is no section [%s]",
		    name, SITE_SECTION);
		(void)err_hint(e,
		    "It must at least name the repository; \"pgkura config "
		    "--sample\" prints a file to begin with.");
		return NULL;
	}
	return steal_ptr(&s);
}

struct settings *
settings_load(const char *path, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT;

	if (path == NULL)
		path = getenv("PGKURA_CONF");
	if (path == NULL || path[0] == '\0')
		path = SETTINGS_DEFAULT_PATH;
	if (file_slurp_at(AT_FDCWD, path, INIFILE_BYTES_MAX, &text, e) == -1) {
		if (e != NULL && e->kind == ERR_NOT_FOUND)
			(void)err_hint(e,
			    "Name the configuration with --config or "
			    "PGKURA_CONF; \"pgkura config --sample\" prints a "
			    "file to begin with.");
		if (e != NULL && e->kind != ERR_IO)
			e->kind = ERR_USAGE;
		return NULL;
	}
	return settings_parse(path, buf_str(&text), text.len, e);
}

static void
free_texts(enum option_scope scope, void *base)
{
	char *text;
	size_t i;

	for (i = 0; i < settings_option_count; i++) {
		const struct option *o = &settings_options[i];

		if (o->scope != scope || !option_is_text(o))
			continue;
		(void)memcpy(&text, (char *)base + o->offset, sizeof(text));
		free(text);
	}
}

void
settings_free(struct settings *s)
{
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < s->cluster_count; i++) {
		free_texts(OPTION_CLUSTER, &s->clusters[i]);
		free(s->clusters[i].name);
	}
	for (i = 0; i < s->peer_count; i++) {
		free_texts(OPTION_PEER, &s->peers[i]);
		free(s->peers[i].name);
	}
	free(s->clusters);
	free(s->peers);
	free_texts(OPTION_SITE, s);
	free(s->path);
	free(s);
}

/* Hint: the names there are, as many as fit. */
static int
name_clusters(const struct settings *s, struct err *e)
{
	AUTO_BUF struct buf names = BUF_INIT;
	size_t i;

	for (i = 0; i < s->cluster_count && names.len < 200; i++)
		buf_printf(
		    &names, "%s%s", i == 0 ? "" : ", ", s->clusters[i].name);
	return err_hint(e, "Clusters in \"%s\" are: %s%s", s->path,
	    buf_str(&names), i < s->cluster_count ? ", ..." : ".");
}

const struct cluster_settings *
settings_cluster(const struct settings *s, const char *name, struct err *e)
{
	size_t i;

	if (s->cluster_count == 0) {
		(void)err_set(
		    e, ERR_USAGE, "no cluster is set up in \"%s\"", s->path);
		(void)err_hint(e, "Add a section such as [cluster main].");
		return NULL;
	}
	if (name == NULL && s->cluster_count == 1)
		return &s->clusters[0];
	for (i = 0; name != NULL && i < s->cluster_count; i++)
		if (strcmp(s->clusters[i].name, name) == 0)
			return &s->clusters[i];
	if (name == NULL)
		(void)err_set(e, ERR_USAGE, "there are %zu clusters: name one",
		    s->cluster_count);
	else
		(void)err_set(e, ERR_USAGE, "there is no cluster \"%s\"", name);
	(void)name_clusters(s, e);
	return NULL;
}

const struct peer_settings *
settings_peer(const struct settings *s, const char *name, struct err *e)
{
	AUTO_BUF struct buf names = BUF_INIT;
	size_t i;

	for (i = 0; i < s->peer_count; i++)
		if (strcmp(s->peers[i].name, name) == 0)
			return &s->peers[i];
	(void)err_set(e, ERR_USAGE, "there is no peer \"%s\"", name);
	for (i = 0; i < s->peer_count && names.len < 200; i++)
		buf_printf(
		    &names, "%s%s", i == 0 ? "" : ", ", s->peers[i].name);
	if (s->peer_count == 0)
		(void)err_hint(
		    e, "Add a section [peer %s] to \"%s\".", name, s->path);
	else
		(void)err_hint(
		    e, "Peers in \"%s\" are: %s.", s->path, buf_str(&names));
	return NULL;
}

uint64_t
settings_peer_rate(const struct peer_settings *p, int64_t now_us)
{
	struct rate_windows windows;

	if (p->rate_windows == NULL ||
	    rate_windows_parse(&windows, p->rate_windows, NULL) == -1)
		return p->max_rate_bytes_s;
	return rate_windows_at(&windows, p->max_rate_bytes_s, now_us);
}

bool
settings_shares(const struct cluster_settings *c, const char *peer)
{
	return list_has(c->replicate_to, peer) ||
	    list_has(c->accept_from, peer);
}

int
settings_need_server(const struct cluster_settings *c, struct err *e)
{
	if (c->conninfo != NULL)
		return 0;
	(void)err_set(e, ERR_REFUSED,
	    "cluster \"%s\" has no server at this site: it comes from \"%s\"",
	    c->name, c->accept_from == NULL ? c->votes_for : c->accept_from);
	return err_hint(e,
	    "Do this at that site, or add conninfo to [cluster %s] when there "
	    "is a server here.",
	    c->name);
}
