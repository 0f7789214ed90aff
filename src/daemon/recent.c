#include "daemon/recent.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "daemon/message.h"

struct recent {
	json_t *ring[RECENT_MAX];
	uint64_t last; /* number of the newest; 0 there is none */
};

struct recent *
recent_new(void)
{
	return mem_zalloc(sizeof(struct recent));
}

void
recent_free(struct recent *r)
{
	size_t i;

	if (r == NULL)
		return;
	for (i = 0; i < RECENT_MAX; i++)
		json_decref(r->ring[i]);
	free(r);
}

void
recent_put(struct recent *r, const json_t *event)
{
	static const char *const kept[] = { "time_us", "level", "event",
		"message", "values" };
	json_t **place = &r->ring[++r->last % RECENT_MAX];
	json_t *copy = json_object();
	size_t i;

	for (i = 0; i < COUNT_OF(kept); i++)
		if (json_object_get(event, kept[i]) != NULL)
			(void)json_object_set_new(copy, kept[i],
			    json_deep_copy(json_object_get(event, kept[i])));
	json_set_u64(copy, "number", r->last);
	json_decref(*place);
	*place = copy;
}

/* By time: the history tells of old ones when newer ones are here already. */
static int
by_time(const void *a, const void *b)
{
	const json_t *e1 = *(json_t *const *)a, *e2 = *(json_t *const *)b;
	const char *key = "time_us";

	if (message_number(e1, key) == message_number(e2, key))
		key = "number";
	return message_number(e1, key) < message_number(e2, key) ? -1 : 1;
}

json_t *
recent_json(const struct recent *r, unsigned int count, uint64_t after)
{
	json_t *list[RECENT_MAX], *events = json_array(), *o = json_object();
	uint64_t n = r->last > RECENT_MAX ? r->last - RECENT_MAX + 1 : 1;
	size_t found = 0, i;

	for (n = n > after ? n : after + 1; n <= r->last; n++)
		list[found++] = r->ring[n % RECENT_MAX];
	if (found > 0)
		qsort(list, found, sizeof(*list), by_time);
	for (i = found > count ? found - count : 0; i < found; i++)
		(void)json_array_append(events, list[i]);
	(void)json_object_set_new(o, "events", events);
	json_set_u64(o, "last", r->last);
	return o;
}
