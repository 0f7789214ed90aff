#!/bin/sh
# The rooms of src include only what lies below them; the script that says so
# sees what is wrong.

arrows=$PGKURA_SRC/scripts/arrows
top=$(mktemp -d) || exit 1
trap 'rm -rf "$top"' EXIT
count=0

# Check number $count: what arrows says of one line in one file of a small tree
# with the files base/a.h, pg/b.h, store/c.h.
# says STATUS FILE LINE WORDS
says()
{
	count=$((count + 1))
	rm -rf "$top/src"
	mkdir -p "$top/src/base" "$top/src/pg" "$top/src/store" \
	    "$top/src/${2%/*}"
	touch "$top/src/base/a.h" "$top/src/pg/b.h" "$top/src/store/c.h"
	printf '/* line 1 */\n%s\n' "$3" >"$top/src/$2"
	out=$("$arrows" "$top")
	status=$?
	case $status:$out in
	"$1:"*"$4"*) echo "ok $count - $2: $3" ;;
	*)
		echo "not ok $count - $2: $3"
		echo "# status $status, says $out"
		;;
	esac
}

says 0 repo/x.c '#include "pg/b.h"' '4 files, 0 wrong'
says 0 cli/x.c '# include "base/a.h" /* why */' '0 wrong'
says 0 base/x.c '#include "config.h"' '0 wrong'
says 0 pg/x.c '#include "pg/b.h"' '0 wrong'
says 1 base/x.h '#include "pg/b.h"' 'src/base/x.h:2: base may not include pg'
says 1 pg/x.c '#include "store/c.h"' 'pg may not include store'
says 1 pg/x.c '#include "b.h"' 'name the room'
says 1 pg/x.c '#include "pg/none.h"' 'there is no src/pg/none.h'
says 1 pg/x.c '#include "attic/a.h"' 'there is no room "attic"'
says 1 wal-client/x.c '#include "base/a.h"' 'wal-client may not include base'
says 1 attic/x.c 'int x;' 'not in one of the rooms'
says 1 pg/deep/x.c 'int x;' 'not in one of the rooms'

count=$((count + 1))
if out=$("$arrows" "$PGKURA_SRC"); then
	echo "ok $count - all arrows of src point down: $out"
else
	echo "not ok $count - all arrows of src point down"
	echo "$out" | sed 's/^/# /' >&2
fi
echo "1..$count"
