"""xtcp2client top in a terminal: its first screen, its keys, and the restored terminal."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from concurrent import futures

import grpc
import pytest

from harness import paths
from harness.loss import lossy
from harness.terminal import Terminal
from harness.waiting import bound, until
from xtcp_flat_record.v1 import xtcp_flat_record_pb2 as record_pb
from xtcp_flat_record.v1 import xtcp_flat_record_pb2_grpc as record_grpc

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")

BULK_PORT, LOSSY_PORT = 5001, 5002


class Flow:
    """A connection that sends |rate| bytes per second, in pieces of |piece| bytes, until it is closed."""

    def __init__(self, server_ns, client_ns, address, port, rate, piece):
        with server_ns:
            listener = socket.create_server((address, port))
        with client_ns:
            self.sender = socket.socket()
            self.sender.settimeout(bound(30))
            self.sender.connect((address, port))
        self.receiver, _ = listener.accept()
        listener.close()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._receive), threading.Thread(target=self._send, args=(rate, piece))]
        for t in self._threads:
            t.start()

    def _receive(self):
        with contextlib.suppress(OSError):
            while self.receiver.recv(1 << 20):
                pass

    def _send(self, rate, piece):
        data = bytes(piece)
        with contextlib.suppress(OSError):
            while not self._over.wait(piece / rate):
                self.sender.sendall(data)

    def close(self):
        self._over.set()
        for s in (self.sender, self.receiver):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        for t in self._threads:
            t.join()
        self.sender.close()
        self.receiver.close()


class Wire:
    """Two namespaces with a wire between them, and a daemon that sees these two and its own."""

    def __init__(self, host, *options):
        self.left, self.right = host.namespace(), host.namespace()
        self.left.exec("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", self.right.name)
        for ns, address in ((self.left, "10.9.8.1/24"), (self.right, "10.9.8.2/24")):
            ns.exec("ip", "addr", "add", address, "dev", "wire")
            ns.exec("ip", "link", "set", "wire", "up")
        self.daemon = host.daemon("--poll-frequency", "500ms", "--poll-timeout", "400ms", *options)
        folder = host.names_of(self.daemon)
        folder.add("left", self.left.path)
        folder.add("right", self.right.path)
        client = host.connect(self.daemon)
        until(lambda: {"left", "right"} <= {name for n in client.list_namespaces() for name in n.names}, 5, "both namespaces")


@pytest.fixture
def terminal(host):
    def make(**how):
        return host.keep(Terminal(host.folder(), **how))
    return make


def top(terminal, target, *options):
    """Starts top and waits for a poll with rates."""
    terminal.start(paths.CLIENT, "--target", target, "top", *options)
    terminal.wait(r"^xtcp2 top .* poll [2-9]")


def first_row(terminal):
    """The row below the titles."""
    lines = terminal.lines()
    titles = next(i for i, line in enumerate(lines) if re.match(r"(NETNS|LOCAL|PEER) ", line))
    return lines[titles + 1]


def wait_first_row(terminal, pattern, seconds=20):
    deadline = time.monotonic() + bound(seconds)
    while not re.search(pattern, first_row(terminal)):
        assert time.monotonic() < deadline, f"{pattern!r} is not in the first row\n{terminal.text()}"
        time.sleep(0.05)


# ---- The screen ----

def test_bulk_and_lossy(host, terminal):
    """A bulk transfer comes first by throughput, a lossy path first by retransmissions, on any size of the terminal."""
    wire = Wire(host)
    lossy(wire.right, "wire", 0.1)
    bulk = host.keep(Flow(wire.left, wire.left, "127.0.0.1", BULK_PORT, rate=20e6, piece=200_000))
    losing = host.keep(Flow(wire.right, wire.left, "10.9.8.2", LOSSY_PORT, rate=400e3, piece=8_000))
    t = terminal(width=140)
    top(t, wire.daemon.target)
    wait_first_row(t, rf"^left .*:{BULK_PORT}\b.*\d[MG]bit/s")
    assert "ESTABLISHED" in t.text() and re.search(r"^\d+ sockets in \d namespaces:", t.text(), re.MULTILINE)
    t.keys("r")
    wait_first_row(t, rf"^left .*10\.9\.8\.2:{LOSSY_PORT} ")
    row = first_row(t)
    assert float(re.search(r"(\d+(?:\.\d+)?)\s+\d+(?:\.\d+)?%", row)[1]) > 0, row
    t.wait(r"by retrans")
    # As small as can be, and back.
    t.resize(40, 10)
    t.wait(r"^PEER .*RETR/S$")
    wait_first_row(t, rf"^10\.9\.8\.2:{LOSSY_PORT} ")
    assert all(len(line) <= 40 for line in t.lines())
    t.resize(250, 60)
    t.wait(r"^NETNS +STATE .* LIMITED BY +CONG")
    t.keys("t")
    wait_first_row(t, rf"^left .*:{BULK_PORT}\b.*\d[MG]bit/s")
    # The sums of the namespaces say the same.
    t.keys("n")
    t.wait(r"^NETNS +SOCKETS")
    wait_first_row(t, r"^left ")
    t.keys("n")
    # The history of the socket in the first row.
    wait_first_row(t, rf"^left .*:{BULK_PORT}\b")
    t.keys("Enter")
    t.wait(rf"^127\.0\.0\.1:\d+ > 127\.0\.0\.1:\d+ .* left .*limited by")
    t.wait(r"^throughput +[\d.]+[MG]bit/s +most")
    t.wait("[▁▂▃▄▅▆▇█]")
    t.keys("Escape", "q")
    assert t.ended() == 0
    bulk.close(), losing.close()


def test_filter(host, terminal):
    d = host.daemon("--poll-frequency", "1h")
    t = terminal()
    top(t, d.target, "--every", "200ms", "state", "listening", "and", f"sport = {d.port}")
    t.wait(r"^1 socket in 1 namespace: 1 LISTEN")
    assert "(filtered here)" not in t.text()  # the daemon does it
    t.keys("/")
    t.wait(r"^filter: state listening and sport")
    t.keys("C-u")
    t.type("dport = nonsense")
    t.keys("Enter")
    t.wait(r"^column 9: ")
    t.keys("Escape")
    t.wait(r"^by throughput +state listening")
    t.keys("/", "C-u")
    t.type("sport = 1 and dport = 1")
    t.keys("Enter")
    t.wait(r"^no socket passes the filter")
    t.keys("/", "C-u", "Enter")
    t.wait(r"^\d+ sockets in .*LISTEN")
    t.keys("q")
    assert t.ended() == 0


def test_pause_columns_help(host, terminal):
    d = host.daemon("--poll-frequency", "1h")
    t = terminal(width=200)
    top(t, d.target, "--every", "100ms", "--sort", "Send-Q")
    t.wait(r"by queue")
    t.keys("Space")
    t.wait(r"PAUSED$")
    number = re.search(r"poll (\d+)", t.text())[1]
    t.keys("c")
    t.wait(r"\[x\] NETNS")
    t.keys("Space")
    t.wait(r"\[ \] NETNS")
    t.keys("Enter")
    t.wait(r"^STATE +LOCAL")
    assert re.search(r"poll (\d+)", t.text())[1] == number
    t.keys("Space")
    t.wait(rf"poll (?!{number}\b)\d+")
    t.keys("h")
    t.wait(r"^q +quit")
    t.keys("?")
    t.wait(r"^STATE +LOCAL")
    t.keys(">")
    t.wait(r"by throughput")
    t.keys("<", "<")
    t.wait(r"by rtt")
    t.keys("q")
    assert t.ended() == 0


def test_daemon_ends_and_comes_back(host, terminal):
    where = [f"unix:{host.folder()}/s"]
    first = host.daemon("--poll-frequency", "200ms", "--poll-timeout", "150ms", listen=where)
    t = terminal()
    top(t, where[0])
    first.stop()
    t.wait(r"^again in \d+s \(R: now\): .*unix:")
    host.daemon("--poll-frequency", "200ms", "--poll-timeout", "150ms", listen=where)
    t.keys("R")
    t.wait(r"^by throughput")
    t.keys("q")
    assert t.ended() == 0


def test_hostile_names(host, terminal):
    """Escape sequences in the name of a namespace are shown, not obeyed."""
    d = host.daemon("--poll-frequency", "200ms", "--poll-timeout", "150ms")
    ns = host.namespace()
    with ns:
        listener = socket.create_server(("127.0.0.1", 7))
    host.keep(listener)
    host.names_of(d).add("\x1b[2J\x1b]0;pwned\x07x", ns.path)
    t = terminal()
    top(t, d.target, "sport = 7")
    t.wait(r"^\\x1b\[2J")
    assert t.ask("#{pane_title}") != "pwned"
    t.keys("n")
    t.wait(r"^\\x1b\[2J")
    t.keys("q")
    assert t.ended() == 0


def test_plain_terminals(host, terminal):
    d = host.daemon("--poll-frequency", "1h")
    t = terminal(environment={"LANG": "C", "LC_ALL": "C", "NO_COLOR": "1"})
    top(t, d.target, "--every", "100ms")
    t.keys("Enter")
    t.wait(r"^throughput")
    assert t.text().isascii()
    coloured = re.compile(r"\x1b\[(?:\d+;)*[34][0-7]m")
    assert not coloured.search("\n".join(t.lines("-e")))
    t.keys("q")
    assert t.ended() == 0
    t = terminal()
    top(t, d.target, "--every", "100ms")
    assert coloured.search("\n".join(t.lines("-e")))
    t.keys("q")
    assert t.ended() == 0
    t.start(paths.CLIENT, "--target", d.target, "top", "--no-color", "--every", "100ms")
    t.wait(r"^xtcp2 top")
    assert not coloured.search("\n".join(t.lines("-e")))
    t.keys("q")
    assert t.ended() == 0


class PlainDaemon(record_grpc.XTCPFlatRecordServiceServicer):
    """One record per message, no edges, no cookies, and nothing of a request is looked at."""

    def __init__(self):
        self.polls = 0

    def _poll(self):
        self.polls += 1
        now = time.time_ns()
        for i in range(3):
            yield i, record_pb.XtcpFlatRecord(
                timestamp_ns=now, netns="\x1b[31mplain", netns_inode=7, inet_diag_msg_family=2, inet_diag_msg_state=1,
                inet_diag_msg_socket_source=bytes([192, 0, 2, 1]), inet_diag_msg_socket_source_port=1000 + i,
                inet_diag_msg_socket_destination=bytes([192, 0, 2, 2]), inet_diag_msg_socket_destination_port=443,
                tcp_info_state=1, tcp_info_bytes_acked=self.polls * i * 1_000_000)

    def FlatRecords(self, request, context):
        while context.is_active():
            for _, r in self._poll():
                yield record_pb.FlatRecordsResponse(xtcp_flat_record=r)
            time.sleep(0.3)

    def PollFlatRecords(self, requests, context):
        for _ in requests:
            for _, r in self._poll():
                yield record_pb.PollFlatRecordsResponse(xtcp_flat_record=r)


@pytest.mark.parametrize("options", [(), ("--every", "500ms")])
def test_plain_daemon(host, terminal, options):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    record_grpc.add_XTCPFlatRecordServiceServicer_to_server(PlainDaemon(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        t = terminal()
        top(t, f"127.0.0.1:{port}", *options, "sport > 1000")
        t.wait(r"^2 sockets in 1 namespace: 2 ESTABLISHED")
        t.wait(r"^by throughput  sport > 1000 \(filtered here\)")
        wait_first_row(t, r"^\S*x1b\[31mp.* 192\.0\.2\.1:1002 .*\d[MG]bit/s")
        t.keys("q")
        assert t.ended() == 0
    finally:
        server.stop(0).wait(10)


# ---- How it ends ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_restore_the_terminal(host, terminal, number):
    d = host.daemon("--poll-frequency", "1h")
    t = terminal()
    top(t, d.target, "--every", "100ms")
    assert t.alternate
    os.kill(t.process("xtcp2client"), number)
    assert t.ended() == 0


def test_two_signals_at_once(host, terminal):
    """The second one ends the process wherever it is; the terminal is given back all the same."""
    d = host.daemon("--poll-frequency", "1h")
    t = terminal()
    top(t, d.target, "--every", "100ms")
    pid = t.process("xtcp2client")
    os.kill(pid, signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGHUP)
    assert t.ended() in (0, 1, 128 + signal.SIGHUP, 128 + signal.SIGTERM)  # by which of them, the machine decides


def test_control_c(host, terminal):
    d = host.daemon("--poll-frequency", "1h")
    t = terminal()
    top(t, d.target, "--every", "100ms")
    t.keys("C-c")
    assert t.ended() == 0


def test_suspend_and_resume(host, terminal):
    d = host.daemon("--poll-frequency", "1h")
    t = terminal()
    t.type(f"{paths.CLIENT} --target {d.target} top --every 100ms")
    t.keys("Enter")
    t.wait(r"^xtcp2 top .* poll [2-9]")
    t.keys("C-z")
    t.wait(r"Stopped")
    assert not t.alternate
    t.type("stty -a | tr -d '\\n'; echo")
    t.keys("Enter")
    t.wait(r"[^-]icanon")
    t.type("fg")
    t.keys("Enter")
    t.wait(r"^xtcp2 top ")
    assert t.alternate
    number = int(t.wait(r"poll (\d+)")[1])
    t.wait(rf"poll (?!{number}\b)\d+")
    t.keys("q")
    t.wait(r"^\$$")
    assert not t.alternate


def test_no_daemon(host, terminal):
    t = terminal()
    t.start(paths.CLIENT, "--target", f"unix:{host.folder()}/nobody", "top")
    assert t.ended() == 1
    assert "there is no socket" in t.text()


def test_no_terminal(host):
    d = host.daemon("--poll-frequency", "1h")
    done = subprocess.run([paths.CLIENT, "--target", d.target, "top"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=bound(10))
    assert done.returncode == 2 and done.stdout == ""
    assert "terminal" in done.stderr and "snapshot" in done.stderr and "stream" in done.stderr


@pytest.mark.parametrize("options, words", [
    (("--sort", "size"), "throughput, retrans, rtt or queue"),
    (("dport", "="), "column"),
    (("--every", "0s"), "above 0"),
])
def test_wrong_usage(host, terminal, options, words):
    t = terminal()
    t.start(paths.CLIENT, "--target", "127.0.0.1:1", "top", *options)
    assert t.ended() == 2
    assert words in t.text().replace("\n", " ")


def test_terminal_that_cannot(host, terminal):
    t = terminal()
    t.start("env", "TERM=dumb", paths.CLIENT, "--target", "127.0.0.1:1", "top")
    assert t.ended() == 2
    assert "TERM=dumb" in t.text()
