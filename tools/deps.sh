#!/bin/bash
# Installs what the build (and with "test" the tests) needs, from packages of Debian 12 or 13 only, and builds the upb
# code generators. Does nothing, quickly, when all is there.
#
#   tools/deps.sh build     what `make build` and `make run` need
#   tools/deps.sh test      the same and what `make test` needs
#
# Debian ships upb as a library inside libgrpc29, without headers or generators; both come from the Debian source
# package grpc of the installed version. It is fetched with apt lists of our own under .deps/, so that neither the
# system's apt configuration nor its lists are changed. Files: .deps/bin/protoc-gen-{upb,upbdefs}, .deps/upb/ (the
# directory that has upb/*.h).
set -euo pipefail
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec </dev/null

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=$root/.deps
# shellcheck source=tools/apt.sh
. "$root/tools/apt.sh"

packages_build=(
    build-essential cmake ninja-build pkg-config
    protobuf-compiler libprotobuf-dev libprotoc-dev libabsl-dev libgrpc-dev
    protobuf-c-compiler libprotobuf-c-dev
    libnl-3-dev libnl-route-3-dev libyaml-dev libjansson-dev libssl-dev zlib1g-dev libncurses-dev libcap-dev libseccomp-dev
    libzstd-dev libcurl4-openssl-dev librdkafka-dev
    dpkg-dev
)
packages_test=(
    libcmocka-dev python3 python3-pytest python3-grpcio python3-protobuf python3-msgpack python3-cryptography
    kcat socat protobuf-compiler-grpc iproute2 locales netbase procps tmux strace zstd kcat clang clang-format clang-tidy
)

die()
{
    echo "deps: $*" >&2
    exit 1
}

# as_root COMMAND...: system changes, through sudo where we are not root.
as_root()
{
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -n "$@" || die "needs root for: $*"
    else
        die "needs root for: $*"
    fi
}

# apt ARGS...: apt-get that asks nothing and waits for another apt or dpkg. The dpkg lock has a timeout of its own; the
# locks of lists and archives have none, so a run that failed on one of them is repeated.
apt()
{
    local log attempt
    log=$(mktemp)
    for attempt in {1..60}; do
        if as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" 2>&1 | tee "$log"; then
            rm -f "$log"
            return 0
        fi
        grep -qE 'Could not get lock|Unable to lock' "$log" || break
        echo "deps: another apt is at work, waiting ($attempt)" >&2
        sleep 5
    done
    rm -f "$log"
    return 1
}

system_lists_updated=
update_system_lists()
{
    [ -z "$system_lists_updated" ] || return 0
    system_lists_updated=yes
    # One unreachable third-party entry must not stop us: what matters is whether the packages can be installed.
    apt update || echo "deps: apt-get update reported errors, going on" >&2
}

install_packages()
{
    local missing=() package
    local installed
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^.i  *//p') || true
    for package in "$@"; do
        grep -qxF "$package" <<<"$installed" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "deps: installing ${missing[*]}"
    update_system_lists
    apt install -y --no-install-recommends "${missing[@]}" || die "could not install: ${missing[*]}"
}

# clang_runtime: the package with the libraries of clang's sanitizers and libFuzzer, of the version that the package clang
# stands for in this release.
clang_runtime()
{
    local clang
    clang=$(dpkg-query -W -f '${Depends}' clang | grep -oE -m 1 '\<clang-[0-9]+')
    echo "libclang-rt-${clang#clang-}-dev"
}

# fetch_source PACKAGE=VERSION DIR: download a Debian source package. The deb-src entries are the system's own, or
# made from its deb entries where it has none; they live in .deps/apt only, with lists and cache.
fetch_source()
{
    local apt_dir=$deps/apt entries uri suite component key
    entries=$(debian_sources Sources)
    [ -n "$entries" ] || entries=$(debian_sources Packages)
    if [ -z "$entries" ]; then
        update_system_lists
        entries=$(debian_sources Packages)
    fi
    [ -n "$entries" ] || die "apt has no Debian entry in /etc/apt: cannot fetch the source package ${1%%=*}"

    mkdir -p "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial" "$2"
    while read -r uri suite component key; do
        echo "deb-src ${key:+[signed-by=$key] }$uri $suite $component"
    done <<<"$entries" >"$apt_dir/sources.list"

    local options=(
        -q -o Dir::Etc::SourceList="$apt_dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists="$apt_dir/lists" -o Dir::Cache="$apt_dir/cache" -o APT::Sandbox::User=
    )
    # The mirrors behind one name may be half-updated: try again before giving up.
    local attempt
    for attempt in 1 2 3; do
        if apt-get "${options[@]}" update &&
            (cd "$2" && apt-get "${options[@]}" source --download-only "$1"); then
            return 0
        fi
        echo "deps: fetching $1 failed (attempt $attempt)" >&2
        sleep 2
    done
    die "could not fetch the Debian source package $1"
}

