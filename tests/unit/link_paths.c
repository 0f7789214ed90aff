/*
 * A link over two paths: when one falls silent the other carries everything,
 * and both are used again when it is back.
 */
#include "link_proxy.h"
#include "tap.h"

static struct proxy first, second;
static struct node a, b;

static uint32_t
lanes(struct node *n, size_t path)
{
	return node_state(n).paths[path].lanes;
}

int
main(void)
{
	node_init(&a, "east", "west");
	node_init(&b, "west", "east");
	proxy_start(&first, b.port);
	proxy_start(&second, b.port);
	node_knows(&a, &b, first.port);
	node_knows(&b, &a, 0);
	a.params.path_count = 2;
	(void)snprintf(a.params.paths[1].address,
	    sizeof(a.params.paths[1].address), "localhost:%u", second.port);
	atomic_store(&a.rate, 8000000);
	a.params.max_rate_bytes_s = 8000000;
	atomic_store(&a.chunks_wanted, 1000);
	atomic_store(&a.messages_wanted, 200);
	node_start(&a);
	node_start(&b);
	tap_ok(NODE_WAIT(lanes(&a, 0) == 2 && lanes(&a, 1) == 2),
	    "lanes are spread over the paths, also to a name");
	tap_ok(NODE_WAIT(atomic_load(&b.path_ups) == 2),
	    "who was told of one path learns of the other");

	atomic_store(&second.hang_all, true);
	tap_ok(NODE_WAIT(atomic_load(&a.path_downs) == 1 &&
		   atomic_load(&b.path_downs) == 1),
	    "the loss of one is told at both ends");
	tap_ok(NODE_WAIT(
		   node_state(&a).paths[0].up && !node_state(&a).paths[1].up),
	    "which one");
	tap_ok(NODE_WAIT(lanes(&a, 0) == 4), "the other has all lanes");
	tap_ok(NODE_WAIT(atomic_load(&b.chunks) == 1000 &&
		   atomic_load(&b.messages) == 200),
	    "all arrives over it");
	tap_u64(atomic_load(&a.downs) + atomic_load(&b.downs), 0,
	    "the session does not notice");

	atomic_store(&second.hang_all, false);
	tap_ok(NODE_WAIT(atomic_load(&a.path_ups) == 3 &&
		   atomic_load(&b.path_ups) == 3),
	    "its return is told");
	tap_ok(NODE_WAIT(lanes(&a, 1) >= 2), "and it has lanes again");
	atomic_store(&first.hang_all, true);
	atomic_store(&a.chunks_wanted, 1300);
	atomic_store(&a.messages_wanted, 300);
	tap_ok(NODE_WAIT(atomic_load(&b.chunks) == 1300 &&
		   atomic_load(&b.messages) == 300),
	    "that carry everything when the first one fails");
	tap_u64(atomic_load(&b.message_faults) + atomic_load(&b.chunk_faults),
	    0, "in order and as sent");
	node_stop(&a);
	node_stop(&b);
	proxy_stop(&first);
	proxy_stop(&second);
	node_fini(&a);
	node_fini(&b);
	return tap_done();
}
