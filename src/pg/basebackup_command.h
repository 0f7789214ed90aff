#ifndef PG_BASEBACKUP_COMMAND_H
#define PG_BASEBACKUP_COMMAND_H

/*
 * basebackup_command: the words of BASE_BACKUP, which 15 changed.
 */

#include "base/buf.h"
#include "base/err.h"
#include "pg/basebackup.h"

#define BASEBACKUP_LABEL_BYTES_MAX 1023 /* MAXPGPATH - 1 */
#define BASEBACKUP_RATE_KIB_MIN	   32
#define BASEBACKUP_RATE_KIB_MAX	   1048576

/*
 * Append the command for a server of version_num (150018).  ERR_USAGE when the
 * label or the rate is none that the server takes.
 */
int basebackup_command(const struct basebackup_options *options,
    int version_num, struct buf *out, struct err *e);

#endif /* !PG_BASEBACKUP_COMMAND_H */
