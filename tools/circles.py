#!/usr/bin/python3
"""Checks that the files of a folder do not use each other in a circle.

usage: circles.py BUILD            the object files of a build directory, which has a compile_commands.json
       circles.py --symbols FILE   what `nm -g` has printed, with the names of sources instead of objects

In each folder a file uses another one when it needs a symbol that the other one defines. Files that use each other in a
circle can only be understood together: the script prints each circle with the symbols that close it, and exits 1 when there
is one. cmake/layer_check.py does the same for folders.
"""
import json
import pathlib
import re
import subprocess
import sys

# The symbols of these are functions of the C library, which all files call: a call is no use of the file.
INSTEAD_OF_LIBC = {"rpc/server/hook.c", "rpc/prctl.c"}

DEFINED = set("TDBRVWCGSui")


def read_nm(text, name_of):
    """The symbols that each file defines and needs: {file: (defined, needed)}."""
    files, current = {}, None
    for line in text.splitlines():
        heading = re.fullmatch(r"(\S+):", line)
        if heading:
            name = name_of(heading.group(1))
            current = files.setdefault(name, (set(), set())) if name else None
            continue
        words = line.split()
        if current is None or len(words) < 2:
            continue
        if words[-2] == "U":
            current[1].add(words[-1])
        elif words[-2] in DEFINED and not words[-1].startswith("__odr_asan."):  # AddressSanitizer's own
            current[0].add(words[-1])
    return files


def read_build(build):
    """The same from the objects of the directory |build|, for our sources outside of tests/."""
    sources = {}
    for command in json.loads((build / "compile_commands.json").read_text()):
        output = re.search(r" -o (\S+)", command["command"])
        path = pathlib.Path(command["directory"]) / output.group(1)
        source = pathlib.Path(command["file"])
        root = pathlib.Path(__file__).resolve().parent.parent
        if not source.is_relative_to(root) or source.is_relative_to(build) or not path.is_file():
            continue
        name = str(source.relative_to(root))
        if not name.startswith("tests/") and name not in sources.values():
            sources[str(path)] = name
    nm = subprocess.run(["nm", "-g", "-p", *sources], capture_output=True, text=True, check=True)
    return read_nm(nm.stdout, sources.get)


def uses(files):
    """{file: {other file of the same folder: the symbols that are used of it}}."""
    owner = {}
    for name, (defined, _) in files.items():
        for symbol in defined if name not in INSTEAD_OF_LIBC else ():
            owner.setdefault((name.rpartition("/")[0], symbol), name)
    graph = {name: {} for name in files}
    for name, (defined, needed) in files.items():
        for symbol in sorted(needed - defined):
            other = owner.get((name.rpartition("/")[0], symbol))
            if other:
                graph[name].setdefault(other, []).append(symbol)
    return graph


def circles(graph):
    """The sets of files that use each other, each sorted: strongly connected components of more than one file."""
    reach = {}
    for start in graph:
        seen, todo = set(), [start]
        while todo:
            for other in graph[todo.pop()]:
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        reach[start] = seen
    found = {tuple(sorted(b for b in reach[a] if a in reach[b])) for a in graph if a in reach[a]}
    return sorted(found)


def show(graph, circle):
    for name in circle:
        for other in circle:
            if other in graph[name]:
                print(f"    {name} uses of {other}: {', '.join(graph[name][other])}")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--symbols":
        files = read_nm(pathlib.Path(sys.argv[2]).read_text(), str)
    elif len(sys.argv) == 2:
        files = read_build(pathlib.Path(sys.argv[1]).resolve())
    else:
        sys.exit(__doc__)
    graph = uses(files)
    found = circles(graph)
    for circle in found:
        print(f"{' '.join(circle)}: a circle")
        show(graph, circle)
    print(f"{len(files)} files, {len(found)} problems")
    sys.exit(1 if found or not files else 0)


if __name__ == "__main__":
    main()
