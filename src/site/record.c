#include "site/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "codec/keytext.h"

#define RECORD_TERM_VERSION 1
#define RECORD_ROLE_VERSION 1

static const char *const role_names[] = { "unknown", "primary", "standby",
	"witness", "alone" };
static const char *const fence_names[] = { "none", "lease", "volume", "hook" };
static const char *const handover_names[] = { "none", "announced", "stopped",
	"given", "taking", "taken" };
static const char *const seat_names[] = { "first", "second", "witness",
	"nobody" };
static const char *const answers[] = { "no", "yes" };

const char *
record_role_name(enum record_role r)
{
	return role_names[r];
}

const char *
record_fence_name(enum record_fence f)
{
	return fence_names[f];
}

const char *
record_handover_name(enum record_handover h)
{
	return handover_names[h];
}

void
record_term_init(struct record_term *t, const char *thing)
{
	(void)memset(t, 0, sizeof(*t));
	(void)snprintf(t->thing, sizeof(t->thing), "%s", thing);
	t->holder = SEAT_NONE;
	t->promised_to = SEAT_NONE;
}

void
record_role_init(
    struct record_role_file *r, const char *thing, const char *site)
{
	(void)memset(r, 0, sizeof(*r));
	(void)snprintf(r->thing, sizeof(r->thing), "%s", thing);
	(void)snprintf(r->site, sizeof(r->site), "%s", site);
	r->handover_to = SEAT_NONE;
}

bool
record_role_past(const struct record_role_file *r, uint64_t number)
{
	return number < r->superseded_by;
}

bool
record_role_resigned(const struct record_role_file *r)
{
	return r->role == ROLE_PRIMARY && r->resigned != 0 &&
	    r->resigned == r->held;
}

