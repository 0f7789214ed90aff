#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/size.h"
#include "wan/setup.h"

#define QUEUE_MIN_BYTES 262144
#define RATE_MAX_BITS	1e11
#define BYTES_MAX	((uint64_t)1 << 30)

/* Packet loss is in each direction. */
static const struct {
	const char *name, *words;
} profiles[] = {
	{ "perfect", "clear" },
	{ "S1", "clear rate=100mbit delay=15ms jitter=3ms loss=0.1" },
	{ "S1r",
	    "clear rate=100mbit delay=15ms jitter=3ms loss=0.1 order=free" },
	{ "S2", "clear rate=100mbit delay=1ms loss=0.01" },
	{ "W1", "clear rate=20mbit delay=10ms loss=0.1" },
	{ "W2", "clear rate=100mbit delay=50ms loss=1" },
	{ "W3", "clear rate=100mbit delay=100ms loss=3" },
	{ "W4", "clear rate=50mbit delay=75ms loss=5 burst=5" },
	{ "W5", "clear rate=100mbit delay=15ms jitter=3ms loss=0.1 corrupt=1" },
	{ "W5f",
	    "clear rate=100mbit delay=15ms jitter=3ms loss=0.1 corrupt=1 "
	    "repair=on" },
};

enum kind { RATE, BYTES, TIME, SHARE, COUNT, CHOICE };

/* Words that set one field; choices are "NO|YES". */
static const struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *choices;
} keys[] = {
	{ "rate", RATE, offsetof(struct setup_line, rate_bits), NULL },
	{ "queue", BYTES, offsetof(struct setup_line, queue_bytes), NULL },
	{ "header", BYTES, offsetof(struct setup_line, header_bytes), NULL },
	{ "mtu", BYTES, offsetof(struct setup_line, mtu_bytes), NULL },
	{ "delay", TIME, offsetof(struct setup_line, delay_ns), NULL },
	{ "jitter", TIME, offsetof(struct setup_line, jitter_ns), NULL },
	{ "gap", TIME, offsetof(struct setup_line, gap_ns), NULL },
	{ "loss", SHARE, offsetof(struct setup_line, loss), NULL },
	{ "burst", COUNT, offsetof(struct setup_line, burst), NULL },
	{ "reorder", SHARE, offsetof(struct setup_line, reorder), NULL },
	{ "duplicate", SHARE, offsetof(struct setup_line, duplicate), NULL },
	{ "corrupt", SHARE, offsetof(struct setup_line, corrupt), NULL },
	{ "losspos", CHOICE, offsetof(struct setup_line, loss_first),
	    "post|pre" },
	{ "order", CHOICE, offsetof(struct setup_line, free_order),
	    "keep|free" },
	{ "repair", CHOICE, offsetof(struct setup_line, repair), "off|on" },
};

static const char *const directions[SETUP_DIRECTIONS] = { "ab", "ba" };

void
setup_init(struct setup *s)
{
	size_t i;

	*s = (struct setup){ 0 };
	for (i = 0; i < SETUP_DIRECTIONS; i++) {
		s->line[i].burst = 1;
		s->line[i].gap_ns = 5000000;
	}
}

uint64_t
setup_queue_bytes(const struct setup_line *l)
{
	double bytes;

	if (l->queue_bytes != 0)
		return l->queue_bytes;
	bytes = (double)l->rate_bits / 8 * 2 * (double)l->delay_ns / 1e9;
	return bytes < QUEUE_MIN_BYTES ? QUEUE_MIN_BYTES : (uint64_t)bytes;
}

/* A number with one of the units, each a name and its factor. */
struct unit {
	const char *name;
	double factor;
};

static int
parse_number(const char *text, const struct unit *units, double *value)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || !isfinite(v) || v < 0)
		return -1;
	for (; units->name != NULL; units++) {
		if (strcasecmp(end, units->name) == 0) {
			*value = v * units->factor;
			return 0;
		}
	}
	return -1;
}

