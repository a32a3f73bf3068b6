"""One user takes all that it can get of something, and nobody else notices: root and a second user work beside it, and what
it is refused with says which share that was. docs/access.md (Limits) has the figures."""

import os
import shutil
import socket
import subprocess

import pytest

from harness import memory, paths
from harness.caller import as_user
from harness.guest import Guest
from harness.rpc import Code, focus_pb, message, record_pb, status_pb
from harness.waiting import SLOW, bound, until
from test_focus import Watch

GREEDY, GREEDY_TOO, MODEST = 64001, 64002, 64003  # users of no account

FLAT = "/xtcp_flat_record.v1.XTCPFlatRecordService/FlatRecords"
FOCUS = "/xtcp_focus.v1.FocusService/Watch"
STATUS = "/xtcp_status.v1.StatusService/Get"
NAMESPACES = "/xtcp_namespace.v1.NamespaceService/Watch"

MS = 1000000
REFUSED = "RESOURCE_EXHAUSTED"


@pytest.fixture
def start(host):
    """Starts a daemon that every user can reach by a unix socket and by TCP."""
    def make(*options):
        d = host.daemon("--poll-frequency", "1h", "--unix-socket-mode", "0666", *options,
                        listen=(f"unix:{host.folder()}/s", "127.0.0.1:0"))
        d.allow("is refused", "a connection is turned away")
        return d
    return make


@pytest.fixture
def client(host):
    """The path of xtcp2client, where every user can start it."""
    return shutil.copy(paths.CLIENT, host.folder())


def flat(**fields):
    """Calls that are answered at once."""
    return record_pb.FlatRecordsRequest(batch_rows=100, markers=True, netns=["*"], **fields)


def filters(count, first=20000):
    return [f"dport = {first + n}" for n in range(count)]


def long_filter(number):
    """A filter of 10 KB that is not the same for another number."""
    terms = [f"src [2001:db8:1111:2222:3333:4444:5555:6666]:{10000 + n}" for n in range(210)]
    text = " or ".join([f"dport = {number}", *terms])
    assert 10000 < len(text) < 11500
    return text


def sets_of_columns(count):
    names = [f.name for f in record_pb.XtcpFlatRecord.DESCRIPTOR.fields if f.name.startswith("tcp_info_")]
    return [["netns", n] for n in names[:count]]


# ---- Callers that must not be locked out ----

def run(client, target, *arguments, wrapper=()):
    done = subprocess.run([*wrapper, client, "--target", target, *arguments], text=True, timeout=bound(20),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "HOME": "/nonexistent"})
    assert done.returncode == 0, (wrapper, target, arguments, done.stdout[-300:], done.stderr)
    return done.stdout


def works_by_client(client, target, number, wrapper=()):
    """Everything by xtcp2client, with a filter and columns that nobody else has."""
    assert "polls" in run(client, target, "status", wrapper=wrapper)
    run(client, target, "poll", "--netns", "own*", f"sport = {number}", wrapper=wrapper)
    fields = "inet_diag_msg_state,tcp_info_rtt,tcp_info_snd_cwnd"
    assert fields in run(client, target, "-o", "csv", "poll", "--columns", fields, wrapper=wrapper)
    run(client, target, "watch", "--count", "2", "--rate", "50", f"sport = {number}", wrapper=wrapper)


def poll(c, **fields):
    with c.poll_stream() as stream:
        stream.request(markers=True, batch_rows=1000, **fields)
        stream.half_close()
        assert stream.next().HasField("stream_info")
        assert len(stream.polls()) == 1
        assert stream.status() == (Code.OK, "")


def works_by_grpc(host, target, number):
    """The same as root, with a stock client."""
    c = host.connect(target)
    assert c.status().polls > 0
    poll(c, filter=f"sport = {number}")
    poll(c, columns=["inet_diag_msg_state", "tcp_info_lost", "tcp_info_reord_seen"])
    with Watch(c, filter=f"sport = {number}", max_sockets=100, interval_ns=20 * MS) as w:
        assert w.info().max_sockets == 100


