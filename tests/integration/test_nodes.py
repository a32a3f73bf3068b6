"""xtcp2client with several daemons at once, played by this file."""

import json
import signal
import socket
import subprocess
import threading
import time
from concurrent import futures

import grpc
import pytest

from harness import paths
from harness.netns import free_port
from harness.waiting import bound
from test_client_scripted import (LIMIT, Daemon, Records, client, daemon, marked_poll, rec, rec_rpc, record,  # noqa: F401
                                  records_daemon, running, st, st_rpc)

NOBODY = "127.0.0.1:1"


def polls(poll_id, rows, **end):
    return lambda request, context: marked_poll(rec.PollFlatRecordsResponse, poll_id, rows, **end)


def go_like(reply, rows, polls=1, hold=None):
    """The messages of a daemon without markers: one record each, whatever it is asked."""
    for poll in range(polls):
        for i in range(rows):
            yield reply(xtcp_flat_record=record(i, 1_700_000_000_000_000_000 + poll))
    if hold:
        hold.wait(LIMIT)


# ---- Streams ----

def test_merged_stream(daemon):
    """Rows of one poll of a node are kept together, whatever the order of their coming."""
    turn = [threading.Event() for _ in range(2)]

    def first(request, context):
        yield rec.FlatRecordsResponse(poll_begin=rec.PollBegin(poll_id=1))
        yield rec.FlatRecordsResponse(envelope=rec.Envelope(row=[record(0, poll_id=1)]))
        turn[0].set()
        turn[1].wait(LIMIT)
        yield rec.FlatRecordsResponse(envelope=rec.Envelope(row=[record(1, poll_id=1)]))
        yield rec.FlatRecordsResponse(poll_end=rec.PollEnd(poll_id=1, sockets=2, namespaces=1))

    def second(request, context):
        turn[0].wait(LIMIT)
        *head, end = marked_poll(rec.FlatRecordsResponse, 2, 2)
        yield from head
        turn[1].set()  # before the last message, after which the client may have gone
        yield end

    a, b = records_daemon(daemon, stream=first), records_daemon(daemon, stream=second)
    r = client(a.target, "--target", b.target, "-o", "jsonl", "stream", "--polls", "1")
    assert r.returncode == 0, r.stderr
    rows = [json.loads(x) for x in r.stdout.splitlines()]
    assert [x["node"] for x in rows] in ([b.target] * 2 + [a.target] * 2, [a.target] * 2 + [b.target] * 2)
    assert f"{a.target}: poll 1: 2 sockets" in r.stderr and f"{b.target}: poll 2: 2 sockets" in r.stderr


@pytest.mark.parametrize("form", ["table", "csv", "tsv", "jsonl"])
def test_node_column(daemon, form):
    a, b = (records_daemon(daemon, poll=polls(1, 1)) for _ in range(2))
    r = client(f"{a.target},{b.target}", "-o", form, "snapshot")
    assert r.returncode == 0, r.stderr
    lines = r.stdout.splitlines()
    if form == "jsonl":
        assert sorted(json.loads(x)["node"] for x in lines) == sorted([a.target, b.target])
        return
    separator = {"table": None, "csv": ",", "tsv": "\t"}[form]
    assert lines[0].split(separator)[0].lower() == "node"
    found = [x.split(separator)[0] for x in lines if "192.0.2.1" in x]
    assert sorted(found) == sorted([a.target, b.target])


def test_one_target_has_no_node_column(daemon):
    a = records_daemon(daemon, poll=polls(1, 1))
    assert "node" not in json.loads(client(a.target, "-o", "jsonl", "snapshot").stdout)


def test_trouble_of_one(daemon):
    a = records_daemon(daemon, poll=polls(1, 2))
    r = client(a.target, "--target", NOBODY, "-o", "jsonl", "poll")
    assert r.returncode == 3
    assert len(r.stdout.splitlines()) == 2
    assert f"nothing listens at {NOBODY}" in r.stderr
    r = client(NOBODY, "--target", "127.0.0.1:2", "poll")
    assert r.returncode == 1 and r.stderr.count("nothing listens at") == 2


def test_stream_of_nobody():
    start = time.monotonic()
    r = client(NOBODY, "--target", "127.0.0.1:2", "stream")
    assert r.returncode == 1 and time.monotonic() - start < bound(5)


