#include "journal/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/keytext.h"

#define HISTORY_VERSION 1

void
history_init(struct history *h, const char *of)
{
	(void)memset(h, 0, sizeof(*h));
	(void)snprintf(h->of, sizeof(h->of), "%s", of);
}

static bool
has_generation(const struct history *h, uint64_t generation)
{
	uint32_t i;

	for (i = 0; i < h->count; i++)
		if (h->entries[i].generation == generation)
			return true;
	return false;
}

int
history_add(struct history *h, uint64_t generation, uint64_t first,
    uint64_t term, struct err *e)
{
	const struct history_entry *last;
	struct history_entry *entry;

	last = h->count == 0 ? NULL : &h->entries[h->count - 1];
	if (generation == 0 || has_generation(h, generation))
		return err_set(e, ERR_CONFLICT,
		    "history of \"%s\" has generation %" PRIu64 " already",
		    h->of, generation);
	if (last != NULL && first < last->first)
		return err_set(e, ERR_CONFLICT,
		    "history of \"%s\": generation %" PRIu64
		    " would begin before generation %" PRIu64,
		    h->of, generation, last->generation);
	if (h->count == HISTORY_ENTRIES_MAX)
		return err_set(e, ERR_REFUSED,
		    "history of \"%s\" has %d generations, the most there can be",
		    h->of, HISTORY_ENTRIES_MAX);
	entry = &h->entries[h->count++];
	entry->generation = generation;
	entry->parent = last == NULL ? 0 : last->generation;
	entry->first = first;
	entry->term = term;
	return 0;
}

/* How many generations of h have something before end; at least the oldest. */
static uint32_t
count_before(const struct history *h, uint64_t end)
{
	uint32_t count = h->count;

	while (count > 1 && h->entries[count - 1].first >= end)
		count--;
	return count;
}

void
history_cut(struct history *h, uint64_t end)
{
	h->count = count_before(h, end);
}

uint64_t
history_at(const struct history *h, uint64_t position)
{
	uint32_t i;

	for (i = h->count; i > 1; i--)
		if (h->entries[i - 1].first <= position)
			return h->entries[i - 1].generation;
	return h->count == 0 ? 0 : h->entries[0].generation;
}

static bool
same_entry(const struct history_entry *a, const struct history_entry *b)
{
	return a->generation == b->generation && a->first == b->first &&
	    (a->term == 0 || b->term == 0 || a->term == b->term);
}

/* A history that goes to end, of which the first `common` are shared. */
struct side {
	const struct history *h;
	uint32_t count;
	uint64_t end;
};

static struct side
side_of(const struct history *h, uint64_t end)
{
	struct side s = { h, h->count, end };

	/* Only what begins behind the end is cut: one that begins at it was
	 * opened, and that is something. */
	while (s.count > 1 && h->entries[s.count - 1].first > end)
		s.count--;
	if (s.count > 0 && end < h->entries[0].first)
		s.end = h->entries[0].first;
	return s;
}

/* Where the shared generations end at this side. */
static uint64_t
leaves_at(const struct side *s, uint32_t common)
{
	return common < s->count ? s->h->entries[common].first : s->end;
}

struct history_verdict
history_compare(const struct history *a, uint64_t a_end,
    const struct history *b, uint64_t b_end)
{
	struct history_verdict v = { HISTORY_UNRELATED, 0, 0, 0, 0 };
	struct side sa = side_of(a, a_end), sb = side_of(b, b_end);
	uint64_t a_leaves, b_leaves;
	uint32_t common = 0;
	bool a_more, b_more;

	while (strcmp(a->of, b->of) == 0 && common < sa.count &&
	    common < sb.count &&
	    same_entry(&a->entries[common], &b->entries[common]))
		common++;
	if (common == 0) {
		v.a_beyond = sa.end;
		v.b_beyond = sb.end;
		return v;
	}
	a_leaves = leaves_at(&sa, common);
	b_leaves = leaves_at(&sb, common);
	v.at = a_leaves < b_leaves ? a_leaves : b_leaves;
	v.a_beyond = sa.end - v.at;
	v.b_beyond = sb.end - v.at;
	v.generation = a->entries[common - 1].generation;
	a_more = v.a_beyond > 0 || sa.count > common;
	b_more = v.b_beyond > 0 || sb.count > common;
	if (a_more && b_more)
		v.relation = HISTORY_DIVERGED;
	else if (a_more)
		v.relation = HISTORY_AHEAD;
	else if (b_more)
		v.relation = HISTORY_BEHIND;
	else
		v.relation = HISTORY_SAME;
	return v;
}

const char *
history_relation_name(enum history_relation r)
{
	static const char *const names[] = { "same", "behind", "ahead",
		"diverged", "unrelated" };

	return names[r];
}

void
history_print(const struct history *h, struct buf *out)
{
	uint32_t i;

	keytext_begin(out, "history", HISTORY_VERSION);
	keytext_put(out, "of", "%s", h->of);
	for (i = 0; i < h->count; i++) {
		const struct history_entry *g = &h->entries[i];

		keytext_put(out, "generation",
		    "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
		    g->generation, g->parent, g->first, g->term);
	}
	keytext_end(out);
}

static bool
valid_of(const char *of)
{
	return of[0] != '\0' &&
	    strspn(of, "abcdefghijklmnopqrstuvwxyz0123456789 ._-") ==
	    strlen(of);
}

/* One "generation" line, which must be what history_add() would make. */
static void
take_generation(struct keytext *k, struct history *h)
{
	uint64_t generation, parent, first, term;
	struct err e = ERR_INIT;
	const char *p;
	char text[96];

	keytext_get(k, "generation", text, sizeof(text));
	if (k->failed)
		return;
	p = text;
	if (!keytext_number(&p, &generation) || !keytext_skip(&p, " ") ||
	    !keytext_number(&p, &parent) || !keytext_skip(&p, " ") ||
	    !keytext_number(&p, &first) || !keytext_skip(&p, " ") ||
	    !keytext_number(&p, &term) || *p != '\0') {
		keytext_fail(k, "a generation is not four numbers");
		return;
	}
	if (parent !=
	    (h->count == 0 ? 0 : h->entries[h->count - 1].generation)) {
		keytext_fail(k, "a generation does not follow its parent");
		return;
	}
	if (history_add(h, generation, first, term, &e) == -1)
		keytext_fail(k, "%s", e.text);
}

int
history_parse(struct history *h, const void *data, size_t len, struct err *e)
{
	struct history read;
	struct keytext k;
	char of[HISTORY_OF_BYTES];

	if (keytext_open(&k, "history", HISTORY_VERSION, data, len, e) == -1)
		return -1;
	keytext_get(&k, "of", of, sizeof(of));
	if (!k.failed && !valid_of(of))
		keytext_fail(&k, "\"of\" is not a name");
	history_init(&read, of);
	while (keytext_next_is(&k, "generation"))
		take_generation(&k, &read);
	if (keytext_close(&k, e) == -1)
		return -1;
	*h = read;
	return 0;
}
