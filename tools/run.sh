#!/bin/bash
# Starts the daemon with its built-in configuration, streams its records through the client, stops both.
#
# On a terminal it runs until Ctrl-C, else for three polls. The daemon's log: build/run.log.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

host=127.0.0.1
port=8889
client=(build/bin/xtcp2client --target "$host:$port")
log=build/run.log
interrupted=
daemon=

# Somebody else's daemon on our port would answer in the place of ours: let ours say what is wrong.
port_is_busy()
{
    (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null
}

stop()
{
    local pid=$daemon
    [ -n "$pid" ] || return 0
    daemon=
    kill -TERM "$pid" 2>/dev/null
    wait "$pid"
}

fail()
{
    echo "run: $*" >&2
    cat "$log" >&2
    stop
    exit 1
}

wait_until_serving()
{
    local deadline=$((SECONDS + 15))
    until "${client[@]}" --timeout 1s health >/dev/null 2>&1; do
        [ -z "$interrupted" ] || return 0
        kill -0 "$daemon" 2>/dev/null || fail "the daemon has ended:"
        [ "$SECONDS" -lt "$deadline" ] || fail "the daemon does not answer:"
        sleep 0.05
    done
}

trap 'interrupted=yes' INT TERM
trap 'stop' EXIT

if port_is_busy; then
    echo "run: something listens on $host:$port already; the daemon says:" >&2
    timeout 5 build/bin/xtcp2 </dev/null
    exit 1
fi

build/bin/xtcp2 </dev/null 2>"$log" &
daemon=$!
wait_until_serving

arguments=()
[ -t 1 ] || arguments=(--polls 3)
status=0
if [ -z "$interrupted" ]; then
    "${client[@]}" -o table stream "${arguments[@]}" </dev/null || status=$?
fi

# Ctrl-C ends the client and is the ordinary way out.
[ -z "$interrupted" ] || status=0
stop || { echo "run: the daemon ended with $?, see $log" >&2; status=1; }
exit "$status"
