"""The handling of the configuration before xtcp2 is a daemon. Arguments: the program, the root of the source."""

import os
import re
import subprocess
import sys
import tempfile

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
# All errors at once, and no more than there are: one that is wrong is no ground for another.
with tempfile.TemporaryDirectory() as folder:
    file = f"{folder}/x.yaml"

    def wrong(text, *options, **environment):
        """(line or option, option) of each error, in their order; a start with the same has the first one alone."""
        with open(file, "w", encoding="utf-8") as f:
            f.write(text)
        status, out, err = run("--check-config", "--config", file, *options, **environment)
        assert status == 1 and out == "", err
        lines = [line.removeprefix("xtcp2: ").removeprefix(file + ":") for line in err.splitlines()]
        status, out, err = run("--print-config", "--config", file, *options, **environment)
        assert status == 1 and err.removeprefix("xtcp2: ").removeprefix(file + ":") == lines[0] + "\n", (err, lines)
        return [tuple(line.split(": ")[:2]) for line in lines]

    assert wrong('''\
poll_frequency: 1x
poll_timeout: 9s
labl: x
label: [a, b]
netns_dirs:
  - relative
  - /a
  - {b: c, d: [e, {f: g}]}
  - also/relative
tag: &anchor x
label: y
*alias : 3
[x, y]: {z: 1}
log_level: loud
modulus:
grpc_listen: ["0.0.0.0:1"]
? a
: b
''', XTCP2_LOG_FORMAT="pretty", XTCP2_QUEUE_ROWZ="1") == [
        ("1", "poll_frequency"), ("3", "labl"), ("4", "label"), ("6", "netns_dirs"), ("8", "netns_dirs"),
        ("9", "netns_dirs"), ("10", "tag"), ("11", "label"), ("12", "aliases (*NAME) are not allowed"),
        ("13", "a list or mapping where the name of an option is expected"), ("14", "log_level"), ("15", "modulus"),
        ("17", "a"), ("XTCP2_LOG_FORMAT", 'value "pretty" is unknown; allowed text or json'),
        ("XTCP2_QUEUE_ROWZ", "no such option; did you mean XTCP2_QUEUE_ROWS?"), ("16", "grpc_listen")]
    # Rules between options, with what is not said taken from the defaults.
    assert wrong("poll_timeout: 9s\ngrpc_listen: 0.0.0.0:1\n") == [("2", "grpc_listen"), ("1", "poll_timeout")]
    assert wrong('poll_timeout: 9s\ngrpc_listen: ["0.0.0.0:1"]\n') == [("1", "poll_timeout"), ("2", "grpc_listen")]
    assert wrong("poll_timeout: 9s\npoll_frequenc: 10s\n") == [("2", "poll_frequenc")]
    # A syntax error ends the reading: options missing because of it are not errors.
    assert wrong('label: [x]\npoll_timeout: 9s\ntag: "\nlog_level: loud\n')[0] == ("1", "label")
    assert len(wrong('label: [x]\npoll_timeout: 9s\ntag: "\nlog_level: loud\n')) == 2
    assert wrong("label: x\n---\ntag: y\n") == [("2", "more than one document in the file")]
    assert wrong("- x\n- y\n") == [("1", "the file is not a mapping of options (NAME")]
    # Files and users that the configuration names.
    status, out, err = run("--check-config", "--token-file=/nowhere/t", "--grpc-tls-listen=127.0.0.1:1",
                           "--unix-socket-group=no-such-group")
    assert (status, out) == (1, ""), err
    for word in ("tls_cert_file", "/nowhere/t", "no-such-group"):
        assert sum(word in line for line in err.splitlines()) == 1, err
    assert len(err.splitlines()) == 3, err

for both in ("--once", "--print-config"):
    status, out, err = run("--check-config", both)
    assert (status, out) == (2, "") and "exclude each other" in err, err

# The manual page has every option of --help.
page = open(f"{SOURCE}/man/xtcp2.8", encoding="utf-8").read().replace("\\-", "-")
flags = re.findall(r"^ +(?:-\w, )?(--[\w-]+)", run("--help")[1], re.M)
assert len(flags) > len(sample), flags
for flag in flags:
    assert f"\\fB{flag}\\fR" in page, f"man/xtcp2.8 lacks {flag}"
