#!/bin/bash
# Formats the C files of this project in place; with --check it only reports and fails where something would change.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=(-i)
if [ "${1:-}" = --check ]; then
    mode=(--dry-run -Werror)
fi
find lib record filter config nswatch collectors outputs rpc server client tools tests -name '*.[ch]' \
    -not -path 'tests/data/*' -print0 2>/dev/null | xargs -0r /usr/bin/clang-format "${mode[@]}"
