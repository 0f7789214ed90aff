/*
 * Small files of sites, histories and messages between sites: the parsers
 * survive any bytes, and what they accept is written again as the same bytes.
 */

#include <stdlib.h>
#include <string.h>

#include "codec/digest.h"
#include "journal/history.h"
#include "site/message.h"
#include "site/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
same(const struct buf *text, const void *data, size_t len)
{
	if (text->len != len || memcmp(text->data, data, len) != 0)
		abort();
}

static void
try_texts(const void *data, size_t len)
{
	static struct record_role_file role;
	static struct history history;
	AUTO_BUF struct buf text = BUF_INIT;
	struct record_term term;
	struct err e = ERR_INIT;

	if (record_term_parse(&term, data, len, &e) == 0) {
		record_term_print(&term, &text);
		same(&text, data, len);
	}
	if (record_role_parse(&role, data, len, &e) == 0) {
		record_role_print(&role, &text);
		same(&text, data, len);
	}
	if (history_parse(&history, data, len, &e) == 0) {
		history_print(&history, &text);
		same(&text, data, len);
		if (history_compare(&history, 100, &history, 100).relation !=
		    (history.count == 0 ? HISTORY_UNRELATED : HISTORY_SAME))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf sealed = BUF_INIT;
	uint8_t out[MESSAGE_BYTES_MAX];
	struct message m;
	struct err e = ERR_INIT;

	if (message_decode(&m, data, len, &e) == 0 &&
	    (message_encode(&m, out) != len || memcmp(out, data, len) != 0))
		abort();
	try_texts(data, len);
	/* With a right sum, or a fuzzer would hardly ever get past it. */
	buf_put(&sealed, data, len);
	buf_printf(&sealed, "crc32c %08x\n", crc32c(0, data, len));
	try_texts(sealed.data, sealed.len);
	return 0;
}
