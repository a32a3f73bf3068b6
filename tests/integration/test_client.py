"""xtcp2client against a real daemon: every command, its output and its exit code."""

import csv
import io
import json
import os
import signal
import socket
import subprocess

import pytest
from google.protobuf import json_format

from harness import paths
from harness.rpc import config_pb, record_pb
from harness.waiting import bound, until


def run(target, *arguments, status=0, stdin=None):
    """Standard output of a command that must end with |status|."""
    done = subprocess.run([paths.CLIENT, "--target", target, *arguments], input=stdin if stdin is not None else "",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=bound(15))
    assert done.returncode == status, (arguments, done.stdout[-500:], done.stderr)
    assert "Sanitizer" not in done.stderr
    return done.stdout


def fails(target, *arguments, status=1, stdin=None):
    """Standard error of a command that must end with |status| and print no data."""
    done = subprocess.run([paths.CLIENT, "--target", target, *arguments], input=stdin if stdin is not None else "",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=bound(15))
    assert done.returncode == status, (arguments, done.stdout[-500:], done.stderr)
    assert done.stdout == ""
    return done.stderr


# ---- Records ----

def test_poll_in_every_format(host, daemon):
    target = daemon.target
    rows = host.connect(daemon).poll().rows
    listening = daemon.port
    table = run(target, "-o", "table", "poll")
    assert f":{listening}" in table and "LISTEN" in table
    lines = [json.loads(line) for line in run(target, "-o", "jsonl", "poll").splitlines()]
    assert listening in {r["inet_diag_msg_socket_source_port"] for r in lines}
    records = [json_format.Parse(line, record_pb.XtcpFlatRecord())
               for line in run(target, "-o", "protojson", "poll").splitlines()]
    assert listening in {r.inet_diag_msg_socket_source_port for r in records}
    sheet = list(csv.DictReader(io.StringIO(run(target, "-o", "csv", "poll"))))
    assert str(listening) in {r["inet_diag_msg_socket_source_port"] for r in sheet}
    assert run(target, "-o", "null", "poll") == ""
    # Sockets of others come and go on this machine, but not by the dozen.
    for found in (lines, records, sheet):
        assert abs(len(found) - len(rows)) < 12 + len(rows) // 10


def test_poll_count(daemon):
    out = run(daemon.target, "-o", "jsonl", "poll", "--count", "3", "--every", "20ms")
    assert len({json.loads(line)["poll_id"] for line in out.splitlines()}) == 3


def test_stream_counts(host):
    d = host.daemon("--poll-frequency", "50ms")
    out = run(d.target, "-o", "jsonl", "stream", "--count", "5")
    assert len(out.splitlines()) == 5
    out = run(d.target, "-o", "jsonl", "stream", "--polls", "3")
    polls = [json.loads(line)["poll_id"] for line in out.splitlines()]
    assert len(set(polls)) == 3 and max(polls) - min(polls) == 2


