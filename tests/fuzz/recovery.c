/*
 * recovery_merge() takes any postgresql.auto.conf: our lines are last, merging
 * again changes nothing, and no line before them sets a name of ours.  Values
 * of any kind stay one line, of which the server's lexer reads the value back.
 */

#include "pg/recovery.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* As the server does it: the rule for STRING, then GUC_scanstr(). */
static void
unquote(const struct buf *in, struct buf *out)
{
	size_t i, end = in->len - 1;

	must(in->len >= 2 && in->data[0] == '\'' && in->data[end] == '\'');
	for (i = 1; i < end; i++) {
		must(in->data[i] != '\n');
		if (in->data[i] == '\\') {
			i++;
			must(i < end);
			must(in->data[i] == '\\' || in->data[i] == 'n');
			buf_put_u8(out, in->data[i] == 'n' ? '\n' : '\\');
			continue;
		}
		if (in->data[i] == '\'') {
			i++;
			must(i < end && in->data[i] == '\'');
		}
		buf_put_u8(out, in->data[i]);
	}
}

static void
try_quote(const char *value)
{
	AUTO_BUF struct buf quoted = BUF_INIT, back = BUF_INIT;

	recovery_quote(value, &quoted);
	unquote(&quoted, &back);
	must(strcmp(buf_str(&back), value) == 0);
}

static void
try_merge(const uint8_t *old, size_t len, const struct recovery_settings *r)
{
	AUTO_BUF struct buf ours = BUF_INIT, once = BUF_INIT, twice = BUF_INIT;

	recovery_format(r, 17, &ours);
	recovery_merge(old, len, r, 17, &once);
	must(once.len >= ours.len && once.len <= len + 1 + ours.len);
	must(memcmp(once.data + once.len - ours.len, ours.data, ours.len) == 0);
	must(
	    once.len == ours.len || once.data[once.len - ours.len - 1] == '\n');
	recovery_merge(once.data, once.len, r, 17, &twice);
	must(once.len == twice.len &&
	    memcmp(once.data, twice.data, once.len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_FREE char *value = mem_strndup((const char *)data, len);
	struct recovery_settings r = { .target = TARGET_NAME,
		.target_text = value,
		.restore_command = value };

	try_quote(value);
	try_merge(data, len, &r);
	r.take_over = true;
	try_merge(data, len, &r);
	return 0;
}
