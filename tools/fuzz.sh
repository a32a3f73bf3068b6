#!/bin/bash
# Runs every fuzz target of build-fuzz/ for some seconds, from its committed corpus, several at a time, and prints a
# table of what came of it: executions, executions in a second of CPU time, edges that were reached, findings.
# New inputs go to build-fuzz/corpus/NAME/, findings to build-fuzz/findings/NAME-*, what a target said to
# build-fuzz/findings/NAME.log. Ends with 1 when anything was found, after all targets.
#
#   tools/fuzz.sh [SECONDS [TARGET...]]     each for SECONDS (30); FUZZ_JOBS at a time (as many as there are CPUs)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-30}
shift || true
jobs=${FUZZ_JOBS:-$(nproc)}
findings=build-fuzz/findings
if [ $# -gt 0 ]; then targets=("$@"); else targets=(tests/fuzz/corpus/*/); fi

# run_target NAME: leaves a line of the table in findings/NAME.row.
run_target()
{
    local name=$1 log=$findings/$1.log code=0 count
    local artifacts=("$findings/$name"-*)
    mkdir -p "build-fuzz/corpus/$name"
    # Earlier findings are tried again, first of all.
    [ ! -e "${artifacts[0]}" ] || mv -- "${artifacts[@]}" "build-fuzz/corpus/$name/"
    local TIMEFORMAT='%U %S'
    { time "build-fuzz/tests/$name" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$findings/$name-" "build-fuzz/corpus/$name" "tests/fuzz/corpus/$name" \
        >"$log" 2>&1; } 2>"$findings/$name.time" || code=$?
    artifacts=("$findings/$name"-*)
    [ -e "${artifacts[0]}" ] && count=${#artifacts[@]} || count=0
    # An end that libFuzzer does not report is a finding as well: a leak at the end, a target that does not start.
    if [ "$code" -ne 0 ] && [ "$count" -eq 0 ]; then count=1; fi
    awk -v name="$name" -v findings="$count" '
        FILENAME ~ /\.time$/ { cpu = $1 + $2 }
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
        /^stat::number_of_executed_units:/ { executions = $2 }
        END { printf "%-24s %12d %12d %8d %8d\n", name, executions, executions / (cpu > 0 ? cpu : 1), edges, findings }
    ' "$findings/$name.time" "$log" >"$findings/$name.row"
    rm "$findings/$name.time"
    [ "$count" -eq 0 ] || echo "fuzz: $name: found something, see $log" >&2
}

mkdir -p "$findings"
rm -f "$findings"/*.row
for target in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    echo "fuzz: $(basename "$target") for $seconds s"
    run_target "$(basename "$target")" &
done
wait

printf '\n%-24s %12s %12s %8s %8s\n' target executions 'per CPU s' edges findings
cat "$findings"/*.row
[ "$(cat "$findings"/*.row | wc -l)" -eq "${#targets[@]}" ] || { echo "fuzz: a target has no result" >&2; exit 1; }
awk '{ found += $NF } END { exit found > 0 }' "$findings"/*.row
