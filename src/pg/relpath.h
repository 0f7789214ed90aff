#ifndef PG_RELPATH_H
#define PG_RELPATH_H

/*
 * relpath: what a path in a data directory is.
 * Source: common/relpath.c, basebackup.c, backend/storage/file/reinit.c.
 */

#include <stdbool.h>
#include <stdint.h>

enum relpath_fork { FORK_MAIN = 0, FORK_FSM = 1, FORK_VM = 2, FORK_INIT = 3 };

struct relpath {
	uint32_t tablespace; /* 1663 base/, 1664 global/, else pg_tblspc/OID */
	uint32_t database;   /* 0 in global/ */
	uint32_t relation;   /* file node number */
	enum relpath_fork fork;
	uint32_t segment; /* the number behind the dot, 0 for the first */
};

/*
 * True when path ("base/5/1259_vm.1", "global/1262",
 * "pg_tblspc/16400/PG_15_202209061/5/16403") is a relation's file.  Temporary
 * relations (t3_16384) are not: they are not backed up.  *r is untouched when
 * false.
 */
bool relpath_parse(const char *path, struct relpath *r);

#endif /* !PG_RELPATH_H */
