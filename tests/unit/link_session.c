/*
 * Two links on one machine: messages in order, chunks all there, whoever dials;
 * sessions begin and end with their processes.
 */
#include "link_node.h"
#include "tap.h"

static void
exchange(struct node *a, struct node *b, const char *what)
{
	atomic_store(&a->chunks_wanted, 300);
	atomic_store(&b->chunks_wanted, 200);
	atomic_store(&a->messages_wanted, 500);
	atomic_store(&b->messages_wanted, 700);
	tap_ok(NODE_WAIT(atomic_load(&a->ups) > 0 && atomic_load(&b->ups) > 0),
	    "%s: a session begins", what);
	tap_ok(NODE_WAIT(atomic_load(&b->chunks) == 300 &&
		   atomic_load(&a->chunks) == 200),
	    "%s: all chunks arrive", what);
	tap_ok(NODE_WAIT(atomic_load(&a->acked) == 300 &&
		   atomic_load(&b->acked) == 200),
	    "%s: and are acknowledged", what);
	tap_ok(NODE_WAIT(atomic_load(&b->messages) == 500 &&
		   atomic_load(&a->messages) == 700),
	    "%s: all messages arrive", what);
	tap_ok(
	    NODE_WAIT(atomic_load(&a->beats) > 0 && atomic_load(&b->beats) > 0),
	    "%s: heartbeats carry their bytes", what);
	tap_ok(NODE_WAIT(node_state(a).paths[0].rtt_us > 0 &&
		   node_state(b).paths[0].lanes == 4),
	    "%s: round trip known, 4 lanes", what);
	tap_u64(
	    atomic_load(&a->message_faults) + atomic_load(&b->message_faults),
	    0, "%s: in order and as sent", what);
	tap_u64(atomic_load(&a->chunk_faults) + atomic_load(&b->chunk_faults),
	    0, "%s: chunks as sent", what);
	tap_u64(atomic_load(&a->version), 1, "%s: version", what);
	tap_ok(NODE_WAIT(node_state(a).in_flight_bytes == 0),
	    "%s: nothing is kept", what);
}

/* Each dials the other, or is dialled only. */
static void
begin(struct node *a, struct node *b, bool a_dials, bool b_dials)
{
	node_init(a, "east", "west");
	node_init(b, "west", "east");
	node_knows(a, b, a_dials ? b->port : 0);
	node_knows(b, a, b_dials ? a->port : 0);
	node_start(a);
	node_start(b);
}

static void
check_who_dials(bool first, bool second, const char *what)
{
	struct node a, b;

	begin(&a, &b, first, second);
	exchange(&a, &b, what);
	tap_u64(node_state(&a).lanes_lost + node_state(&b).lanes_lost, 0,
	    "%s: no lane broke", what);
	node_fini(&a);
	node_fini(&b);
}

/* There was nothing to send, and then there is. */
static void
check_more(void)
{
	struct node a, b;

	begin(&a, &b, true, false);
	tap_ok(NODE_WAIT(node_state(&a).paths[0].lanes == 4 &&
		   node_state(&b).paths[0].lanes == 4),
	    "two sites have nothing to send");
	atomic_store(&a.chunks_wanted, 40);
	tap_ok(NODE_WAIT(
		   atomic_load(&b.chunks) == 40 && atomic_load(&a.acked) == 40),
	    "what there is between two turns of the link goes out");
	atomic_store(&b.chunks_wanted, 30);
	tap_ok(NODE_WAIT(
		   atomic_load(&a.chunks) == 30 && atomic_load(&b.acked) == 30),
	    "and what wakes the link");
	node_fini(&a);
	node_fini(&b);
}

static void
check_restart(void)
{
	struct node a, b;

	begin(&a, &b, true, false);
	exchange(&a, &b, "before a restart");

	node_stop(&b);
	node_start(&b);
	tap_ok(NODE_WAIT(atomic_load(&a.ups) == 2 && atomic_load(&b.ups) == 2),
	    "the peer of a process that starts again begins a session");
	tap_u64(atomic_load(&a.downs), 1, "after the end of the old one");
	tap_ok(NODE_WAIT(atomic_load(&b.chunks) == 300 &&
		   atomic_load(&b.messages) == 500 &&
		   atomic_load(&a.messages) == 700),
	    "and everything comes again from the beginning");

	node_stop(&a);
	node_start(&a);
	tap_ok(NODE_WAIT(atomic_load(&a.ups) == 3 && atomic_load(&b.ups) == 3),
	    "the same when the one that dials starts again");
	tap_ok(NODE_WAIT(atomic_load(&b.chunks) == 300 &&
		   atomic_load(&b.messages) == 500),
	    "and everything comes again");
	tap_u64(atomic_load(&a.message_faults) + atomic_load(&b.message_faults),
	    0, "in order");
	node_fini(&a);
	node_fini(&b);
}

/* A session that one side cannot go on with ends at both. */
static void
check_chunk_refused(bool by_leader)
{
	const char *who = by_leader ? "leader" : "follower";
	struct node a, b;

	node_init(&a, by_leader ? "west" : "east", by_leader ? "east" : "west");
	node_init(&b, by_leader ? "east" : "west", by_leader ? "west" : "east");
	node_knows(&a, &b, b.port);
	node_knows(&b, &a, 0);
	b.refuses_chunks = true;
	atomic_store(&a.chunks_wanted, 10);
	node_start(&a);
	node_start(&b);
	tap_ok(NODE_WAIT(atomic_load(&b.downs) >= 2),
	    "a chunk refused by the %s ends the session", who);
	tap_ok(NODE_WAIT(atomic_load(&a.downs) >= 2), "at both ends");
	node_stop(&b);
	b.refuses_chunks = false;
	node_start(&b);
	tap_ok(NODE_WAIT(atomic_load(&b.chunks) == 10),
	    "and a later one goes well");
	node_fini(&a);
	node_fini(&b);
}

int
main(void)
{
	check_who_dials(true, false, "the leader dials");
	check_who_dials(false, true, "the follower dials");
	check_who_dials(true, true, "both dial");
	check_more();
	check_restart();
	check_chunk_refused(true);
	check_chunk_refused(false);
	return tap_done();
}