def works_as_guest(host, target, number):
    """The same as another user."""
    g = Guest(host, MODEST, target)
    assert g.unary(STATUS, status_pb.GetRequest()) == ["OK", ""]
    wanted = [flat(filter=f"sport = {number}"), flat(columns=["inet_diag_msg_state", "tcp_info_retrans"]), flat()]
    assert g.streams(FLAT, wanted) == [["OK", ""]] * len(wanted)
    watch = focus_pb.WatchRequest(filter=f"sport = {number}", max_sockets=100, interval_ns=20 * MS)
    assert g.streams(FOCUS, [watch], bidi=True) == [["OK", ""]]
    g.end()


def everybody_works(host, d, client):
    for number, target in enumerate(d.targets, 30000):
        works_by_client(client, target, number)
        works_by_client(client, target, number, as_user(MODEST))
        works_by_grpc(host, target, number + 100)
        works_as_guest(host, target, number + 200)


# ---- The one who takes it ----

def check_greed(answers, held, *names):
    """The first |held| were given, the others refused with a text that has |names| in it."""
    got = [code for code, _ in answers]
    assert got == ["OK"] * held + [REFUSED] * (len(answers) - held), answers
    for _, text in answers[held:]:
        assert all(name in text for name in names), text


def take_filters(g):
    check_greed(g.streams(FLAT, [flat(filter=f) for f in filters(64)]), 32, "different filters", "user_share_percent")


def take_long_filters(g):
    check_greed(g.streams(FLAT, [flat(filter=long_filter(n)) for n in range(4)]), 1, "bytes of filters", "user_share_percent")


def take_columns(g):
    answers = g.streams(FLAT, [flat(columns=c) for c in sets_of_columns(32)])
    check_greed(answers, 16, "different sets of columns", "user_share_percent")


def take_patterns(g):
    wish = record_pb.FlatRecordsRequest(markers=True, netns=["x" * 250 + f"{n:02}*" for n in range(16)])
    assert sum(map(len, wish.netns)) == 4048
    check_greed(g.streams(FLAT, [wish] * 12), 8, "patterns of namespaces", "user_share_percent")


def take_streams(g):
    check_greed(g.streams(FLAT, [flat()] * 120), 100, "subscribers_max", "user_share_percent")


def take_rate(g):
    """Ten watches of 5,000 lookups a second are half of focus_rate_max."""
    wish = focus_pb.WatchRequest(filter="dport = 9", max_sockets=500, interval_ns=100 * MS)
    check_greed(g.streams(FOCUS, [wish] * 20, bidi=True), 10, "lookups a second", "focus_rate_max", "user_share_percent")


def take_watches(g):
    wish = focus_pb.WatchRequest(filter="dport = 9", max_sockets=1, interval_ns=1000 * MS)
    check_greed(g.streams(FOCUS, [wish] * 80, bidi=True), 64, "focus_streams_max", "user_share_percent")


KINDS = [take_filters, take_long_filters, take_columns, take_patterns, take_streams, take_rate, take_watches]


def used(d, host):
    return {limit.option: limit.current for limit in host.connect(d).status().limits}


SHARED = ("subscribers_max", "filters", "filter_bytes", "columns", "netns_bytes", "focus_streams_max", "focus_rate_max")


@pytest.mark.parametrize("listener", [0, 1], ids=["unix", "tcp"])
@pytest.mark.parametrize("take", KINDS)
def test_one_takes_all(host, start, client, take, listener):
    d = start("--subscribers-max", "200")
    g = Guest(host, GREEDY, d.targets[listener])
    take(g)
    everybody_works(host, d, client)
    g.end()
    until(lambda: all(used(d, host)[name] == 0 for name in SHARED), 10, "all of it is given back")


def test_one_takes_everything_at_once(host, start, client):
    d = start()
    g = Guest(host, GREEDY, d.target)
    take_filters(g)
    take_columns(g)
    take_rate(g)
    everybody_works(host, d, client)


@pytest.mark.parametrize("listener", [0, 1], ids=["unix", "tcp"])
def test_two_take_all(host, start, client, listener):
    """Two users can have all but the reserve, which is enough for root, and by unix for a third user."""
    d = start()
    guests = [Guest(host, uid, d.targets[listener]) for uid in (GREEDY, GREEDY_TOO)]
    answers = [g.streams(FLAT, [flat(filter=f) for f in filters(64, first)]) for g, first in zip(guests, (20000, 21000))]
    check_greed(answers[0], 32, "user_share_percent")
    check_greed(answers[1], 58 - 32 if listener == 0 else 52 - 32, "different filters", "reserved_percent")
    for number, target in enumerate(d.targets, 30000):
        works_by_client(client, target, number)
        works_by_grpc(host, target, number + 100)
    if listener == 1:
        works_by_client(client, d.target, 30300, as_user(MODEST))


