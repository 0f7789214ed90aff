/* Which wanted blocks do records make anew? */

#include "tap.h"

#include "base/auto.h"
#include "pg/walimages.h"

static const struct walimages_key sample = { 1663, 5, 16384, 0, 42 };

static struct walreader_record
record_of(const struct walimages_key *key)
{
	struct walreader_record r = { .block_count = 1 };

	r.blocks[0].tablespace = key->tablespace;
	r.blocks[0].database = key->database;
	r.blocks[0].relation = key->relation;
	r.blocks[0].fork = key->fork;
	r.blocks[0].block = key->block;
	return r;
}

static void
only_what_overwrites_the_page_counts(void)
{
	static const struct {
		bool has_image, apply_image, will_init, restores;
		const char *what;
	} cases[] = {
		{ false, false, false, false, "a change" },
		{ true, false, false, false, "an image to compare with" },
		{ true, true, false, true, "an image to apply" },
		{ false, false, true, true, "a page made anew" },
	};
	struct walreader_record r;
	unsigned int i;

	for (i = 0; i < COUNT_OF(cases); i++) {
		AUTO_WALIMAGES struct walimages *w = walimages_new();

		(void)walimages_want(w, &sample, NULL);
		r = record_of(&sample);
		r.blocks[0].has_image = cases[i].has_image;
		r.blocks[0].apply_image = cases[i].apply_image;
		r.blocks[0].will_init = cases[i].will_init;
		(void)walimages_on_record(w, &r, NULL);
		(void)walimages_on_record(w, &r, NULL);
		tap_u64(walimages_restored(w, &sample), cases[i].restores, "%s",
		    cases[i].what);
		tap_u64(walimages_restored_count(w), cases[i].restores,
		    "is counted once if at all");
	}
}

static void
each_part_of_a_key_counts(void)
{
	AUTO_WALIMAGES struct walimages *w = walimages_new();
	struct walreader_record r = { .block_count = 5 };
	struct walimages_key keys[5];
	unsigned int i;

	for (i = 0; i < 5; i++)
		keys[i] = sample;
	keys[0].tablespace++;
	keys[1].database++;
	keys[2].relation++;
	keys[3].fork++;
	keys[4].block++;
	for (i = 0; i < 5; i++) {
		r.blocks[i] = record_of(&keys[i]).blocks[0];
		r.blocks[i].will_init = true;
	}
	(void)walimages_want(w, &sample, NULL);
	(void)walimages_on_record(w, &r, NULL);
	tap_u64(walimages_restored_count(w), 0, "no other block is taken");
	for (i = 0; i < 5; i++) {
		(void)walimages_want(w, &keys[i], NULL);
		tap_ok(!walimages_restored(w, &keys[i]),
		    "what came before it was wanted does not count");
	}
	(void)walimages_on_record(w, &r, NULL);
	tap_u64(walimages_restored_count(w), 5, "every block of a record");
	tap_ok(!walimages_restored(w, &sample), "but not the other one");
}

static void
many_blocks_are_kept_apart(void)
{
	AUTO_WALIMAGES struct walimages *w = walimages_new();
	struct walimages_key key = sample;
	struct walreader_record r;
	unsigned int wrong = 0;

	for (key.block = 0; key.block < 100000; key.block++) {
		(void)walimages_want(w, &key, NULL);
		if (key.block % 3 != 0)
			continue;
		r = record_of(&key);
		r.blocks[0].apply_image = true;
		(void)walimages_on_record(w, &r, NULL);
		(void)walimages_want(w, &key, NULL);
	}
	for (key.block = 0; key.block < 100010; key.block++)
		if (walimages_restored(w, &key) !=
		    (key.block < 100000 && key.block % 3 == 0))
			wrong++;
	tap_u64(wrong, 0, "each of 100,000 is itself");
	tap_u64(walimages_count(w), 100000, "none is doubled");
	tap_u64(walimages_restored_count(w), 33334, "restored are a third");
}

static struct walimages_key
key_of_part(unsigned int part, uint32_t value)
{
	struct walimages_key key = sample;

	if (part == 0)
		key.tablespace = value;
	else if (part == 1)
		key.database = value;
	else if (part == 2)
		key.relation = value;
	else if (part == 3)
		key.block = value;
	else
		key.fork = (uint8_t)value;
	return key;
}

/* So many that they meet in the table: only one part tells them apart. */
static void
keys_that_differ_in_one_part_are_kept_apart(void)
{
	struct walimages_key key;
	uint32_t count, i;
	unsigned int part;

	for (part = 0; part < 5; part++) {
		AUTO_WALIMAGES struct walimages *w = walimages_new();

		count = part == 4 ? 256 : 5000;
		for (i = 0; i < count; i++) {
			key = key_of_part(part, i);
			(void)walimages_want(w, &key, NULL);
		}
		tap_u64(walimages_count(w), count, "by part %u", part);
	}
}

static void
the_set_is_bounded(void)
{
	AUTO_WALIMAGES struct walimages *w = walimages_new();
	struct walimages_key key = sample;
	struct err e = ERR_INIT;
	int rc = 0;

	for (key.block = 0; rc == 0; key.block++)
		rc = walimages_want(w, &key, &e);
	tap_u64(key.block, WALIMAGES_MAX + 1, "up to its bound");
	tap_u64(e.kind, ERR_CORRUPT, "then: %s", e.text);
	tap_u64((uint64_t)walimages_want(w, &sample, &e), 0,
	    "one that is there is no more");
}

int
main(void)
{
	only_what_overwrites_the_page_counts();
	each_part_of_a_key_counts();
	many_blocks_are_kept_apart();
	keys_that_differ_in_one_part_are_kept_apart();
	the_set_is_bounded();
	return tap_done();
}
