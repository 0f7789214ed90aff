#include "jobs/courier_rule.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/le.h"
#include "base/mem.h"
#include "jobs/rule.h"
#include "jobs/rule_wire.h"
#include "link/keys.h"
#include "site/message.h"

/* What the rule of one cluster says now. */
struct said {
	const struct cluster_settings *cluster;
	char *path; /* of its socket */
	uint8_t bytes[MESSAGE_BYTES_MAX];
	size_t len; /* 0: nothing yet */
	int64_t us;
};
/* A rule that is silent for so long is dead: its words are not repeated. */
#define SAID_AGE_MAX_US (5 * CLOCK_SECOND_US)

struct courier_rule {
	const struct peer_settings *peer;
	char key[KEY_FINGERPRINT_BYTES]; /* of the peer */
	struct said *said;
	size_t count, turn;
	char *path;
	int fd;
};

static bool
concerns(const struct cluster_settings *c, const struct peer_settings *p)
{
	return rule_wanted(c) &&
	    (p->witness || c->votes_for != NULL || settings_shares(c, p->name));
}

static void
hand_on(struct courier_rule *r, const struct said *s, enum rule_wire_kind kind,
    const uint8_t *content, size_t len)
{
	struct rule_wire w = { .kind = kind, .us = clock_boot_us() };

	if (len > sizeof(w.content))
		return;
	(void)snprintf(w.name, sizeof(w.name), "%s", r->peer->name);
	(void)memcpy(w.content, content, len);
	w.len = len;
	rule_wire_send(r->fd, s->path, &w);
}

/* Whose votes these are: it comes before any of them. */
static void
hand_on_key(struct courier_rule *r)
{
	size_t i;

	for (i = 0; i < r->count && r->peer->witness; i++)
		hand_on(r, &r->said[i], RULE_WIRE_KEY, (const uint8_t *)r->key,
		    strlen(r->key));
}

struct courier_rule *
courier_rule_new(const struct settings *s, const struct peer_settings *p,
    const uint8_t key[SIGN_PUBLIC_BYTES], struct err *e)
{
	struct courier_rule *r = mem_zalloc(sizeof(*r));
	size_t i;

	r->peer = p;
	(void)key_fingerprint(key, r->key);
	r->said = mem_zarray(s->cluster_count + 1, sizeof(*r->said));
	for (i = 0; i < s->cluster_count; i++) {
		if (!concerns(&s->clusters[i], p))
			continue;
		r->said[r->count].cluster = &s->clusters[i];
		r->said[r->count++].path =
		    rule_wire_rule_path(s->runtime_dir, s->clusters[i].name);
	}
	r->path = rule_wire_courier_path(s->runtime_dir, p->name);
	r->fd = rule_wire_listen(r->path, e);
	if (r->fd == -1) {
		courier_rule_free(r);
		return NULL;
	}
	hand_on_key(r);
	return r;
}

void
courier_rule_free(struct courier_rule *r)
{
	size_t i;

	if (r == NULL)
		return;
	for (i = 0; i < r->count; i++)
		free(r->said[i].path);
	if (r->fd != -1) {
		(void)close(r->fd);
		(void)unlink(r->path);
	}
	free(r->path);
	free(r->said);
	free(r);
}

int
courier_rule_fd(const struct courier_rule *r)
{
	return r->fd;
}

static struct said *
find(struct courier_rule *r, const char *cluster)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (strcmp(r->said[i].cluster->name, cluster) == 0)
			return &r->said[i];
	return NULL;
}

/* ---- from the rules ---- */

static json_t *
as_message(const struct rule_wire *w)
{
	json_t *m = json_object();
	char kind[2] = { (char)w->kind, '\0' };

	json_set_str(m, "m", "rule");
	json_set_u64(m, "j", 0);
	json_set_str(m, "cluster", w->name);
	json_set_str(m, "kind", kind);
	json_set_hex(m, "content", w->content, w->len);
	return m;
}

