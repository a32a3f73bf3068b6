"""xtcp2client watch: its view of the followed sockets, and its end."""

import csv
import io
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import termios
import fcntl

import pytest

from harness import paths
from harness.waiting import bound, until


class Pair:
    """A listener and a connection to it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.near = socket.create_connection(("127.0.0.1", self.port))
        self.far, _ = self.listener.accept()
        self.near_port = self.near.getsockname()[1]

    def close(self):
        for s in (self.near, self.far, self.listener):
            s.close()

    def reset(self):
        """Nothing is left of the connection at once."""
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.near.close()


@pytest.fixture
def daemon(host):
    return host.daemon("--poll-frequency", "1h")


@pytest.fixture
def pair(host):
    return host.keep(Pair())


def command(daemon, *arguments):
    return [paths.CLIENT, "--target", daemon.target, "watch", *arguments]


def run(daemon, *arguments, status=0):
    """Output and standard error of a watch that must end with |status|."""
    done = subprocess.run(command(daemon, *arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=bound(15))
    assert done.returncode == status, (arguments, done.stdout[-500:], done.stderr)
    assert "Sanitizer" not in done.stderr
    return done.stdout, done.stderr


def test_the_table(daemon, pair):
    out, err = run(daemon, "--count", "3", "--rate", "50", f"sport = {pair.port} or dport = {pair.port}")
    lines = out.splitlines()
    assert [w for w in lines[0].split()][:3] == ["TIME", "NETNS", "STATE"]
    assert sum("LISTEN" in line for line in lines) == 3
    assert sum("ESTABLISHED" in line for line in lines) == 6
    assert f"127.0.0.1:{pair.near_port}" in out
    assert "\033" not in out
    assert "3 sockets in 1 namespace, asked for every 20ms" in err


def test_every_format(daemon, pair):
    f = f"dport = {pair.port}"
    lines = [json.loads(line) for line in run(daemon, "-o", "jsonl", "--count", "4", f)[0].splitlines()]
    assert [r["inet_diag_msg_socket_source_port"] for r in lines] == [pair.near_port] * 4
    assert len({r["timestamp_ns"] for r in lines}) == 4
    sheet = list(csv.DictReader(io.StringIO(run(daemon, "-o", "csv", "--count", "2", f)[0])))
    assert [r["inet_diag_msg_socket_source_port"] for r in sheet] == [str(pair.near_port)] * 2
    chosen = run(daemon, "-o", "jsonl", "--count", "1", "--columns", "inet_diag_msg_state,tcp_info_rtt", f)[0]
    assert json.loads(chosen).keys() == {"inet_diag_msg_state", "tcp_info_rtt"}
    assert len(json.loads(run(daemon, "-o", "json", "--count", "2", f)[0])) == 2
    table = run(daemon, "-o", "table", "--count", "1", "--columns", "inet_diag_msg_state,tcp_info_snd_cwnd", f)[0]
    assert "ESTABLISHED" in table and "127.0.0.1" not in table


def test_rates(host, daemon, pair):
    """Bytes are sent: the table says about how many."""
    out = host.process(*command(daemon, "--rate", "20", "--numeric", "-o", "table", f"dport = {pair.port}"),
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    titles = out.stdout.readline().split()
    sent = titles.index("SENT/s") - titles.index("STATE")

    def rate():
        pair.near.sendall(b"x" * 10000)
        pair.far.recv(100000)
        row = out.stdout.readline().split()
        number = row[row.index("ESTABLISHED") + sent]
        return number != "-" and int(number) > 20000
    until(rate, 10, "a rate of more than 20 kB/s")
    out.send_signal(signal.SIGINT)
    out.stdout.read()
    assert out.wait(bound(5)) == 0


def test_an_end_is_told(host, daemon, pair):
    p = host.process(*command(daemon, "-o", "null", "--rate", "50", f"dport = {pair.port}"), stdout=subprocess.DEVNULL,
                     stderr=subprocess.PIPE, text=True)
    assert "1 socket in 1 namespace" in p.stderr.readline()
    pair.reset()
    assert p.stderr.readline() == f"ended: default 127.0.0.1:{pair.near_port} 127.0.0.1:{pair.port}: closed\n"
    p.send_signal(signal.SIGTERM)
    p.stderr.read()
    assert p.wait(bound(5)) == 0


def test_none_passes(daemon):
    out, err = run(daemon, "--count", "2", "-o", "jsonl", "sport = 1 and state listening")
    assert out == ""
    assert "0 sockets" in err and "waiting for one that passes" in err


def test_more_than_max(host, daemon, pair):
    for _ in range(4):
        host.keep(socket.create_connection(("127.0.0.1", pair.port)))
    out, err = run(daemon, "--count", "2", "-o", "jsonl", "--max", "2", f"dport = {pair.port}")
    assert len(out.splitlines()) == 4
    assert "3 more sockets pass the filter and are left out (--max, now 2)" in err


def test_timeout(daemon, pair):
    f = f"dport = {pair.port}"
    run(daemon, "--timeout", "300ms", "-o", "jsonl", f)
    _, err = run(daemon, "--timeout", "300ms", "--count", "1000", "-o", "jsonl", f, status=1)
    assert "the time is over, after" in err


@pytest.mark.parametrize("arguments, text", [
    ((), "watch needs a FILTER"),
    (("--rate", "101", "state established"), "--rate 101: expected 1 to 100"),
    (("--every", "1ms", "state established"), "--every: expected 10ms to 10s"),
    (("--every", "1m", "state established"), "--every: expected 10ms to 10s"),
    (("--every", "1s", "--rate", "1", "state established"), "give one of them"),
    (("--max", "5000", "state established"), "--max 5000: expected 1 to 4096"),
    (("sport", "="), "column"),
    (("--columns", "nonsense", "state established"), "nonsense"),
])
def test_usage(daemon, arguments, text):
    out, err = run(daemon, *arguments, status=2)
    assert out == "" and text in err


def test_limits_are_told(host):
    d = host.daemon("--poll-frequency", "1h", "--focus-rate-max", "100")
    d.allow("focus: a request is refused")
    _, err = run(d, "--rate", "100", "state established", status=1)
    assert "focus_rate_max" in err


class Terminal:
    """The client on a terminal of |columns| times |lines|."""

    def __init__(self, host, columns, lines, arguments):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = host.process(*arguments, stdout=slave, stderr=slave, env=environment)
        os.close(slave)
        os.set_blocking(self.master, False)
        self.text = ""

    def read(self):
        try:
            self.text += os.read(self.master, 65536).decode()
        except (BlockingIOError, OSError):
            pass
        return self.text

    def close(self):
        os.close(self.master)


def test_on_a_terminal_it_stays_in_its_place(host, daemon, pair):
    t = host.keep(Terminal(host, 100, 24, command(daemon, "--rate", "20",
                                                  f"sport = {pair.port} or dport = {pair.port}")))
    back = "\033[5A\r\033[J"  # a caption, titles, three rows
    until(lambda: t.read().count(back) >= 3, 10, "it is drawn again and again")
    frames = t.text.split(back)
    assert frames[-2].count("\r\n") == 5
    assert "tick" in frames[-2] and "every 50ms" in frames[-2] and "LOCAL" in frames[-2]
    assert all(len(line) <= 100 for line in frames[-2].split("\r\n"))
    pair.reset()
    until(lambda: "time-wait" in t.read() or "closed" in t.text, 10, "the end is told")
    t.process.send_signal(signal.SIGINT)
    until(lambda: (t.read(), t.process.poll())[1] is not None, 5, "it ends")
    assert t.process.returncode == 0


@pytest.mark.parametrize("columns", [[], ["--columns", "netns,rtt,cwnd,min_rtt,bytes_acked,unacked,snd_mss,rto"]])
def test_a_small_terminal(host, daemon, pair, columns):
    """Rows that do not fit are left out: the screen never scrolls, and no line is wrapped."""
    for _ in range(20):
        host.keep(socket.create_connection(("127.0.0.1", pair.port)))
        pair.listener.accept()
    t = host.keep(Terminal(host, 40, 10, command(daemon, "--rate", "20", *columns, f"dport = {pair.port}")))
    back = "\033[9A\r\033[J"
    until(lambda: t.read().count(back) >= 3, 10, "it is drawn again and again")
    frames = t.text.split(back)
    assert all(len(line) <= 40 for line in frames[-2].split("\r\n"))
    t.process.send_signal(signal.SIGTERM)
    until(lambda: (t.read(), t.process.poll())[1] is not None, 5, "it ends")
    assert t.process.returncode == 0
