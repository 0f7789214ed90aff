#include <string.h>

#include "wan/damage.h"

#define IP4_BYTES    20
#define IP6_BYTES    40
#define UDP_BYTES    8
#define TCP_BYTES    20
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

/* Where things are in a packet: offsets from its start. */
struct layout {
	size_t addresses; /* both, one behind the other */
	size_t addresses_len;
	size_t segment; /* TCP or UDP header */
	size_t payload;
	size_t checksum;
	uint8_t protocol;
};

static uint32_t
be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* Length of the IP header; 0 when there is none.  IPv6 extension headers are
 * not looked at: no test sends them. */
static size_t
ip_header(const uint8_t *packet, size_t len)
{
	size_t bytes;

	if (len == 0)
		return 0;
	if (packet[0] >> 4 == 6)
		return len < IP6_BYTES ? 0 : IP6_BYTES;
	bytes = (packet[0] & 15u) * 4u;
	return packet[0] >> 4 != 4 || bytes < IP4_BYTES || len < bytes ? 0
								       : bytes;
}

bool
damage_packet(uint8_t *packet, size_t len, struct chance *c)
{
	size_t header = ip_header(packet, len);
	uint64_t bit;

	if (header == 0 || header == len)
		return false;
	bit = chance_next(c) % (8 * (len - header));
	packet[header + bit / 8] ^= (uint8_t)(1u << bit % 8);
	return true;
}

/* Fill *l for a whole TCP or UDP packet that carries something. */
static bool
find_layout(const uint8_t *packet, size_t len, struct layout *l)
{
	l->segment = ip_header(packet, len);
	if (l->segment == 0)
		return false;
	if (packet[0] >> 4 == 6) {
		l->protocol = packet[6];
		l->addresses = 8;
		l->addresses_len = 32;
	} else {
		l->protocol = packet[9];
		l->addresses = 12;
		l->addresses_len = 8;
		if ((be16(packet + 6) & 0x3fff) != 0)
			return false; /* a fragment: RFC 791 */
	}
	if (l->protocol == PROTOCOL_UDP) {
		l->payload = l->segment + UDP_BYTES;
		l->checksum = l->segment + 6;
	} else if (l->protocol == PROTOCOL_TCP &&
	    len >= l->segment + TCP_BYTES) {
		l->payload = l->segment + (packet[l->segment + 12] >> 4) * 4u;
		l->checksum = l->segment + 16;
	} else {
		return false;
	}
	return l->payload < len;
}

/* RFC 1071, over the pseudo header and the segment. */
static uint16_t
checksum(const uint8_t *packet, size_t len, const struct layout *l)
{
	uint64_t sum = l->protocol + (len - l->segment);
	size_t i;

	for (i = 0; i < l->addresses_len; i += 2)
		sum += be16(packet + l->addresses + i);
	for (i = l->segment; i + 1 < len; i += 2)
		sum += be16(packet + i);
	if (i < len)
		sum += (uint32_t)packet[i] << 8;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

bool
damage_payload(uint8_t *packet, size_t len, struct chance *c)
{
	struct layout l;
	uint64_t count, i, n;
	uint16_t sum;

	if (!find_layout(packet, len, &l))
		return false;
	count = 1 + chance_next(c) % 4;
	for (i = 0; i < count; i++) {
		n = chance_next(c);
		/* 4 of 32 at most never add up to what it was. */
		packet[l.payload + (n >> 8) % (len - l.payload)] +=
		    (uint8_t)(1 + (n & 0x1f));
	}
	packet[l.checksum] = packet[l.checksum + 1] = 0;
	sum = checksum(packet, len, &l);
	if (sum == 0 && l.protocol == PROTOCOL_UDP)
		sum = 0xffff; /* 0 means "none": RFC 768 */
	packet[l.checksum] = (uint8_t)(sum >> 8);
	packet[l.checksum + 1] = (uint8_t)sum;
	return true;
}
