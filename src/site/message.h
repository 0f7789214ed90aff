#ifndef SITE_MESSAGE_H
#define SITE_MESSAGE_H

/*
 * message: heartbeats and votes, as sites send them to each other.
 *
 * The link carries them as opaque bytes on the connection of heartbeats.  All
 * integers are little-endian, reserved bits zero; there is one spelling of each
 * value.
 *
 *	offset	size	field
 *	     0	   2	version		1
 *	     2	   1	kind		1 heartbeat, 2 question, 3 answer
 *	     3	   1	from		seat
 *	     4	   1	length of thing	1 to 63
 *	     5	   n	thing		cluster name
 *	   5+n	   .	the kind's fields:
 *
 *	heartbeat		question, answer
 *	1  role			1  to, 3: all
 *	1  server's verdict	1  answer
 *	1  handover		1  known holder
 *	1  handover to		1  reserved
 *	1  holder		8  round
 *	1  reserved		8  number
 *	2  flags, MESSAGE_...	8  lease_us; of a question 0: given back
 *	8  held			8  known number; given back: from which round
 *	8  superseded by	8  wait_us
 *	8  number
 *	8  handover term
 *	8  process
 *	8  beat_us
 *	48 echo of each seat: process, beat_us
 *	24 saw_us of each seat, -1: never
 *
 * Nothing here does I/O or allocates.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "site/decide.h"
#include "site/record.h"
#include "site/voter.h"

#define MESSAGE_BYTES_MAX 256

#define MESSAGE_VOTER_LOST  0x0001
#define MESSAGE_AUTOMATIC   0x0002
#define MESSAGE_WRITABLE    0x0004
#define MESSAGE_TAKING	    0x0008
#define MESSAGE_MAINTENANCE 0x0010
#define MESSAGE_CLEAN_STOP  0x0020
#define MESSAGE_FENCED	    0x0040
#define MESSAGE_WAIVED	    0x0080
#define MESSAGE_PROVED	    0x0100
#define MESSAGE_RESIGNED    0x0200
#define MESSAGE_WILLING	    0x0400
#define MESSAGE_STANDS	    0x0800
#define MESSAGE_FLAGS	    0x0fff

enum message_kind { MESSAGE_BEAT = 1, MESSAGE_ASK = 2, MESSAGE_ANSWER = 3 };

struct message {
	enum message_kind kind;
	enum record_seat from;
	char thing[RECORD_NAME_BYTES];
	struct decide_says says;   /* of a heartbeat; heard, heard_us, echo_us
				      and sight_us are message_hear()'s;
				      heard is the receiver's to fill */
	struct voter_message vote; /* of the others */
};

/* Returns the bytes used, at most MESSAGE_BYTES_MAX. */
size_t message_encode(const struct message *m, uint8_t out[MESSAGE_BYTES_MAX]);
/* -1: ERR_CORRUPT (ERR_CONFLICT: of a later version), *m untouched. */
int
message_decode(struct message *m, const uint8_t *in, size_t len, struct err *e);

/*
 * Take a heartbeat into what is known of its sender.  False: it is older than
 * what is known (it came by a slower path), and was not taken; it is a sign of
 * life of its path all the same.  self and process are ours, as in
 * struct decide_facts.
 */
bool message_hear(struct decide_says *says, const struct message *m,
    enum record_seat self, uint64_t process, int64_t now_us);

/* What this site says of itself now: the facts of decide.h, its own role, its
 * voter. */
void message_says(struct decide_says *says, const struct decide *d,
    const struct decide_settings *s, const struct decide_facts *f);

#endif /* !SITE_MESSAGE_H */
