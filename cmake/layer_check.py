#!/usr/bin/python3
"""Checks that every folder includes only what it may: the architecture as a test. And that none asks the locale.

usage: layer_check.py [ROOT]

Looks at the #include lines of the .c and .h files of our folders, and for functions that depend on the locale. Prints FILE:LINE: what is wrong, and exits 1.
docs/architecture.md has the same map in words.
"""
import pathlib
import re
import sys

# Which of our folders a folder may include, besides itself. A file belongs to the longest name here that leads to it.
RECORDS = {"lib", "model", "record", "filter"}
SERVER = RECORDS | {"lib/linux", "config"}
CLIENT = RECORDS | {"outputs/format", "rpc/client", "rpc/codec", "rpc/codec/config", "client"}
FOLDERS = {
    "lib": set(),
    "lib/linux": {"lib"},
    "model": {"lib"},
    "record": {"lib", "model"},
    "filter": {"lib", "model", "record"},
    "config": {"lib", "lib/linux", "model", "record", "filter", "outputs/format"},
    "nswatch": {"lib", "lib/linux"},
    "inet_diag": RECORDS | {"lib/linux"},
    "collectors": RECORDS | {"lib/linux", "inet_diag"},
    "outputs/format": {"lib", "record"},
    "outputs/sink": {"lib", "lib/linux", "config", "outputs/format"},
    "outputs": {"lib", "lib/linux", "model", "record", "config", "outputs/format", "outputs/sink"},
    "rpc": {"lib"},
    "rpc/codec": {"lib", "model"},
    "rpc/codec/json": {"lib"},
    "rpc/codec/config": {"lib", "model", "config", "rpc/codec", "rpc/codec/json"},
    "rpc/server": {"lib", "lib/linux", "model", "config", "rpc"},
    "rpc/client": {"lib", "rpc"},
    "server/outputs": SERVER | {"outputs", "outputs/sink", "server/live", "server/stream"},
    "server/process": {"lib", "lib/linux", "model", "config"},
    "server/live": SERVER | {"rpc/codec/config"},
    "server/listen": {"lib", "lib/linux", "model", "config", "nswatch", "inet_diag", "rpc/server"},
    "server/stream": SERVER | {"server/live"},
    "server/poll": SERVER | {"nswatch", "inet_diag", "collectors", "server/live", "server/stream"},
    "server/watch": SERVER | {"nswatch", "inet_diag", "server/live", "server/poll", "server/stream", "rpc/codec", "rpc/server"},
    "server/services": SERVER | {"nswatch", "rpc/codec", "rpc/codec/config", "rpc/server", "server", "server/process",
                                 "server/live", "server/listen", "server/outputs", "server/stream", "server/poll", "server/watch"},
    "server": SERVER | {"nswatch", "inet_diag", "collectors", "outputs", "outputs/format", "rpc", "rpc/codec", "rpc/codec/config",
                        "rpc/server", "server/process", "server/live", "server/listen", "server/outputs", "server/stream",
                        "server/poll", "server/watch", "server/services"},
    "client/show": CLIENT,
    "client/fleet": CLIENT | {"client/show"},
    "client/configure": CLIENT | {"client/show"},
    "client/top": CLIENT | {"client/show"},
    "client/cmd": CLIENT | {"client/show", "client/fleet", "client/configure", "client/top"},
    "client": CLIENT | {"client/show", "client/fleet", "client/configure", "client/top"},
    # Planned: nothing is there yet.
    "enrich": {"lib", "lib/linux", "model"},
    "pcblist": {"lib"},
    "tcpstats": {"lib", "filter", "outputs/format", "pcblist"},
}

# Foreign headers: name, headers, folders that may include them. The first pattern that matches counts.
CODEC = {"rpc/codec", "rpc/codec/config", "rpc/codec/json"}
LIBRARIES = [
    ("the generated record struct", r"xtcp_flat_record/v1/xtcp_flat_record\.pb-c\.h$", {"record", "outputs/format"}),
    ("protobuf-c", r"(protobuf-c/.*|.*\.pb-c\.h)$", CODEC),
    ("upb", r"(upb/.*|.*\.upb\.h|.*\.upbdefs\.h)$", {"rpc/codec"}),
    ("gRPC", r"grpc/.*$", {"rpc", "rpc/server", "rpc/client"}),
    ("OpenSSL", r"openssl/.*$", {"rpc/server", "rpc/client", "outputs/sink"}),
    ("libnl", r"netlink/.*$", {"nswatch", "inet_diag"}),
    ("libyaml", r"yaml\.h$", {"config", "client/fleet"}),
    ("libcap", r"sys/capability\.h$", {"server/process"}),
    ("libseccomp", r"seccomp\.h$", {"server/process"}),
    ("jansson", r"jansson\.h$", {"rpc/codec/json"}),
    ("ncurses", r"(curses|term)\.h$", {"client/top"}),
    ("librdkafka", r"librdkafka/.*$", {"outputs/sink"}),
    ("cmocka", r"cmocka\.h$", set()),
]

