#ifndef BASE_JSON_H
#define BASE_JSON_H

/*
 * json: what we add to jansson: strict reading with errors that name the place.
 *
 * Numbers beyond 2^63 (system identifiers) are decimal strings; LSNs are text.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"

static inline void
json_auto_(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON AUTO(json_auto_)

/* One object; duplicates of keys and trailing bytes are refused.  name is for
 * messages.  NULL with ERR_CORRUPT. */
json_t *
json_parse(const void *text, size_t len, const char *name, struct err *e);
/* One line, keys in the order they were set, behind what out holds. */
void json_write(const json_t *j, struct buf *out);
/* The same over several lines for people. */
void json_write_pretty(const json_t *j, struct buf *out);

/* What a member of a file of our own says; "" and 0 when it is not there. */
const char *json_get_str(const json_t *o, const char *key);
int64_t json_get_int(const json_t *o, const char *key);

/* Members of an object; ERR_CORRUPT when missing or of another type. */
int json_need_str(
    const json_t *o, const char *key, const char **value, struct err *e);
/* As json_need_str(), copied into out (bytes with NUL); too long is corrupt. */
int json_need_text(
    const json_t *o, const char *key, char *out, size_t bytes, struct err *e);
int
json_need_u64(const json_t *o, const char *key, uint64_t *value, struct err *e);
int
json_need_u32(const json_t *o, const char *key, uint32_t *value, struct err *e);
int
json_need_i64(const json_t *o, const char *key, int64_t *value, struct err *e);
int
json_need_bool(const json_t *o, const char *key, bool *value, struct err *e);
int json_need_array(
    const json_t *o, const char *key, const json_t **value, struct err *e);
/* Hex digits of exactly len bytes. */
int json_need_hex(
    const json_t *o, const char *key, uint8_t *out, size_t len, struct err *e);

/* Any uint64 as a number, or as a decimal string when it is too large. */
void json_set_u64(json_t *o, const char *key, uint64_t value);
/* A string; bytes that are not UTF-8 become U+FFFD. */
void json_set_str(json_t *o, const char *key, const char *value);
void json_set_hex(json_t *o, const char *key, const uint8_t *in, size_t len);

#endif /* !BASE_JSON_H */
