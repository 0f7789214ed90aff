/*
 * relpath: which files of a data directory hold pages of a relation.
 */

#include "pg/relpath.h"

#include <string.h>

#include "base/auto.h"
#include "tap.h"

static const struct {
	const char *path;
	struct relpath want;
} relations[] = {
	{ "base/5/1259", { 1663, 5, 1259, FORK_MAIN, 0 } },
	{ "base/5/1259_vm.1", { 1663, 5, 1259, FORK_VM, 1 } },
	{ "base/5/1259_fsm", { 1663, 5, 1259, FORK_FSM, 0 } },
	{ "base/16384/16390_init", { 1663, 16384, 16390, FORK_INIT, 0 } },
	{ "base/1/4294967295.32767",
	    { 1663, 1, 4294967295, FORK_MAIN, 32767 } },
	{ "global/1262", { 1664, 0, 1262, FORK_MAIN, 0 } },
	{ "global/1262_fsm", { 1664, 0, 1262, FORK_FSM, 0 } },
	{ "pg_tblspc/16400/PG_15_202209061/5/16403",
	    { 16400, 5, 16403, FORK_MAIN, 0 } },
	{ "pg_tblspc/16400/PG_18_202506291/5/16403_vm.12",
	    { 16400, 5, 16403, FORK_VM, 12 } },
};

static const char *const others[] = { "", "base", "base/", "base/5", "16385",
	"16385/16403", "5/1259_vm", "base/5/", "base/5/PG_VERSION",
	"base/5/pg_filenode.map", "base/5/pg_internal.init", "base/5/t3_16384",
	"base/5/t3_16384_fsm", "base/0/1259", "base/5/0", "base/05/1259",
	"base/5/01259", "base/5/4294967296", "base/5/1259_", "base/5/1259_foo",
	"base/5/1259_fsmx", "base/5/1259.", "base/5/1259.0", "base/5/1259.01",
	"base/5/1259.1.1", "base/5/1259.1_fsm", "base/5/1259 ", "base/5/+1259",
	"base/5/1259/1", "base//5/1259", "./base/5/1259", "/base/5/1259",
	"base/pgsql_tmp/pgsql_tmp123.0", "base/5/INCREMENTAL.1259",
	"global/pg_control", "global/5/1262", "global/", "pg_tblspc/16400",
	"pg_tblspc/16400/PG_VERSION", "pg_tblspc/16400/PG_15_202209061/5",
	"pg_tblspc/16400/PG_15_202209061/16403",
	"pg_tblspc/16400/PG_15/5/16403", "pg_tblspc/16400/15_1/5/16403",
	"pg_tblspc/x/PG_15_202209061/5/16403", "pg_xact/0000",
	"pg_multixact/offsets/0000", "pg_wal/000000010000000000000001",
	"PG_VERSION", "base/5/99999999999999999999999999" };

int
main(void)
{
	struct relpath r;
	size_t i;

	for (i = 0; i < COUNT_OF(relations); i++) {
		memset(&r, 0xff, sizeof(r));
		tap_ok(relpath_parse(relations[i].path, &r), "\"%s\"",
		    relations[i].path);
		tap_ok(r.tablespace == relations[i].want.tablespace &&
			r.database == relations[i].want.database &&
			r.relation == relations[i].want.relation &&
			r.fork == relations[i].want.fork &&
			r.segment == relations[i].want.segment,
		    "is tablespace %u, database %u, relation %u, fork %d, "
		    "segment %u",
		    r.tablespace, r.database, r.relation, (int)r.fork,
		    r.segment);
	}
	r.relation = 77;
	for (i = 0; i < COUNT_OF(others); i++)
		tap_ok(
		    !relpath_parse(others[i], &r), "\"%s\" is none", others[i]);
	tap_u64(r.relation, 77, "and changes nothing");
	return tap_done();
}
