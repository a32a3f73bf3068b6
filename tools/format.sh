#!/bin/bash
# Formats the C files of this project in place; with --check it only reports and fails where something would change.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=(-i)
if [ "${1:-}" = --check ]; then
    mode=(--dry-run -Werror)
fi
folders=()
for folder in lib record filter config nswatch collectors outputs rpc server client tools tests; do
    if [ -d "$folder" ]; then
        folders+=("$folder")
    fi
done
find "${folders[@]}" -name '*.[ch]' -not -path 'tests/data/*' -print0 | xargs -0r /usr/bin/clang-format "${mode[@]}"
