#ifndef BASE_DIO_H
#define BASE_DIO_H

/*
 * dio: bulk writes that do not go through the page cache.
 *
 * A sequential writer with its own aligned buffers and O_DIRECT where the file
 * system takes it; elsewhere (tmpfs, some FUSE) it falls back to buffered
 * writes by itself.  Large writes are handed to the kernel by a helper thread
 * so that the caller fills the next buffer meanwhile (double buffering).
 */

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

struct dio;

#define DIO_BUFFER_BYTES ((size_t)1 << 20) /* each of two */

/* Create path below dirfd (O_EXCL).  NULL with *e on failure. */
struct dio *
dio_create_at(int dirfd, const char *path, unsigned int mode, struct err *e);
/* Append; may return a failure of an earlier append. */
int dio_write(struct dio *d, const void *data, size_t len, struct err *e);
uint64_t dio_offset(const struct dio *d); /* bytes appended so far */
/* Everything written, length exact, fdatasync'ed.  d stays open for nothing
 * but dio_free(). */
int dio_finish(struct dio *d, struct err *e);
/* As dio_finish() without the sync (the caller will syncfs). */
int dio_finish_unsynced(struct dio *d, struct err *e);
/* Close.  A file that was not finished keeps what reached it. */
void dio_free(struct dio *d);
AUTO_DEFINE(struct dio, dio_free);
#define AUTO_DIO AUTO(dio_free_auto)

#endif /* !BASE_DIO_H */
