/* What a site knows of another by its messages, and by a third one's. */

#include "site/message.h"

#include <string.h>

#include "base/clock.h"
#include "tap.h"

#define S   CLOCK_SECOND_US
#define MS  (S / 1000)
#define US  ((uint64_t)7) /* our process */
#define HIM ((uint64_t)9) /* the one that the witness sees */

static struct decide_says witness;

/* The witness says at now_us, by its clock, that it saw the other's heartbeat of beat_us
 * at seen_us; it comes delay_us later.  Gives when that sign was, as we know it. */
static int64_t
tell(int64_t now_us, uint64_t beat_us, int64_t seen_us, int64_t delay_us)
{
	struct message m;

	(void)memset(&m, 0, sizeof(m));
	m.kind = MESSAGE_BEAT;
	m.from = SEAT_WITNESS;
	m.says.process = 1;
	m.says.beat_us = (uint64_t)now_us;
	m.says.echo[SEAT_SECOND].process = HIM;
	m.says.echo[SEAT_SECOND].beat_us = beat_us;
	m.says.saw_us[SEAT_SECOND] =
	    seen_us < 0 ? DECIDE_NEVER : now_us - seen_us;
	(void)message_hear(&witness, &m, SEAT_FIRST, US, now_us + delay_us);
	if (witness.saw_us[SEAT_SECOND] < 0)
		return DECIDE_NEVER;
	return witness.heard_us - witness.saw_us[SEAT_SECOND];
}

static void
check_one_sign(void)
{
	int64_t last = 0, now_us;
	unsigned int i;

	(void)memset(&witness, 0, sizeof(witness));
	tap_ok(tell(S, 0, -1, 20 * MS) == DECIDE_NEVER, "nothing was seen yet");
	tap_ok(tell(10 * S, 50, 9 * S, 20 * MS) == 9 * S + 20 * MS,
	    "a sign is as old as it was there, but for the way of the word");
	/* Each is longer on its way than all before it. */
	for (i = 1; i <= 40; i++) {
		now_us = 10 * S + i * S / 2;
		last = tell(now_us, 50, 9 * S, 20 * MS + i * MS);
	}
	tap_ok(last == 9 * S + 20 * MS,
	    "words of it that come later make no later sign of it");
	tap_ok(tell(40 * S, 50, 9 * S, 5 * MS) == 9 * S + 5 * MS,
	    "the shortest way counts");
	tap_ok(tell(41 * S, 50, 40 * S, 5 * MS) == 40 * S + 5 * MS,
	    "the same heartbeat, heard there once more, is a sign");
}

static void
check_next_sign(void)
{
	(void)memset(&witness, 0, sizeof(witness));
	(void)tell(10 * S, 50, 9 * S, 400 * MS);
	tap_ok(tell(11 * S, 51, 10 * S, 20 * MS) == 10 * S + 20 * MS,
	    "another heartbeat is another sign");
	tap_ok(tell(12 * S, 52, 10 * S - 50 * MS, 20 * MS) == 10 * S + 20 * MS,
	    "the last of all counts");
	tap_ok(tell(11 * S, 50, 9 * S, 9 * S) == 10 * S + 20 * MS,
	    "an old word is not taken");
	tap_ok(tell(13 * S, 0, -1, 20 * MS) == 10 * S + 20 * MS,
	    "a witness that began anew has seen nothing: that was seen it was");
	tap_ok(tell(14 * S, 60, 14 * S, 30 * MS) == 14 * S + 30 * MS,
	    "until it sees again");
}

int
main(void)
{
	check_one_sign();
	check_next_sign();
	return tap_done();
}
