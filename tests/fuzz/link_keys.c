/*
 * A peer's file, an invitation, a preamble and what one side of a pairing says:
 * any bytes are refused or read, and what is read is written the same way.
 */

#include <stdlib.h>
#include <string.h>

#include "link/invitation.h"
#include "link/keys.h"
#include "link/pair.h"
#include "link/preamble.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
same(const struct buf *b, const uint8_t *data, size_t len)
{
	if (b->len != len || memcmp(b->data, data, len) != 0)
		abort();
}

static void
try_preamble(const uint8_t *data, size_t len)
{
	struct preamble p;
	char text[PREAMBLE_BYTES_MAX];
	size_t used;

	if (preamble_parse(&p, (const char *)data, len, &used) != 1)
		return;
	if (used > len || preamble_print(&p, text) != used ||
	    memcmp(text, data, used) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf out = BUF_INIT, line = BUF_INIT;
	struct peer p;
	struct invitation i;
	struct pair_side s;
	char code[PAIR_CODE_BYTES];
	struct err e = ERR_INIT;

	if (peer_decode(&p, data, len, &e) == 0) {
		peer_encode(&p, &out);
		same(&out, data, len);
	}
	buf_clear(&out);
	if (invitation_decode(&i, data, len, &e) == 0) {
		invitation_encode(&i, &out);
		same(&out, data, len);
	}
	try_preamble(data, len);
	buf_put(&line, data, len);
	if (pair_side_parse(&s, buf_str(&line), &e) == 0 &&
	    (!peer_name_valid(s.name) || !peer_addresses_valid(s.addresses)))
		abort();
	(void)pair_code_parse(buf_str(&line), code, &e);
	return 0;
}
