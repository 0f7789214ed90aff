/* What the table of options prints: sample, manual, effective values. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "conf/conninfo.h"
#include "conf/settings.h"
#include "conf/settings_table.h"

#define SAMPLE_COLUMNS 78

/* text in lines of at most SAMPLE_COLUMNS, each behind "# ". */
static void
put_comment(struct buf *out, const char *text)
{
	size_t column = 0, word;

	while (*(text += strspn(text, " ")) != '\0') {
		word = strcspn(text, " ");
		if (column == 0 || column + 1 + word > SAMPLE_COLUMNS) {
			buf_printf(out, column == 0 ? "#" : "\n#");
			column = 1;
		}
		buf_printf(out, " %.*s", (int)word, text);
		column += 1 + word;
		text += word;
	}
	buf_printf(out, "\n");
}

/* One option: what it is, what is allowed, and a line that can be used. */
static void
sample_option(const struct option *o, struct buf *out)
{
	AUTO_BUF struct buf text = BUF_INIT;

	buf_printf(&text, "%s", o->what);
	if (o->type != OPTION_TEXT) {
		buf_printf(&text, "  Allowed: ");
		option_allowed(o, &text);
		buf_printf(&text, ".");
	}
	if (o->initial != NULL)
		buf_printf(&text, "  Default: %s.", o->initial);
	buf_printf(out, "\n");
	put_comment(out, buf_str(&text));
	buf_printf(out, "%s%s = %s\n", o->required ? "" : "#", o->key,
	    o->initial != NULL ? o->initial : o->example);
}

static void
sample_scope(enum option_scope scope, struct buf *out)
{
	size_t i;

	for (i = 0; i < settings_option_count; i++)
		if (settings_options[i].scope == scope)
			sample_option(&settings_options[i], out);
}

void
settings_sample(struct buf *out)
{
	put_comment(out,
	    "pgkura.conf: what pgkura protects, and how.  See pgkura.conf(5).");
	buf_printf(out, "#\n");
	put_comment(out,
	    "Lines that begin with # are comments.  An option that stands in "
	    "a comment shows its default, or an example where it has none.  "
	    "\"pgkura check\" tests the whole set-up; \"systemctl reload "
	    "pgkurad\" puts changes into effect.");
	buf_printf(out, "\n[pgkura]\n");
	sample_scope(OPTION_SITE, out);
	buf_printf(out, "\n");
	put_comment(out,
	    "One section for each PostgreSQL cluster; its name is yours to "
	    "choose and stays for the life of its backups.");
	buf_printf(out, "[cluster main]\n");
	sample_scope(OPTION_CLUSTER, out);
	buf_printf(out, "\n");
	put_comment(out,
	    "One section for each other site that this one exchanges data "
	    "with, named as that site names itself.  \"pgkura site pair\" "
	    "makes the two known to each other.");
	buf_printf(out, "#[peer osaka]\n");
	sample_scope(OPTION_PEER, out);
	(void)buf_str(out);
}

/* ---- manual ---- */

/* Plain text as mdoc: sentences on lines of their own, nothing that the
 * formatter would take for a command. */
static void
put_mdoc(struct buf *out, const char *text)
{
	bool line_start = true;

	for (; *text != '\0'; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			buf_printf(out, "\\&");
		line_start = false;
		if (*text == '\\')
			buf_printf(out, "\\e");
		else if (*text == '"')
			buf_printf(out, "\\(dq");
		else if (strncmp(text, ".  ", 3) == 0) {
			buf_printf(out, ".\n");
			line_start = true;
			text += 2;
		} else
			buf_put(out, text, 1);
	}
	buf_printf(out, "\n");
}

/* A value as the argument of a macro, and a full stop. */
static void
put_mdoc_value(struct buf *out, const char *macro, const char *value)
{
	AUTO_FREE char *quoted = mem_strdup(value);
	char *p;

	for (p = quoted; *p != '\0'; p++)
		if (*p == '"')
			*p = '\'';
	buf_printf(out, ".%s \"%s\" .\n", macro, quoted);
}

static void
manual_scope(enum option_scope scope, struct buf *out)
{
	size_t i;

	buf_printf(out, ".Bl -tag -width Ds\n");
	for (i = 0; i < settings_option_count; i++) {
		const struct option *o = &settings_options[i];
		AUTO_BUF struct buf allowed = BUF_INIT;

		if (o->scope != scope)
			continue;
		option_allowed(o, &allowed);
		buf_printf(out, ".It Ic %s\n", o->key);
		put_mdoc(out, o->what);
		buf_printf(&allowed, ".");
		if (o->type != OPTION_TEXT) {
			buf_printf(out, "Allowed: ");
			put_mdoc(out, buf_str(&allowed));
		}
		if (o->required && o->unless != NULL)
			buf_printf(
			    out, "It must be set, unless %s is.\n", o->unless);
		else if (o->required)
			buf_printf(out, "It must be set.\n");
		if (o->initial != NULL) {
			buf_printf(out, "Default:\n");
			put_mdoc_value(out, "Ql", o->initial);
		}
		buf_printf(out, "Example:\n");
		put_mdoc_value(out, "Ql", o->example);
	}
	buf_printf(out, ".El\n");
}

