/*
 * beat: heartbeats, their echoes, and the state of paths.
 */
#include <stdlib.h>

#include "base/log.h"
#include "link/link_int.h"

#define PROBE_US  CLOCK_SECOND_US	 /* of silence in the middle of data */
#define ACTIVE_US (10 * CLOCK_SECOND_US) /* data came not longer ago */

static void
path_changed(struct link *l, struct path *p, bool up)
{
	p->st.up = up;
	p->st.changed_us = l->now_us;
	log_event(up ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
	    up ? "path_up" : "path_down",
	    up ? "a path to the peer works" : "a path to the peer is silent",
	    "peer", l->peer, "local", p->st.local, "remote", p->st.remote,
	    NULL);
	if (l->ops.path_changed != NULL)
		l->ops.path_changed(l->arg, (unsigned int)(p - l->paths), up);
}

void
beat_heard(struct link *l, struct conn *c)
{
	struct path *p = link_conn_path(l, c);

	c->heard_us = l->now_us;
	c->probe = false;
	if (c->stalled)
		stall_over(l, c);
	p->st.heard_us = p->alive_us = l->now_us;
	l->st.heard_us = l->now_us;
	if (!p->st.up)
		path_changed(l, p, true);
}

void
beat_began(struct link *l, struct conn *c)
{
	if (c->kind == FRAME_KIND_BEAT)
		link_conn_path(l, c)->beat_due_us = l->now_us;
}

/* Is anybody there? */
static void
put(struct link *l, struct conn *c, const uint8_t *data, size_t len)
{
	struct frame f = { 0 };

	f.number = ++link_conn_path(l, c)->beats;
	f.clock_us = clock_boot_us();
	f.wall_us = clock_now_us();
	f.data = data;
	f.len = len;
	frame_put_beat(&c->out, &f);
	if (!c->probe && c->row.count == 0 && conn_waiting(c) == 0)
		c->moved_us = l->now_us;
	c->probe = true;
}

void
beat_probe(struct link *l, struct conn *c)
{
	put(l, c, NULL, 0);
}

/* Lanes that are silent are asked, sooner where data was coming. */
static void
probe_lanes(struct link *l)
{
	struct conn *c;

	for (c = l->conns; c != NULL; c = c->next) {
		int64_t silent = l->now_us - c->heard_us;

		if (c->state != CONN_UP || c->kind != FRAME_KIND_LANE ||
		    c->probe)
			continue;
		if (silent > l->params.beat_interval_us ||
		    (silent > PROBE_US && l->now_us - c->chunk_us < ACTIVE_US))
			beat_probe(l, c);
	}
}

static void
tick_path(struct link *l, struct path *p)
{
	int64_t interval = l->params.beat_interval_us;
	struct conn *c = p->slots[0].up;
	uint8_t data[LINK_BEAT_MAX];

	if (c != NULL && l->now_us >= p->beat_due_us) {
		size_t len =
		    l->ops.beat_out != NULL ? l->ops.beat_out(l->arg, data) : 0;

		put(l, c, data, len < sizeof(data) ? len : sizeof(data));
		p->beat_due_us = l->now_us + interval;
	}
	if (p->st.up &&
	    l->now_us - p->st.heard_us >
		interval * (int64_t)l->params.beat_misses)
		path_changed(l, p, false);
}

void
beat_tick(struct link *l)
{
	size_t i;

	for (i = 0; i < l->path_count; i++)
		tick_path(l, &l->paths[i]);
	probe_lanes(l);
}

/* Neither knows it better than by half its round trip: if they differ by more, a
 * clock was set. */
static bool
was_set(const struct link *l, int64_t skew_us, int64_t rtt_us)
{
	uint64_t d = skew_us > l->st.skew_us
	    ? (uint64_t)skew_us - (uint64_t)l->st.skew_us
	    : (uint64_t)l->st.skew_us - (uint64_t)skew_us;

	return d > (uint64_t)rtt_us + l->skew_rtt_us;
}

/* Round trip, and the difference of the clocks, of which the fastest of late
 * knows best. */
static void
measure(struct link *l, struct path *p, const struct frame *f)
{
	int64_t now = clock_boot_us(), wall = clock_now_us();
	int64_t rtt = now - f->clock_us;
	int64_t there = f->echoed_us - f->came_us;
	/* Each alone, so that strange times do not overflow. */
	int64_t skew_us =
	    (int64_t)(((uint64_t)f->came_us - (uint64_t)f->wall_us) +
		((uint64_t)f->echoed_us - (uint64_t)wall)) /
	    2;

	if (there > 0 && there < rtt)
		rtt -= there;
	if (rtt < 0 || rtt > 600 * CLOCK_SECOND_US)
		return;
	if (rtt == 0)
		rtt = 1;
	p->st.rtt_us = p->st.rtt_us == 0
	    ? (uint32_t)rtt
	    : (uint32_t)((7 * (uint64_t)p->st.rtt_us + (uint64_t)rtt) / 8);
	if (l->skew_rtt_us == 0 || rtt <= l->skew_rtt_us + l->skew_rtt_us / 8 ||
	    now - l->skew_us > 60 * CLOCK_SECOND_US ||
	    was_set(l, skew_us, rtt)) {
		l->skew_rtt_us = (uint32_t)rtt;
		l->skew_us = now;
		l->st.skew_us = skew_us;
	}
}

int
beat_take(struct link *l, struct conn *c, const struct frame *f)
{
	struct frame echo = *f;

	if (f->type == FRAME_ECHO) {
		if (c->kind == FRAME_KIND_BEAT)
			measure(l, link_conn_path(l, c), f);
		return 0;
	}
	echo.came_us = clock_now_us();
	echo.echoed_us = echo.came_us;
	frame_put_echo(&c->out, &echo);
	if (c->kind == FRAME_KIND_BEAT && l->ops.beat_in != NULL)
		l->ops.beat_in(l->arg, c->path, f->data, f->len);
	return 0;
}