def test_stream_ends_well_with_a_signal(host):
    d = host.daemon("--poll-frequency", "50ms")
    for number in (signal.SIGINT, signal.SIGTERM):
        p = host.process(paths.CLIENT, "--target", d.target, "-o", "jsonl", "stream", stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
        host.keep(p.stdout)
        assert json.loads(p.stdout.readline())
        p.send_signal(number)
        rest = p.stdout.read()
        assert rest == b"" or rest.endswith(b"\n")  # no half line
        assert p.wait(bound(5)) == 0
    client = host.connect(d)
    until(lambda: not client.status().subscribers, 5, "no subscriber")


def test_stream_outlives_the_terminal_behind_nohup(host):
    d = host.daemon("--poll-frequency", "50ms")
    for nohup in (True, False):
        how = "trap '' HUP; " if nohup else ""
        p = host.process("/bin/sh", "-c", how + 'exec "$@"', "sh", paths.CLIENT, "--target", d.target, "-o", "jsonl",
                         "stream", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        host.keep(p.stdout)
        assert json.loads(p.stdout.readline())
        p.send_signal(signal.SIGHUP)
        if nohup:
            for _ in range(100000 // len(p.stdout.readline())):  # more than waited in the pipe
                assert json.loads(p.stdout.readline())
            p.send_signal(signal.SIGTERM)
        p.stdout.read()
        assert p.wait(bound(5)) == 0


def test_stream_through_a_restart(host):
    """The client connects again, and says so."""
    folder = host.folder()
    where = [f"unix:{folder}/s"]
    first = host.daemon("--poll-frequency", "50ms", listen=where)
    errors = open(f"{folder}/errors", "w+", encoding="utf-8")
    host.keep(errors)
    p = host.process(paths.CLIENT, "--target", where[0], "-o", "jsonl", "stream", stdout=subprocess.PIPE, stderr=errors)
    host.keep(p.stdout)
    assert json.loads(p.stdout.readline())
    first.stop()
    host.daemon("--poll-frequency", "50ms", "--label", "second", listen=where)
    for line in p.stdout:
        if json.loads(line).get("label") == "second":
            break
    else:
        raise AssertionError(p.wait())
    p.terminate()
    p.stdout.read()
    assert p.wait(bound(5)) == 0
    errors.seek(0)
    assert "connect" in errors.read().lower()


# ---- Configuration ----

def test_get_and_apply_change_nothing(host, daemon):
    before = host.connect(daemon).get()
    text = run(daemon.target, "get")
    assert json_format.Parse(text, config_pb.XtcpConfig()) == before
    run(daemon.target, "apply", "-", stdin=text)
    assert host.connect(daemon).get() == before


def test_apply_a_file(host, daemon):
    path = f"{host.folder()}/change.json"
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"label": "blue", "pollFrequency": "30s"}, f)
    run(daemon.target, "apply", path)
    now = host.connect(daemon).get()
    assert (now.label, now.poll_frequency.seconds) == ("blue", 30)


@pytest.mark.parametrize("text, word, status", [
    ('{"label": "' + "x" * 41 + '"}', "label", 1),  # the daemon refuses these two
    ('{"netlinkers": 2}', "netlinkers", 1),
    ('{"lable": "x"}', "lable", 2),
    ("{", "1:1", 2),
    ("[]", "", 2),
    ("", "", 2),
])
def test_apply_what_is_wrong(host, daemon, text, word, status):
    before = host.connect(daemon).get()
    assert word in fails(daemon.target, "apply", "-", stdin=text, status=status)
    assert host.connect(daemon).get() == before


def test_apply_a_file_that_is_not_there(daemon):
    assert "/nowhere/x.json" in fails(daemon.target, "apply", "/nowhere/x.json", status=2)


def test_frequency(host, daemon):
    run(daemon.target, "frequency", "--frequency", "7s", "--timeout", "3s")
    now = host.connect(daemon).get()
    assert (now.poll_frequency.seconds, now.poll_timeout.seconds) == (7, 3)
    assert "poll_timeout" in fails(daemon.target, "frequency", "--frequency", "3s", "--timeout", "3s")


def test_trigger(host, daemon):
    client = host.connect(daemon)
    before = client.status().polls
    run(daemon.target, "trigger")
    until(lambda: client.status().polls == before + 1, 5, "the poll")


def test_burst(host, daemon):
    client = host.connect(daemon)
    client.set_frequency(3600, 0.5)
    before = client.status().polls
    run(daemon.target, "burst", "--count", "2", "--interval", "1s")
    until(lambda: client.status().polls == before + 2, 5, "two polls")
    assert "interval" in fails(daemon.target, "burst", "--count", "2", "--interval", "100ms")


# ---- Its messages ----

def test_namespaces(host):
    ns = host.namespace()
    d = host.daemon("--poll-frequency", "1h", everywhere=True)
    rows = [json.loads(line) for line in run(d.target, "-o", "jsonl", "namespaces").splitlines()]
    (mine,) = [r for r in rows if r["cookie"] == ns.cookie]
    assert mine["names"] == [ns.name] and mine["inode"] == ns.inode and mine["state"] == "ready"
    assert ns.name in run(d.target, "-o", "table", "namespaces")


def test_status(host, daemon):
    told = json.loads(run(daemon.target, "-o", "jsonl", "status"))
    status = host.connect(daemon).status()
    assert told["version"] == status.version and told["kernel"] == status.kernel
    assert told["polls"] == status.polls
    assert status.kernel in run(daemon.target, "-o", "table", "status")


def test_health(daemon):
    assert run(daemon.target, "health").split()[-1] == "SERVING"


# ---- Errors ----

def test_a_daemon_that_is_stopped(host, daemon):
    """It takes connections, by its kernel: told as one that does not answer, not as another program."""
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        for tls in ([], ["--tls"]):
            text = fails(daemon.target, "--connect-timeout", "300ms", *tls, "status")
            assert "does not answer in time" in text and "stopped" in text and "--connect-timeout" in text
        assert f"no answer from {daemon.target} in time" in fails(daemon.target, "--timeout", "300ms", "status")
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    run(daemon.target, "--connect-timeout", "10s", "status")


def test_targets_that_are_none(host, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert fails(f"unix:{file}", "status") == \
        f"xtcp2client: unix:{file} is a file, no socket: --target names another place\n"
    assert f"unix:{tmp_path} is a directory, no socket" in fails(f"unix:{tmp_path}", "poll")
    assert f"there is no socket at unix:{file}x" in fails(f"unix:{file}x", "status")
    stale = host.keep(socket.socket(socket.AF_UNIX))
    stale.bind(f"{tmp_path}/stale")
    assert f"nothing listens at unix:{tmp_path}/stale" in fails(f"unix:{tmp_path}/stale", "status")
    assert "is a URL: write 127.0.0.1:1" in fails("http://127.0.0.1:1/", "status", status=2)


def test_flags_of_ss():
    for command in ([], ["snapshot"]):
        done = subprocess.run([str(paths.CLIENT), "-tan", *command], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=bound(30))
        assert done.returncode == 2 and done.stderr.startswith("xtcp2client: -tan: -t is --target here"), done


def test_nobody_there(host):
    target = f"unix:{host.folder()}/nobody"
    for command in (["get"], ["status"], ["health"], ["poll"], ["trigger"], ["namespaces"]):
        text = fails(target, "--deadline", "2s", *command)
        assert target in text or "connect" in text.lower(), text


@pytest.mark.parametrize("arguments", [
    [], ["frobnicate"], ["poll", "--frobnicate"], ["-o", "xml", "poll"], ["poll", "--count", "-1"],
    ["poll", "--count"], ["frequency"], ["burst"], ["apply"],
    ["poll", "--every", "soon"],
])
def test_usage(arguments):
    done = subprocess.run([paths.CLIENT, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=bound(15))
    assert done.returncode == 2, done
    assert done.stdout == "" and done.stderr


def test_help():
    for arguments in (["--help"], ["poll", "--help"], ["stream", "--help"], ["--version"]):
        done = subprocess.run([paths.CLIENT, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=bound(15))
        assert done.returncode == 0 and done.stdout and not done.stderr


@pytest.mark.parametrize("arguments", [["-o", "jsonl", "poll"], ["get"], ["--help"], ["--version"],
                                       ["completion", "bash"]])
def test_output_that_cannot_be_written(daemon, arguments):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([paths.CLIENT, "--target", daemon.target, *arguments], stdin=subprocess.DEVNULL,
                              stdout=full, stderr=subprocess.PIPE, text=True, timeout=bound(15))
    assert done.returncode == 1 and "standard output: No space left on device" in done.stderr


@pytest.mark.parametrize("arguments", [["--config", "/nowhere/x"], ["--targets-file", "/nowhere/x"],
                                       ["--cacert", "/nowhere/x"], ["--token-file", "/nowhere/x"]])
def test_files_that_are_not_there(daemon, arguments):
    assert "/nowhere/x: cannot open: No such file" in fails(daemon.target, *arguments, "health", status=2)


def test_a_daemon_that_goes_away_in_the_middle(host):
    """poll does not come back with half a poll as if it were whole."""
    d = host.daemon("--poll-frequency", "1h")
    p = host.process(paths.CLIENT, "--target", d.target, "--deadline", "3s", "-o", "null", "poll", "--count", "100000",
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = host.connect(d)
    until(lambda: client.status().polls > 3, 5, "polls")
    d.stop()
    assert p.wait(bound(10)) == 1