void
settings_manual(struct buf *out)
{
	buf_printf(out, ".Ss The section [pgkura]\n");
	manual_scope(OPTION_SITE, out);
	buf_printf(out, ".Ss Sections [cluster NAME]\n");
	manual_scope(OPTION_CLUSTER, out);
	buf_printf(out, ".Ss Sections [peer NAME]\n");
	manual_scope(OPTION_PEER, out);
	(void)buf_str(out);
}

/* ---- effective values ---- */

/* Does the text of a value mean what the table has as its default? */
static bool
is_initial(const struct option *o, const char *text)
{
	AUTO_BUF struct buf initial = BUF_INIT;
	struct {
		struct settings s;
		struct cluster_settings c;
		struct peer_settings p;
	} scratch = { { 0 }, { 0 }, { 0 } };
	void *base = o->scope == OPTION_SITE ? (void *)&scratch.s
	    : o->scope == OPTION_CLUSTER     ? (void *)&scratch.c
					     : (void *)&scratch.p;
	char *owned;

	if (o->initial == NULL)
		return false;
	if (option_set(o, base, o->initial, NULL) == -1 ||
	    !option_get(o, base, &initial))
		return false;
	if (option_is_text(o)) {
		(void)memcpy(&owned, (char *)base + o->offset, sizeof(owned));
		free(owned);
	}
	return strcmp(buf_str(&initial), text) == 0;
}

/* As option_get(), but without secrets. */
static bool
shown_value(const struct option *o, const void *base, struct buf *out)
{
	AUTO_BUF struct buf value = BUF_INIT;

	if (!option_get(o, base, &value))
		return false;
	if (o->type == OPTION_CONNINFO)
		conninfo_mask(buf_str(&value), out);
	else
		buf_put(out, value.data, value.len);
	return true;
}

static void
show_text(enum option_scope scope, const void *base, struct buf *out)
{
	size_t i;

	for (i = 0; i < settings_option_count; i++) {
		const struct option *o = &settings_options[i];
		AUTO_BUF struct buf value = BUF_INIT;

		if (o->scope != scope)
			continue;
		if (!shown_value(o, base, &value))
			buf_printf(out, "# %s is not set\n", o->key);
		else
			buf_printf(out, "%s = %s%s\n", o->key, buf_str(&value),
			    is_initial(o, buf_str(&value)) ? "  # default"
							   : "");
	}
}

static json_t *
show_json(enum option_scope scope, const void *base)
{
	json_t *object = json_object();
	size_t i;

	for (i = 0; i < settings_option_count; i++) {
		const struct option *o = &settings_options[i];
		AUTO_BUF struct buf value = BUF_INIT;

		if (o->scope != scope)
			continue;
		if (shown_value(o, base, &value))
			json_set_str(object, o->key, buf_str(&value));
		else
			(void)json_object_set_new(object, o->key, json_null());
	}
	return object;
}

static void
show_all_json(const struct settings *s, struct buf *out)
{
	AUTO_JSON json_t *all = json_object();
	json_t *clusters = json_object(), *peers = json_object();
	size_t i;

	for (i = 0; i < s->cluster_count; i++)
		(void)json_object_set_new(clusters, s->clusters[i].name,
		    show_json(OPTION_CLUSTER, &s->clusters[i]));
	for (i = 0; i < s->peer_count; i++)
		(void)json_object_set_new(peers, s->peers[i].name,
		    show_json(OPTION_PEER, &s->peers[i]));
	(void)json_object_set_new(all, "version", json_integer(1));
	json_set_str(all, "path", s->path);
	(void)json_object_set_new(all, "pgkura", show_json(OPTION_SITE, s));
	(void)json_object_set_new(all, "clusters", clusters);
	(void)json_object_set_new(all, "peers", peers);
	json_write_pretty(all, out);
}

void
settings_show(const struct settings *s, bool json, struct buf *out)
{
	size_t i;

	if (json) {
		show_all_json(s, out);
		return;
	}
	buf_printf(out, "# %s\n[pgkura]\n", s->path);
	show_text(OPTION_SITE, s, out);
	for (i = 0; i < s->cluster_count; i++) {
		buf_printf(out, "\n[cluster %s]\n", s->clusters[i].name);
		show_text(OPTION_CLUSTER, &s->clusters[i], out);
	}
	for (i = 0; i < s->peer_count; i++) {
		buf_printf(out, "\n[peer %s]\n", s->peers[i].name);
		show_text(OPTION_PEER, &s->peers[i], out);
	}
	(void)buf_str(out);
}

/* ---- exact values, of what duties work with ---- */

static void
put_exact(enum option_scope scope, const void *base, struct buf *out)
{
	size_t i;

	for (i = 0; i < settings_option_count; i++) {
		const struct option *o = &settings_options[i];
		AUTO_BUF struct buf value = BUF_INIT;

		if (o->scope == scope && !o->supervisor_only &&
		    option_get(o, base, &value))
			buf_printf(out, "%s=%s\n", o->key, buf_str(&value));
	}
}

void
settings_exact(
    const struct settings *s, const struct cluster_settings *c, struct buf *out)
{
	buf_printf(out, "[pgkura]\n");
	put_exact(OPTION_SITE, s, out);
	if (c == NULL)
		return;
	buf_printf(out, "[cluster %s]\n", c->name);
	put_exact(OPTION_CLUSTER, c, out);
}

void
settings_exact_peer(const struct peer_settings *p, struct buf *out)
{
	buf_printf(out, "[peer %s]\n", p->name);
	put_exact(OPTION_PEER, p, out);
}
