/* The small durable files: to text and back, and no damage passes. */

#include "site/record.h"

#include <string.h>

#include "tap.h"

static struct record_role_file role, role_again;

int
main(void)
{
	AUTO_BUF struct buf out = BUF_INIT, again = BUF_INIT;
	struct record_term term, term_again;
	struct err e = ERR_INIT;
	unsigned int i, passed = 0;

	record_term_init(&term, "main");
	strcpy(term.seats[SEAT_FIRST], "tokyo");
	strcpy(term.boot_id, "b1");
	term.number = 7;
	term.lease_number = 6;
	term.promised_to = SEAT_SECOND;
	term.promised_us = 32300000;
	term.standing = 7;
	record_term_print(&term, &out);
	tap_ok(record_term_parse(&term_again, out.data, out.len, &e) == 0,
	    "a term parses %s", e.text);
	record_term_print(&term_again, &again);
	tap_str(buf_str(&again), buf_str(&out), "to the same text");
	for (i = 0; i < 8 * out.len; i++) {
		out.data[i / 8] ^= (uint8_t)(1 << i % 8);
		passed +=
		    record_term_parse(&term_again, out.data, out.len, &e) == 0;
		out.data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < out.len; i++)
		passed += record_term_parse(&term_again, out.data, i, &e) == 0;
	tap_u64(passed, 0, "no flipped bit and no beginning passes");
	term.lease_number = 8;
	record_term_print(&term, &out);
	tap_ok(record_term_parse(&term_again, out.data, out.len, &e) == -1,
	    "nor a lease above all terms");

	record_role_init(&role, "main", "tokyo");
	for (i = 0; i < RECORD_CHANGES_MAX + 3; i++)
		record_role_change(&role, i % 2 ? ROLE_PRIMARY : ROLE_STANDBY,
		    i, -5, "why\nnot");
	role.waived = 3;
	role.resigned = 9;
	role.restart = role.handed = true;
	strcpy(role.witness, "1f3a-77b0");
	strcpy(role.peer_witness, "none");
	record_role_print(&role, &out);
	tap_ok(record_role_parse(&role_again, out.data, out.len, &e) == 0,
	    "a role parses %s", e.text);
	record_role_print(&role_again, &again);
	tap_str(buf_str(&again), buf_str(&out), "to the same text");
	tap_str(role_again.witness, "1f3a-77b0", "with the witness here");
	tap_str(role_again.peer_witness, "none", "and the other site's");
	tap_u64(role_again.change_count, RECORD_CHANGES_MAX,
	    "with as many changes as there may be");
	tap_u64(role_again.changes[0].term, 3, "the oldest are gone");
	tap_str(role_again.changes[0].reason, "why?not", "one line each");
	record_role_change(&role, ROLE_STANDBY, 9, 0, "given");
	tap_ok(role.handed && !role.restart,
	    "a standby remembers that it gave the role");
	record_role_change(
	    &role, ROLE_PRIMARY, 10, 0, "taken, by whatever way");
	tap_ok(!role.handed, "... until it is the primary again");
	return tap_done();
}
