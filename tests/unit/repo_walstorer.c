/*
 * How much work goes into the compression of a stored segment.
 */

#include "codec/digest.h"
#include "repo/walstored.h"
#include "unit/wal_scratch.h"

#define AT(segment) ((uint64_t)(segment)*SEGMENT_BYTES)
#define HIGH	    19

static struct lineage lineage;
static uint8_t noise[SEGMENT_BYTES], words[SEGMENT_BYTES];

/* Words of 4 bytes, of which a high level makes much and a low one little. */
static void
fill(void)
{
	static uint8_t list[256][4];
	uint8_t pick;
	size_t i;

	random_bytes(noise, sizeof(noise));
	random_bytes(list, sizeof(list));
	for (i = 0; i < sizeof(words); i += 4) {
		pick = noise[i / 4];
		memcpy(words + i, list[pick], 4);
	}
}

/* Stored bytes of data as the segment of this number. */
static uint64_t
stored_bytes(
    struct wal_storer *w, unsigned int segment, const uint8_t *data, int level)
{
	AUTO_WALINDEX struct walindex x = { 0 };
	AUTO_WALSTORED struct walstored *s = NULL;
	char name[WAL_NAME_BYTES], key[STORE_KEY_BYTES];
	struct err e = ERR_INIT;
	bool existed;

	walindex_init(&x, 1, AT(segment));
	x.summary.end_lsn = AT(segment + 1);
	(void)wal_name(1, AT(segment), SEGMENT_BYTES, name);
	if (wal_store_checked(w, &lineage, &x, data, level, &existed, &e) ==
		-1 ||
	    (s = walstored_open(
		 &lineage, walstored_key(&lineage, name, key), &e)) == NULL)
		tap_bail("%s", e.text);
	return walstored_trailer(s)->body_bytes;
}

int
main(void)
{
	AUTO_WAL_STORER struct wal_storer *w = wal_storer_new();
	AUTO_REPO struct repo *r = NULL;
	unsigned int i;
	uint64_t quick, high, noisy;

	(void)scratch_enter();
	r = wal_scratch_repo(&lineage);
	fill();
	quick = stored_bytes(w, 1, words, 1);
	high = stored_bytes(w, 2, words, HIGH);
	tap_ok(high < quick * 9 / 10,
	    "the level is used where it pays: %llu bytes, else %llu",
	    (unsigned long long)high, (unsigned long long)quick);
	tap_u64(stored_bytes(w, 3, words, 1), quick, "level 1 takes no sample");

	/* One sample is for eight segments. */
	wal_storer_free(w);
	w = wal_storer_new();
	noisy = stored_bytes(w, 4, noise, HIGH);
	tap_ok(noisy >= SEGMENT_BYTES, "noise stays as long as it is");
	for (i = 5; i < 12; i++)
		tap_u64(stored_bytes(w, i, words, HIGH), quick,
		    "segment %u goes by the sample before", i);
	tap_u64(stored_bytes(w, 12, words, HIGH), high,
	    "and the next by a sample of its own");
	return tap_done();
}
