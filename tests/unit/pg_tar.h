#ifndef PG_TAR_H
#define PG_TAR_H

/*
 * pg_tar: tars made by hand for tests, header by header (POSIX ustar).
 */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#define TAR_BLOCK 512

/* Offsets of a header's fields, each so long as said. */
enum {
	TAR_NAME = 0,	  /* 100 */
	TAR_MODE = 100,	  /* 8 */
	TAR_SIZE = 124,	  /* 12 */
	TAR_MTIME = 136,  /* 12 */
	TAR_SUM = 148,	  /* 8 */
	TAR_TYPE = 156,	  /* 1 */
	TAR_TARGET = 157, /* 100 */
	TAR_MAGIC = 257,  /* 8: "ustar", NUL, "00" */
	TAR_PREFIX = 345  /* 155 */
};

/* Octal, or PostgreSQL's base-256 when it does not fit: tar.c, print_tar_number */
static inline void
tar_number(uint8_t *field, size_t len, uint64_t value)
{
	size_t i;

	if (len == 12 && value >= (uint64_t)1 << 33) {
		(void)memset(field, 0, len);
		field[0] = 0x80;
		for (i = len - 1; i > 0 && value != 0; i--) {
			field[i] = (uint8_t)value;
			value >>= 8;
		}
		return;
	}
	field[len - 1] = ' ';
	for (i = len - 1; i-- > 0; value >>= 3)
		field[i] = (uint8_t)('0' + (value & 7));
}

/* Set the checksum of the header at h. */
static inline void
tar_sum(uint8_t *h)
{
	unsigned int sum = 0, i;

	(void)memset(h + TAR_SUM, ' ', 8);
	for (i = 0; i < TAR_BLOCK; i++)
		sum += h[i];
	(void)snprintf((char *)h + TAR_SUM, 8, "%06o", sum);
}

/* Append a header; type '0' file, '5' directory, '2' symbolic link to target. */
static inline void
tar_header(struct buf *tar, const char *name, char type, uint64_t size,
    const char *target)
{
	uint8_t *h = buf_reserve(tar, TAR_BLOCK);

	(void)memset(h, 0, TAR_BLOCK);
	(void)strncpy((char *)h + TAR_NAME, name, 100);
	tar_number(h + TAR_MODE, 8, type == '5' ? 0700 : 0600);
	tar_number(h + TAR_SIZE, 12, size);
	tar_number(h + TAR_MTIME, 12, 1700000000);
	h[TAR_TYPE] = (uint8_t)type;
	(void)strncpy((char *)h + TAR_TARGET, target, 100);
	(void)memcpy(h + TAR_MAGIC, "ustar\00000", 8);
	tar_sum(h);
	tar->len += TAR_BLOCK;
}

/* Append contents, filled up to a block. */
static inline void
tar_data(struct buf *tar, const void *data, size_t len)
{
	static const uint8_t zeros[TAR_BLOCK];

	buf_put(tar, data, len);
	if (len % TAR_BLOCK != 0)
		buf_put(tar, zeros, TAR_BLOCK - len % TAR_BLOCK);
}

static inline void
tar_file(struct buf *tar, const char *name, const char *text)
{
	tar_header(tar, name, '0', strlen(text), "");
	tar_data(tar, text, strlen(text));
}

static inline void
tar_trailer(struct buf *tar)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	buf_put(tar, zeros, sizeof(zeros));
}

#endif /* !PG_TAR_H */
