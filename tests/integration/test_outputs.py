"""Outputs: what comes in is delivered at least once, or told as dropped, whatever happens to the peer."""

import collections
import json
import os
import re
import signal
import socket
import sys
import time

import pytest

from harness import paths
from harness.netns import free_port
from harness.rpc import output_pb
from harness.waiting import SLOW, until
from peers.http_faults import HttpFaults

SOCKETS = 300  # so that a poll is more than a few rows
RUNNING = output_pb.OUTPUT_STATE_RUNNING
RETRYING = output_pb.OUTPUT_STATE_RETRYING

COMPLAINTS = (r" output: .*(trying again|left behind|does not end)", r" output: .*no spool: ", r" output: .*spool cannot be",
              r" output: .*records are dropped: they waited when the output ended")


@pytest.fixture(scope="module", autouse=True)
def sockets():
    """A namespace with something to collect."""
    made = []
    for _ in range(SOCKETS):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        made.append(s)
    yield
    for s in made:
        s.close()


class Counter:
    """peers/counter.py: what it has received, in a file, also when it was killed."""

    def __init__(self, host, kind, *options):
        self.host, self.kind, self.options = host, kind, options
        self.folder = host.folder()
        self.where = str(free_port()) if kind in ("tcp", "udp") else f"{self.folder}/socket"
        self.file = f"{self.folder}/rows"
        self.process = None

    @property
    def to(self):
        return f"{self.kind}:127.0.0.1:{self.where}" if self.kind in ("tcp", "udp") else f"{self.kind}:{self.where}"

    def start(self, *options):
        env = {**os.environ, "PYTHONPATH": f"{paths.SOURCE}/tests/integration", "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = self.host.process(sys.executable, f"{paths.SOURCE}/tests/integration/peers/counter.py", self.kind,
                                         self.where, self.file, *self.options, *options, env=env, stdout=-1)
        assert self.process.stdout.readline() == b"ready\n"
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def rows(self):
        """{poll, namespace, socket and time as a text: how often}."""
        try:
            with open(self.file, encoding="ascii") as f:
                return collections.Counter(line for line in f.read().split("\n") if line.endswith(";"))
        except FileNotFoundError:
            return collections.Counter()


class Outputs:
    """A daemon with outputs."""

    def __init__(self, host, *outputs, options=(), frequency="50ms", **how):
        self.folder = host.folder()
        self.path = f"{self.folder}/xtcp2.yaml"
        self.write(*outputs)
        self.daemon = host.daemon("--poll-frequency", frequency, "--poll-timeout", "40ms", "--config", self.path,
                                  "--spool-dir", f"{self.folder}/spool", *options, folder=self.folder,
                                  listen=["127.0.0.1:0", f"unix:{self.folder}/s"], **how)
        self.daemon.allow(*COMPLAINTS)
        self.client = host.connect(self.daemon)

    def write(self, *outputs):
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            json.dump({"outputs": outputs}, f)  # JSON is YAML
        os.rename(self.path + ".new", self.path)

    def reload(self, *outputs):
        """Has the daemon read |outputs| and waits until they are in force."""
        generation = self.client.get().generation
        self.write(*outputs)
        until(lambda: self.client.get().generation > generation, 5, "reload")

    def status(self, name="out"):
        return next(o for o in self.client.list_outputs() if o.name == name)

    def wait(self, condition, what, name="out", seconds=20):
        last = []

        def holds():
            last[:] = [self.status(name)]
            return condition(last[0]) and last[0]
        try:
            return until(holds, seconds, what)
        except AssertionError as e:
            raise AssertionError(f"{e}: {last}") from None

    def rest(self, name="out"):
        """No more polls, and everything that waits is sent: the status then, which adds up."""
        self.client.set_frequency(3600, 0.04)
        until(lambda: self.client.status().schedule.running_poll_id == 0, 5, "the end of the last poll")
        time.sleep(0.1)  # the hub passes on what it has
        s = self.wait(lambda s: s.rows_queued == 0 and s.rows_spooled == 0 and s.state == RUNNING, "all is sent", name)
        assert s.rows_taken + s.rows_found == s.rows_sent + dropped(s)
        return s


def dropped(s):
    return sum(d.rows for d in s.dropped)


def check(s, rows, found=0):
    """Each row that counts as sent has arrived once at least, and no other."""
    assert len(rows) == s.rows_sent + found, (len(rows), sum(rows.values()), s)


# ---- Peers that die and come back ----

