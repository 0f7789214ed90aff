#include "conf/settings.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/inifile.h"
#include "conf/nearest.h"
#include "conf/settings_table.h"

#define SITE_SECTION	"pgkura"
#define CLUSTER_SECTION "cluster"
#define OPTIONS_MAX	64

/* Reading one file. */
struct parse {
	struct settings *s;
	enum option_scope scope; /* of the section that is being read */
	void *base; /* what it fills; NULL: in front of the first */
	unsigned int lines[OPTIONS_MAX]; /* where each option was set; 0 not */
	unsigned int site_line, section_line;
	unsigned int *cluster_lines; /* of clusters[i]'s section */
};

static const char *
scope_section(enum option_scope scope)
{
	return scope == OPTION_SITE ? "[" SITE_SECTION "]"
				    : "[" CLUSTER_SECTION " NAME]";
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

/* The section that ends here: has it all that it must have? */
static int
end_section(const struct parse *p, struct err *e)
{
	size_t i;

	if (p->base == NULL)
		return 0;
	for (i = 0; i < settings_option_count; i++) {
		const struct option *o = &settings_options[i];

		if (o->scope != p->scope || !o->required || p->lines[i] != 0)
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
begin_section(
    struct parse *p, unsigned int line, const char *section, struct err *e)
{
	size_t word = strcspn(section, " \t");
	const char *name = section + word + strspn(section + word, " \t");

	if (end_section(p, e) == -1)
		return -1;
	(void)memset(p->lines, 0, sizeof(p->lines));
	p->section_line = line;
	if (word == strlen(CLUSTER_SECTION) &&
	    strncmp(section, CLUSTER_SECTION, word) == 0)
		return begin_cluster(p, line, name, e);
	if (strcmp(section, SITE_SECTION) != 0) {
		(void)err_set(
		    e, ERR_USAGE, "there is no section \"[%s]\"", section);
		return err_hint(e, "Sections are [%s] and [%s NAME].",
		    SITE_SECTION, CLUSTER_SECTION);
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
	enum option_scope other =
	    p->scope == OPTION_SITE ? OPTION_CLUSTER : OPTION_SITE;
	size_t i, count = 0;

	(void)err_set(e, ERR_USAGE, "there is no option \"%s\" in %s", key,
	    scope_section(p->scope));
	if (option_find(other, key) != NULL)
		return err_hint(e, "It belongs into %s.", scope_section(other));
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

struct settings *
settings_parse(const char *name, const char *text, size_t len, struct err *e)
{
	AUTO_SETTINGS struct settings *s = mem_zalloc(sizeof(*s));
	struct parse p = { .s = s };
	int rc;

	s->path = mem_strdup(name);
	set_initial(OPTION_SITE, s);
	rc = inifile_read(name, text, len, take_line, &p, e);
	if (rc == 0 && (rc = end_section(&p, e)) == -1)
		(void)err_ctx(e, "%s", name);
	free(p.cluster_lines);
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
	free(s->clusters);
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
