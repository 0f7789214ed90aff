/*
 * pair: what two sites say to each other, once.
 *
 *	dialler					answerer
 *	"PGKURA 1 pair\n"	------->
 *	TLS: key from the code, (EC)DHE <------>	nothing but this key, no certificate
 *	"<name> <key> <addresses>\n"	------->
 *				<-------	the same
 *	"ok\n"			------->	it is done when this is here
 *				<-------	"ok\n"
 */

#include "link/pair.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "codec/digest.h"
#include "conf/address.h"
#include "conf/list.h"
#include "link/keys.h"
#include "link/pair_int.h"
#include "link/preamble.h"

static int
write_side(struct pair_talk *c, const struct pair_side *us, struct err *e)
{
	char hex[2 * SIGN_PUBLIC_BYTES + 1];
	AUTO_FREE char *line = NULL;

	hex_encode(us->key, sizeof(us->key), hex);
	line = mem_printf("%s %s %s\n", us->name, hex, us->addresses);
	return pair_write_line(c, line, e);
}

int
pair_side_parse(struct pair_side *side, const char *line, struct err *e)
{
	struct pair_side made;
	const char *key = strchr(line, ' ');
	char hex[2 * SIGN_PUBLIC_BYTES + 1];
	size_t name_len = key == NULL ? 0 : (size_t)(key - line);

	(void)memset(&made, 0, sizeof(made));
	if (key != NULL && name_len < sizeof(made.name) &&
	    strlen(++key) > sizeof(hex) - 1 && key[sizeof(hex) - 1] == ' ') {
		(void)memcpy(made.name, line, name_len);
		(void)memcpy(hex, key, sizeof(hex) - 1);
		hex[sizeof(hex) - 1] = '\0';
		if (peer_name_valid(made.name) &&
		    hex_decode(hex, made.key, sizeof(made.key)) == 0 &&
		    peer_addresses_valid(key + sizeof(hex))) {
			(void)strcpy(made.addresses, key + sizeof(hex));
			*side = made;
			return 0;
		}
	}
	return err_set(e, ERR_CORRUPT, "the other site does not say who it is");
}

void
pair_place(const char *said, const char *host, char out[512])
{
	char word[ADDRESS_TEXT_BYTES];
	AUTO_BUF struct buf all = BUF_INIT;
	struct address a;

	while (list_next(&said, word, sizeof(word))) {
		size_t before = all.len;
		const char *h;

		if (address_parse(&a, word, true, NULL) == -1)
			continue;
		h = strcmp(a.host, "*") == 0 ? host : a.host;
		buf_printf(&all,
		    strchr(h, ':') == NULL ? "%s%s:%s" : "%s[%s]:%s",
		    before == 0 ? "" : ", ", h, a.port);
		if (all.len >= 512)
			all.len = before;
	}
	(void)snprintf(out, 512, "%s", buf_str(&all));
}

static int
read_side(struct pair_talk *c, struct pair_side *peer, struct err *e)
{
	char line[PAIR_LINE_MAX];

	return pair_read_line(c, line, e) == -1
	    ? -1
	    : pair_side_parse(peer, line, e);
}

/* Two sites need two names, and two keys. */
static int
check_other(
    const struct pair_side *us, const struct pair_side *peer, struct err *e)
{
	if (strcmp(us->name, peer->name) == 0) {
		(void)err_set(
		    e, ERR_CONFLICT, "both sites are called \"%s\"", us->name);
		return err_hint(e,
		    "Each site needs a name of its own: site = NAME in "
		    "[pgkura].");
	}
	if (memcmp(us->key, peer->key, sizeof(us->key)) == 0) {
		(void)err_set(e, ERR_CONFLICT,
		    "\"%s\" has the key of this site", peer->name);
		return err_hint(
		    e, "A state directory was copied: remove link.key there.");
	}
	return 0;
}

/* Is it the one that was invited?  What it says next is awaited, or it might
 * meet a closed connection instead of our reason. */
static int
check_wanted(struct pair_talk *c, const struct pair_side *wanted,
    const struct pair_side *other, struct err *e)
{
	char line[PAIR_LINE_MAX];

	if (wanted->name[0] == '\0' || strcmp(wanted->name, other->name) == 0)
		return 0;
	if (pair_write_line(c, "the invitation is for another site\n", NULL) ==
	    0)
		(void)pair_read_line(c, line, NULL);
	return err_set(e, ERR_CONFLICT,
	    "the invitation is for \"%s\" and \"%s\" came", wanted->name,
	    other->name);
}

static int
read_ok(struct pair_talk *c, struct err *e)
{
	char line[PAIR_LINE_MAX];

	if (pair_read_line(c, line, e) == -1)
		return -1;
	return strcmp(line, "ok") == 0
	    ? 0
	    : err_set(e, ERR_CONFLICT, "the other site says: %s", line);
}

int
pair_dial(int fd, const char *code, const struct pair_side *us,
    struct pair_side *peer, int timeout_ms, struct err *e)
{
	AUTO(pair_talk_end) struct pair_talk c = { .fd = -1 };
	struct preamble p = { .pair = true };
	char text[PREAMBLE_BYTES_MAX];
	size_t len = preamble_print(&p, text);
	struct pair_side other;

	if (pair_talk_begin(&c, fd, code, true, timeout_ms, e) == -1 ||
	    pair_send(&c, (const uint8_t *)text, len, e) == -1 ||
	    pair_handshake(&c, e) == -1 || write_side(&c, us, e) == -1 ||
	    read_side(&c, &other, e) == -1 ||
	    check_other(us, &other, e) == -1 ||
	    pair_write_line(&c, "ok\n", e) == -1 || read_ok(&c, e) == -1)
		return -1;
	*peer = other;
	return 0;
}

int
pair_answer(int fd, const char *code, const struct pair_side *us,
    struct pair_side *peer, int timeout_ms, struct err *e)
{
	AUTO(pair_talk_end) struct pair_talk c = { .fd = -1 };
	struct pair_side other;

	if (pair_talk_begin(&c, fd, code, false, timeout_ms, e) == -1 ||
	    pair_handshake(&c, e) == -1 || read_side(&c, &other, e) == -1 ||
	    write_side(&c, us, e) == -1 || check_other(us, &other, e) == -1 ||
	    check_wanted(&c, peer, &other, e) == -1 || read_ok(&c, e) == -1)
		return -1;
	(void)pair_write_line(&c, "ok\n", NULL);
	*peer = other;
	return 0;
}