@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_stream_whose_peer_is_killed(host, kind):
    peer = Counter(host, kind, *(["--framed"] if kind == "unix" else [])).start()
    d = Outputs(host, {"name": "out", "to": peer.to, "batch": {"bytes": "64KiB"}})
    for _ in range(3):
        before = len(peer.rows())
        until(lambda: len(peer.rows()) > before + 5 * SOCKETS, 10, "rows")
        peer.kill()
        d.wait(lambda s: s.state == RETRYING, "the peer is missed")
        assert re.search(rf"{re.escape(peer.to)}: ", d.status().last_error)
        peer.start()
        d.client.flush_output("out")
        d.wait(lambda s: s.state == RUNNING, "it is back")
    s = d.rest()
    until(lambda: len(peer.rows()) >= s.rows_sent, 10, "the last rows")
    check(s, peer.rows())
    assert not s.dropped and s.retries > 0
    peer.kill()


def test_a_stream_whose_peer_resets(host):
    """With data that it has not read: what counts as sent is sent once more."""
    peer = Counter(host, "tcp").start("--reset", "100000")
    d = Outputs(host, {"name": "out", "to": peer.to, "batch": {"bytes": "64KiB"}})
    until(lambda: len(peer.rows()) > 5 * SOCKETS, 20, "rows")
    s = d.rest()
    until(lambda: len(peer.rows()) >= s.rows_sent, 10, "the last rows")
    check(s, peer.rows())
    assert s.rows_resent > 0
    peer.kill()


def test_a_peer_that_does_not_read(host):
    """The queue is bounded and tells what it drops; another output gets everything."""
    peer = Counter(host, "tcp").start("--hold")
    other = Counter(host, "unix", "--framed").start()
    d = Outputs(host, {"name": "out", "to": peer.to, "queue": "256KiB", "options": {"timeout": "1s"}},
                {"name": "other", "to": other.to, "batch": {"bytes": "64KiB"}})
    d.wait(lambda s: dropped(s) > SOCKETS, "rows are dropped", seconds=60)
    s = d.status()
    assert s.bytes_queued <= s.queue_bytes + (1 << 20)
    assert [x.reason for x in s.dropped] == ["queue_full"]
    peer.kill()
    peer.start()
    d.client.flush_output("out")
    s = d.rest()
    assert dropped(s) > 0
    other_status = d.rest("other")
    until(lambda: len(other.rows()) >= other_status.rows_sent, 10, "the last rows")
    check(other_status, other.rows())
    assert not other_status.dropped
    peer.kill()
    other.kill()


@pytest.mark.parametrize("kind", ["udp", "unixgram"])
def test_datagrams(host, kind):
    """None is longer than asked for, save those of one row, and no row is lost for its size."""
    peer = Counter(host, kind).start()
    d = Outputs(host, {"name": "out", "to": peer.to, "options": {"size": 1400}})
    until(lambda: len(peer.rows()) > 5 * SOCKETS, 10, "rows")
    s = d.rest()
    until(lambda: len(peer.rows()) >= s.rows_sent, 10, "the last rows")
    check(s, peer.rows())
    assert s.messages_sent > s.rows_sent / 20 and not s.dropped
    peer.kill()


# ---- Files ----

