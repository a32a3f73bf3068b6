#!/usr/bin/python3
"""Checks that every folder includes only what it may: the architecture as a test. And that none asks the locale.

usage: layer_check.py [ROOT]

Looks at the #include lines of the .c and .h files of our folders, and for functions that depend on the locale. Prints FILE:LINE: what is wrong, and exits 1.
"""
import pathlib
import re
import sys

# Which of our folders a folder may include, besides itself.
FOLDERS = {
    "lib": set(),
    "record": {"lib"},
    "filter": {"lib", "record"},
    "config": {"lib"},
    "nswatch": {"lib"},
    "collectors": {"lib", "record", "filter"},
    "outputs": {"lib", "record"},
    "rpc": {"lib", "config"},
    "server": {"lib", "record", "filter", "config", "nswatch", "collectors", "outputs", "rpc"},
    "client": {"lib", "record", "filter", "outputs", "rpc"},
}

# What comes from elsewhere: name, headers, folders that may include it. The first pattern that matches counts.
LIBRARIES = [
    ("the generated record struct", r"xtcp_flat_record/v1/xtcp_flat_record\.pb-c\.h$",
     {"record", "outputs", "rpc", "server", "client"}),
    ("protobuf-c", r"(protobuf-c/.*|.*\.pb-c\.h)$", {"rpc", "server", "client"}),
    ("upb", r"(upb/.*|.*\.upb\.h|.*\.upbdefs\.h)$", {"rpc", "server", "client"}),
    ("gRPC", r"grpc/.*$", {"rpc", "server", "client"}),
    ("OpenSSL", r"openssl/.*$", {"rpc"}),
    ("libnl", r"netlink/.*$", {"nswatch", "collectors"}),
    ("libyaml", r"yaml\.h$", {"config", "client"}),
    ("libcap", r"sys/capability\.h$", {"server"}),
    ("libseccomp", r"seccomp\.h$", {"server"}),
    ("jansson", r"jansson\.h$", {"rpc", "client"}),
    ("ncurses", r"(curses|term)\.h$", {"client"}),
    ("cmocka", r"cmocka\.h$", set()),
]

# Libraries that only one file of a folder may include.
ONE_FILE = {("record", "the generated record struct")}

# What means something else in another locale: protocol text is ASCII, and lib/ascii.h has what it needs. Numbers keep their
# point because only LC_CTYPE is ever set, and in one file.
LOCALE_HEADER = re.compile(r"(ctype|wctype|strings|locale)\.h$")
LOCALE_CALL = re.compile(
    r"\b(isw?(alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|xdigit)|tow?(upper|lower)|toascii"
    r"|(str|wcs)n?casecmp|strcasestr|strcoll|strxfrm|setlocale|newlocale|uselocale|localeconv)(_l)?\s*\(")
LOCALE_FILE = "client/text.c"
LOCALE_ALLOWED = re.compile(r"\bsetlocale\(LC_CTYPE, ")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def check_library(folder, header):
    """The library that |header| belongs to and whether |folder| may include it; (None, True) for any other header."""
    for name, pattern, allowed in LIBRARIES:
        if re.match(pattern, header):
            return name, folder in allowed
    return None, True


def check_include(root, folder, quote, header):
    """What is wrong with one include, or None."""
    name, allowed = check_library(folder, header)
    if name:
        return None if allowed else f"{folder}/ may not include {name} ({header})"
    top = header.split("/")[0]
    if top in FOLDERS and "/" in header:
        if quote == "<":
            return f"our own headers are included with quotes ({header})"
        if top != folder and top not in FOLDERS[folder]:
            return f"{folder}/ may not include {top}/ ({header})"
        return None if (root / header).is_file() else f"no such header: {header}"
    if quote == '"':
        return f'"{header}": includes of ours start with their folder'
    return None


def check_locale(name, line, header):
    """What of |line| of the file |name| depends on the locale, or None. |header| is what the line includes, or None."""
    if name == LOCALE_FILE and (header == "locale.h" or LOCALE_ALLOWED.search(line)):
        return None
    if header:
        return f"<{header}> depends on the locale: use lib/ascii.h" if LOCALE_HEADER.match(header) else None
    call = LOCALE_CALL.search(line)
    return f"{call.group(1)} depends on the locale: use lib/ascii.h" if call else None


def check_tree(root):
    problems, only = [], {}
    files = 0
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.[ch]")):
            files += 1
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                name = path.relative_to(root)
                where = f"{name}:{number}"
                wrong = check_locale(str(name), line, match and match.group(2))
                if wrong:
                    problems.append(f"{where}: {wrong}")
                if not match:
                    continue
                wrong = check_include(root, folder, *match.groups())
                if wrong:
                    problems.append(f"{where}: {wrong}")
                name, _ = check_library(folder, match.group(2))
                if (folder, name) in ONE_FILE and only.setdefault((folder, name), path) != path:
                    first = only[folder, name].relative_to(root)
                    problems.append(f"{where}: {name} belongs in one file of {folder}/, and {first} has it")
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
