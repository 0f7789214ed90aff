#ifndef CONF_CONNINFO_H
#define CONF_CONNINFO_H

/*
 * conninfo: libpq's connection settings as people may see them.
 */

#include "base/buf.h"

/* Append text with "***" for each password in it.  Both forms are known:
 * "password=..." and "postgresql://user:...@host". */
void conninfo_mask(const char *text, struct buf *out);

#endif /* !CONF_CONNINFO_H */
