#include "pg/walpage.h"

#include "base/auto.h"
#include "base/le.h"
#include "pg/lsn.h"

static const struct {
	uint16_t magic;
	int major;
} magics[] = {
	{ 0xd106, 13 },
	{ 0xd10d, 14 },
	{ 0xd110, 15 },
	{ 0xd113, 16 },
	{ 0xd116, 17 },
	{ 0xd118, 18 },
};

/* 0 when no supported version writes this magic. */
static int
major_of_magic(uint16_t magic)
{
	unsigned int i;

	for (i = 0; i < COUNT_OF(magics); i++)
		if (magics[i].magic == magic)
			return magics[i].major;
	return 0;
}

uint32_t
walpage_header_bytes(const uint8_t *in)
{
	return le16_get(in + 2) & WALPAGE_LONG ? WALPAGE_LONG_HEADER_BYTES
					       : WALPAGE_HEADER_BYTES;
}

/* What every page must have right, whatever cluster it is of. */
static int
check_form(const struct walpage *p, uint16_t magic,
    const struct walpage_expected *expected, struct err *e)
{
	char at[LSN_TEXT_BYTES];

	if (p->major == 0)
		return err_set(
		    e, ERR_CORRUPT, "magic %04X is of no known version", magic);
	if (expected->major != 0 && p->major != expected->major)
		return err_set(e, ERR_CORRUPT,
		    "magic %04X is of version %d, expected %d", magic, p->major,
		    expected->major);
	if ((p->flags & ~WALPAGE_FLAGS_KNOWN) != 0)
		return err_set(e, ERR_CORRUPT, "flags are %04X", p->flags);
	if (p->address != expected->address)
		return err_set(e, ERR_CORRUPT, "header says address %s",
		    lsn_text(p->address, at));
	if (p->timeline < expected->timeline_min)
		return err_set(e, ERR_CORRUPT,
		    "timeline %u follows pages of timeline %u", p->timeline,
		    expected->timeline_min);
	if (expected->address % expected->segment_bytes == 0 &&
	    (p->flags & WALPAGE_LONG) == 0)
		return err_set(e, ERR_CORRUPT,
		    "segment does not start with a long header");
	return 0;
}

static int
check_long(const struct walpage *p, uint32_t page_bytes,
    const struct walpage_expected *expected, struct err *e)
{
	if (p->segment_bytes != expected->segment_bytes)
		return err_set(e, ERR_CORRUPT,
		    "header says segments of %u bytes, expected %u",
		    p->segment_bytes, expected->segment_bytes);
	if (page_bytes != WAL_PAGE_BYTES)
		return err_set(e, ERR_CORRUPT,
		    "header says pages of %u bytes, expected %u", page_bytes,
		    WAL_PAGE_BYTES);
	if (expected->system_id != 0 && p->system_id != expected->system_id)
		return err_set(e, ERR_CONFLICT,
		    "page is of system identifier %llu, expected %llu",
		    (unsigned long long)p->system_id,
		    (unsigned long long)expected->system_id);
	return 0;
}

static int
check(const struct walpage *p, const uint8_t *in,
    const struct walpage_expected *expected, struct err *e)
{
	if (check_form(p, le16_get(in), expected, e) == -1)
		return -1;
	if ((p->flags & WALPAGE_LONG) != 0 &&
	    check_long(p, le32_get(in + 36), expected, e) == -1)
		return -1;
	if (expected->timeline_max != 0 && p->timeline > expected->timeline_max)
		return err_set(e, ERR_CONFLICT,
		    "page is of timeline %u, expected at most %u", p->timeline,
		    expected->timeline_max);
	return 0;
}

int
walpage_decode(struct walpage *p, const uint8_t *in,
    const struct walpage_expected *expected, struct err *e)
{
	struct walpage page = { 0 };
	char at[LSN_TEXT_BYTES];

	page.major = major_of_magic(le16_get(in));
	page.flags = le16_get(in + 2);
	page.timeline = le32_get(in + 4);
	page.address = le64_get(in + 8);
	page.rest_bytes = le32_get(in + 16);
	if ((page.flags & WALPAGE_LONG) != 0) {
		page.system_id = le64_get(in + 24);
		page.segment_bytes = le32_get(in + 32);
	}
	if (check(&page, in, expected, e) == -1)
		return err_ctx(
		    e, "WAL page at %s", lsn_text(expected->address, at));
	*p = page;
	return 0;
}
