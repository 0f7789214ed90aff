#ifndef WAN_CHANCE_H
#define WAN_CHANCE_H

/*
 * chance: random numbers that a seed repeats (SplitMix64: Steele, Lea and
 * Flood, "Fast splittable pseudorandom number generators", 2014).
 */

#include <stdbool.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

static inline uint64_t
chance_next(struct chance *c)
{
	uint64_t z = (c->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Uniform, from 0 to below 1. */
static inline double
chance_share(struct chance *c)
{
	return (double)(chance_next(c) >> 11) * 0x1p-53;
}

/* True in the share p of all calls.  Every call takes one number, so that a
 * share that is changed on the way does not move what comes later. */
static inline bool
chance_hit(struct chance *c, double p)
{
	return chance_share(c) < p;
}

#endif /* !WAN_CHANCE_H */
