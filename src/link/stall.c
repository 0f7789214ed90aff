/*
 * stall: connections on which nothing moves.
 *
 * A connection stalls when it owes something (chunks, messages, an echo) and
 * for two seconds, or four round trips, no byte came and the peer's kernel
 * acknowledged none; or no byte came for five times as long, whatever a kernel
 * acknowledges: the program behind it may hang.  What a stalled lane holds goes
 * out on others, and another connection is dialled in its place.
 */
#include "base/log.h"
#include "link/dial.h"
#include "link/link_int.h"

#define ASK_US	      (CLOCK_SECOND_US / 2)
#define GIVE_UP_US    (30 * CLOCK_SECOND_US)
#define SILENT_LIMITS 5
#define STUCK_MAX     3
#define STUCK_US      (CLOCK_SECOND_US * 3 / 2) /* those together count once */
#define SMALL_US      (3600 * CLOCK_SECOND_US)

int64_t
stall_limit_us(struct link *l, const struct conn *c)
{
	int64_t rtt = link_conn_path(l, c)->st.rtt_us;

	return 4 * rtt > LINK_STALL_US ? 4 * rtt : LINK_STALL_US;
}

void
stall_small(struct link *l, struct path *p)
{
	if (l->now_us < p->small_until_us)
		return;
	p->small_until_us = l->now_us + SMALL_US;
	p->stuck = 0;
	log_event(LOG_LEVEL_WARNING, "path_mtu",
	    "large packets do not pass this path: it gets small segments",
	    "peer", l->peer, "remote", p->st.remote, NULL);
}

/* c was authenticated, but no data that it sent arrived: when that is so time
 * and again, the path may drop large packets without a word. */
static void
stuck(struct link *l, struct conn *c)
{
	struct path *p = link_conn_path(l, c);
	struct conn *beat = p->slots[0].up;

	if (!c->sent_data || c->progress || l->now_us < p->small_until_us ||
	    l->now_us - p->stuck_us < STUCK_US)
		return;
	p->stuck_us = l->now_us;
	if (++p->stuck < STUCK_MAX)
		return;
	if (!c->dialled && beat != NULL && beat != c && !beat->stalled) {
		frame_put_small(&beat->out, c->path);
		p->stuck = 0;
	} else if (c->dialled) {
		stall_small(l, p);
	}
}

void
stall_progress(struct link *l, struct conn *c)
{
	struct path *p = link_conn_path(l, c);

	c->progress = true;
	c->moved_us = l->now_us;
	if (l->now_us >= p->small_until_us)
		p->stuck = 0;
}

void
stall_over(struct link *l, struct conn *c)
{
	c->stalled = false;
	held_row_revived(&l->held, &c->row);
	link_conn_alone(l, c);
}

/* When something last moved on c, which owes something or not. */
static int64_t
last_move(struct link *l, struct conn *c, bool owes)
{
	int64_t last;
	uint64_t acked;

	if (!owes)
		c->moved_us = c->idle_us = l->now_us;
	last = c->heard_us > c->moved_us ? c->heard_us : c->moved_us;
	if (l->now_us - last <= ASK_US)
		return last;
	acked = dial_acked(c->fd);
	if (acked != c->acked)
		c->moved_us = last = l->now_us;
	c->acked = acked;
	return last;
}

static void
tick_conn(struct link *l, struct conn *c)
{
	bool owes = c->row.count > 0 || c->probe || conn_waiting(c) > 0 ||
	    (c == l->carrier && l->mail.first != NULL);
	int64_t still = l->now_us - last_move(l, c, owes);
	int64_t limit = stall_limit_us(l, c);
	int64_t silent =
	    l->now_us - (c->heard_us > c->idle_us ? c->heard_us : c->idle_us);
	bool stands = still > limit || silent > SILENT_LIMITS * limit;

	if (stands && silent > GIVE_UP_US) {
		link_conn_end(l, c, NULL, 0);
	} else if (stands && !c->stalled) {
		c->stalled = true;
		held_row_stalled(&l->held, &c->row);
		stuck(l, c);
		log_event(LOG_LEVEL_DEBUG, "link_stall",
		    "nothing moves on a connection", "peer", l->peer, "kind",
		    c->kind == FRAME_KIND_BEAT ? "beat" : "lane", NULL);
	} else if (!stands && c->stalled && still < ASK_US) {
		stall_over(l, c);
	}
}

void
stall_tick(struct link *l)
{
	struct conn *c;

	for (c = l->conns; c != NULL; c = c->next)
		if (c->state == CONN_UP)
			tick_conn(l, c);
}
