#ifndef CONF_ADDRESS_H
#define CONF_ADDRESS_H

/*
 * address: "host:port" as people write it: "dr.example.com:7432",
 * "192.0.2.7:7432", "[2001:db8::7]:7432"; "*:7432" is every address of this
 * machine.  Pure: no name is looked up.
 */

#include <stdbool.h>

#include "base/err.h"

#define ADDRESS_HOST_BYTES 104
#define ADDRESS_PORT_BYTES 6
#define ADDRESS_TEXT_BYTES 128 /* of a whole one */

struct address {
	char host[ADDRESS_HOST_BYTES]; /* without brackets; "*" any */
	char port[ADDRESS_PORT_BYTES]; /* "1" to "65535" */
};

/* any: "*" is allowed.  ERR_USAGE with an example; *a is then untouched. */
int address_parse(struct address *a, const char *text, bool any, struct err *e);
/* Is text an IPv4 or IPv6 address, a literal without port or brackets? */
bool address_is_literal(const char *text);

#endif /* !CONF_ADDRESS_H */
