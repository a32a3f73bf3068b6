"""Start, reload and stop: errors are told by name and place, and the end is always a clean one."""

import os
import random
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import paths
from harness.daemon import Daemon
from harness.waiting import bound, until


def fails(*options):
    """The text of the daemon on standard error when it refuses to start, and its exit status."""
    done = subprocess.run([paths.DAEMON, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=bound(5))
    assert done.stdout == ""
    assert done.returncode in (1, 2), done
    assert "Sanitizer" not in done.stderr
    return done.stderr, done.returncode


# ---- Listeners ----

def test_a_port_that_is_taken(host):
    """Never shared with another process, which would get a part of the connections."""
    other = host.keep(socket.create_server(("127.0.0.1", 0)))
    port = other.getsockname()[1]
    text, status = fails("--grpc-listen", f"127.0.0.1:{port}")
    assert status == 1
    assert f"127.0.0.1:{port}" in text and re.search("(?i)address.*in use", text)


def test_a_second_daemon_on_the_same_port(host):
    d = host.daemon("--poll-frequency", "1h")
    text, status = fails("--grpc-listen", d.target)
    assert status == 1 and d.target in text
    assert host.connect(d).health() == "SERVING"


def test_one_listener_of_two_cannot_be_had(host):
    """All or nothing: the daemon does not start with only a part of its listeners."""
    folder = host.folder()
    text, status = fails("--grpc-listen", f"unix:{folder}/good", "--grpc-listen", "192.0.2.1:1")
    assert status == 1 and "192.0.2.1:1" in text
    assert os.listdir(folder) == []


def test_a_living_unix_socket_is_not_stolen(host):
    path = f"{host.folder()}/s"
    d = host.daemon("--poll-frequency", "1h", listen=[f"unix:{path}"])
    text, status = fails("--grpc-listen", f"unix:{path}")
    assert status == 1 and path in text
    assert host.connect(d).health() == "SERVING"


def test_a_stale_unix_socket_is_replaced(host):
    path = f"{host.folder()}/s"
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.close()
    d = host.daemon("--poll-frequency", "1h", listen=[f"unix:{path}"])
    assert host.connect(d).health() == "SERVING"
    d.stop()
    assert not os.path.exists(path)


def test_a_file_in_the_way_is_left_alone(host):
    path = f"{host.folder()}/s"
    with open(path, "w", encoding="ascii") as f:
        f.write("precious")
    text, status = fails("--grpc-listen", f"unix:{path}")
    assert status == 1 and path in text
    with open(path, encoding="ascii") as f:
        assert f.read() == "precious"


def test_several_listeners(host):
    folder = host.folder()
    d = host.daemon("--poll-frequency", "1h",
                    listen=["127.0.0.1:0", f"unix:{folder}/s", "[::1]:0", f"unix-abstract:xt-{os.getpid()}"])
    assert len(d.targets) == 4
    for target in d.targets:
        assert host.connect(target).health() == "SERVING", target
    assert host.connect(d).get().grpc_port == d.port
    d.stop()
    assert os.listdir(folder) == []


# ---- Options and files ----

@pytest.mark.parametrize("options, words", [
    (["--poll-frequency", "9ms"], ["poll-frequency", "9ms", "10ms", "7d"]),
    (["--poll-frequency", "8d"], ["poll-frequency", "8d", "10ms", "7d"]),
    (["--poll-frequency", "soon"], ["poll-frequency", "soon"]),
    (["--poll-frequency", "1s", "--poll-timeout", "1s"], ["poll_timeout", "poll_frequency", "1s"]),
    (["--label", "x" * 41], ["label", "40"]),
    (["--queue-rows", "1023"], ["queue-rows", "1023", "1024", "16777216"]),
    (["--queue-rows", "many"], ["queue-rows", "many"]),
    (["--netns-dirs", "relative"], ["netns-dirs", "relative", "absolute"]),
    (["--grpc-listen", "nonsense"], ["grpc-listen", "nonsense"]),
    (["--grpc-listen", "127.0.0.1:65536"], ["grpc-listen", "127.0.0.1:65536"]),
    (["--enabled-deserializers", "colour"], ["enabled-deserializers", "colour", "meminfo"]),
    (["--log-level", "loud"], ["log-level", "loud", "error"]),
    (["--frobnicate"], ["frobnicate"]),
    (["--label"], ["label"]),
    (["stray"], ["stray"]),
    (["--once", "--replay", "x"], ["--once", "--replay"]),
    (["-o", "jsonl"], ["--output", "--once"]),
    (["--once", "-o", "xml"], ["xml", "jsonl"]),
])
def test_bad_options(options, words):
    text, status = fails(*options)
    assert len(text.splitlines()) == 1, text
    assert status in (1, 2)
    for word in words:
        assert word.replace("-", "_") in text.replace("-", "_"), text


@pytest.mark.parametrize("lines, place, words", [
    ("label: a\nlable: b\n", 2, ["lable"]),
    ("label: a\n\npoll_frequency: 9ms\n", 3, ["poll_frequency", "9ms", "10ms", "7d"]),
    ("poll_frequency: [1s]\n", 1, ["poll_frequency"]),
    ("label: a\nlabel: b\n", 2, ["label"]),
    ("label: {a: b}\n", 1, ["label"]),
    ("queue_rows: -1\n", 1, ["queue_rows", "-1", "1024"]),
    ("queue_rows: 1.5\n", 1, ["queue_rows", "1.5"]),
    ("log_level: loud\n", 1, ["log_level", "loud", "error"]),
    ("netns_dirs:\n  - /run/netns\n  - relative\n", 3, ["netns_dirs", "relative"]),
    ("enabled_deserializers:\n  - info\n  - colour\n", 3, ["enabled_deserializers", "colour"]),
    ("label: 'a\n", None, []),
    ("\tlabel: a\n", 1, []),
    ("- a\n- b\n", 1, []),
])
def test_bad_files(host, lines, place, words):
    path = f"{host.folder()}/bad.yaml"
    with open(path, "w", encoding="utf-8") as f:
        f.write(lines)
    text, status = fails("--config", path)
    assert status == 1, text
    assert path in text
    if place:
        assert f"{path}:{place}" in text, text
    for word in words:
        assert word in text, text


def test_a_file_that_is_not_there():
    text, _ = fails("--config", "/nowhere/x.yaml")
    assert "/nowhere/x.yaml" in text and "No such file" in text


def test_the_command_line_wins_over_the_file(host):
    path = f"{host.folder()}/xtcp2.yaml"
    with open(path, "w", encoding="utf-8") as f:
        f.write("label: file\ntag: file\npoll_frequency: 1h\n")
    d = host.daemon("--config", path, "--label", "command")
    c = host.connect(d).get()
    assert (c.label, c.tag, c.poll_frequency.seconds) == ("command", "file", 3600)


def test_the_default_timeout_fits_the_frequency(host):
    c = host.connect(host.daemon("--poll-frequency", "1s")).get()
    assert c.poll_timeout.ToNanoseconds() == 500_000_000


def test_the_sample_file(host):
    sample = paths.SOURCE / "config" / "xtcp2.yaml"
    d = host.daemon("--config", str(sample))
    assert host.connect(d).get().poll_frequency.seconds == 5


def test_help_and_version():
    def told(option):
        done = subprocess.run([paths.DAEMON, option], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == ""
        return done.stdout
    assert "--poll-frequency" in told("--help")
    assert re.fullmatch(r"xtcp2 \d+\.\d+\.\d+\ndestinations: null stdout stderr file tcp unix udp unixgram( \w+)*\n", told("--version"))


def test_json_log(host):
    import json
    d = host.daemon("--poll-frequency", "1h", "--log-format", "json", serving=False, json_log=True)
    for line in d.log().splitlines():
        entry = json.loads(line)
        assert set(entry) == {"time", "level", "module", "msg"}


# ---- SIGHUP ----

def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def test_reload(host):
    path = f"{host.folder()}/xtcp2.yaml"
    write(path, "label: one\npoll_frequency: 1h\n")
    d = host.daemon("--config", path)
    c = host.connect(d)
    first = c.get()
    write(path, "label: two\npoll_frequency: 2h\n")
    d.send_signal(signal.SIGHUP)
    until(lambda: c.get().label == "two", 2, "the new label")
    now = c.get()
    assert now.generation == first.generation + 1
    assert now.poll_frequency.seconds == 7200
    assert {r.label for r in c.poll().rows} == {"two"}
    d.send_signal(signal.SIGHUP)
    d.wait_log("reloaded: nothing has changed")
    assert c.get() == now


def test_reload_of_a_bad_file_changes_nothing(host):
    path = f"{host.folder()}/xtcp2.yaml"
    write(path, "label: one\npoll_frequency: 1h\n")
    d = host.daemon("--config", path)
    d.allow("config: not reloaded")
    c = host.connect(d)
    before = c.get()
    write(path, "label: two\nlable: three\n")
    d.send_signal(signal.SIGHUP)
    d.wait_log(rf"not reloaded.*{re.escape(path)}:2.*lable")
    assert c.get() == before
    os.unlink(path)
    d.send_signal(signal.SIGHUP)
    d.wait_log(r"not reloaded.*No such file")
    assert c.get() == before
    write(path, "label: four\npoll_frequency: 1h\n")
    d.send_signal(signal.SIGHUP)
    until(lambda: c.get().label == "four", 2, "the file that is good again")


def test_reload_tells_what_needs_a_restart(host):
    path = f"{host.folder()}/xtcp2.yaml"
    write(path, "poll_frequency: 1h\n")
    d = host.daemon("--config", path)
    d.allow("config: connection_calls_max has changed")
    write(path, "poll_frequency: 1h\nconnection_calls_max: 7\nlabel: new\n")
    d.send_signal(signal.SIGHUP)
    d.wait_log("connection_calls_max has changed")
    c = host.connect(d)
    until(lambda: c.get().label == "new", 2, "the rest of it")
    assert c.get().options.limits.connection_calls_max == 256


def test_what_was_set_over_grpc_goes_with_a_reload(host):
    path = f"{host.folder()}/xtcp2.yaml"
    write(path, "label: file\npoll_frequency: 1h\n")
    d = host.daemon("--config", path)
    c = host.connect(d)
    c.set(label="grpc")
    d.send_signal(signal.SIGHUP)
    until(lambda: c.get().label == "file", 2, "the label of the file")


# ---- The end ----

def test_sigterm_at_any_moment(host):
    """Twenty starts, each stopped at another moment of its first second: always 0, always within two seconds."""
    rng = random.Random(1)
    moments = [0, 0.001, 0.002, 0.005, 0.01, 0.02] + [rng.random() * 0.3 for _ in range(10)] + [0.5, 0.7, 0.9, 1.0]
    for moment in moments:
        folder = host.folder()
        d = Daemon(folder, "--poll-frequency", "10ms", "--poll-timeout", "9ms",
                   listen=[f"unix:{folder}/s", "127.0.0.1:0"])
        try:
            # Before its signals are blocked it is any process: wait until it has come so far.
            until(lambda: d.process.poll() is not None or blocks_sigterm(d.pid), 5, "main()")
            time.sleep(moment)  # the moment is what is tested
            d.stop()
        finally:
            d.kill()
        assert not os.path.exists(f"{folder}/s")


def blocks_sigterm(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        mask = int(re.search(r"SigBlk:\t(\w+)", f.read())[1], 16)
    return mask >> (signal.SIGTERM - 1) & 1


def test_sigint_is_as_good(host):
    d = host.daemon("--poll-frequency", "1h")
    d.stop(signal.SIGINT)


def test_a_second_sigterm_does_no_harm(host):
    d = host.daemon("--poll-frequency", "10ms", "--poll-timeout", "9ms")
    with host.connect(d).edges() as stream:
        stream.polls(1)
        d.send_signal(signal.SIGTERM)
        try:
            d.stop()
        except ProcessLookupError:
            assert d.wait_exit(2) == 0


def test_sigpipe_and_friends_do_no_harm(host):
    d = host.daemon("--poll-frequency", "1h")
    for number in (signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD, signal.SIGWINCH, signal.SIGALRM):
        d.send_signal(number)
    assert host.connect(d).health() == "SERVING"
