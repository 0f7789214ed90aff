#!/bin/sh
# The servers of the other tests: each version makes a cluster, starts, answers
# and stops.

. "$PGKURA_SRC/tests/lib/server.sh"

count=0
for major in 13 14 15 16 17 18; do
	count=$((count + 1))
	if ! server_have $major; then
		echo "ok $count # SKIP $server_why"
		continue
	fi
	if server_init $major "$scratch/$major" &&
	    server_start $major "$scratch/$major" &&
	    version=$(psql -h "$scratch/$major" -U postgres -Atc \
	        'SHOW server_version_num' postgres) &&
	    [ "${version%????}" = $major ] &&
	    server_stop $major "$scratch/$major"; then
		echo "ok $count - PostgreSQL $version"
	else
		echo "not ok $count - PostgreSQL $major"
	fi
done
echo "1..$count"