static const struct unit rate_units[] = { { "bit", 1 }, { "kbit", 1e3 },
	{ "mbit", 1e6 }, { "gbit", 1e9 }, { NULL, 0 } };
static const struct unit time_units[] = { { "us", 1e3 }, { "ms", 1e6 },
	{ "s", 1e9 }, { "min", 60e9 }, { NULL, 0 } };
static const struct unit share_units[] = { { "", 0.01 }, { "%", 0.01 },
	{ NULL, 0 } };
static const struct unit count_units[] = { { "", 1 }, { NULL, 0 } };

/* "keep|free": 0 and 1, -1 for others. */
static int
parse_choice(const char *text, const char *choices)
{
	const char *second = strchr(choices, '|') + 1;
	size_t first_len = (size_t)(second - choices) - 1;

	if (strcmp(text, second) == 0)
		return 1;
	return strlen(text) == first_len &&
		strncmp(text, choices, first_len) == 0
	    ? 0
	    : -1;
}

/* Set the field of *l that k names. */
static int
set_field(
    struct setup_line *l, const struct key *k, const char *text, struct err *e)
{
	void *field = (char *)l + k->offset;
	uint64_t bytes = 0;
	double v = 0;
	int rc = -1;

	switch (k->kind) {
	case RATE:
		rc = strcmp(text, "none") == 0
		    ? 0
		    : parse_number(text, rate_units, &v);
		if (rc == 0 && v <= RATE_MAX_BITS)
			*(uint64_t *)field = (uint64_t)v;
		else
			rc = -1;
		break;
	case BYTES:
		rc = size_parse(text, &bytes, NULL);
		if (rc == 0 && bytes <= BYTES_MAX)
			*(uint64_t *)field = bytes;
		else
			rc = -1;
		break;
	case TIME:
		rc = parse_number(text, time_units, &v);
		if (rc == 0 && v <= (double)SETUP_DELAY_MAX_NS)
			*(int64_t *)field = (int64_t)v;
		else
			rc = -1;
		break;
	case SHARE:
		rc = parse_number(text, share_units, &v);
		if (rc == 0 && v <= 1)
			*(double *)field = v;
		else
			rc = -1;
		break;
	case COUNT:
		rc = parse_number(text, count_units, &v);
		if (rc == 0 && v >= 1)
			*(double *)field = v;
		else
			rc = -1;
		break;
	case CHOICE:
		rc = parse_choice(text, k->choices);
		if (rc != -1)
			*(bool *)field = rc == 1;
		break;
	}
	return rc != -1 ? 0
			: err_set(e, ERR_USAGE,
			      "\"%s\" is not a value of \"%s\"", text, k->name);
}

/* "profile=W2": its words, one by one. */
static int
set_profile(struct setup *s, const char *name, struct err *e)
{
	AUTO_FREE char *words = NULL;
	char *word, *rest = NULL;
	size_t i;

	for (i = 0; i < COUNT_OF(profiles); i++) {
		if (strcmp(profiles[i].name, name) != 0)
			continue;
		words = mem_strdup(profiles[i].words);
		for (word = strtok_r(words, " ", &rest); word != NULL;
		     word = strtok_r(NULL, " ", &rest)) {
			if (setup_word(s, word, e) == -1)
				return -1;
		}
		return 0;
	}
	return err_set(e, ERR_USAGE, "there is no profile \"%s\"", name);
}

static int
set_blackhole(struct setup *s, const char *where, struct err *e)
{
	bool both = strcmp(where, "both") == 0;
	size_t i;

	if (!both && strcmp(where, "ab") != 0 && strcmp(where, "ba") != 0 &&
	    strcmp(where, "none") != 0)
		return err_set(e, ERR_USAGE,
		    "\"%s\" is not a value of \"blackhole\"", where);
	for (i = 0; i < SETUP_DIRECTIONS; i++)
		s->line[i].blackhole =
		    both || strcmp(where, directions[i]) == 0;
	return 0;
}