# Libraries that only one file of a folder may include.
ONE_FILE = {("record", "the generated record struct"), ("client/top", "ncurses")}

# Functions that depend on the locale: protocol text is ASCII, and lib/ascii.h has what it needs. Numbers keep their
# point because only LC_CTYPE is ever set, and in one file.
LOCALE_HEADER = re.compile(r"(ctype|wctype|strings|locale)\.h$")
LOCALE_CALL = re.compile(
    r"\b(isw?(alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|xdigit)|tow?(upper|lower)|toascii"
    r"|(str|wcs)n?casecmp|strcasestr|strcoll|strxfrm|setlocale|newlocale|uselocale|localeconv)(_l)?\s*\(")
LOCALE_FILE = "client/show/terminal_text.c"
LOCALE_ALLOWED = re.compile(r"\bsetlocale\(LC_CTYPE, ")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
TOPS = {folder.split("/")[0] for folder in FOLDERS}


def folder_of(path):
    """The folder of FOLDERS that the file |path| belongs to, or None."""
    while path:
        path = path.rpartition("/")[0]
        if path in FOLDERS:
            return path
    return None


def check_library(folder, header):
    """The library that |header| belongs to and whether |folder| may include it; (None, True) for any other header."""
    for name, pattern, allowed in LIBRARIES:
        if re.match(pattern, header):
            return name, folder in allowed
    return None, True


def check_include(root, folder, quote, header):
    """The error of one include, or None."""
    name, allowed = check_library(folder, header)
    if name:
        return None if allowed else f"{folder}/ may not include {name} ({header})"
    if header.split("/")[0] in TOPS and "/" in header:
        if quote == "<":
            return f"our own headers are included with quotes ({header})"
        other = folder_of(header)
        if other != folder and other not in FOLDERS[folder]:
            return f"{folder}/ may not include {other}/ ({header})"
        return None if (root / header).is_file() else f"no such header: {header}"
    if quote == '"':
        return f'"{header}": includes of ours start with their folder'
    return None


def check_locale(name, line, header):
    """The part of |line| of the file |name| that depends on the locale, or None. |header| is its include, or None."""
    if name == LOCALE_FILE and (header == "locale.h" or LOCALE_ALLOWED.search(line)):
        return None
    if header:
        return f"<{header}> depends on the locale: use lib/ascii.h" if LOCALE_HEADER.match(header) else None
    call = LOCALE_CALL.search(line)
    return f"{call.group(1)} depends on the locale: use lib/ascii.h" if call else None


def source_folders(root):
    """The folders at the top with sources of the programs: all but those of tests, builds and tools, and hidden ones."""
    return [p for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "build")) and p.name not in ("tests", "tools")]


def check_tree(root):
    problems, only = [], {}
    files = 0
    for path in sorted(p for top in source_folders(root) for p in top.rglob("*.[ch]")):
        files += 1
        name = path.relative_to(root)
        folder = folder_of(str(name))
        if not folder:
            problems.append(f"{name}: its folder is not on the map")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            where = f"{name}:{number}"
            wrong = check_locale(str(name), line, match and match.group(2))
            if wrong:
                problems.append(f"{where}: {wrong}")
            if not match:
                continue
            wrong = check_include(root, folder, *match.groups())
            if wrong:
                problems.append(f"{where}: {wrong}")
            library, _ = check_library(folder, match.group(2))
            if (folder, library) in ONE_FILE and only.setdefault((folder, library), path) != path:
                first = only[folder, library].relative_to(root)
                problems.append(f"{where}: {library} belongs in one file of {folder}/, and {first} has it")
    return files, problems


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    files, problems = check_tree(root)
    for problem in problems:
        print(problem)
    print(f"{files} files, {len(problems)} problems")
    sys.exit(1 if problems or not files else 0)


if __name__ == "__main__":
    main()
