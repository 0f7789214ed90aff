# server.sh: PostgreSQL of any major version in a scratch folder that dies with
# the test, for test scripts in sh:
#
#	. "$PGKURA_SRC/tests/lib/server.sh"
#	server_have 17 || skip_all "$server_why"
#	server_init 17 "$scratch/main"
#	server_start 17 "$scratch/main"
#	psql -h "$scratch/main" -U postgres ...
#
# $scratch is a new folder with a short name (a socket's path has at most 107
# bytes).  It belongs to the user that servers run as: PostgreSQL refuses root,
# so root's tests run them as "postgres" or "nobody" through as_server.

server_folder=${PGKURA_SERVERS:-$("$PGKURA_SRC/scripts/get-servers" --folder)}

server_user=
if [ "$(id -u)" -eq 0 ]; then
	server_user=nobody
	if id -u postgres >/dev/null 2>&1; then
		server_user=postgres
	fi
fi

# as_server COMMAND...: run it as the user of servers.
as_server()
{
	if [ -z "$server_user" ]; then
		"$@"
	else
		setpriv --reuid="$server_user" \
		    --regid="$(id -g "$server_user")" --clear-groups \
		    env HOME="$scratch" "$@"
	fi
}

# skip_all REASON: end a test that cannot run here.
skip_all()
{
	echo "1..0 # SKIP $*"
	exit 0
}

# server_have MAJOR: whether this version runs here; if not, $server_why.
server_have()
{
	server_why="no PostgreSQL $1 in $server_folder (scripts/get-servers)"
	as_server "$server_folder/$1/bin/postgres" --version >/dev/null 2>&1
}

# server_init MAJOR FOLDER [INITDB OPTION...]: a new cluster in FOLDER/data that
# trusts its socket in FOLDER, with WAL archiving off and replication allowed.
server_init()
{
	server_major_=$1
	server_dir_=$2
	shift 2
	as_server mkdir -p "$server_dir_"
	as_server "$server_folder/$server_major_/bin/initdb" \
	    -D "$server_dir_/data" -U postgres -A trust -N "$@" \
	    >"$server_dir_/initdb.log" 2>&1 || {
		sed 's/^/# /' "$server_dir_/initdb.log" >&2
		return 1
	}
	as_server tee -a "$server_dir_/data/postgresql.conf" >/dev/null <<END
listen_addresses = ''
unix_socket_directories = '$server_dir_'
fsync = off
max_wal_senders = 10
END
}

# server_start MAJOR FOLDER: start it and wait until it answers.
server_start()
{
	as_server "$server_folder/$1/bin/pg_ctl" -D "$2/data" -l "$2/log" \
	    -w -t 60 start >/dev/null 2>&1 || {
		sed 's/^/# /' "$2/log" >&2
		return 1
	}
}

# server_stop MAJOR FOLDER [MODE]: fast, immediate or smart.
server_stop()
{
	as_server "$server_folder/$1/bin/pg_ctl" -D "$2/data" -m "${3:-fast}" \
	    -w stop >/dev/null 2>&1
}

# Whatever still runs below $scratch is killed, and $scratch removed.
server_clean_()
{
	status=$?
	for pidfile in "$scratch"/*/data/postmaster.pid; do
		[ -f "$pidfile" ] || continue
		pid=$(head -n 1 "$pidfile")
		kill -QUIT "$pid" 2>/dev/null
		# Its children end at once, but not in no time.
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
	done
	rm -rf "$scratch"
	exit "$status"
}

scratch=$(mktemp -d /tmp/pgk.XXXXXX) || exit 1
chmod 755 "$scratch"
if [ -n "$server_user" ]; then
	chown "$server_user" "$scratch"
fi
trap server_clean_ EXIT
trap 'exit 1' HUP INT TERM