static int
set_outage(struct setup *s, const char *text, struct err *e)
{
	double ns;

	if (parse_number(text, time_units, &ns) == -1 || ns < 1 || ns > 1e14)
		return err_set(
		    e, ERR_USAGE, "\"%s\" is not a value of \"outage\"", text);
	s->down = true;
	s->outage_ns = (int64_t)ns;
	return 0;
}

/* "[ab.|ba.]KEY=VALUE" with a key of the table. */
static int
set_key(struct setup *s, const char *word, struct err *e)
{
	struct setup copy = *s;
	const char *name = word, *value = strchr(word, '=');
	size_t i, first = 0, end = SETUP_DIRECTIONS, k;

	for (i = 0; i < SETUP_DIRECTIONS; i++) {
		if (strncmp(word, directions[i], 2) == 0 && word[2] == '.') {
			first = i;
			end = i + 1;
			name = word + 3;
		}
	}
	for (k = 0; value != NULL && k < COUNT_OF(keys); k++) {
		if (strlen(keys[k].name) == (size_t)(value - name) &&
		    strncmp(keys[k].name, name, (size_t)(value - name)) == 0)
			break;
	}
	if (value == NULL || k == COUNT_OF(keys))
		return err_set(e, ERR_USAGE, "unknown word \"%s\"", word);
	for (i = first; i < end; i++) {
		if (set_field(&copy.line[i], &keys[k], value + 1, e) == -1)
			return -1;
	}
	*s = copy;
	return 0;
}

int
setup_word(struct setup *s, const char *word, struct err *e)
{
	if (strcmp(word, "down") == 0 || strcmp(word, "up") == 0) {
		s->down = word[0] == 'd';
		s->outage_ns = 0;
		return 0;
	}
	if (strcmp(word, "clear") == 0) {
		setup_init(s);
		return 0;
	}
	if (strncmp(word, "outage=", 7) == 0)
		return set_outage(s, word + 7, e);
	if (strncmp(word, "blackhole=", 10) == 0)
		return set_blackhole(s, word + 10, e);
	if (strncmp(word, "profile=", 8) == 0)
		return set_profile(s, word + 8, e);
	return set_key(s, word, e);
}

static void
print_field(const struct setup_line *l, const struct key *k, FILE *out)
{
	const void *field = (const char *)l + k->offset;

	switch (k->kind) {
	case RATE:
	case BYTES:
		fprintf(out, "%" PRIu64 "\n", *(const uint64_t *)field);
		break;
	case TIME:
		fprintf(out, "%" PRId64 "\n", *(const int64_t *)field / 1000);
		break;
	case SHARE:
		fprintf(out, "%g\n", *(const double *)field * 100);
		break;
	case COUNT:
		fprintf(out, "%g\n", *(const double *)field);
		break;
	case CHOICE:
		if (*(const bool *)field)
			fprintf(out, "%s\n", strchr(k->choices, '|') + 1);
		else
			fprintf(out, "%.*s\n", (int)strcspn(k->choices, "|"),
			    k->choices);
		break;
	}
}

void
setup_print(const struct setup *s, FILE *out)
{
	size_t i, k;

	fprintf(out, "line %s\n", s->down ? "down" : "up");
	for (i = 0; i < SETUP_DIRECTIONS; i++) {
		for (k = 0; k < COUNT_OF(keys); k++) {
			fprintf(out, "%s.%s ", directions[i], keys[k].name);
			print_field(&s->line[i], &keys[k], out);
		}
		fprintf(out, "%s.blackhole %s\n", directions[i],
		    s->line[i].blackhole ? "on" : "off");
		fprintf(out, "%s.queue_in_force %" PRIu64 "\n", directions[i],
		    setup_queue_bytes(&s->line[i]));
	}
}

void
setup_print_profiles(FILE *out)
{
	size_t i;

	/* Each begins with "clear ", which says nothing here. */
	for (i = 0; i < COUNT_OF(profiles); i++)
		fprintf(out, "%s%s\n", profiles[i].name,
		    profiles[i].words + strlen("clear"));
}
