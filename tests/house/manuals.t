#!/bin/sh
# Manuals are sound mdoc.  Only their references to each other cannot be checked
# before they are installed.

if ! command -v mandoc >/dev/null; then
	echo '1..0 # SKIP no mandoc (apt install mandoc)'
	exit 0
fi
cd "$PGKURA_SRC" || exit 1
set -- doc/man/*.[158]
if [ ! -f "$1" ]; then
	echo '1..0 # SKIP no manuals yet'
	exit 0
fi

count=0
for page; do
	count=$((count + 1))
	wrong=$(mandoc -Tlint -Wwarning "$page" 2>&1 |
	    grep -v 'referenced manual not found')
	if [ -z "$wrong" ]; then
		echo "ok $count - $page"
	else
		echo "not ok $count - $page"
		echo "$wrong" | sed 's/^/# /' >&2
	fi
done
echo "1..$count"
