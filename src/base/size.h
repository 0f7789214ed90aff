#ifndef BASE_SIZE_H
#define BASE_SIZE_H

/*
 * size: amounts of bytes as people write them.
 *
 * All units are powers of 1024, as in PostgreSQL's configuration: kB, KiB and
 * k are 1,024 bytes; MB, MiB and M are 1,048,576; and so on to P.
 */

#include <stdint.h>

#include "base/err.h"

/* "64MB", "1 GiB", "512k", "100" (bytes), in any case.  ERR_USAGE with a hint
 * otherwise, *bytes untouched. */
int size_parse(const char *text, uint64_t *bytes, struct err *e);

#define SIZE_TEXT_BYTES 32
/* "1.23 GB", "12.3 MB", "812 kB", "17 bytes"; returns out. */
const char *size_text(uint64_t bytes, char out[SIZE_TEXT_BYTES]);

#endif /* !BASE_SIZE_H */
