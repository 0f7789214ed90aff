#include <assert.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "wan/chance.h"
#include "wan/damage.h"
#include "wan/line.h"

struct packet {
	struct packet *next; /* in the queue */
	int64_t due_ns;
	uint64_t number; /* in the order they were offered */
	uint64_t turn;	 /* in the order they came out of the bottleneck */
	size_t len;
	uint8_t bytes[];
};

/* Each cause has its own numbers, so that none disturbs another. */
enum cause {
	CHANCE_LOSS,
	CHANCE_CORRUPT,
	CHANCE_DAMAGE,
	CHANCE_DUPLICATE,
	CHANCE_JITTER,
	CHANCE_REORDER,
	CHANCES
};

struct line {
	struct setup_line setup;
	bool down;
	line_deliver *deliver;
	void *arg;
	struct chance chance[CHANCES];
	bool losing; /* Gilbert's bad state */

	struct packet *queue, **queue_end;
	struct packet *sending; /* in the bottleneck, until its due_ns */

	struct packet **flight; /* a heap: earliest at 0 */
	size_t flight_count, flight_size;
	int64_t last_due_ns;
	uint64_t turns;
	uint64_t newest; /* number of the newest one delivered, plus 1 */

	struct line_counters counters;
	uint64_t offered;
};

const char *
line_drop_name(enum line_drop why)
{
	static const char *const names[LINE_DROPS] = { "outage", "blackhole",
		"mtu", "loss", "queue", "memory", "refused" };

	return names[why];
}

struct line *
line_new(uint64_t seed, line_deliver *deliver, void *arg)
{
	struct line *l = mem_zalloc(sizeof(*l));
	struct chance seeds = { seed };
	size_t i;

	l->deliver = deliver;
	l->arg = arg;
	l->queue_end = &l->queue;
	for (i = 0; i < CHANCES; i++)
		l->chance[i].state = chance_next(&seeds);
	l->last_due_ns = INT64_MIN;
	return l;
}

/* ---- memory ---- */

static struct packet *
packet_new(struct line *l, const uint8_t *bytes, size_t len)
{
	struct packet *p = mem_alloc(sizeof(*p) + len);

	*p = (struct packet){ .len = len };
	(void)memcpy(p->bytes, bytes, len);
	l->counters.held_packets++;
	l->counters.held_bytes += len;
	return p;
}

static void
packet_free(struct line *l, struct packet *p)
{
	l->counters.held_packets--;
	l->counters.held_bytes -= p->len;
	free(p);
}

static void
drop(struct line *l, struct packet *p, enum line_drop why)
{
	l->counters.dropped[why]++;
	packet_free(l, p);
}

static bool
has_room(const struct line *l, size_t len)
{
	return l->counters.held_bytes + len +
	    (l->counters.held_packets + 1) * sizeof(struct packet) <=
	    LINE_HELD_MAX;
}

/* ---- flight: a heap by time, then turn ---- */

static bool
before(const struct packet *a, const struct packet *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns
				      : a->turn < b->turn;
}

static void
flight_put(struct line *l, struct packet *p)
{
	size_t i = l->flight_count++, up;

	if (i == l->flight_size) {
		l->flight_size = l->flight_size * 2 + 64;
		l->flight = mem_rearray(
		    l->flight, l->flight_size, sizeof(struct packet *));
	}
	for (; i > 0 && before(p, l->flight[up = (i - 1) / 2]); i = up)
		l->flight[i] = l->flight[up];
	l->flight[i] = p;
}

static struct packet *
flight_get(struct line *l)
{
	struct packet *first = l->flight[0];
	struct packet *last = l->flight[--l->flight_count];
	size_t i = 0, down;

	while ((down = 2 * i + 1) < l->flight_count) {
		if (down + 1 < l->flight_count &&
		    before(l->flight[down + 1], l->flight[down]))
			down++;
		if (!before(l->flight[down], last))
			break;
		l->flight[i] = l->flight[down];
		i = down;
	}
	l->flight[i] = last;
	return first;
}

/* ---- what happens to a packet ---- */

/* Gilbert's model: in the bad state all are lost; it lasts burst packets in the
 * mean, and the good one as long as the loss asks for. */
static bool
lose(struct line *l)
{
	const struct setup_line *s = &l->setup;
	double leave = 1 / s->burst;
	struct chance *c = &l->chance[CHANCE_LOSS];

	if (s->loss >= 1 || s->burst <= 1)
		return chance_hit(c, s->loss);
	if (l->losing)
		l->losing = !chance_hit(c, leave);
	else
		l->losing = chance_hit(c, leave * s->loss / (1 - s->loss));
	return l->losing;
}

/* When a packet that leaves the bottleneck at t_ns arrives. */
static int64_t
arrival(struct line *l, int64_t t_ns)
{
	const struct setup_line *s = &l->setup;
	double swing = 2 * chance_share(&l->chance[CHANCE_JITTER]) - 1;
	int64_t delay = s->delay_ns + (int64_t)(swing * (double)s->jitter_ns);
	int64_t due = t_ns + (delay < 0 ? 0 : delay);

	if (chance_hit(&l->chance[CHANCE_REORDER], s->reorder))
		return due + s->gap_ns; /* others need not wait for it */
	if (!s->free_order && due < l->last_due_ns)
		due = l->last_due_ns;
	l->last_due_ns = due;
	return due;
}

static void
fly(struct line *l, struct packet *p, int64_t due_ns)
{
	p->due_ns = due_ns;
	p->turn = l->turns++;
	flight_put(l, p);
}

