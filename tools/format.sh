#!/bin/bash
# Formats the C files of this project in place; with --check it only reports and fails where something would change.
#
# Versions of clang-format differ in their taste: it is that of version 14. Where there is another one only (Debian 13), nothing
# is formatted, and a check is skipped: exit status 77.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

formatter=/usr/bin/clang-format-14
[ -x "$formatter" ] || formatter=/usr/bin/clang-format
version=$("$formatter" --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
if [ "$version" != 14 ]; then
    echo "format: skipped: this is clang-format $version, the format is that of version 14" >&2
    exit 77
fi

mode=(-i)
if [ "${1:-}" = --check ]; then
    mode=(--dry-run -Werror)
fi
folders=()
for folder in lib model record filter config nswatch inet_diag collectors outputs rpc server client tools tests; do
    if [ -d "$folder" ]; then
        folders+=("$folder")
    fi
done
find "${folders[@]}" -name '*.[ch]' -not -path 'tests/data/*' -print0 | xargs -0r "$formatter" "${mode[@]}"
