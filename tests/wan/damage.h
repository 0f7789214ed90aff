#ifndef WAN_DAMAGE_H
#define WAN_DAMAGE_H

/*
 * damage: bytes of an IP packet that a bad line changes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wan/chance.h"

/*
 * Flip one bit behind the IP header, as a line does that no one checks: TCP and
 * UDP find it by their checksum.  False when the packet is too short.
 */
bool damage_packet(uint8_t *packet, size_t len, struct chance *c);

/*
 * Change up to 4 bytes of what TCP or UDP carry and make the checksum fit, as a
 * broken router, offloading card or memory does: the program gets them.  False,
 * and nothing is changed, when the packet carries none (an acknowledgement), is
 * a fragment or is of another protocol.
 */
bool damage_payload(uint8_t *packet, size_t len, struct chance *c);

#endif /* !WAN_DAMAGE_H */