def test_control_may_have_all(host, start):
    """The role control may take a whole bound, and no more."""
    d = start()
    c = host.connect(d)
    streams = [host.enter(c.stream(filter=f, netns=["*"])) for f in filters(64)]
    assert all(s.next().HasField("stream_info") for s in streams)
    with c.stream(filter="sport = 1") as one_more:
        assert one_more.next() is None
        code, text = one_more.status()
        assert code == Code.RESOURCE_EXHAUSTED and "different filters: 64 of 64 are in use" in text
    limits = {limit.option: (limit.max, limit.current, limit.refused) for limit in c.status().limits}
    assert limits["filters"] == (64, 64, 1)


def test_the_share_can_be_changed(host, start):
    """A share that comes down takes nothing away; one that goes up holds at once."""
    d = start()
    g = Guest(host, GREEDY, d.target)
    take_filters(g)
    c = host.connect(d)
    config = c.get()
    config.options.limits.user_share_percent = 10
    c.set(config)
    assert used(d, host)["filters"] == 32
    answers = g.streams(FLAT, [flat(filter=filters(1)[0]), flat(filter="sport = 1")])  # one that it has, one that it has not
    check_greed(answers, 1, "its share is 6 of 64", "user_share_percent 10")
    config = c.get()
    config.options.limits.user_share_percent = 60
    config.options.limits.reserve.percent = 0
    c.set(config)
    check_greed(g.streams(FLAT, [flat(filter=f) for f in filters(10, 22000)]), 38 - 32, "its share is 38 of 64")


# ---- Memory ----

def limit(c, name):
    return next(found for found in c.status().limits if found.option == name)


def test_memory_of_streams_that_nobody_reads(host, start):
    """Rows that wait for one user's streams take the share of that user; another's stream loses none."""
    sockets = [host.keep(socket.create_server(("127.0.0.1", 0))) for _ in range(300)]
    d = start("--poll-frequency", "50ms", "--poll-timeout", "45ms", "--queue-memory-max", "16")
    c = host.connect(d.targets[0])
    g = Guest(host, GREEDY, d.targets[0])
    watch = host.keep(memory.Watch(d.pid))
    assert g.streams(FLAT, [flat(filter=f"sport > {n}") for n in range(32)] * 4) == [["OK", ""]] * 128
    until(lambda: limit(c, "queue_memory_max").refused > 1000, 20, "no room for more rows of the greedy one")
    with c.edges() as stream:
        polls = stream.polls(20)
    assert [p.end.rows_lost for p in polls] == [0] * 20
    assert min(p.end.sockets for p in polls) >= len(sockets)
    assert limit(c, "queue_memory_max").current <= 9 * memory.MIB  # its half, and what goes to root
    assert watch.peak - watch.start < 64 * memory.MIB or SLOW > 1  # a sanitizer keeps what is freed
    lost = [s.rows_lost for s in c.status().subscribers]
    assert len(lost) == 128 and min(lost) > 0
    g.end()
    until(lambda: limit(c, "queue_memory_max").current == 0, 10, "all of it is given back")


# ---- Connections and calls ----

def test_idle_connections(host, start, client):
    d = start("--calls-rate-max", "100000")  # or they would be turned away for coming too fast
    port = int(d.targets[1].rsplit(":", 1)[1])
    g = Guest(host, GREEDY, d.target)
    open_ones = g.connections("127.0.0.1", port, 4096)  # twice as many as there may be
    assert 1000 <= open_ones <= 1024
    everybody_works(host, d, client)


@pytest.mark.parametrize("listener", [0, 1], ids=["unix", "tcp"])
def test_open_calls(host, start, client, listener):
    d = start("--calls-max", "256")
    g = Guest(host, GREEDY, d.targets[listener])
    request = message("grpc.health.v1.HealthCheckRequest")()
    check_greed(g.streams("/grpc.health.v1.Health/Watch", [request] * 140), 128, "calls_max", "user_share_percent")
    everybody_works(host, d, client)
