#!/bin/bash
# Runs every fuzz target of build-fuzz/ for some seconds, from its committed corpus. New inputs go to
# build-fuzz/corpus/NAME/, crashes to build-fuzz/crashes/NAME-*; a crash ends the run with an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-30}
mkdir -p build-fuzz/crashes
for corpus in tests/fuzz/corpus/*/; do
    name=$(basename "$corpus")
    mkdir -p "build-fuzz/corpus/$name"
    echo "fuzz: $name for $seconds s"
    "build-fuzz/tests/$name" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="build-fuzz/crashes/$name-" "build-fuzz/corpus/$name" "$corpus" 2>&1 |
        grep -vE '^#[0-9]+|NEW_FUNC|REDUCE|INFO:' || { echo "fuzz: $name failed" >&2; exit 1; }
done
