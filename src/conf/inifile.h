#ifndef CONF_INIFILE_H
#define CONF_INIFILE_H

/*
 * inifile: the lines of an INI file with their numbers, read by libinih.
 *
 * libinih tells no line numbers, cuts long lines and names in silence, and
 * takes an indented line for more of the value before it.  So it is handed one
 * line at a time, without its indentation, and what it would cut is refused.
 */

#include <stddef.h>

#include "base/err.h"

#define INIFILE_BYTES_MAX   ((size_t)1 << 20)
#define INIFILE_LINE_MAX    4096
#define INIFILE_NAME_MAX    49 /* libinih's own */
#define INIFILE_SECTION_MAX 127

/*
 * What is called, in the order of the file: once with key NULL for each
 * [section], then for each key in it.  section is "" in front of the first.
 * Not 0 ends the reading with that error, which needs no line.
 */
typedef int inifile_fn(void *arg, unsigned int line, const char *section,
    const char *key, const char *value, struct err *e);

/* 0, or -1 with ERR_USAGE: "<name>:<line>: ...". */
int inifile_read(const char *name, const char *text, size_t len, inifile_fn *fn,
    void *arg, struct err *e);

#endif /* !CONF_INIFILE_H */