void
courier_rule_take(
    struct courier_rule *r, void (*send)(void *arg, json_t *m), void *arg)
{
	struct rule_wire w;

	while (rule_wire_receive(r->fd, &w) == 1) {
		struct said *s = find(r, w.name);

		if (s == NULL)
			continue;
		if ((w.kind == RULE_WIRE_BEAT || w.kind == RULE_WIRE_SAY) &&
		    w.len <= sizeof(s->bytes)) {
			(void)memcpy(s->bytes, w.content, w.len);
			s->len = w.len;
			s->us = clock_boot_us();
		}
		if (w.kind != RULE_WIRE_BEAT)
			send(arg, as_message(&w));
	}
}

size_t
courier_rule_beat_out(struct courier_rule *r, uint8_t *out)
{
	int64_t now_us = clock_boot_us();
	size_t used = 0, i;

	for (i = 0; i < r->count; i++) {
		const struct said *s = &r->said[(r->turn + i) % r->count];

		if (s->len == 0 || now_us - s->us > SAID_AGE_MAX_US)
			continue;
		if (used + 2 + s->len > LINK_BEAT_MAX) {
			r->turn = (r->turn + i) % r->count;
			break;
		}
		le16_put(out + used, (uint16_t)s->len);
		(void)memcpy(out + used + 2, s->bytes, s->len);
		used += 2 + s->len;
	}
	return used;
}

/* ---- to the rules ---- */

void
courier_rule_beat_in(struct courier_rule *r, const uint8_t *data, size_t len)
{
	struct message m;
	const struct said *s;

	while (len >= 2) {
		size_t n = le16_get(data);

		if (n + 2 > len)
			return;
		if (message_decode(&m, data + 2, n, NULL) == 0 &&
		    m.kind == MESSAGE_BEAT && (s = find(r, m.thing)) != NULL)
			hand_on(r, s, RULE_WIRE_BEAT, data + 2, n);
		data += n + 2;
		len -= n + 2;
	}
}

/* Hex digits of any even number; the length, or -1. */
static ssize_t
from_hex(const char *text, uint8_t *out, size_t bytes)
{
	size_t len = strlen(text) / 2, i;

	if (len > bytes || strlen(text) % 2 != 0)
		return -1;
	for (i = 0; i < len; i++) {
		unsigned int v;

		if (strspn(text + 2 * i, "0123456789abcdef") < 2 ||
		    sscanf(text + 2 * i, "%2x", &v) != 1)
			return -1;
		out[i] = (uint8_t)v;
	}
	return (ssize_t)len;
}

void
courier_rule_message(struct courier_rule *r, const json_t *m)
{
	uint8_t content[RULE_WIRE_CONTENT_MAX];
	const char *cluster, *kind, *hex;
	const struct said *s;
	ssize_t len;

	if (json_need_str(m, "cluster", &cluster, NULL) == -1 ||
	    json_need_str(m, "kind", &kind, NULL) == -1 ||
	    json_need_str(m, "content", &hex, NULL) == -1 ||
	    (s = find(r, cluster)) == NULL ||
	    (len = from_hex(hex, content, sizeof(content))) == -1)
		return;
	if (strcmp(kind, "s") == 0 || strcmp(kind, "v") == 0 ||
	    strcmp(kind, "i") == 0)
		hand_on(
		    r, s, (enum rule_wire_kind)kind[0], content, (size_t)len);
}

void
courier_rule_paths(struct courier_rule *r, const struct link_state *st)
{
	uint8_t content[8 * LINK_PATHS_MAX];
	size_t i;

	for (i = 0; i < st->path_count; i++)
		le64_put(content + 8 * i,
		    st->paths[i].heard_us == 0
			? (uint64_t)DECIDE_NEVER
			: (uint64_t)st->paths[i].heard_us);
	for (i = 0; i < r->count; i++)
		hand_on(r, &r->said[i], RULE_WIRE_PATHS, content,
		    8 * st->path_count);
	hand_on_key(r);
}