def test_lost_and_found(daemon):
    """The end of one is told once, the others go on, its return is picked up."""
    go_on, stop = threading.Event(), threading.Event()

    def steady(request, context):
        i = 0
        while context.is_active() and not stop.is_set():
            i += 1
            yield from marked_poll(rec.FlatRecordsResponse, i, 1)
            go_on.wait(0.05)

    def short(request, context):
        yield from marked_poll(rec.FlatRecordsResponse, 1, 1)
        context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")

    a, b = records_daemon(daemon, stream=steady), records_daemon(daemon, stream=short)
    with running("--target", a.target, "--target", b.target, "-q", "-o", "jsonl", "stream") as it:
        assert "trying again" in it.line(it.err, b.target)
        b.stop()
        for _ in range(5):
            assert a.target in it.line(it.out, a.target)
        records_daemon(daemon, port=b.port,
                       stream=lambda q, c: marked_poll(rec.FlatRecordsResponse, 99, 1))
        assert json.loads(it.line(it.out, '"poll_id":99'))["node"] == b.target
        assert it.line(it.err, "is back").startswith(f"xtcp2client: {b.target}")
        assert it.end(signal.SIGINT) == 0
    stop.set()


def test_count_is_of_all(daemon):
    a, b = (records_daemon(daemon, stream=lambda q, c: marked_poll(rec.FlatRecordsResponse, 1, 10)) for _ in range(2))
    r = client(a.target, "--target", b.target, "-q", "-o", "csv", "stream", "--count", "15", "--no-header")
    assert r.returncode == 0 and len(r.stdout.splitlines()) == 15


def test_refusals_are_final(daemon):
    def refuse(request, context):
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")
        yield

    a, b = records_daemon(daemon, stream=refuse), records_daemon(
        daemon, stream=lambda q, c: marked_poll(rec.FlatRecordsResponse, 1, 1))
    r = client(a.target, "--target", b.target, "-o", "null", "stream", "--polls", "1")
    assert r.returncode == 3 and f"{a.target} does not allow this" in r.stderr


def test_garbage_of_one(daemon):
    class Raw(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.stream_stream_rpc_method_handler(lambda requests, context: iter([b"\xff\xff\xff"]))

    a = records_daemon(daemon, poll=polls(1, 2))
    d = daemon()
    d.stop()
    d = Daemon((lambda servicer, server: server.add_generic_rpc_handlers((servicer,)), Raw()))
    try:
        r = client(a.target, "--target", d.target, "-o", "jsonl", "poll")
    finally:
        d.stop()
    assert r.returncode == 3 and len(r.stdout.splitlines()) == 2 and d.target in r.stderr


def test_polls_again_and_again(daemon):
    """A node that fails is asked again in the next round."""
    calls = []

    def flaky(request, context):
        calls.append(1)
        if len(calls) == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "later")
        yield from marked_poll(rec.PollFlatRecordsResponse, len(calls), 1)

    a, b = records_daemon(daemon, poll=polls(1, 1)), records_daemon(daemon, poll=flaky)
    r = client(a.target, "--target", b.target, "-o", "jsonl", "poll", "--count", "3", "--every", "50ms")
    assert r.returncode == 0, r.stderr  # what failed was made good
    nodes = [json.loads(x)["node"] for x in r.stdout.splitlines()]
    assert nodes.count(a.target) == 3 and nodes.count(b.target) == 2


# ---- Daemons without markers ----

def test_stream_without_markers(daemon):
    hold = threading.Event()
    a = records_daemon(daemon, stream=lambda q, c: go_like(rec.FlatRecordsResponse, 3, polls=3, hold=hold))
    b = records_daemon(daemon, stream=lambda q, c: marked_poll(rec.FlatRecordsResponse, 1, 2))
    r = client(a.target, "--target", b.target, "-o", "jsonl", "stream", "--polls", "1")
    hold.set()
    assert r.returncode == 0, r.stderr
    nodes = [json.loads(x)["node"] for x in r.stdout.splitlines()]
    assert nodes.count(b.target) == 2 and nodes.count(a.target) == 4  # the first of the next poll ends the one before
    assert f"{a.target}: poll of 2023-" in r.stderr


