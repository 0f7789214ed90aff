#ifndef PG_DATA_H
#define PG_DATA_H

/*
 * data: files below tests/data, which real servers wrote.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/file.h"
#include "tap.h"

#define DATA_BYTES_MAX ((size_t)1 << 20)

/* The whole of tests/data/NAME. */
__attribute__((__format__(__printf__, 2, 3))) static inline void
data_read(struct buf *out, const char *name, ...)
{
	const char *top = getenv("PGKURA_SRC");
	char path[1024], below[256];
	struct err e = ERR_INIT;
	va_list ap;

	va_start(ap, name);
	(void)vsnprintf(below, sizeof(below), name, ap);
	va_end(ap);
	(void)snprintf(path, sizeof(path), "%s/tests/data/%s",
	    top == NULL ? "." : top, below);
	buf_clear(out);
	if (file_slurp_at(AT_FDCWD, path, DATA_BYTES_MAX, out, &e) == -1)
		tap_bail("%s", e.text);
}

#endif /* !PG_DATA_H */
