#include "conf/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_LETTERS                                                     \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" \
	".-_"

/* An interface may follow a link-local address: "fe80::1%eth0". */
bool
address_is_literal(const char *text)
{
	unsigned char raw[sizeof(struct in6_addr)];
	char plain[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "%");

	if (len >= sizeof(plain) || strlen(text) >= 64)
		return false;
	(void)memcpy(plain, text, len);
	plain[len] = '\0';
	if (text[len] != '\0')
		return text[len + 1] != '\0' &&
		    strspn(text + len + 1, HOST_LETTERS) ==
		    strlen(text + len + 1) &&
		    inet_pton(AF_INET6, plain, raw) == 1;
	return inet_pton(AF_INET, plain, raw) == 1 ||
	    inet_pton(AF_INET6, plain, raw) == 1;
}

static bool
host_is_sound(const char *host, bool bracket, bool any)
{
	if (bracket)
		return strchr(host, ':') != NULL && address_is_literal(host);
	if (strcmp(host, "*") == 0)
		return any;
	return host[0] != '\0' && host[0] != '-' && host[0] != '.' &&
	    strspn(host, HOST_LETTERS) == strlen(host);
}

static bool
port_is_sound(const char *port)
{
	size_t len = strlen(port);

	return len > 0 && len < ADDRESS_PORT_BYTES && port[0] != '0' &&
	    strspn(port, "0123456789") == len && atoi(port) <= 65535;
}

int
address_parse(struct address *a, const char *text, bool any, struct err *e)
{
	bool bracket = text[0] == '[';
	const char *host = text + bracket;
	const char *colon = strrchr(text, ':');
	struct address made;
	size_t len;

	len = colon == NULL ? 0 : (size_t)(colon - host);
	if (bracket && len > 0 && host[--len] != ']')
		len = 0;
	if (len > 0 && len < sizeof(made.host) && port_is_sound(colon + 1)) {
		(void)memcpy(made.host, host, len);
		made.host[len] = '\0';
		(void)snprintf(made.port, sizeof(made.port), "%s", colon + 1);
		if (host_is_sound(made.host, bracket, any)) {
			*a = made;
			return 0;
		}
	}
	(void)err_set(
	    e, ERR_USAGE, "\"%s\" is not an address with a port", text);
	return err_hint(e,
	    "Write host and port, such as dr.example.com:7432 or "
	    "[2001:db8::7]:7432%s.",
	    any ? "; *:7432 is every address of this machine" : "");
}
