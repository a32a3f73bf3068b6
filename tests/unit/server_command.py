"""What xtcp2 does with its configuration before it is a daemon. Arguments: the program, the root of the source."""

import os
import re
import subprocess
import sys

PROGRAM, SOURCE = sys.argv[1:]
SAMPLE = f"{SOURCE}/config/xtcp2.yaml"


def run(*options, **environment):
    """(exit status, standard output, standard error)"""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("XTCP2_")}
    done = subprocess.run([PROGRAM, *options], env=plain | environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def values(*options, **environment):
    """{option: (lines of its value, origin)} as --print-config tells."""
    status, out, err = run("--print-config", *options, **environment)
    assert (status, err) == (0, ""), err
    found = {}
    for line in out.splitlines():
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"(\w+):(.*)  # (.*)", line)
        if match:
            name = match[1]
            found[name] = ([match[2]], match[3])
        else:
            found[name][0].append(line)
    return found


# The sample is good, gives every option and changes none.
assert run("--check-config", "--config", SAMPLE) == (0, "", f"{SAMPLE}: ok\n")
assert run("--check-config", XTCP2_CONFIG=SAMPLE) == (0, "", f"{SAMPLE}: ok\n")
assert run("--check-config") == (0, "", "configuration: ok\n")
defaults = values()
sample = values("--config", SAMPLE)
assert {n: v for n, (v, _) in sample.items()} == {n: v for n, (v, _) in defaults.items()}
assert all(origin.startswith(f"{SAMPLE}:") for _, origin in sample.values()), sample
assert all(origin == "default" for _, origin in defaults.values()), defaults

# Each option is taken from where it stands, with the precedence of the documentation.
for name, (_, origin) in sample.items():
    variable = f"XTCP2_{name.upper()}"
    text = open(SAMPLE, encoding="utf-8").read()
    default = re.search(rf"^{name}:(.*(?:\n  - .*)*)", text, re.M)[1]
    value = ",".join(re.findall(r'- "?([^"\n]*)"?', default)) if "\n" in default else default.strip().strip('"').replace("[]", "")
    flag = "--" + name.replace("_", "-")
    assert values("--config", SAMPLE, **{variable: value})[name] == (sample[name][0], variable)
    assert values("--config", SAMPLE, f"{flag}={value}", **{variable: value})[name] == (sample[name][0], flag)

# Errors.
status, out, err = run("--check-config", "--config", "/does/not/exist")
assert (status, out) == (1, "") and err.startswith("xtcp2: /does/not/exist: cannot open"), err
status, out, err = run("--check-config", XTCP2_POLL_TIMEOUT="8d")
assert (status, out) == (1, "") and "XTCP2_POLL_TIMEOUT: value" in err, err
status, out, err = run("--check-config", "--poll-timeout=8d")
assert (status, out) == (2, "") and "--poll-timeout: value" in err, err
for both in ("--once", "--print-config"):
    status, out, err = run("--check-config", both)
    assert (status, out) == (2, "") and "exclude each other" in err, err

# The manual page has every option of --help.
page = open(f"{SOURCE}/man/xtcp2.8", encoding="utf-8").read().replace("\\-", "-")
flags = re.findall(r"^ +(?:-\w, )?(--[\w-]+)", run("--help")[1], re.M)
assert len(flags) > len(sample), flags
for flag in flags:
    assert f"\\fB{flag}\\fR" in page, f"man/xtcp2.8 lacks {flag}"
