#!/bin/sh
# Sources are laid out as clang-format 14 does ("make format").

tool=${CLANG_FORMAT:-clang-format}
case $("$tool" --version 2>/dev/null) in
*'version 14.'*) ;;
*)
	echo '1..0 # SKIP no clang-format 14 (apt install clang-format-14)'
	exit 0
	;;
esac

cd "$PGKURA_SRC" || exit 1
find src tests -name '*.[ch]' | sort | {
	count=0
	while read -r file; do
		count=$((count + 1))
		if "$tool" "$file" | diff -u "$file" - >/dev/null; then
			echo "ok $count - $file"
		else
			echo "not ok $count - $file"
			"$tool" "$file" | diff -u "$file" - | head -n 20 |
			    sed 's/^/# /' >&2
		fi
	done
	echo "1..$count"
}
