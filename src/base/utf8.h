#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * The length of the UTF-8 character at p, 0 when there is none.  Overlong
 * forms, surrogates and what is past U+10FFFF are none (RFC 3629, section 4).
 * Stops at a NUL by itself, as that continues nothing.
 */
size_t utf8_len(const uint8_t *p);

#endif /* !BASE_UTF8_H */
