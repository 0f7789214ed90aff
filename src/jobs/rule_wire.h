#ifndef JOBS_RULE_WIRE_H
#define JOBS_RULE_WIRE_H

/*
 * rule_wire: datagrams between the couriers and the rules of a site, in
 * runtime_dir: "rule.<cluster>" is a rule's socket, "rules.<peer>" that of a
 * courier.
 *
 *	offset	size	field
 *	     0	   1	kind, RULE_WIRE_...
 *	     1	   1	length of name
 *	     2	   8	time: CLOCK_BOOTTIME in microseconds, little-endian
 *	    10	   n	name: the peer (to a rule), the cluster (to a courier)
 *	  10+n	   .	content
 *
 * Losing one does no harm: all is said again.  Nobody waits.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RULE_WIRE_BYTES_MAX   4096
#define RULE_WIRE_CONTENT_MAX 3072

enum rule_wire_kind {
	RULE_WIRE_BEAT = 'b', /* message.h, to ride on heartbeats */
	RULE_WIRE_SAY = 's',  /* the same, as a message: at once */
	RULE_WIRE_VOTE = 'v', /* message.h, question or answer */
	RULE_WIRE_INFO = 'i', /* JSON for the other rule */
	RULE_WIRE_KEY = 'k',  /* to a rule: what the witness' key is */
	RULE_WIRE_PATHS = 'p' /* to a rule: 8 bytes a path: last sign, or -1 */
};

struct rule_wire {
	enum rule_wire_kind kind;
	int64_t us;
	char name[64];
	uint8_t content[RULE_WIRE_CONTENT_MAX];
	size_t len;
};

/* Paths of the sockets; the caller frees. */
char *rule_wire_rule_path(const char *runtime_dir, const char *cluster);
char *rule_wire_courier_path(const char *runtime_dir, const char *peer);

/* A socket at path, mode 0600, in place of what a dead one left there; does not
 * block. */
int rule_wire_listen(const char *path, struct err *e);
/* From fd (any of them) to the socket at path; what nobody takes is lost. */
void rule_wire_send(int fd, const char *path, const struct rule_wire *w);
/* 1 one came, 0 none now.  What is malformed is skipped. */
int rule_wire_receive(int fd, struct rule_wire *w);

#endif /* !JOBS_RULE_WIRE_H */
