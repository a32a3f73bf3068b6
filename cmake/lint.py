#!/usr/bin/python3
"""Looks at one source with clang-tidy, and notes which headers it includes.

usage: lint.py CLANG_TIDY BUILD_DIR SOURCE STAMP

The flags are those of compile_commands.json. When nothing is found, STAMP is touched and STAMP.d written, for ninja to know when to look
again.
"""
import json
import pathlib
import shlex
import subprocess
import sys


def compiler_of(build, source):
    """The folder in which |source| is compiled, and the command without its output."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if entry["file"] == str(source):
            words = shlex.split(entry["command"])
            return entry["directory"], words[:words.index("-o")]
    sys.exit(f"lint: {source} is not in compile_commands.json")


def main():
    tidy, build, source, stamp = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
    subprocess.run([tidy, "-p", str(build), "--quiet", str(source)], check=True)
    folder, words = compiler_of(build, source)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    words = [w for w in words if not w.startswith("-M") and not w.endswith(".d")]
    words = [w for i, w in enumerate(words) if i == 0 or words[i - 1] != "-MT"]
    subprocess.run([*words, "-MM", "-MF", f"{stamp}.d", "-MT", str(stamp), str(source)], cwd=folder, check=True)
    stamp.touch()


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as e:
        sys.exit(e.returncode)
