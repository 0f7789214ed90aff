#!/bin/sh
# The sample file and the manual list the options that the parser knows.

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
program=$PGKURA_BUILD/tests/programs/optionlist
echo 1..3

same()
{
	if diff -u "$PGKURA_SRC/$2" "$copy/$2" >"$copy/diff"; then
		echo "ok $1 - $2 is up to date"
	else
		echo "not ok $1 - $2 is not up to date: run make sample"
		sed 's/^/# /' "$copy/diff"
	fi
}

if "$PGKURA_SRC/scripts/option-lists" "$program" "$copy"; then
	echo 'ok 1 - the lists are written'
else
	echo 'not ok 1 - the lists are written'
fi
same 2 conf/pgkura.conf.sample
same 3 doc/man/pgkura.conf.5
