#include "pg/lsn.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pg/scan.h"

/* Names are in upper case: XLogFileName(). */
#define NAME_DIGITS "0123456789ABCDEF"

#define NAME_HEX 24 /* digits of a segment's name */

const char *
lsn_text(uint64_t lsn, char out[LSN_TEXT_BYTES])
{
	(void)snprintf(out, LSN_TEXT_BYTES, "%" PRIX32 "/%" PRIX32,
	    (uint32_t)(lsn >> 32), (uint32_t)lsn);
	return out;
}

int
lsn_parse(const char *text, uint64_t *lsn, struct err *e)
{
	struct scan s = { text, strlen(text) };
	uint64_t value;

	if (!scan_lsn(&s, &value) || s.left > 0)
		return err_set(e, ERR_USAGE,
		    "\"%.40s\" is not a WAL position such as 16/B374D848",
		    text);
	*lsn = value;
	return 0;
}

bool
wal_segment_bytes_valid(uint64_t bytes)
{
	return bytes >= WAL_SEGMENT_BYTES_MIN &&
	    bytes <= WAL_SEGMENT_BYTES_MAX && (bytes & (bytes - 1)) == 0;
}

const char *
wal_name(uint32_t timeline, uint64_t lsn, uint32_t segment_bytes,
    char out[WAL_NAME_BYTES])
{
	assert(wal_segment_bytes_valid(segment_bytes));

	(void)snprintf(out, WAL_NAME_BYTES,
	    "%08" PRIX32 "%08" PRIX32 "%08" PRIX32, timeline,
	    (uint32_t)(lsn >> 32), (uint32_t)lsn / segment_bytes);
	return out;
}

/* The value of eight digits; the caller has seen that they are. */
static uint32_t
eight_digits(const char *p)
{
	struct scan s = { p, 8 };
	uint32_t value = 0;

	(void)scan_hex32(&s, &value);
	return value;
}

bool
wal_name_parse(
    const char *name, uint32_t segment_bytes, uint32_t *timeline, uint64_t *lsn)
{
	uint32_t tli, segment;

	assert(wal_segment_bytes_valid(segment_bytes));

	if (strlen(name) != NAME_HEX || strspn(name, NAME_DIGITS) != NAME_HEX)
		return false;
	tli = eight_digits(name);
	segment = eight_digits(name + 16);
	if (tli == 0 || segment > UINT32_MAX / segment_bytes)
		return false;
	*timeline = tli;
	*lsn = (uint64_t)eight_digits(name + 8) << 32 | segment * segment_bytes;
	return true;
}

bool
wal_name_is_history(const char *name, uint32_t *timeline)
{
	uint32_t tli;

	if (strspn(name, NAME_DIGITS) != 8 || strcmp(name + 8, ".history") != 0)
		return false;
	tli = eight_digits(name);
	if (tli == 0)
		return false;
	*timeline = tli;
	return true;
}

bool
wal_name_is_partial(const char *name)
{
	return strspn(name, NAME_DIGITS) == NAME_HEX &&
	    strcmp(name + NAME_HEX, ".partial") == 0;
}

bool
wal_name_is_backup_label(const char *name)
{
	return strspn(name, NAME_DIGITS) == NAME_HEX && name[NAME_HEX] == '.' &&
	    strspn(name + NAME_HEX + 1, NAME_DIGITS) == 8 &&
	    strcmp(name + NAME_HEX + 9, ".backup") == 0;
}
