#!/bin/sh
# What "make install" gives systemd is sound, and as strict as it is meant to be.

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
make -s -C "$PGKURA_BUILD" install DESTDIR="$folder" >"$folder/log" 2>&1
unit=$(find "$folder" -name pgkurad.service)
if [ -z "$unit" ]; then
	echo '1..0 # SKIP configured without unit files'
	exit 0
fi
if ! command -v systemd-analyze >/dev/null; then
	echo '1..0 # SKIP no systemd-analyze (apt install systemd)'
	exit 0
fi
echo 1..4

# report NUMBER WHAT OUTPUT: it is well when there is no output.
report()
{
	if [ -z "$3" ]; then
		echo "ok $1 - $2"
	else
		echo "not ok $1 - $2"
		echo "$3" | sed 's/^/# /'
	fi
}

report 1 'every @name@ of the unit is filled in' "$(grep '@[a-z]*@' "$unit")"

# Its programs are in the build folder, its manuals not installed.
sed -i -e "s,^ExecStart=.*,ExecStart=$PGKURA_BUILD/pgkurad," \
    -e "s,^ExecReload=.*,ExecReload=$PGKURA_BUILD/pgkura reload," \
    -e '/^Documentation=/d' "$unit"
report 2 'systemd takes the unit' \
    "$(systemd-analyze verify "$unit" 2>&1 | grep pgkurad)"

# An exposure of 2.0 and less is "OK"; the scale ends at 10.
exposure=$(systemd-analyze security --offline=true --threshold=20 "$unit" 2>&1 |
    sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p')
case $exposure in
[01].*) report 3 "exposure $exposure" '' ;;
*) report 3 "exposure $exposure" 'more than 2.0' ;;
esac

users=$(find "$folder" -path '*/sysusers.d/pgkura.conf')
report 4 'and the user' \
    "$(systemd-sysusers --dry-run "$users" 2>&1 | grep -v -i 'creating\|would')"