def test_poll_without_markers(daemon):
    a, b = (records_daemon(daemon, poll=lambda q, c: go_like(rec.PollFlatRecordsResponse, 4)) for _ in range(2))
    r = client(a.target, "--target", b.target, "-o", "jsonl", "poll")
    assert r.returncode == 0, r.stderr
    assert len(r.stdout.splitlines()) == 8 and r.stderr.count(": 4 sockets") == 2


def test_one_that_does_not_filter(daemon):
    """The daemon is asked again, for everything, and the client filters."""
    asked = []

    def simple(request, context):
        asked.append(bool(request.filter))
        if request.filter:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "filter")
        yield from go_like(rec.PollFlatRecordsResponse, 4)

    def filtering(request, context):
        assert request.filter
        yield rec.PollFlatRecordsResponse(stream_info=rec.StreamInfo(filter=request.filter))
        yield from marked_poll(rec.PollFlatRecordsResponse, 1, 1)

    a, b = records_daemon(daemon, poll=simple), records_daemon(daemon, poll=filtering)
    r = client(a.target, "--target", b.target, "-o", "jsonl", "poll", "sport = 1002")
    assert r.returncode == 0, r.stderr
    rows = [json.loads(x) for x in r.stdout.splitlines()]
    assert asked == [True, False]
    assert sorted((x["node"], x["inet_diag_msg_socket_source_port"]) for x in rows) == sorted([(a.target, 1002), (b.target, 1000)])


def test_services_that_are_not_there(daemon):
    """Of a daemon that has the stream alone."""
    a, b = (records_daemon(daemon, poll=lambda q, c: go_like(rec.PollFlatRecordsResponse, 1)) for _ in range(2))
    r = client(a.target, "--target", b.target, "namespaces")
    assert r.returncode == 1 and r.stderr.count("does not offer this: it is an older daemon") == 2


# ---- One after the other ----

class Status(st_rpc.StatusServiceServicer):
    def __init__(self, name):
        self.name = name

    def Get(self, request, context):
        return st.GetResponse(version=self.name)


def status_daemon(daemon, name):
    return daemon((st_rpc.add_StatusServiceServicer_to_server, Status(name)))


def test_unary(daemon):
    a, b = status_daemon(daemon, "one"), status_daemon(daemon, "two")
    r = client(a.target, "--target", b.target, "-o", "jsonl", "status")
    rows = [json.loads(x) for x in r.stdout.splitlines()]
    assert r.returncode == 0 and [(x["node"], x["version"]) for x in rows] == [(a.target, "one"), (b.target, "two")]
    assert list(rows[0])[0] == "node"
    r = client(a.target, "--target", b.target, "-o", "table", "status")
    assert f"{a.target}:\nversion     one\n" in r.stdout and f"\n\n{b.target}:\nversion     two\n" in r.stdout
    r = client(a.target, "--target", NOBODY, "-o", "jsonl", "status")
    assert r.returncode == 3 and len(r.stdout.splitlines()) == 1 and f"nothing listens at {NOBODY}" in r.stderr
    assert client(NOBODY, "--target", "127.0.0.1:2", "status").returncode == 1


@pytest.mark.parametrize("command", ["status", "poll", "stream"])
def test_silent_ones_are_waited_for_together(command):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(12)]
    targets = ",".join(f"127.0.0.1:{s.getsockname()[1]}" for s in sockets)
    start = time.monotonic()
    r = client(targets, "--connect-timeout", "1s", command)
    for s in sockets:
        s.close()
    assert r.returncode == 1 and r.stderr.count("does not answer in time") == 12, r.stderr
    assert time.monotonic() - start < bound(11)


def test_errors_name_the_node(daemon):
    class Refusing(st_rpc.StatusServiceServicer):
        def Get(self, request, context):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not today")

    a = status_daemon(daemon, "one")
    b = daemon((st_rpc.add_StatusServiceServicer_to_server, Refusing()))
    r = client(a.target, "--target", b.target, "-o", "jsonl", "status")
    assert r.returncode == 3 and r.stderr == f"xtcp2client: {b.target}: Get: not today (INVALID_ARGUMENT)\n"
    assert client(b.target, "status").stderr == "xtcp2client: Get: not today (INVALID_ARGUMENT)\n"


