/*
 * drill_tell: lines of JSON through a pipe, one a message.
 */

#include <stdarg.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "jobs/drill_int.h"

static const char *const results[] = { [STEP_PASSED] = "passed",
	[STEP_FAILED] = "failed",
	[STEP_SKIPPED] = "skipped" };

/* Nobody listens any more: then we are about to be ended. */
static void
tell(const struct teller *t, json_t *m)
{
	AUTO_BUF struct buf text = BUF_INIT;

	json_write(m, &text);
	json_decref(m);
	buf_put_u8(&text, '\n');
	(void)file_write_all(t->fd, text.data, text.len, "a pipe", NULL);
}

void
tell_begin(const struct teller *t, const char *name, const char *what)
{
	json_t *m = json_object();

	json_set_str(m, "begin", name);
	json_set_str(m, "what", what);
	tell(t, m);
}

void
tell_end(const struct teller *t, enum step_result result, const char *output,
    const char *fmt, ...)
{
	json_t *m = json_object();
	AUTO_FREE char *detail = NULL;
	va_list ap;

	va_start(ap, fmt);
	detail = mem_vprintf(fmt, ap);
	va_end(ap);
	json_set_str(m, "end", results[result]);
	json_set_str(m, "detail", detail);
	if (output != NULL && output[0] != '\0')
		json_set_str(m, "output", output);
	tell(t, m);
}

void
tell_failure(const struct teller *t, const struct err *e)
{
	tell_end(t, STEP_FAILED, NULL, "%s%s%s", e->text,
	    e->hint[0] == '\0' ? "" : ". ", e->hint);
}

void
tell_fact(const struct teller *t, const char *key, const char *value)
{
	json_t *m = json_object();

	json_set_str(m, "fact", key);
	json_set_str(m, "value", value);
	tell(t, m);
}

void
tell_untested(const struct teller *t, const char *what)
{
	json_t *m = json_object();

	json_set_str(m, "untested", what);
	tell(t, m);
}
