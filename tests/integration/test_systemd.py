"""The unit file of deploy/: systemd understands it, and it allows all that the daemon does."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import TETHER
from harness import paths
from harness.waiting import SLOW, until

UNIT = pathlib.Path(__file__).parents[2] / "deploy/systemd/xtcp2.service"
EXPOSURE_MAX = 4.5  # of 10; a service without any of these options has 9.6

needs_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
needs_strace = pytest.mark.skipif(not shutil.which("strace") or SLOW > 1, reason="no strace here, or a sanitizer")


def settings(key):
    """The values of |key| in the unit, in order."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)


@needs_analyze
def test_systemd_understands_it(host):
    copy = pathlib.Path(host.folder()) / "xtcp2.service"
    copy.write_text(UNIT.read_text().replace("/usr/bin/xtcp2", str(paths.DAEMON)))
    done = analyze("--man=no", "verify", str(copy))
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "xtcp2" in line]
    assert ours == [] and done.returncode == 0


@needs_analyze
def test_what_it_may_do_is_little():
    done = analyze("security", "--offline=true", "--no-pager", str(UNIT))
    level = re.search(r"Overall exposure level for xtcp2.service: ([\d.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert float(level[1]) <= EXPOSURE_MAX


def test_capabilities_are_those_that_the_daemon_keeps():
    source = (pathlib.Path(__file__).parents[2] / "server/process/privilege.c").read_text()
    table = source[source.index("} kept[] = {"):source.index("#define KEPT")]
    kept = set(re.findall(r"\{(CAP_[A-Z_]+),", table))
    assert kept == set(settings("CapabilityBoundingSet")[0].split())


# ---- System calls ----

def members(name):
    """The calls of the group |name| of systemd, groups inside it included."""
    found = set()
    for word in analyze("syscall-filter", name).stdout.splitlines()[1:]:
        word = word.strip()
        if word.startswith("@"):
            found |= members(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def allowed_calls():
    """SystemCallFilter= as systemd reads it: the lines one after the other, those with ~ take away."""
    allowed = set()
    for line in settings("SystemCallFilter"):
        names = set()
        for word in line.removeprefix("~").split():
            names |= members(word) if word.startswith("@") else {word}
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed | members("@default")


def outputs(folder):
    """Outputs that do all that outputs do: files that are rotated, compressed and waited for, a spool, a name that is looked
    up, and the modules that were built."""
    listed = [{"name": "file", "to": f"file:{folder}/out", "options": {"rotate_interval": "1s", "compress": "zstd", "fsync": "batch"}},
              {"name": "unix", "to": f"unix:{folder}/nobody", "on_full": "spool", "queue": "256KiB"},
              {"name": "udp", "to": "udp:127.0.0.1:9"},
              {"name": "tcp", "to": "tcp:localhost:9", "options": {"tls": "true"}}]
    for kind, to in (("http", "https://localhost:9/"), ("kafka", "kafka:127.0.0.1:9")):
        if (paths.BUILD / "lib" / "xtcp2" / f"output_{kind}.so").exists():
            listed.append({"name": kind, "to": to})
    return json.dumps(listed)  # JSON is YAML


@needs_analyze
@needs_strace
def test_every_call_of_the_daemon_is_allowed(host):
    folder = pathlib.Path(host.folder())
    trace = folder / "trace"
    (folder / "spool").mkdir()
    d = host.daemon("--poll-frequency", "200ms", "--poll-timeout", "100ms", "--state-file", str(folder / "state"),
                    "--unix-socket-group", "daemon", "--write-files", "1", "--capture-path", str(folder),
                    "--outputs", outputs(folder), "--spool-dir", str(folder / "spool"),
                    listen=["127.0.0.1:0", f"unix:{folder}/s"],
                    wrapper=("strace", "-f", "-qq", "-e", "signal=none", "-o", str(trace), *TETHER))
    d.allow(r" output: .*(trying again|librdkafka)")
    names = host.names_of(d)
    names.add("blue", host.anonymous().path)
    for target in d.targets:
        c = host.connect(target)
        with c.edges() as stream:
            stream.polls(2)
        assert c.reflect([{"list_services": ""}])
        until(lambda c=c: len(c.list_namespaces()) == 2, 5, "two namespaces")
    until(lambda: list(folder.glob("out.*.zst")), 10, "a compressed file")
    host.connect(d).set_frequency(3600, 1)
    until((folder / "state").exists, 5, "the state file")
    (child,) = [int(p) for p in pathlib.Path(f"/proc/{d.pid}/task/{d.pid}/children").read_text().split()]
    os.kill(child, 1)
    d.wait_log(r"config: reload", 5)
    os.kill(child, 15)
    assert d.wait_exit(5) == 0
    d.stopped = True
    text = trace.read_text(errors="replace")
    # what precedes is the program being started by somebody else; a call is told by "PID name("
    calls = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", text, re.MULTILINE)) - {"execve"}
    assert {"setns", "capset", "seccomp", "prlimit64", "epoll_wait"} <= calls
    assert calls <= allowed_calls()
