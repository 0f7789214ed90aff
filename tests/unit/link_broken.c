/*
 * A link over connections that are cut, hang and change bytes: every message
 * once and in order, every chunk, and nothing that was not sent.
 */
#include "link_proxy.h"
#include "tap.h"

static struct proxy proxy;
static struct node a, b;

static void
begin(unsigned int chunks, unsigned int messages)
{
	node_init(&a, "east", "west");
	node_init(&b, "west", "east");
	proxy_start(&proxy, b.port);
	node_knows(&a, &b, proxy.port);
	node_knows(&b, &a, 0);
	/* Slow enough that much happens on the way. */
	atomic_store(&a.rate, 12000000);
	atomic_store(&b.rate, 12000000);
	a.params.max_rate_bytes_s = b.params.max_rate_bytes_s = 12000000;
	atomic_store(&a.chunks_wanted, chunks);
	atomic_store(&b.chunks_wanted, chunks / 2);
	atomic_store(&a.messages_wanted, messages);
	atomic_store(&b.messages_wanted, messages);
	node_start(&a);
	node_start(&b);
}

static void
end(const char *what)
{
	unsigned int chunks = atomic_load(&a.chunks_wanted);
	unsigned int messages = atomic_load(&a.messages_wanted);

	tap_ok(NODE_WAIT(atomic_load(&b.chunks) == chunks &&
		   atomic_load(&a.chunks) == chunks / 2),
	    "%s: all chunks arrive", what);
	tap_ok(NODE_WAIT(atomic_load(&a.acked) == chunks &&
		   atomic_load(&b.acked) == chunks / 2),
	    "%s: and are acknowledged once each", what);
	tap_ok(NODE_WAIT(atomic_load(&b.messages) == messages &&
		   atomic_load(&a.messages) == messages),
	    "%s: all messages arrive", what);
	tap_u64(atomic_load(&a.message_faults) + atomic_load(&b.message_faults),
	    0, "%s: in order and as sent", what);
	tap_u64(atomic_load(&a.chunk_faults) + atomic_load(&b.chunk_faults), 0,
	    "%s: chunks as sent", what);
	tap_u64(atomic_load(&a.ups) + atomic_load(&b.ups), 2,
	    "%s: it stays one session", what);
	tap_ok(NODE_WAIT(node_state(&a).in_flight_bytes == 0 &&
		   node_state(&b).in_flight_bytes == 0),
	    "%s: nothing is kept", what);
	tap_diag("%s: %u cuts, %u flips, %u and %u copies", what,
	    atomic_load(&proxy.cuts), atomic_load(&proxy.flips),
	    atomic_load(&b.chunk_copies), atomic_load(&a.chunk_copies));
	node_stop(&a);
	node_stop(&b);
	proxy_stop(&proxy);
	node_fini(&a);
	node_fini(&b);
}

static void
check_cut(void)
{
	unsigned int i;

	begin(1500, 3000);
	(void)NODE_WAIT(atomic_load(&b.chunks) > 0);
	for (i = 0; i < 60; i++) {
		atomic_fetch_add(&proxy.cut, 1);
		(void)NODE_WAIT(
		    atomic_load(&proxy.cuts) == atomic_load(&proxy.cut));
		clock_sleep_us(30000);
	}
	tap_u64(atomic_load(&proxy.cuts), 60, "60 cuts are made");
	end("cut at random");
}

static void
check_hang(void)
{
	begin(600, 300);
	(void)NODE_WAIT(atomic_load(&b.chunks) > 100);
	atomic_fetch_add(&proxy.hang_old, 1);
	end("all hang for ever");
}

static void
check_outage(void)
{
	begin(600, 300);
	(void)NODE_WAIT(atomic_load(&b.chunks) > 100);
	atomic_store(&proxy.hang_all, true);
	tap_ok(NODE_WAIT(atomic_load(&a.path_downs) == 1 &&
		   atomic_load(&b.path_downs) == 1),
	    "an outage: both sides say that the path is down");
	tap_ok(NODE_WAIT(!node_state(&a).paths[0].up), "and so does the state");
	atomic_store(&proxy.hang_all, false);
	tap_ok(NODE_WAIT(atomic_load(&a.path_ups) == 2 &&
		   atomic_load(&b.path_ups) == 2),
	    "and up again");
	end("outage");
}

static void
check_flip(void)
{
	unsigned int i;

	begin(1000, 500);
	for (i = 0; i < 30; i++) {
		atomic_fetch_add(&proxy.flip, 1);
		(void)NODE_WAIT(
		    atomic_load(&proxy.flips) == atomic_load(&proxy.flip));
		clock_sleep_us(20000);
	}
	end("changed bytes");
}

/* A rate that is lowered while chunks flow holds them back: with 64 kB/s no
 * more than what buffers hold can cross in the time that it takes to look. */
static void
check_rate(void)
{
	unsigned int before;

	begin(90000, 0);
	(void)NODE_WAIT(atomic_load(&b.chunks) > 200);
	tap_ok(NODE_WAIT(node_state(&a).in_flight_bytes > 0), "chunks flow");
	atomic_store(&a.rate, 64000);
	clock_sleep_us(CLOCK_SECOND_US);
	before = atomic_load(&b.chunks);
	clock_sleep_us(CLOCK_SECOND_US / 2);
	tap_diag("%u chunks in half a second at 64 kB/s",
	    atomic_load(&b.chunks) - before);
	tap_ok(
	    atomic_load(&b.chunks) - before < 300, "few of them at a low rate");
	atomic_store(&a.rate, 0);
	tap_ok(NODE_WAIT(atomic_load(&b.chunks) > before + 3000),
	    "many without a limit");
	tap_u64(atomic_load(&b.chunk_faults), 0, "chunks as sent");
	node_stop(&a);
	node_stop(&b);
	proxy_stop(&proxy);
	node_fini(&a);
	node_fini(&b);
}

int
main(void)
{
	check_cut();
	check_hang();
	check_outage();
	check_flip();
	check_rate();
	return tap_done();
}
