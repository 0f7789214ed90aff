#include "pg/session_params.h"

#include <libpq-fe.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* libpq 18 knows 51 settings; ours add at most these. */
#define PARAMS_MAX 96

struct session_params {
	size_t count;
	char *keywords[PARAMS_MAX + 1];
	char *values[PARAMS_MAX + 1];
};

static void
wipe(char *value)
{
	if (value == NULL)
		return;
	explicit_bzero(value, strlen(value));
	free(value);
}

static size_t
find(const struct session_params *p, const char *keyword)
{
	size_t i;

	for (i = 0; i < p->count; i++)
		if (strcmp(p->keywords[i], keyword) == 0)
			break;
	return i;
}

static const char *
value_of(const struct session_params *p, const char *keyword)
{
	return p->values[find(p, keyword)]; /* NULL behind the last */
}

static void
set(struct session_params *p, const char *keyword, const char *value)
{
	size_t i = find(p, keyword);

	if (i == PARAMS_MAX)
		return;
	if (i == p->count) {
		p->keywords[i] = mem_strdup(keyword);
		p->count++;
	}
	wipe(p->values[i]);
	p->values[i] = mem_strdup(value);
}

static void
set_default(struct session_params *p, const char *keyword, const char *value)
{
	if (value_of(p, keyword) == NULL)
		set(p, keyword, value);
}

static void
options_free(PQconninfoOption *options)
{
	PQconninfoOption *o;

	for (o = options; o != NULL && o->keyword != NULL; o++)
		if (o->val != NULL)
			explicit_bzero(o->val, strlen(o->val));
	PQconninfoFree(options);
}

/*
 * What libpq says of a bad string, without the piece of it that it quotes,
 * which may be a password.
 */
static int
fail_parse(const char *why, struct err *e)
{
	static const char *const harmless[] = { "invalid connection option",
		"invalid URI query parameter" };
	size_t i, len = strcspn(why, "\"\n");

	for (i = 0; i < COUNT_OF(harmless); i++)
		if (strncmp(why, harmless[i], strlen(harmless[i])) == 0)
			len = strcspn(why, "\n");
	if (strncmp(why, "missing \"=\"", 11) == 0)
		len = 11;
	while (len > 0 && (why[len - 1] == ' ' || why[len - 1] == ':'))
		len--;
	(void)err_set(e, ERR_USAGE,
	    "could not read the connection settings: %.*s", (int)len, why);
	return err_hint(e,
	    "Write them as host=db1 port=5432 user=kura, or postgresql://kura@db1:5432.");
}

static int
parse(struct session_params *p, const char *conninfo, struct err *e)
{
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &why), *o;

	if (options == NULL) {
		(void)fail_parse(why == NULL ? "out of memory" : why, e);
		PQfreemem(why);
		return -1;
	}
	for (o = options; o->keyword != NULL; o++)
		if (o->val != NULL && strcmp(o->keyword, "replication") != 0)
			set(p, o->keyword, o->val);
	options_free(options);
	return 0;
}

struct session_params *
session_params_new(const char *conninfo, enum session_kind kind,
    const char *application_name, struct err *e)
{
	AUTO_SESSION_PARAMS struct session_params *p = mem_zalloc(sizeof(*p));

	if (parse(p, conninfo, e) == -1)
		return NULL;
	set_default(p, "application_name",
	    application_name == NULL ? "pgkura" : application_name);
	set_default(p, "connect_timeout", "10");
	set_default(p, "keepalives", "1");
	set_default(p, "keepalives_idle", "20");
	set_default(p, "keepalives_interval", "10");
	set_default(p, "keepalives_count", "4");
	set_default(p, "tcp_user_timeout", "60000");
	/* Waiting by poll() sees nothing of what GSSAPI has read ahead. */
	set_default(p, "gssencmode", "disable");
	if (kind == SESSION_REPLICATION) {
		set_default(p, "dbname", "replication");
		set(p, "replication", "true");
	} else if (value_of(p, "service") == NULL)
		set_default(p, "dbname", "postgres");
	return steal_ptr(&p);
}

void
session_params_free(struct session_params *p)
{
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->count; i++) {
		free(p->keywords[i]);
		wipe(p->values[i]);
	}
	free(p);
}

const char *const *
session_params_keywords(const struct session_params *p)
{
	return (const char *const *)p->keywords;
}

const char *const *
session_params_values(const struct session_params *p)
{
	return (const char *const *)p->values;
}

int
session_params_timeout_ms(const struct session_params *p)
{
	int seconds = atoi(value_of(p, "connect_timeout"));

	/* As libpq: 0 and less are "no bound", 1 is too little. */
	if (seconds <= 0)
		return -1;
	if (seconds == 1)
		seconds = 2;
	return seconds > INT_MAX / 1000 ? INT_MAX : seconds * 1000;
}

/* The item at index of a list with commas, or NULL; *len is its length. */
static const char *
item(const char *list, size_t index, size_t *len)
{
	while (list != NULL && index > 0) {
		list = strchr(list, ',');
		list = list == NULL ? NULL : list + 1;
		index--;
	}
	*len = list == NULL ? 0 : strcspn(list, ",");
	return list;
}

static bool
item_is(const char *list, size_t index, const char *text)
{
	size_t len;
	const char *at = item(list, index, &len);

	return at != NULL && len == strlen(text) && memcmp(at, text, len) == 0;
}

/* Take the item at index out of a list that has more than one. */
static void
item_drop(char *list, size_t index)
{
	size_t len;
	char *at;

	if (list == NULL || strchr(list, ',') == NULL)
		return;
	at = list + (item(list, index, &len) - list);
	if (at[len] == ',')
		(void)memmove(at, at + len + 1, strlen(at + len + 1) + 1);
	else
		at[-1] = '\0';
}

bool
session_params_drop_host(
    struct session_params *p, const char *host, const char *port)
{
	char *hosts = p->values[find(p, "host")];
	char *addresses = p->values[find(p, "hostaddr")];
	char *ports = p->values[find(p, "port")];
	const char *list = hosts == NULL ? addresses : hosts;
	size_t i, len;

	if (list == NULL || strchr(list, ',') == NULL)
		return false;
	for (i = 0; item(list, i, &len) != NULL; i++) {
		if (!item_is(hosts, i, host) && !item_is(addresses, i, host))
			continue;
		if (ports != NULL && strchr(ports, ',') != NULL &&
		    !item_is(ports, i, port))
			continue;
		item_drop(hosts, i);
		item_drop(addresses, i);
		item_drop(ports, i);
		return true;
	}
	return false;
}
