#ifndef BASE_MEM_H
#define BASE_MEM_H

/*
 * mem: memory that is there or the process is not.
 *
 * Sizes are bounded by their callers before they come here, so running out is
 * the machine's state and not an input's: a line to standard error, then
 * abort().  Every process of pgkura may die at any instant without loss.
 */

#include <stdarg.h>
#include <stddef.h>

/* Never NULL; zero sizes give a valid pointer.  Free with free(). */
void *mem_alloc(size_t bytes) __attribute__((__malloc__));
void *mem_zalloc(size_t bytes) __attribute__((__malloc__));
void *mem_array(size_t count, size_t bytes_each) __attribute__((__malloc__));
void *mem_zarray(size_t count, size_t bytes_each) __attribute__((__malloc__));
void *mem_realloc(void *p, size_t bytes);
void *mem_rearray(void *p, size_t count, size_t bytes_each);
/* Aligned to 4096 bytes, for direct I/O. */
void *mem_pages(size_t bytes) __attribute__((__malloc__));
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len);
char *
mem_printf(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));
char *mem_vprintf(const char *fmt, va_list ap)
    __attribute__((__format__(__printf__, 1, 0)));

#endif /* !BASE_MEM_H */
