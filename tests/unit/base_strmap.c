/*
 * strmap against a plain table: the same puts and removes, the same contents.
 */

#include "base/strmap.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tap.h"

#define KEYS  700
#define TURNS 200000

static uint32_t
next_random(void)
{
	static uint32_t x = 2463534242U;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static char names[KEYS][24];
static int values[KEYS * 2];
static void *model[KEYS];

static void
check_against_model(void)
{
	AUTO_STRMAP struct strmap *m = strmap_new();
	unsigned int i, k, wrong = 0, seen = 0, there = 0;
	const char *key;
	void *value, *want;
	size_t pos = 0;

	for (i = 0; i < KEYS; i++)
		(void)snprintf(names[i], sizeof(names[i]), "base/1/%u", i);
	for (i = 0; i < TURNS; i++) {
		k = next_random() % KEYS;
		want = model[k];
		if (strmap_get(m, names[k]) != want)
			wrong++;
		/* Now and then mostly removes, so that it empties too. */
		if (next_random() % 8 < (i / 5000 % 2 == 0 ? 5U : 2U)) {
			model[k] = &values[next_random() % (KEYS * 2)];
			if (strmap_put(m, names[k], model[k]) != want)
				wrong++;
		} else {
			model[k] = NULL;
			if (strmap_remove(m, names[k]) != want)
				wrong++;
		}
	}
	tap_u64(wrong, 0, "%d turns agree", TURNS);
	for (k = 0; k < KEYS; k++) {
		if (model[k] != NULL)
			there++;
		if (strmap_get(m, names[k]) != model[k])
			wrong++;
	}
	tap_u64(wrong, 0, "every key agrees at the end");
	tap_u64(strmap_count(m), there, "the count agrees");
	while (strmap_next(m, &pos, &key, &value)) {
		seen++;
		k = KEYS;
		(void)sscanf(key, "base/1/%u", &k);
		if (k >= KEYS || model[k] != value)
			wrong++;
	}
	tap_u64(seen, there, "a walk meets each key once");
	tap_u64(wrong, 0, "with its value");
}

static void
check_keys(void)
{
	AUTO_STRMAP struct strmap *m = strmap_new();
	char key[4] = "abc";
	int a, b;
	size_t pos = 0;
	const char *k;
	void *v;

	tap_ok(!strmap_next(m, &pos, &k, &v), "an empty map has no walk");
	tap_ok(strmap_get(m, "") == NULL, "nor the empty key");
	tap_ok(strmap_put(m, key, &a) == NULL, "a new key has no older value");
	(void)memset(key, 'x', 3);
	tap_ok(strmap_get(m, "abc") == &a, "the key was copied");
	tap_ok(strmap_put(m, "abc", &b) == &a, "an older value comes back");
	tap_ok(strmap_put(m, "", &a) == NULL && strmap_get(m, "") == &a,
	    "an empty key is one");
	tap_ok(strmap_remove(m, "abcd") == NULL, "what is not there");
	tap_ok(strmap_remove(m, "abc") == &b, "and what is");
	tap_u64(strmap_count(m), 1, "leaves one");
	strmap_free(NULL);
}

int
main(void)
{
	check_keys();
	check_against_model();
	return tap_done();
}