/* Copies text, leaving out what a line of the file cannot hold. */
static void
copy_reason(char out[RECORD_REASON_BYTES], const char *text)
{
	char *p;

	(void)snprintf(out, RECORD_REASON_BYTES, "%s", text);
	for (p = out; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

void
record_role_change(struct record_role_file *r, enum record_role role,
    uint64_t term, int64_t wall_us, const char *reason)
{
	struct record_change *c;

	if (r->change_count == RECORD_CHANGES_MAX) {
		(void)memmove(r->changes, r->changes + 1,
		    (RECORD_CHANGES_MAX - 1) * sizeof(*r->changes));
		r->change_count--;
	}
	c = &r->changes[r->change_count++];
	(void)memset(c, 0, sizeof(*c));
	c->wall_us = wall_us;
	c->role = role;
	c->term = term;
	copy_reason(c->reason, reason);
	r->role = role;
	r->restart = false;
	if (role == ROLE_PRIMARY)
		r->handed = false;
}

static void
put_word(struct buf *out, const char *key, const char *const *words,
    unsigned int word)
{
	keytext_put(out, key, "%s", words[word]);
}

static void
put_u64(struct buf *out, const char *key, uint64_t v)
{
	keytext_put(out, key, "%" PRIu64, v);
}

static void
put_i64(struct buf *out, const char *key, int64_t v)
{
	keytext_put(out, key, "%" PRId64, v);
}

static void
put_witness(
    struct buf *out, const char *key, const char text[RECORD_WITNESS_BYTES])
{
	if (text[0] != '\0')
		keytext_put(out, key, "%s", text);
}

static void
get_name(struct keytext *k, const char *key, char out[RECORD_NAME_BYTES],
    bool may_be_empty)
{
	keytext_get(k, key, out, RECORD_NAME_BYTES);
	if (k->failed || (may_be_empty && out[0] == '\0'))
		return;
	if (out[0] == '\0' ||
	    strspn(out, "abcdefghijklmnopqrstuvwxyz0123456789_.-") !=
		strlen(out) ||
	    strchr("_.-", out[0]) != NULL)
		keytext_fail(k, "\"%s\" is not a name", key);
}

static enum record_seat
get_seat(struct keytext *k, const char *key)
{
	return (enum record_seat)keytext_get_word(
	    k, key, seat_names, COUNT_OF(seat_names));
}

static int64_t
get_time(struct keytext *k, const char *key)
{
	return (int64_t)keytext_get_u64(k, key, INT64_MAX);
}

void
record_term_print(const struct record_term *t, struct buf *out)
{
	keytext_begin(out, "term", RECORD_TERM_VERSION);
	keytext_put(out, "thing", "%s", t->thing);
	keytext_put(out, "first", "%s", t->seats[SEAT_FIRST]);
	keytext_put(out, "second", "%s", t->seats[SEAT_SECOND]);
	keytext_put(out, "witness", "%s", t->seats[SEAT_WITNESS]);
	put_u64(out, "serial", t->serial);
	put_u64(out, "number", t->number);
	put_word(out, "holder", seat_names, t->holder);
	put_word(out, "promised_to", seat_names, t->promised_to);
	put_i64(out, "promised_until_boot_us", t->promised_until_boot_us);
	put_i64(out, "promised_us", t->promised_us);
	if (t->standing != 0)
		put_u64(out, "standing", t->standing);
	put_u64(out, "lease_number", t->lease_number);
	put_i64(out, "lease_until_boot_us", t->lease_until_boot_us);
	keytext_put(out, "boot_id", "%s", t->boot_id);
	keytext_end(out);
}

int
record_term_parse(
    struct record_term *t, const void *data, size_t len, struct err *e)
{
	struct record_term r;
	struct keytext k;

	if (keytext_open(&k, "term", RECORD_TERM_VERSION, data, len, e) == -1)
		return -1;
	record_term_init(&r, "");
	get_name(&k, "thing", r.thing, false);
	get_name(&k, "first", r.seats[SEAT_FIRST], true);
	get_name(&k, "second", r.seats[SEAT_SECOND], true);
	get_name(&k, "witness", r.seats[SEAT_WITNESS], true);
	r.serial = keytext_get_u64(&k, "serial", UINT64_MAX);
	r.number = keytext_get_u64(&k, "number", UINT64_MAX);
	r.holder = get_seat(&k, "holder");
	r.promised_to = get_seat(&k, "promised_to");
	r.promised_until_boot_us = get_time(&k, "promised_until_boot_us");
	r.promised_us = get_time(&k, "promised_us");
	if (keytext_next_is(&k, "standing")) {
		r.standing = keytext_get_u64(&k, "standing", UINT64_MAX);
		if (r.standing == 0 || r.promised_to == SEAT_NONE)
			keytext_fail(&k, "nothing stands");
	}
	r.lease_number = keytext_get_u64(&k, "lease_number", UINT64_MAX);
	r.lease_until_boot_us = get_time(&k, "lease_until_boot_us");
	keytext_get(&k, "boot_id", r.boot_id, sizeof(r.boot_id));
	if (!k.failed && r.promised_us > 2 * RECORD_LEASE_MAX_US)
		keytext_fail(&k, "a promise is longer than any lease");
	if (!k.failed && r.lease_number > r.number)
		keytext_fail(&k, "a lease is of a term that was never given");
	if (keytext_close(&k, e) == -1)
		return -1;
	*t = r;
	return 0;
}

void
record_role_print(const struct record_role_file *r, struct buf *out)
{
	uint32_t i;

	keytext_begin(out, "role", RECORD_ROLE_VERSION);
	keytext_put(out, "thing", "%s", r->thing);
	keytext_put(out, "site", "%s", r->site);
	put_u64(out, "serial", r->serial);
	put_word(out, "role", role_names, r->role);
	put_u64(out, "held", r->held);
	put_u64(out, "superseded_by", r->superseded_by);
	put_word(out, "fenced", answers, r->fenced);
	put_word(out, "fence", fence_names, r->fence);
	put_word(out, "maintenance", answers, r->maintenance);
	put_word(out, "clean_stop", answers, r->clean_stop);
	put_word(out, "canceled", answers, r->canceled);
	put_u64(out, "waived", r->waived);
	if (r->peer_proved)
		put_word(out, "peer_proved", answers, true);
	put_witness(out, "witness", r->witness);
	put_witness(out, "peer_witness", r->peer_witness);
	if (r->resigned != 0)
		put_u64(out, "resigned", r->resigned);
	put_i64(out, "automatic_wall_us", r->automatic_wall_us);
	put_word(out, "handover", handover_names, r->handover);
	if (r->handed)
		put_word(out, "handed", answers, true);
	if (r->restart)
		put_word(out, "restart", answers, true);
	put_word(out, "handover_to", seat_names, r->handover_to);
	put_u64(out, "handover_term", r->handover_term);
	put_u64(out, "handover_position", r->handover_position);
	for (i = 0; i < r->change_count; i++) {
		const struct record_change *c = &r->changes[i];

		keytext_put(out, "change", "%" PRId64 " %s %" PRIu64 " %s",
		    c->wall_us, role_names[c->role], c->term, c->reason);
	}
	keytext_end(out);
}

/* "wall_us role term reason" */
static void
take_change(struct keytext *k, struct record_role_file *r)
{
	char text[RECORD_REASON_BYTES + 80];
	struct record_change *c;
	const char *p = text;
	unsigned int role;

	keytext_get(k, "change", text, sizeof(text));
	if (k->failed)
		return;
	if (r->change_count == RECORD_CHANGES_MAX) {
		keytext_fail(k, "there are too many changes");
		return;
	}
	c = &r->changes[r->change_count++];
	if (!keytext_signed(&p, &c->wall_us) || !keytext_skip(&p, " "))
		goto odd;
	for (role = 0; role < COUNT_OF(role_names); role++)
		if (keytext_skip(&p, role_names[role]))
			break;
	if (role == COUNT_OF(role_names) || !keytext_skip(&p, " ") ||
	    !keytext_number(&p, &c->term) || !keytext_skip(&p, " ") ||
	    strlen(p) >= sizeof(c->reason))
		goto odd;
	c->role = (enum record_role)role;
	(void)memcpy(c->reason, p, strlen(p) + 1);
	return;
odd:
	keytext_fail(k, "a change is not time, role, term and reason");
}

/* "yes", or left out. */
static bool
take_flag(struct keytext *k, const char *key)
{
	if (!keytext_next_is(k, key))
		return false;
	if (keytext_get_word(k, key, answers, 2) == 1)
		return true;
	keytext_fail(k, "%s is \"yes\", or left out", key);
	return false;
}

static void
take_witness(struct keytext *k, const char *key, char out[RECORD_WITNESS_BYTES])
{
	if (!keytext_next_is(k, key))
		return;
	keytext_get(k, key, out, RECORD_WITNESS_BYTES);
	if (!k->failed && out[0] == '\0')
		keytext_fail(k, "%s is a key, or left out", key);
}

static void
take_role(struct keytext *k, struct record_role_file *r)
{
	get_name(k, "thing", r->thing, false);
	get_name(k, "site", r->site, false);
	r->serial = keytext_get_u64(k, "serial", UINT64_MAX);
	r->role = (enum record_role)keytext_get_word(
	    k, "role", role_names, COUNT_OF(role_names));
	r->held = keytext_get_u64(k, "held", UINT64_MAX);
	r->superseded_by = keytext_get_u64(k, "superseded_by", UINT64_MAX);
	r->fenced = keytext_get_word(k, "fenced", answers, 2) == 1;
	r->fence = (enum record_fence)keytext_get_word(
	    k, "fence", fence_names, COUNT_OF(fence_names));
	r->maintenance = keytext_get_word(k, "maintenance", answers, 2) == 1;
	r->clean_stop = keytext_get_word(k, "clean_stop", answers, 2) == 1;
	r->canceled = keytext_get_word(k, "canceled", answers, 2) == 1;
	r->waived = keytext_get_u64(k, "waived", UINT64_MAX);
	r->peer_proved = take_flag(k, "peer_proved");
	take_witness(k, "witness", r->witness);
	take_witness(k, "peer_witness", r->peer_witness);
	if (keytext_next_is(k, "resigned")) {
		r->resigned = keytext_get_u64(k, "resigned", UINT64_MAX);
		if (r->resigned == 0)
			keytext_fail(k, "resigned is a term, or left out");
	}
	r->automatic_wall_us = keytext_get_i64(k, "automatic_wall_us");
	r->handover = (enum record_handover)keytext_get_word(
	    k, "handover", handover_names, COUNT_OF(handover_names));
	r->handed = take_flag(k, "handed");
	r->restart = take_flag(k, "restart");
	r->handover_to = get_seat(k, "handover_to");
	r->handover_term = keytext_get_u64(k, "handover_term", UINT64_MAX);
	r->handover_position =
	    keytext_get_u64(k, "handover_position", UINT64_MAX);
	while (keytext_next_is(k, "change") && !k->failed)
		take_change(k, r);
}

int
record_role_parse(
    struct record_role_file *r, const void *data, size_t len, struct err *e)
{
	AUTO_FREE struct record_role_file *read = NULL;
	struct keytext k;

	if (keytext_open(&k, "role", RECORD_ROLE_VERSION, data, len, e) == -1)
		return -1;
	read = mem_zalloc(sizeof(*read));
	take_role(&k, read);
	if (keytext_close(&k, e) == -1)
		return -1;
	*r = *read;
	return 0;
}