def lines(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def keys(rows):
    return {(r["poll_id"], r["netns_cookie"], r["inet_diag_msg_socket_cookie"]) for r in rows}


def test_a_file_that_is_moved_away(host):
    """As logrotate does: SIGHUP opens it again, nothing is lost and no line is cut."""
    folder = host.folder()
    path = f"{folder}/rows.jsonl"
    d = Outputs(host, {"name": "out", "to": f"file:{path}", "options": {"mode": "0600"}})
    for i in range(3):
        until(lambda: os.path.exists(path) and os.path.getsize(path) > 100000, 10, "rows")
        os.rename(path, f"{path}.{i}")
        d.daemon.send_signal(signal.SIGHUP)
    until(lambda: os.path.exists(path), 10, "the last file")
    s = d.rest()
    found = [lines(f"{folder}/{name}") for name in os.listdir(folder)]
    assert len(found) == 4 and all(found)
    assert sum(map(len, found)) == s.rows_sent == s.rows_taken
    assert len(keys(sum(found, []))) == s.rows_sent
    assert os.stat(path).st_mode & 0o7777 == 0o600


def test_a_file_that_rotates(host):
    folder = host.folder()
    path = f"{folder}/rows.csv"
    d = Outputs(host, {"name": "out", "to": f"file:{path}", "format": "csv", "columns": ["poll_id", "netns"],
                       "options": {"rotate_size": "64KiB", "rotate_keep": 3, "compress": "gzip"}})
    def compressed():
        return [name for name in os.listdir(folder) if name.endswith(".gz")]
    until(lambda: len(compressed()) == 3, 60, "compressed files")
    d.rest()
    until(lambda: len(compressed()) == 3 and len(os.listdir(folder)) == 4, 10, "nothing else")
    import gzip
    for name in os.listdir(folder):
        opener = gzip.open if name.endswith(".gz") else open
        with opener(f"{folder}/{name}", "rt", encoding="utf-8") as f:
            text = f.read().split("\n")
        assert text[0] == "poll_id,netns" and text[-1] == "" and text.count("poll_id,netns") == 1
        assert all(re.fullmatch(r"\d+,\S*", line) for line in text[1:-1])


def test_a_full_disk(host):
    """The last record is never half there, the queue waits, the status tells; then all of it is written."""
    folder = host.folder()
    os.mkdir(f"{folder}/disk")
    assert os.system(f"mount -t tmpfs -o size=512k tmpfs {folder}/disk") == 0
    try:
        path = f"{folder}/disk/rows.jsonl"
        d = Outputs(host, {"name": "out", "to": f"file:{path}", "batch": {"rows": 100}})
        s = d.wait(lambda s: s.state == RETRYING, "the disk is full")
        assert s.last_error == f"file:{path}: No space left on device"
        written = lines(path)  # each of them whole
        assert written and len(written) == d.status().rows_sent
        os.system(f"mount -o remount,size=256m {folder}/disk")
        d.client.flush_output("out")
        s = d.rest()
        assert len(keys(lines(path))) == len(lines(path)) == s.rows_sent == s.rows_taken
        d.daemon.stop()
    finally:
        os.system(f"umount {folder}/disk")


# ---- HTTP ----

@pytest.fixture
def web(host):
    return host.enter(HttpFaults(host.folder()))


def bodies(web):
    found = web.accepted()
    return [json.loads(line) for line in found[:found.rfind(b"\n") + 1].splitlines()]


@pytest.mark.parametrize("mode", ["503 3", "reset", "late-reset", "half", "close", "429 2"])
def test_http_with_faults(host, web, mode):
    d = Outputs(host, {"name": "out", "to": f"{web.url}in", "options": {"compress": "zstd", "timeout": "1s"}})
    until(lambda: len(bodies(web)) > 2 * SOCKETS, 10, "rows")
    web.mode(mode)
    d.wait(lambda s: s.retries > 0, "a failure")
    web.mode("ok")
    d.client.flush_output("out")
    s = d.rest()
    found = keys(bodies(web))
    assert len(found) == s.rows_sent == s.rows_taken and not s.dropped


def test_http_that_refuses(host, web):
    """What is refused for good is told with the server's words, kept in a file, and holds up nothing."""
    letters = f"{host.folder()}/refused"
    d = Outputs(host, {"name": "out", "to": f"{web.url}in?password=hush-hush", "options": {"dead_letter_file": letters}})
    d.daemon.allow(r" output: out: records are refused: ")
    until(lambda: len(bodies(web)) > 2 * SOCKETS, 10, "rows")
    web.mode("400")
    s = d.wait(dropped, "rows are refused")
    assert re.search(r"in\?password=\*\*\*: 400 ", s.last_error), s.last_error
    web.mode("ok")
    s = d.rest()
    assert [x.reason for x in s.dropped] == ["refused"]
    assert len(keys(bodies(web))) == s.rows_sent
    assert len(keys(lines(letters))) == dropped(s)
    everything = d.daemon.log() + str(d.client.list_outputs()) + str(d.client.get()) + str(d.client.status())
    assert "hush" not in everything


# ---- Names, passwords ----

def test_a_name_that_does_not_resolve(host):
    d = Outputs(host, {"name": "out", "to": "tcp:no-such-host.invalid:9000"})
    s = d.wait(lambda s: s.state == RETRYING, "it is tried")
    assert s.last_error.startswith("tcp:no-such-host.invalid:9000: ") and "\n" not in s.last_error


# ---- Changes under load ----

def test_hot_changes(host):
    """Outputs come, change and go, and the one that stays misses nothing."""
    stays, moves = Counter(host, "tcp").start(), Counter(host, "unix", "--framed").start()
    first = {"name": "stays", "to": stays.to}
    d = Outputs(host, first)
    for i in range(4):
        changed = {**first, "queue": f"{i + 1}MiB"}
        d.reload(changed, {"name": "out", "to": moves.to, "batch": {"rows": 50 + i}})
        d.wait(lambda s: s.rows_sent > SOCKETS, "it gets rows")
        d.reload(changed)
    assert [o.name for o in d.client.list_outputs()] == ["stays"]
    s = d.rest("stays")
    until(lambda: len(stays.rows()) >= s.rows_sent, 10, "the last rows")
    check(s, stays.rows())
    polls = {int(key.split()[0]) for key in stays.rows()}
    assert not s.dropped and polls >= set(range(min(polls), max(polls) + 1))
    stays.kill()
    moves.kill()


def test_a_spool_over_sigkill(host):
    """What was in the spool is there at the next start."""
    peer = Counter(host, "tcp")
    out = {"name": "out", "to": peer.to, "batch": {"bytes": "64KiB"}, "queue": "256KiB", "on_full": "spool", "spool": {"bytes": "64MiB"}}
    d = Outputs(host, out)
    d.wait(lambda s: s.rows_spooled > 20 * SOCKETS, "rows are spooled", seconds=60)
    s = d.client.list_outputs()[0]
    assert not s.dropped
    d.daemon.process.kill()
    d.daemon.wait_exit(5)
    d.daemon.stopped = True
    peer.start()
    again = host.daemon("--poll-frequency", "1h", "--config", d.path, "--spool-dir", f"{d.folder}/spool")
    again.allow(*COMPLAINTS)
    c = host.connect(again)
    found = until(lambda: (o := c.list_outputs()[0]).rows_found and o, 5, "the spool is found").rows_found
    assert found >= s.rows_spooled
    s = until(lambda: (o := c.list_outputs()[0]).rows_spooled == 0 and o.rows_queued == 0 and o, 20, "all is sent")
    assert s.rows_taken + s.rows_found == s.rows_sent + dropped(s) and not s.dropped
    until(lambda: len(peer.rows()) >= s.rows_sent, 10, "the last rows")
    check(s, peer.rows())
    peer.kill()


def test_a_stop_spools_what_waits(host):
    peer = Counter(host, "unix", "--framed")
    out = {"name": "out", "to": peer.to, "on_full": "spool", "batch": {"bytes": "64KiB"}}
    d = Outputs(host, out)
    s = d.wait(lambda s: s.rows_queued > 2 * SOCKETS, "rows wait")
    d.client.set_frequency(3600, 0.04)
    until(lambda: d.client.status().schedule.running_poll_id == 0, 5, "the end of the last poll")
    time.sleep(0.1)  # the hub passes on what it has
    taken = d.status().rows_taken
    d.daemon.stop()
    peer.start()
    again = host.daemon("--poll-frequency", "1h", "--config", d.path, "--spool-dir", f"{d.folder}/spool")
    again.allow(*COMPLAINTS)
    c = host.connect(again)
    s = until(lambda: (o := c.list_outputs()[0]).rows_found and o.rows_spooled == 0 and o.rows_queued == 0 and o, 20,
              "all is sent")
    assert s.rows_found >= taken
    until(lambda: len(peer.rows()) >= s.rows_sent, 10, "the last rows")
    check(s, peer.rows())
    peer.kill()


# ---- The start ----

def test_required(host):
    """The daemon does not start without an output that is required."""
    folder = host.folder()
    with open(f"{folder}/c.yaml", "w", encoding="utf-8") as f:
        json.dump({"outputs": [{"name": "out", "to": f"tcp:127.0.0.1:{free_port()}", "start": "required"}]}, f)
    with open(f"{folder}/log", "wb") as log:
        p = host.process(str(paths.DAEMON), "--config", f"{folder}/c.yaml", "--grpc-listen", f"unix:{folder}/s", stderr=log)
    assert p.wait(15) == 1
    with open(f"{folder}/log", encoding="utf-8") as f:
        assert re.search(r"cannot start: outputs: out, which is required: tcp:127.0.0.1:\d+: Connection refused", f.read())


@pytest.mark.skipif(SLOW > 1, reason="a sanitizer wants to see all threads end")
def test_a_stop_is_not_held_up(host):
    """By outputs that hang in every way, all at once."""
    hold = Counter(host, "tcp").start("--hold")
    d = Outputs(host, {"name": "a", "to": hold.to}, {"name": "b", "to": f"tcp:127.0.0.1:{free_port()}"},
                {"name": "c", "to": "tcp:192.0.2.1:9"}, {"name": "d", "to": "http://192.0.2.1:9/"},
                {"name": "e", "to": "kafka:192.0.2.1:9"}, {"name": "f", "to": "tcp:no-such-host.invalid:9"})
    d.daemon.allow(r" output: e: ")
    time.sleep(1)
    d.daemon.stop()
    hold.kill()
