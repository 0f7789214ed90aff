#include "conf/nearest.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#define WORD_MAX 63

static size_t
min_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment; rows are kept for the two letters before. */
size_t
nearest_distance(const char *a, const char *b)
{
	size_t d[3][WORD_MAX + 1];
	size_t a_len = strlen(a), b_len = strlen(b), i, j, cost;
	size_t *row, *above, *above2;

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return SIZE_MAX;
	for (j = 0; j <= b_len; j++)
		d[0][j] = j;
	for (i = 1; i <= a_len; i++) {
		row = d[i % 3];
		above = d[(i + 2) % 3];
		above2 = d[(i + 1) % 3];
		row[0] = i;
		for (j = 1; j <= b_len; j++) {
			cost = tolower((unsigned char)a[i - 1]) !=
			    tolower((unsigned char)b[j - 1]);
			row[j] = min_of(min_of(above[j] + 1, row[j - 1] + 1),
			    above[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = min_of(row[j], above2[j - 2] + 1);
		}
	}
	return d[a_len % 3][b_len];
}

const char *
nearest_word(const char *word, const char *const *candidates, size_t count)
{
	const char *best = NULL;
	size_t best_distance = strlen(word) / 3, distance, i;

	if (best_distance == 0)
		best_distance = 1;
	for (i = 0; i < count; i++) {
		distance = nearest_distance(word, candidates[i]);
		if (distance < best_distance ||
		    (best == NULL && distance == best_distance)) {
			best = candidates[i];
			best_distance = distance;
		}
	}
	return best;
}
