#include "jobs/skew.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/show.h"

#define STALE_US (60 * CLOCK_SECOND_US)

/* What it was with the server's last word. */
static bool
by_receiver(const struct settings *s, const struct cluster_settings *c,
    int64_t *us, int64_t *when_us)
{
	AUTO_FREE char *path =
	    mem_printf("%s/%s/receiver.json", s->state_dir, c->name);
	AUTO_JSON json_t *j = show_read(path);
	int64_t ours_us = json_get_int(j, "message_us");
	int64_t theirs_us = json_get_int(j, "server_us");

	*us = theirs_us - ours_us;
	*when_us = ours_us;
	return ours_us != 0 && theirs_us != 0;
}

static bool
brings(const json_t *link, const char *cluster)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(link, "accepts"), i, one)
	{
		if (strcmp(json_get_str(one, "cluster"), cluster) == 0 &&
		    strcmp(json_get_str(one, "state"), "accepting") == 0)
			return true;
	}
	return false;
}

static bool
by_link(const struct settings *s, const struct cluster_settings *c, int64_t *us,
    char peer[64])
{
	size_t i;

	for (i = 0; i < s->peer_count; i++) {
		AUTO_FREE char *path = mem_printf(
		    "%s/link/%s.json", s->state_dir, s->peers[i].name);
		AUTO_JSON json_t *j = show_read(path);

		if (show_age_us(j) > STALE_US ||
		    !json_is_true(json_object_get(j, "up")) ||
		    !brings(j, c->name))
			continue;
		*us = json_get_int(j, "skew_us");
		(void)snprintf(peer, 64, "%s", s->peers[i].name);
		return true;
	}
	return false;
}

/* A receiver that has ended leaves its last word: the link's is newer then. */
bool
skew_of_server(const struct settings *s, const struct cluster_settings *c,
    int64_t *us, char peer[64])
{
	int64_t when_us, age_us;

	peer[0] = '\0';
	*us = 0;
	if (by_link(s, c, us, peer))
		return true;
	age_us = by_receiver(s, c, us, &when_us) ? clock_now_us() - when_us
						 : STALE_US;
	if (age_us > -STALE_US && age_us < STALE_US)
		return true;
	*us = 0;
	return false;
}

int64_t
skew_late_us(const json_t *link, const json_t *accept)
{
	int64_t now_us = show_now_us(link), late_us;

	if (json_need_i64(accept, "late_us", &late_us, NULL) == 0)
		return late_us + now_us - json_get_int(link, "updated_us");
	/* The source's clock, as ours would show it. */
	return now_us + json_get_int(link, "skew_us") -
	    json_get_int(accept, "source_us");
}
