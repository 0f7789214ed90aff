#include "pg/basebackup_command.h"

#include <inttypes.h>
#include <string.h>

static int
check(const struct basebackup_options *o, struct err *e)
{
	const char *p;

	if (strlen(o->label) > BASEBACKUP_LABEL_BYTES_MAX)
		return err_set(e, ERR_USAGE,
		    "backup label is longer than %d bytes",
		    BASEBACKUP_LABEL_BYTES_MAX);
	for (p = o->label; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(e, ERR_USAGE,
			    "backup label holds a control character");
	if (o->max_rate_kib_s != 0 &&
	    (o->max_rate_kib_s < BASEBACKUP_RATE_KIB_MIN ||
		o->max_rate_kib_s > BASEBACKUP_RATE_KIB_MAX))
		return err_set(e, ERR_USAGE,
		    "rate of %" PRIu32
		    " KiB/s is outside of what the server takes, %d to %d",
		    o->max_rate_kib_s, BASEBACKUP_RATE_KIB_MIN,
		    BASEBACKUP_RATE_KIB_MAX);
	return 0;
}

/* repl_scanner.l: a quote is doubled, a backslash is only itself. */
static void
put_quoted(struct buf *out, const char *text)
{
	buf_put_u8(out, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			buf_put_u8(out, '\'');
		buf_put_u8(out, (uint8_t)*text);
	}
	buf_put_u8(out, '\'');
}

/* 13 and 14: bare words in any order.  repl_gram.y */
static void
put_bare(const struct basebackup_options *o, struct buf *out)
{
	buf_printf(out, "BASE_BACKUP LABEL ");
	put_quoted(out, o->label);
	buf_printf(out,
	    " PROGRESS NOWAIT TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'");
	if (o->fast_checkpoint)
		buf_printf(out, " FAST");
	if (!o->verify_checksums)
		buf_printf(out, " NOVERIFY_CHECKSUMS");
	if (o->max_rate_kib_s != 0)
		buf_printf(out, " MAX_RATE %" PRIu32, o->max_rate_kib_s);
}

/* 15 to 18: basebackup.c, parse_basebackup_options() */
static void
put_parenthesised(const struct basebackup_options *o, struct buf *out)
{
	buf_printf(out, "BASE_BACKUP (LABEL ");
	put_quoted(out, o->label);
	buf_printf(out,
	    ", PROGRESS true, WAIT false, TABLESPACE_MAP true, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C', CHECKPOINT '%s', VERIFY_CHECKSUMS %s",
	    o->fast_checkpoint ? "fast" : "spread",
	    o->verify_checksums ? "true" : "false");
	if (o->max_rate_kib_s != 0)
		buf_printf(out, ", MAX_RATE %" PRIu32, o->max_rate_kib_s);
	buf_printf(out, ")");
}

int
basebackup_command(const struct basebackup_options *options, int version_num,
    struct buf *out, struct err *e)
{
	if (check(options, e) == -1)
		return -1;
	if (version_num < 150000)
		put_bare(options, out);
	else
		put_parenthesised(options, out);
	(void)buf_str(out);
	return 0;
}