def test_for_one_target_only():
    for command in (["namespaces", "--watch"], ["apply", "-"]):
        r = client("127.0.0.1:1", "--target", "127.0.0.1:2", *command)
        assert r.returncode == 2 and "for one target" in r.stderr


# ---- Names ----

def test_targets_file_and_names(daemon, tmp_path):
    a, b = status_daemon(daemon, "one"), status_daemon(daemon, "two")
    targets = tmp_path / "targets"
    targets.write_text(f"# ours\n{a.target}\n\n  n2 # by name\n")
    config = tmp_path / "client.yaml"
    config.write_text(f"nodes: {{n1: '{a.target}', n2: '{b.target}'}}\ngroups: {{both: [n1, n2]}}\n")
    r = client("both", "--config", str(config), "-o", "jsonl", "status")
    assert [json.loads(x)["node"] for x in r.stdout.splitlines()] == ["n1", "n2"]
    r = client("n1", "--targets-file", str(targets), "--config", str(config), "-o", "jsonl", "status")
    assert [json.loads(x)["node"] for x in r.stdout.splitlines()] == ["n1", a.target, "n2"]


def test_all_addresses(daemon):
    a = status_daemon(daemon, "one")
    found = {x[4][0] for x in socket.getaddrinfo("localhost", a.port, type=socket.SOCK_STREAM)}
    r = client(f"dns-all:///localhost:{a.port}", "-o", "jsonl", "status")
    if len(found) == 1:
        assert r.returncode == 0 and json.loads(r.stdout)["version"] == "one"
    else:  # nobody listens at ::1
        assert r.returncode == 3 and json.loads(r.stdout)["node"] == a.target
    assert client(f"localhost:{a.port}", "--all-addresses", "-o", "jsonl", "status").stdout == r.stdout


def test_a_name_of_several_addresses(daemon, tmp_path):
    """Each address is a node of its own, those where nobody listens too."""
    a = status_daemon(daemon, "1")
    other = grpc.server(futures.ThreadPoolExecutor(max_workers=2), options=[("grpc.so_reuseport", 0)])
    st_rpc.add_StatusServiceServicer_to_server(Status("2"), other)
    assert other.add_insecure_port(f"127.0.0.2:{a.port}") == a.port
    other.start()
    hosts = tmp_path / "hosts"
    hosts.write_text("".join(f"127.0.0.{i} several.test\n" for i in (1, 2, 3)), encoding="ascii")
    r = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount --bind "$1" /etc/hosts; shift; exec "$@"', "sh", hosts,
                        paths.CLIENT, "--target", f"several.test:{a.port}", "--all-addresses", "-o", "jsonl", "status"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    other.stop(0).wait(LIMIT)
    assert r.returncode == 3, r.stderr
    rows = [json.loads(x) for x in r.stdout.splitlines()]
    assert sorted((x["node"], x["version"]) for x in rows) == [(f"127.0.0.{i}:{a.port}", str(i)) for i in (1, 2)]
    assert f"nothing listens at 127.0.0.3:{a.port}" in r.stderr


# ---- Many ----

@pytest.fixture
def crowded():
    """The address of a server that has a thread for each of many streams."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=220))
    rec_rpc.add_XTCPFlatRecordServiceServicer_to_server(Records(poll=polls(1, 3)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait(10)


def test_two_hundred(crowded, tmp_path):
    names = [f"n{i}: '{crowded}'" for i in range(200)]
    config = tmp_path / "client.yaml"
    config.write_text("nodes:\n  " + "\n  ".join(names) + "\ngroups:\n  all: [" + ", ".join(f"n{i}" for i in range(200)) + "]\n")
    start = time.monotonic()
    r = client("all", "--config", str(config), "-q", "-o", "jsonl", "poll")
    assert r.returncode == 0, r.stderr
    assert len(r.stdout.splitlines()) == 600
    assert len({json.loads(x)["node"] for x in r.stdout.splitlines()}) == 200
    assert time.monotonic() - start < bound(15)


def test_two_hundred_that_are_gone(tmp_path):
    targets = tmp_path / "targets"
    targets.write_text("".join(f"127.0.0.1:{i}\n" for i in range(1, 201)))
    r = client(NOBODY, "--targets-file", str(targets), "poll")
    assert r.returncode == 1
    lines = r.stderr.splitlines()
    assert 2 <= len(lines) < 200 and any("more lines like these" in x for x in lines)