# compile_generator NAME SOURCE...: a protoc plugin of upb.
compile_generator()
{
    local name=$1
    shift
    local absl
    absl=$(pkg-config --libs absl_strings absl_raw_hash_set absl_hash absl_city absl_low_level_hash \
        absl_raw_logging_internal absl_base absl_throw_delegate)
    # shellcheck disable=SC2086
    g++ -std=c++17 -O1 -w -I"$deps/upb" -o "$deps/bin/$name" "$@" -lprotoc -lprotobuf -lupb $absl
}

build_generators()
{
    local version
    version=$(dpkg-query -W -f '${source:Version}' libgrpc-dev)
    local stamp="$version $(dpkg-query -W -f '${Version}' libprotoc-dev)"
    if [ "$(cat "$deps/bin/.version" 2>/dev/null)" = "$stamp" ]; then
        return 0
    fi

    echo "deps: building the upb generators from the Debian source package grpc $version"
    local work=$deps/work
    rm -rf "$work" "$deps/upb" "$deps/bin"
    mkdir -p "$work" "$deps/bin"
    fetch_source "grpc=$version" "$work"
    dpkg-source --no-check -x "$work"/grpc_*.dsc "$work/grpc" >/dev/null
    mv "$work/grpc/third_party/upb" "$deps/upb"
    rm -rf "$work"

    local upbc=$deps/upb/upbc
    compile_generator protoc-gen-upb "$upbc/protoc-gen-upb.cc" "$upbc/common.cc" &
    local first=$!
    compile_generator protoc-gen-upbdefs "$upbc/protoc-gen-upbdefs.cc" "$upbc/common.cc"
    wait "$first"
    rm -rf "$deps/apt"
    echo "$stamp" >"$deps/bin/.version"
}

# unpack_peer NAME PACKAGE: a server that outputs are tried with, and all that it needs, below .deps/NAME. It is not
# installed: the packages would start it. Where it cannot be had, the tests that want it are skipped.
unpack_peer()
{
    local to=$deps/$1 names package
    [ ! -e "$to/.complete" ] || return 0
    update_system_lists
    names=$(apt-get install -s --no-install-recommends "$2" 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
    if [ -z "$names" ]; then
        echo "deps: there is no package $2 here: its tests are skipped" >&2
        return 0
    fi
    echo "deps: unpacking $2 into .deps/$1"
    rm -rf "$to"
    mkdir -p "$to/packages"
    # shellcheck disable=SC2086
    if ! (cd "$to/packages" && apt-get -q -o APT::Sandbox::User= download $names); then
        echo "deps: $2 could not be fetched: its tests are skipped" >&2
        rm -rf "$to"
        return 0
    fi
    for package in "$to"/packages/*.deb; do
        dpkg-deb -x "$package" "$to"
    done
    rm -rf "$to/packages"
    touch "$to/.complete"
}

main()
{
    local packages=("${packages_build[@]}")
    case ${1:-} in
    build) ;;
    test) packages+=("${packages_test[@]}") ;;
    *) die "usage: tools/deps.sh build|test" ;;
    esac

    # Two runs at a time (two terminals, two make targets) would build into the same directory.
    mkdir -p "$deps"
    exec 9>"$deps/lock"
    flock 9
    install_packages "${packages[@]}"
    if [ "$1" = test ]; then
        local runtime
        runtime=$(clang_runtime) || die "the package clang does not tell of which version it is"
        install_packages "$runtime"
        unpack_peer clickhouse clickhouse-server
        unpack_peer redis redis-server
    fi
    build_generators
}

main "$@"
