/*
 * courier_link: how the lines to the other site are, for people.
 */

#include "base/clock.h"
#include "jobs/courier_int.h"

static void
put_paths(json_t *out, const struct link_state *st)
{
	json_t *list = json_array();
	int64_t boot_us = clock_boot_us();
	size_t i;

	for (i = 0; i < st->path_count; i++) {
		const struct link_path_state *p = &st->paths[i];
		json_t *j = json_object();

		(void)json_object_set_new(j, "up", json_boolean(p->up));
		json_set_str(j, "local", p->local);
		json_set_str(j, "remote", p->remote);
		json_set_u64(j, "rtt_us", p->rtt_us);
		json_set_u64(j, "lanes", p->lanes);
		if (p->heard_us != 0)
			json_set_u64(j, "heard_ago_us",
			    (uint64_t)(boot_us - p->heard_us));
		if (p->changed_us != 0)
			json_set_u64(j, "since_us",
			    (uint64_t)(clock_now_us() -
				(boot_us - p->changed_us)));
		if (p->error[0] != '\0')
			json_set_str(j, "error", p->error);
		(void)json_array_append_new(list, j);
	}
	(void)json_object_set_new(out, "paths", list);
}

bool
courier_is_reached(const struct link_state *st)
{
	size_t i;

	for (i = 0; i < st->path_count; i++)
		if (st->paths[i].up)
			return st->up;
	return false;
}

void
courier_put_link(json_t *out, const struct link_state *st)
{
	(void)json_object_set_new(
	    out, "up", json_boolean(courier_is_reached(st)));
	if (st->heard_us != 0)
		json_set_u64(out, "heard_ago_us",
		    (uint64_t)(clock_boot_us() - st->heard_us));
	(void)json_object_set_new(out, "skew_us", json_integer(st->skew_us));
	json_set_str(out, "congestion", st->congestion);
	json_set_u64(out, "max_rate_bytes_per_s", st->max_rate_bytes_s);
	json_set_u64(out, "sent_bytes", st->sent_bytes);
	json_set_u64(out, "received_bytes", st->received_bytes);
	json_set_u64(out, "resent_bytes", st->resent_bytes);
	json_set_u64(out, "in_flight_bytes", st->in_flight_bytes);
	json_set_u64(out, "lanes_lost", st->lanes_lost);
	put_paths(out, st);
}
