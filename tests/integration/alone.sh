#!/bin/sh
# Runs COMMAND with processes, mounts, /run and a folder for temporary files of its own, so that tests can run side by side: a
# daemon that looks for the namespaces of the whole machine finds those of its own test alone. All of it is gone when COMMAND ends.
# Without root, runs COMMAND as it is.
#
#   alone.sh COMMAND [ARGUMENT...]
set -eu
[ "$(id -u)" -eq 0 ] || exec "$@"
# The shell stays as process 1: it takes in what is left behind by others.
# shellcheck disable=SC2016
exec unshare --mount --pid --fork --kill-child --mount-proc sh -euc '
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -m 755 /run/netns
    mkdir -m 1777 /run/lock /run/t
    export TMPDIR=/run/t
    status=0
    "$@" || status=$?
    exit "$status"' sh "$@"