static void
leave_bottleneck(struct line *l, struct packet *p, int64_t t_ns)
{
	const struct setup_line *s = &l->setup;
	struct packet *twin;
	int64_t due;
	bool doubled;

	l->counters.sent_packets++;
	l->counters.sent_bytes += p->len;
	if (!s->loss_first && lose(l)) {
		drop(l, p, LINE_LOSS);
		return;
	}
	if (chance_hit(&l->chance[CHANCE_CORRUPT], s->corrupt) &&
	    (s->repair ? damage_payload : damage_packet)(
		p->bytes, p->len, &l->chance[CHANCE_DAMAGE]))
		l->counters.corrupted++;
	due = arrival(l, t_ns);
	doubled = chance_hit(&l->chance[CHANCE_DUPLICATE], s->duplicate);
	fly(l, p, due);
	if (doubled && has_room(l, p->len)) {
		twin = packet_new(l, p->bytes, p->len);
		twin->number = p->number;
		l->counters.duplicated++;
		fly(l, twin, due);
	}
}

static int64_t
sending_time(const struct line *l, size_t len)
{
	const struct setup_line *s = &l->setup;

	if (s->rate_bits == 0)
		return 0;
	return (int64_t)((double)(len + s->header_bytes) * 8e9 /
	    (double)s->rate_bits);
}

/* The first one that waits goes into the bottleneck. */
static void
start_sending(struct line *l, int64_t t_ns)
{
	struct packet *p = l->queue;
	int64_t time_ns;

	if (p == NULL)
		return;
	l->queue = p->next;
	if (l->queue == NULL)
		l->queue_end = &l->queue;
	l->counters.queue_bytes -= p->len;
	time_ns = sending_time(l, p->len);
	l->counters.sent_ns += (uint64_t)time_ns;
	p->due_ns = t_ns + time_ns;
	l->sending = p;
}

static void
arrive(struct line *l, struct packet *p, int64_t now_ns)
{
	struct line_counters *c = &l->counters;
	uint64_t late = (uint64_t)(now_ns - p->due_ns);

	if (!l->deliver(l->arg, p->bytes, p->len)) {
		drop(l, p, LINE_REFUSED);
		return;
	}
	c->out_packets++;
	c->out_bytes += p->len;
	c->late_sum_ns += late;
	if (late > c->late_max_ns)
		c->late_max_ns = late;
	if (p->number + 1 < l->newest)
		c->overtaken++;
	else
		l->newest = p->number + 1;
	packet_free(l, p);
}

int64_t
line_next(const struct line *l)
{
	int64_t next = l->sending == NULL ? LINE_NEVER : l->sending->due_ns;

	return l->flight_count > 0 && l->flight[0]->due_ns < next
	    ? l->flight[0]->due_ns
	    : next;
}

void
line_run(struct line *l, int64_t now_ns)
{
	struct packet *p;

	while (line_next(l) <= now_ns) {
		if (l->sending == NULL || line_next(l) < l->sending->due_ns) {
			arrive(l, flight_get(l), now_ns);
			continue;
		}
		p = steal_ptr(&l->sending);
		start_sending(l, p->due_ns);
		leave_bottleneck(l, p, p->due_ns);
	}
}

void
line_offer(struct line *l, int64_t now_ns, const uint8_t *packet, size_t len)
{
	const struct setup_line *s = &l->setup;
	struct line_counters *c = &l->counters;
	struct packet *p;

	assert(len <= LINE_PACKET_MAX);
	c->offered_packets++;
	c->offered_bytes += len;
	if (!has_room(l, len)) {
		c->dropped[LINE_MEMORY]++;
		return;
	}
	p = packet_new(l, packet, len);
	p->number = l->offered++;
	if (l->down) {
		drop(l, p, LINE_OUTAGE);
	} else if (s->blackhole) {
		drop(l, p, LINE_BLACKHOLE);
	} else if (s->mtu_bytes != 0 && len > s->mtu_bytes) {
		drop(l, p, LINE_MTU);
	} else if (s->loss_first && lose(l)) {
		drop(l, p, LINE_LOSS);
	} else if (l->sending != NULL &&
	    c->queue_bytes + len > setup_queue_bytes(s)) {
		drop(l, p, LINE_QUEUE);
	} else {
		*l->queue_end = p;
		l->queue_end = &p->next;
		c->queue_bytes += len;
		if (l->sending == NULL)
			start_sending(l, now_ns);
		else if (c->queue_bytes > c->queue_max_bytes)
			c->queue_max_bytes = c->queue_bytes;
	}
}

/* ---- changes ---- */

void
line_set(struct line *l, const struct setup_line *s)
{
	l->setup = *s;
}

static void
drop_all(struct line *l)
{
	struct packet *p;

	if (l->sending != NULL)
		drop(l, steal_ptr(&l->sending), LINE_OUTAGE);
	while ((p = l->queue) != NULL) {
		l->queue = p->next;
		drop(l, p, LINE_OUTAGE);
	}
	l->queue_end = &l->queue;
	l->counters.queue_bytes = 0;
	while (l->flight_count > 0)
		drop(l, l->flight[--l->flight_count], LINE_OUTAGE);
}

void
line_cut(struct line *l)
{
	l->down = true;
	drop_all(l);
}

void
line_set_up(struct line *l)
{
	l->down = false;
}

void
line_free(struct line *l)
{
	if (l == NULL)
		return;
	drop_all(l);
	free(l->flight);
	free(l);
}

const struct line_counters *
line_counters(const struct line *l)
{
	return &l->counters;
}

void
line_reset_counters(struct line *l)
{
	struct line_counters *c = &l->counters;

	*c = (struct line_counters){ .held_packets = c->held_packets,
		.held_bytes = c->held_bytes,
		.queue_bytes = c->queue_bytes };
}
