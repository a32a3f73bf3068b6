"""A client that does not read: nobody else notices, its loss is told, and the daemon stops all the same."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from harness import paths
from harness.rpc import Client, Code, message, record_pb
from harness.waiting import SLOW, bound, until

# A subscriber in a process of its own, to be stopped as a whole; tells on a pipe how many messages came.
SUBSCRIBER = """
import sys
sys.path.insert(0, sys.argv[1])
from harness.rpc import Client
c = Client(sys.argv[2])
for n, m in enumerate(c.stream(**eval(sys.argv[3]))):
    print(n, flush=True)
"""


def subscriber(host, target, **fields):
    """A subscriber that has got its first message."""
    p = host.process(sys.executable, "-c", SUBSCRIBER, os.path.dirname(__file__), target, repr(fields),
                     stdout=subprocess.PIPE, env={**os.environ, "XTCP2_BIN_DIR": str(paths.BIN)})
    host.keep(p.stdout)
    assert p.stdout.readline() == b"0\n"
    # From here on nobody reads its pipe; it is stopped before that is full.
    return p


def busy_daemon(host, where, sockets=4000):
    """A daemon with enough to tell to fill what the kernel and gRPC buffer for a client within a few polls."""
    ns = host.anonymous()
    with ns:
        for n in range(sockets):
            s = host.keep(socket.socket())
            s.bind(("127.0.0.1", 20000 + n))
            s.listen(1)
    d = host.daemon(*FAST, listen=[listen_at(host, where)])
    host.names_of(d).add("busy", ns.path)
    c = host.connect(d)
    until(lambda: c.status().last_poll.sockets > sockets, 5, "polls of the namespace")
    return d, c


# The daemon's queue holds two polls and a half: a reader in Python that rests for 0.4 s loses nothing.
PERIOD_MS = max(200, round(50 * SLOW))
FAST = ("--poll-frequency", f"{PERIOD_MS}ms", "--poll-timeout", f"{PERIOD_MS * 9 // 10}ms", "--queue-rows", "10000")
LISTENERS = ["127.0.0.1:0", "unix:"]


def listen_at(host, where):
    return f"unix:{host.folder()}/s" if where == "unix:" else where


@pytest.mark.parametrize("where", LISTENERS)
def test_a_stopped_subscriber_changes_nothing_for_another(host, where):
    d, c = busy_daemon(host, where)
    slow = subscriber(host, d.target)
    with host.connect(d).edges() as stream:
        stream.polls(3)
        slow.send_signal(signal.SIGSTOP)

        def its_loss():
            return [s.rows_lost for s in c.status().subscribers if s.rows_lost]
        polls = []
        deadline = time.monotonic() + bound(20)
        while not its_loss():
            polls += stream.polls(5)
            assert time.monotonic() < deadline, "the stopped client has lost nothing"
        polls += stream.polls(10)
        for poll in polls:
            assert poll.end.rows_lost == 0
            assert poll.end.rows_sent == len(poll.rows) == poll.end.sockets
        ids = [p.begin.poll_id for p in polls]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        first, second = sorted(c.status().subscribers, key=lambda s: s.id)
        assert first.rows_lost > 0 and first.rows_delivered > 0
        assert first.rows_queued <= 10000
        assert second.rows_lost == 0
    begin = time.monotonic()
    d.stop()
    assert time.monotonic() - begin < bound(2)


@pytest.mark.parametrize("where", LISTENERS)
def test_loss_is_told_in_the_stream(host, where):
    """A client with markers that goes on reading learns how much it has lost; what it gets is whole."""
    _, c = busy_daemon(host, where)
    call = c.records.FlatRecords(record_pb.FlatRecordsRequest(markers=True, batch_rows=100))
    begin = next(call)
    assert begin.HasField("poll_begin")
    until(lambda: any(s.rows_lost for s in c.status().subscribers), 20, "loss")
    lost = received = told_sent = polls = 0
    for m in call:
        if m.HasField("envelope"):
            received += len(m.envelope.row)
        if m.HasField("poll_end"):
            polls += 1
            lost += m.poll_end.rows_lost
            told_sent += m.poll_end.rows_sent
            assert received == told_sent
            if lost:
                break
    call.cancel()
    assert lost > 0 and polls > 0


@pytest.mark.parametrize("where", LISTENERS)
def test_a_plain_stream_that_is_behind_ends_well(host, where):
    """A client of the original schema does not survive an error: it gets OK, if need be without the rows that wait."""
    d, c = busy_daemon(host, where)
    # With a small window, so that it is the daemon's queue that is full and not the buffers of the client.
    behind = host.keep(Client(d.target, ("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65536)))
    call = behind.records.FlatRecords(record_pb.FlatRecordsRequest())
    until(lambda: any(s.rows_lost for s in c.status().subscribers), 20, "loss")
    d.send_signal(signal.SIGTERM)
    assert sum(1 for _ in call) > 0
    assert call.code() == Code.OK
    d.stop()


@pytest.mark.parametrize("where", LISTENERS)
def test_stop_with_a_watcher_that_does_not_read(host, where):
    """Namespace and health watches, reflection and polls of clients that are stopped."""
    d = host.daemon("--poll-frequency", "100ms", "--poll-timeout", "90ms", listen=[listen_at(host, where)])
    p = host.process(sys.executable, "-c", WATCHER, os.path.dirname(__file__), d.target, stdout=subprocess.PIPE,
                     env={**os.environ, "XTCP2_BIN_DIR": str(paths.BIN)})
    host.keep(p.stdout)
    assert p.stdout.readline() == b"ready\n"
    p.send_signal(signal.SIGSTOP)
    d.stop()


def test_questions_without_reading_the_answers(host):
    """Reflection listens to the next question when the last answer is gone; nothing piles up, nothing is lost."""
    questions = 1000
    d = host.daemon()
    c = host.keep(Client(d.target, ("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65535)))
    request = message("grpc.reflection.v1.ServerReflectionRequest")(
        file_containing_symbol="xtcp_flat_record.v1.XtcpFlatRecord").SerializeToString()
    asked = []

    def ask():
        for n in range(questions):
            asked.append(n)
            yield request
    call = c.channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")(
        ask(), timeout=bound(30))
    until(lambda: len(asked) == questions, 10, "all questions are on their way")
    assert sum(1 for _ in call) == questions


WATCHER = """
import sys
sys.path.insert(0, sys.argv[1])
from harness.rpc import Client
c = Client(sys.argv[2])
streams = [c.watch_namespaces(), c.watch_health(), c.poll_stream(), c.stream(), c.edges()]
for s in (streams[0], streams[1], streams[3], streams[4]):
    s.next()
