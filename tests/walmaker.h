#ifndef WALMAKER_H
#define WALMAKER_H

/*
 * walmaker: WAL as a server would write it, made by hand for tests.
 *
 * Bytes pile up in out, from start_lsn on; page headers come by themselves.
 * What a test wants to be wrong it changes afterwards.  Functions are in the
 * header, so that a test includes this and links nothing more.
 */

#include <string.h>

#include "base/buf.h"
#include "base/le.h"
#include "codec/digest.h"
#include "pg/lsn.h"

#define WALMAKER_SYSTEM_ID UINT64_C(7000000000000000001)

struct walmaker {
	struct buf out;
	uint64_t start_lsn; /* a page start */
	uint32_t segment_bytes;
	uint16_t magic;
	uint32_t timeline;
	uint16_t page_flags; /* of the next page alone */
	uint64_t prev_lsn;   /* start of the last record */
};

static inline uint16_t
walmaker_magic(int major)
{
	static const uint16_t magics[] = { 0xd106, 0xd10d, 0xd110, 0xd113,
		0xd116, 0xd118 };

	return magics[major - 13];
}

static inline void
walmaker_init(struct walmaker *m, int major, uint64_t start_lsn)
{
	(void)memset(m, 0, sizeof(*m));
	m->start_lsn = start_lsn;
	m->segment_bytes = WAL_SEGMENT_BYTES_MIN;
	m->magic = walmaker_magic(major);
	m->timeline = 1;
	m->prev_lsn = start_lsn - 40; /* of a record that is not here */
}

static inline void
walmaker_fini(struct walmaker *m)
{
	buf_free(&m->out);
}
#define AUTO_WALMAKER AUTO(walmaker_fini)

static inline uint64_t
walmaker_lsn(const struct walmaker *m)
{
	return m->start_lsn + m->out.len;
}

/* At a page start: its header, before rest_bytes of a record. */
static inline void
walmaker_page(struct walmaker *m, uint32_t rest_bytes)
{
	uint64_t lsn = walmaker_lsn(m);
	bool is_long = lsn % m->segment_bytes == 0;

	if (lsn % WAL_PAGE_BYTES != 0)
		return;
	buf_put_le16(&m->out, m->magic);
	buf_put_le16(&m->out,
	    (uint16_t)(m->page_flags | (rest_bytes > 0 ? 1 : 0) |
		(is_long ? 2 : 0)));
	buf_put_le32(&m->out, m->timeline);
	buf_put_le64(&m->out, lsn);
	buf_put_le64(&m->out, rest_bytes);
	m->page_flags = 0;
	if (!is_long)
		return;
	buf_put_le64(&m->out, WALMAKER_SYSTEM_ID);
	buf_put_le32(&m->out, m->segment_bytes);
	buf_put_le32(&m->out, WAL_PAGE_BYTES);
}

/* Bytes up to a multiple of bytes, all zero: no page headers. */
static inline void
walmaker_zeros(struct walmaker *m, uint32_t bytes)
{
	size_t gap = (size_t)(-walmaker_lsn(m) % bytes);

	if (gap == 0)
		return;
	(void)memset(buf_reserve(&m->out, gap), 0, gap);
	m->out.len += gap;
}

/* The first len bytes of a record of total_bytes, over as many pages as it
 * takes. */
static inline void
walmaker_put(
    struct walmaker *m, const uint8_t *data, uint32_t len, uint32_t total_bytes)
{
	uint32_t done = 0, room;

	while (done < len) {
		walmaker_page(m, done == 0 ? 0 : total_bytes - done);
		room = WAL_PAGE_BYTES - walmaker_lsn(m) % WAL_PAGE_BYTES;
		if (room > len - done)
			room = len - done;
		buf_put(&m->out, data + done, room);
		done += room;
	}
}

/* Fill in the previous record and the checksum of one that is whole. */
static inline void
walmaker_seal(uint8_t *record, uint32_t total_bytes, uint64_t prev_lsn)
{
	uint32_t crc;

	le64_put(record + 8, prev_lsn);
	crc = crc32c(0, record + 24, total_bytes - 24);
	le32_put(record + 20, crc32c(crc, record, 20));
}

/* Where the next record goes: aligned, behind a page header. */
static inline uint64_t
walmaker_next(struct walmaker *m)
{
	walmaker_zeros(m, 8);
	walmaker_page(m, 0);
	return walmaker_lsn(m);
}

/* A record with all that follows its header given; returns its LSN. */
static inline uint64_t
walmaker_raw(struct walmaker *m, uint8_t rmid, uint8_t info, uint32_t xid,
    const struct buf *body)
{
	AUTO_BUF struct buf b = BUF_INIT;
	uint32_t total_bytes = 24 + (uint32_t)body->len;
	uint64_t lsn = walmaker_next(m);

	buf_put_le32(&b, total_bytes);
	buf_put_le32(&b, xid);
	buf_put_le64(&b, 0);
	buf_put_u8(&b, info);
	buf_put_u8(&b, rmid);
	buf_put_le16(&b, 0);
	buf_put_le32(&b, 0);
	buf_put(&b, body->data, body->len);
	walmaker_seal(b.data, total_bytes, m->prev_lsn);
	walmaker_put(m, b.data, total_bytes, total_bytes);
	m->prev_lsn = lsn;
	return lsn;
}

/* A record of main data alone. */
static inline uint64_t
walmaker_record(struct walmaker *m, uint8_t rmid, uint8_t info, uint32_t xid,
    const void *data, uint32_t len)
{
	AUTO_BUF struct buf body = BUF_INIT;

	if (len > 255) {
		buf_put_u8(&body, 254);
		buf_put_le32(&body, len);
	} else if (len > 0) {
		buf_put_u8(&body, 255);
		buf_put_u8(&body, (uint8_t)len);
	}
	buf_put(&body, data, len);
	return walmaker_raw(m, rmid, info, xid, &body);
}

#endif /* !WALMAKER_H */
