/*
 * cmd_site: which other sites this one knows.
 */

#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/site.h"
#include "jobs/control.h"
#include "link/keys.h"

#define ASK_MS 3000

/* ---- list ---- */

/* One that is configured, or known, or both. */
struct known {
	const char *name;
	const struct peer_settings *conf; /* NULL: no section */
	struct peer peer;
	bool paired;
	struct err why; /* it is not */
};

static struct known
know(const struct settings *s, const char *name)
{
	struct known k = { .name = name, .why = ERR_INIT };

	k.conf = settings_peer(s, name, NULL);
	k.paired = peer_read(s->state_dir, name, &k.peer, &k.why) == 0;
	return k;
}

static void
list_row(struct table *t, const struct known *k)
{
	char key[KEY_FINGERPRINT_BYTES], when[CLOCK_TEXT_BYTES];

	table_cell(t, "%s", k->name);
	table_cell(t, "%s",
	    k->conf == NULL	   ? "no section"
		: k->conf->witness ? "witness"
				   : "yes");
	if (k->paired) {
		table_cell(t, "%.16s", clock_local(k->peer.paired_us, when));
		table_cell(t, "%s", key_fingerprint(k->peer.key, key));
	} else {
		table_cell(
		    t, "%s", k->why.kind == ERR_NOT_FOUND ? "no" : "damaged");
		table_cell(t, "%s", "");
	}
	table_cell(t, "%s",
	    k->conf != NULL && k->conf->address != NULL ? k->conf->address
		: k->paired && k->conf == NULL		? k->peer.addresses
							: "it dials us");
}

static json_t *
known_json(const struct known *k)
{
	json_t *o = json_object();
	char key[KEY_FINGERPRINT_BYTES];

	json_set_str(o, "name", k->name);
	(void)json_object_set_new(
	    o, "configured", json_boolean(k->conf != NULL));
	(void)json_object_set_new(o, "paired", json_boolean(k->paired));
	if (k->conf != NULL) {
		(void)json_object_set_new(
		    o, "witness", json_boolean(k->conf->witness));
		if (k->conf->address != NULL)
			json_set_str(o, "address", k->conf->address);
	}
	if (k->paired) {
		json_set_str(o, "key", key_fingerprint(k->peer.key, key));
		json_set_hex(o, "public_key", k->peer.key, sizeof(k->peer.key));
		json_set_str(o, "addresses", k->peer.addresses);
		(void)json_object_set_new(
		    o, "paired_us", json_integer(k->peer.paired_us));
	} else {
		json_set_str(o, "error", k->why.text);
	}
	return o;
}

/* Ourselves: the fingerprint to compare at the other site. */
static void
own_key(const struct settings *s, char key[KEY_FINGERPRINT_BYTES])
{
	AUTO_SIGN_KEY struct sign_key *own =
	    key_load(s->state_dir, false, NULL);
	uint8_t public_key[SIGN_PUBLIC_BYTES];

	key[0] = '\0';
	if (own == NULL)
		return;
	sign_key_public(own, public_key);
	(void)key_fingerprint(public_key, key);
}

static void
list_all(struct cli *cli, char *const *names, size_t count)
{
	static const char *const heads[] = { "SITE", "CONFIGURED", "PAIRED",
		"KEY", "ADDRESS" };
	AUTO_TABLE struct table *t = table_new(heads, COUNT_OF(heads));
	const struct settings *s = cli->settings;
	json_t *out = json_object(), *all = json_array();
	char key[KEY_FINGERPRINT_BYTES];
	size_t i, rows = 0;

	for (i = 0; i < s->peer_count + count; i++) {
		const char *name = i < s->peer_count ? s->peers[i].name
						     : names[i - s->peer_count];
		struct known k = know(s, name);

		if (i >= s->peer_count && k.conf != NULL)
			continue; /* it came with the sections */
		list_row(t, &k);
		(void)json_array_append_new(all, known_json(&k));
		rows++;
	}
	own_key(s, key);
	json_set_str(out, "site", s->site);
	if (key[0] != '\0')
		json_set_str(out, "key", key);
	if (s->listen != NULL)
		json_set_str(out, "listen", s->listen);
	(void)json_object_set_new(out, "peers", all);
	if (cli->json) {
		cli_print_json(cli, out);
		return;
	}
	json_decref(out);
	(void)printf("site %s, key %s, %s%s\n", s->site,
	    key[0] == '\0' ? "not made yet" : key,
	    s->listen == NULL ? "does not listen" : "listens on ",
	    s->listen == NULL ? "" : s->listen);
	if (rows > 0)
		table_print(t, stdout);
	else
		(void)printf("no other site is known\n");
}

static int
site_list(struct cli *cli, struct err *e)
{
	char **names = NULL;
	size_t count;

	if (peer_names(cli->settings->state_dir, &names, &count, e) == -1)
		return -1;
	list_all(cli, names, count);
	file_names_free(names);
	return 0;
}

/* ---- forget ---- */

static int
site_forget(struct cli *cli, const char *name, bool yes, struct err *e)
{
	const struct settings *s = cli->settings;
	json_t *out;

	if (name == NULL)
		return err_set(e, ERR_USAGE, "name the site to forget");
	if (!yes) {
		(void)err_set(e, ERR_USAGE,
		    "nothing is exchanged with \"%s\" any more when it is "
		    "forgotten",
		    name);
		return err_hint(e, "Add --yes if you mean it.");
	}
	if (peer_remove(s->state_dir, name, e) == -1)
		return -1;
	if (cli->json) {
		out = json_object();
		json_set_str(out, "forgotten", name);
		cli_print_json(cli, out);
		return 0;
	}
	(void)printf("site \"%s\" is forgotten\n", name);
	if (settings_peer(s, name, NULL) != NULL)
		(void)printf("Its section [peer %s] is still in \"%s\".\n",
		    name, s->path);
	return 0;
}

/* ---- which of them ---- */

int
cmd_site(struct cli *cli, int argc, char *argv[], struct err *e)
{
	struct site_pair pair = { .invite = false };
	bool yes = false;
	const struct cli_option options[] = {
		{ "invite", NULL,
		    "with pair: print a code and wait for the other site",
		    CLI_FLAG, &pair.invite },
		{ "for", "NAME",
		    "with --invite: only for the site of that name", CLI_TEXT,
		    &pair.only },
		{ "yes", NULL, "with forget: do it", CLI_FLAG, &yes },
	};
	const char *args[3];
	size_t count;

	if (cli_parse(cli, argc, argv, options, COUNT_OF(options), args, 1, 3,
		&count, e) == -1)
		return -1;
	pair.address = args[1];
	pair.code = args[2];
	if (strcmp(args[0], "pair") == 0)
		return site_pair(cli, &pair, e);
	if (strcmp(args[0], "list") == 0 && count == 1)
		return site_list(cli, e);
	if (strcmp(args[0], "forget") == 0 && count <= 2)
		return site_forget(cli, args[1], yes, e);
	(void)err_set(
	    e, ERR_USAGE, "there is no such use of \"site %s\"", args[0]);
	return err_hint(e,
	    "There are: pair --invite, pair HOST:PORT CODE, list, forget NAME "
	    "--yes.");
}
