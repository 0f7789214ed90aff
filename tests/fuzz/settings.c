/*
 * settings_parse() must survive any bytes.  What it accepts can be shown, and
 * comes out of settings_exact() as a file that reads back to the same values.
 */

#include <stdlib.h>
#include <string.h>

#include "conf/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The site with its last cluster, and all peers, which it can name. */
static void
put_exact(const struct settings *s, struct buf *out)
{
	size_t i;

	settings_exact(s,
	    s->cluster_count == 0 ? NULL : &s->clusters[s->cluster_count - 1],
	    out);
	for (i = 0; i < s->peer_count; i++)
		settings_exact_peer(&s->peers[i], out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_SETTINGS struct settings *s = NULL, *again = NULL;
	AUTO_BUF struct buf shown = BUF_INIT, first = BUF_INIT,
			    second = BUF_INIT;
	struct err e = ERR_INIT;

	s = settings_parse("fuzz", (const char *)data, len, &e);
	if (s == NULL) {
		if (e.kind != ERR_USAGE || e.text[0] == '\0')
			abort();
		return 0;
	}
	settings_show(s, false, &shown);
	settings_show(s, true, &shown);
	put_exact(s, &first);
	again = settings_parse("fuzz", buf_str(&first), first.len, &e);
	if (again == NULL)
		abort();
	put_exact(again, &second);
	if (strcmp(buf_str(&first), buf_str(&second)) != 0)
		abort();
	return 0;
}