print("ready", flush=True)
import signal
signal.pause()
"""


def test_many_subscribers(host):
    """Fifty at once: all get every record of every poll."""
    d = host.daemon("--poll-frequency", "1h")
    clients = [host.connect(d) for _ in range(50)]
    streams = [host.enter(c.edges()) for c in clients]
    c = host.connect(d)
    until(lambda: len(c.status().subscribers) == 50, 10, "fifty subscribers")
    for _ in range(3):
        c.trigger()
        polls = [s.polls(1)[0] for s in streams]
        assert len({p.begin.poll_id for p in polls}) == 1
        assert {p.end.rows_sent for p in polls} == {polls[0].end.sockets}
        assert {len(p.rows) for p in polls} == {polls[0].end.sockets}
    ids = [s.id for s in c.status().subscribers]
    assert len(set(ids)) == 50
    for s in c.status().subscribers:
        assert s.peer and s.since_ns and s.method.endswith("FlatRecords")


def test_killed_clients_leave_nothing(host):
    """kill -9 in the middle of a stream, again and again: descriptors, threads and subscribers go with them."""
    d = host.daemon("--poll-frequency", "50ms", "--poll-timeout", "45ms")
    c = host.connect(d)

    def rounds(count):
        for _ in range(count):
            clients = [host.process(paths.CLIENT, "--target", d.target, "-o", "null", "stream",
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(10)]
            until(lambda: len(c.status().subscribers) == 10, 10, "ten subscribers")
            for p in clients:
                p.kill()
            for p in clients:
                p.wait()
            until(lambda: not c.status().subscribers, 5, "no subscriber")
    rounds(1)
    threads, fds = d.own_threads(), len(d.fds())
    rounds(3)
    until(lambda: d.own_threads() == threads, 5, f"the {threads} from before")
    until(lambda: len(d.fds()) <= fds + 2, 5, f"no more than the {fds} descriptors from before")


def test_sigkill_of_the_daemon_ends_its_clients(host):
    """No one waits for a daemon that is gone; nothing of it is left."""
    d = host.daemon("--poll-frequency", "50ms", "--poll-timeout", "45ms")
    with host.connect(d).edges() as stream:
        stream.polls(1)
        d.kill()
        for _ in stream:
            pass
        assert stream.status()[0] == Code.UNAVAILABLE
