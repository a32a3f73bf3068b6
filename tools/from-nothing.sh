#!/bin/bash
# Tries the project on bare Debian systems: for each release makes a tree with mmdebstrap, puts a clean clone of what is
# committed here into it, and runs `make run` and `make test` there. Needs root, git and mmdebstrap; takes long.
#
#   tools/from-nothing.sh                       Debian 12 (bookworm), then Debian 13 (trixie)
#   tools/from-nothing.sh trixie                one release, by its codename
#   tools/from-nothing.sh trixie -- COMMAND...  other commands for the shell, one after the other, in the clone:
#                                               'make test || bash' to look around where something failed
#
# Mirror, keyring and the ways to reach them (proxies) are those of this machine's apt. The tree lies in $TMPDIR (/var/tmp)
# and has process and mount namespaces of its own: nothing of it is left when this ends, however it ends. The network
# is this machine's: nothing may listen on the port of `make run`. The last lines tell what passed; the exit status is 1 when a
# command failed.
set -euo pipefail
export LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tools/apt.sh
. "$root/tools/apt.sh"
packages=git,make,ca-certificates
clone=/root/xtcp2
tree=
child=
results=()
own_release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)

die()
{
    echo "from-nothing: $*" >&2
    exit 1
}

# clean_up: ends what is still running in the tree, with which its mounts go, and removes it.
clean_up()
{
    if [ -n "$child" ]; then
        kill -KILL "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
        child=
    fi
    if [ -n "$tree" ]; then
        rm -rf --one-file-system "$tree"
        tree=
    fi
}

# contained COMMAND...: in mount and process namespaces of its own, which end with it. In the background and waited for,
# so that a signal is handled at once; with the default handling of Ctrl-C, which the shell takes from such commands.
contained()
{
    local status=0
    env --default-signal=INT,QUIT unshare --mount --pid --fork --kill-child --mount-proc "$@" <&0 &
    child=$!
    wait "$child" || status=$?
    child=
    return "$status"
}

# sources_for RELEASE: this machine's Debian entries, for another release.
sources_for()
{
    local uri suite component key
    debian_sources Packages | while read -r uri suite component key; do
        echo "deb ${key:+[signed-by=$key] }$uri $suite $component"
    done | sed -E "s,(\]|deb) ([^ ]+) ($own_release|stable|oldstable)(-[a-z]+)? ,\1 \2 $1\4 ,"
}

# make_tree RELEASE
make_tree()
{
    local options=() setting
    # How packages are fetched here: proxies, what is not checked. Scripts and credentials are files that the tree lacks.
    while read -r setting; do
        options+=("--aptopt=$setting")
    done < <(apt-config dump | grep -E '^Acquire::((http|https)::|Check-|Retries|ForceIPv)' |
        grep -vE 'Auto-?Detect|User-Agent|""')
    sources_for "$1" >"$tree/sources.list"
    contained mmdebstrap --mode=root --variant=minbase --include="$packages" "${options[@]}" "$1" "$tree/root" \
        - <"$tree/sources.list" || return
    cp -L /etc/resolv.conf /etc/hosts /etc/hostname "$tree/root/etc/"
    git clone --quiet --no-hardlinks "$root" "$tree/root$clone"
}

# in_tree COMMAND: of the shell, in the clone, with what a machine mounts at its start. The tree becomes the root of its
# mount namespace, as that of a machine: chroot alone would leave it a folder, which cannot be made private or shared.
in_tree()
{
    # shellcheck disable=SC2016
    contained bash -euc '
        mount --bind "$1" "$1"
        cd "$1"
        mount --rbind /dev dev
        mount --rbind /sys sys
        mount -t proc proc proc
        mount -t tmpfs -o mode=755 tmpfs run
        mkdir -m 1777 run/lock
        mkdir -p mnt/outside
        pivot_root . mnt/outside
        umount -l /mnt/outside
        rmdir /mnt/outside
        cd "$2"
        keep=()
        for name in http_proxy https_proxy no_proxy; do
            [ -z "${!name:-}" ] || keep+=("$name=${!name}")
        done
        exec env -i HOME=/root USER=root LOGNAME=root TERM="${TERM:-dumb}" "${keep[@]}" \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -c "$3"
    ' bash "$tree/root" "$clone" "$1"
}

# try_release RELEASE COMMAND...
try_release()
{
    local release=$1 command start
    shift
    start=$SECONDS
    tree=$(mktemp -d "${TMPDIR:-/var/tmp}/xtcp2-$release.XXXXXX")
    chmod 755 "$tree"
    echo "from-nothing: making a tree of $release in $tree"
    if ! make_tree "$release"; then
        results+=("$release: no tree could be made")
        clean_up
        return 1
    fi
    for command in "$@"; do
        echo "from-nothing: $release: $command"
        start=$SECONDS
        if ! in_tree "$command"; then
            results+=("$release: $command: FAILED after $((SECONDS - start)) s")
            clean_up
            return 1
        fi
        results+=("$release: $command: passed in $((SECONDS - start)) s")
    done
    clean_up
}

main()
{
    local releases=() commands=('make run </dev/null' 'make test') release status=0
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        [[ $1 =~ ^[a-z]+$ ]] || die "usage: tools/from-nothing.sh [RELEASE...] [-- COMMAND...]"
        releases+=("$1")
        shift
    done
    if [ $# -gt 1 ]; then
        commands=("${@:2}")
    fi
    [ ${#releases[@]} -gt 0 ] || releases=(bookworm trixie)
    [ "$(id -u)" -eq 0 ] || die "needs root"
    command -v mmdebstrap >/dev/null || die "needs mmdebstrap: apt-get install mmdebstrap"
    [ -n "$(debian_sources Packages)" ] || die "apt has no Debian entry in /etc/apt, or no lists: apt-get update"
    [ -z "$(git -C "$root" status --porcelain)" ] || echo "from-nothing: what is not committed is left out" >&2

    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    for release in "${releases[@]}"; do
        try_release "$release" "${commands[@]}" || status=1
    done
    printf 'from-nothing: %s\n' "${results[@]}"
    return "$status"
}

main "$@"
