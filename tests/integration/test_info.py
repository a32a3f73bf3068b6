"""Health, reflection and the status."""

import os
import re
import socket
import subprocess
import time

import grpc
import pytest
from google.protobuf import descriptor_pb2

from harness import netns, paths
from harness.rpc import Code, message, record_pb
from harness.waiting import bound, until

SERVICES = {
    "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
    "xtcp_config.v1.ConfigService", "xtcp_flat_record.v1.XTCPFlatRecordService",
    "xtcp_focus.v1.FocusService",
    "xtcp_namespace.v1.NamespaceService", "xtcp_output.v1.OutputService", "xtcp_status.v1.StatusService",
}


# ---- Health ----

def test_health_of_every_service(client):
    for service in ("", *SERVICES):
        assert client.health(service) == "SERVING", service


def test_health_of_a_service_that_does_not_exist(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.health("nobody.v1.Nothing")
    assert caught.value.code() == Code.NOT_FOUND
    with client.watch_health("nobody.v1.Nothing") as watch:
        assert watch.next() == "SERVICE_UNKNOWN"


def test_health_watch_tells_the_present_first(client):
    with client.watch_health() as watch:
        assert watch.next() == "SERVING"
    with client.watch_health("xtcp_status.v1.StatusService") as watch:
        assert watch.next() == "SERVING"


def test_not_serving_until_the_first_poll_is_done(host):
    """A client that is there from the first moment sees the change, and at no time SERVING without a finished poll."""
    for _ in range(5):
        d = host.daemon("--poll-frequency", "1h", serving=False)
        c = host.connect(d)
        with c.watch_health() as watch:
            seen = [watch.next()]
            if seen[0] == "NOT_SERVING":
                seen.append(watch.next())
            assert seen[-1] == "SERVING"
            assert c.status().polls >= 1


def test_health_request_that_is_none(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.raw("/grpc.health.v1.Health/Check", b"\x0a\xff")
    assert caught.value.code() == Code.INVALID_ARGUMENT


# ---- Reflection ----

@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_all_services(client, version):
    (answer,) = client.reflect([{"list_services": ""}], version)
    assert {s.name for s in answer.list_services_response.service} == SERVICES


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_a_client_from_nothing_but_reflection(client, version):
    """All files that a service needs, each by its name: together a pool that the service can be called from."""
    from google.protobuf import descriptor_pool, message_factory
    files = {}

    def fetch(request):
        (answer,) = client.reflect([request], version)
        assert answer.WhichOneof("message_response") == "file_descriptor_response", answer
        for data in answer.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            files[file.name] = file
            for name in file.dependency:
                if name not in files:
                    fetch({"file_by_filename": name})
    for service in SERVICES:
        fetch({"file_containing_symbol": service})
    pool = descriptor_pool.DescriptorPool()
    added = set()

    def add(name):
        if name not in added:
            added.add(name)
            for dependency in files[name].dependency:
                add(dependency)
            pool.Add(files[name])
    for name in files:
        add(name)
    for service in SERVICES:
        assert pool.FindServiceByName(service).methods
    method = pool.FindServiceByName("xtcp_status.v1.StatusService").methods_by_name["Get"]
    factory = message_factory.MessageFactory(pool)
    answer = factory.GetPrototype(method.output_type).FromString(
        client.raw("/xtcp_status.v1.StatusService/Get", factory.GetPrototype(method.input_type)().SerializeToString()))
    assert answer.polls >= 1


@pytest.mark.parametrize("request_", [
    {"file_containing_symbol": "xtcp_config.v1.XtcpConfig"},
    {"file_containing_symbol": "xtcp_config.v1.ConfigService.Get"},
    {"file_containing_symbol": "xtcp_flat_record.v1.XtcpFlatRecord.CongestionAlgorithm"},
    {"file_by_filename": "google/protobuf/duration.proto"},
])
def test_reflection_finds(client, request_):
    (answer,) = client.reflect([request_])
    assert answer.HasField("file_descriptor_response")
    assert answer.original_request == message("grpc.reflection.v1.ServerReflectionRequest")(**request_)


@pytest.mark.parametrize("request_", [
    {"file_containing_symbol": "nobody.v1.Nothing"},
    {"file_containing_symbol": "x" * 5000},
    {"file_by_filename": "nowhere.proto"},
    {"file_containing_symbol": ""},
])
def test_reflection_does_not_find(client, request_):
    answers = client.reflect([request_, {"list_services": ""}])
    assert answers[0].error_response.error_code == Code.NOT_FOUND.value[0]
    assert answers[0].error_response.error_message
    assert answers[1].HasField("list_services_response")


def test_many_reflection_requests_on_one_stream(client):
    answers = client.reflect([{"list_services": ""}] * 100)
    assert len(answers) == 100


# ---- Status ----

def test_status(host):
    before = time.time_ns()
    d = host.daemon("--poll-frequency", "1h", "--hostname", "somewhere")
    c = host.connect(d)
    poll = c.poll()
    status = c.status()
    assert status.version == poll.rows[0].daemon_version
    assert before < status.start_time_ns < time.time_ns()
    assert 0 < status.uptime_ns < time.time_ns() - before
    assert status.kernel == os.uname().release
    assert status.hostname == "somewhere"
    assert status.polls == 2
    last = status.last_poll
    assert last.poll_id == poll.begin.poll_id == 2
    assert last.trigger == record_pb.POLL_TRIGGER_REQUEST
    assert last.timestamp_ns == poll.begin.timestamp_ns
    for name in ("duration_ns", "namespaces", "namespaces_empty", "namespaces_failed", "sockets", "dumps_interrupted"):
        assert getattr(last, name) == getattr(poll.end, name), name
    assert status.namespaces == 1
    assert status.sockets >= last.sockets
    assert not status.errors and not status.subscribers


def test_status_before_the_first_poll(host):
    """As early as can be: either there is no poll yet, and no last one, or there is one."""
    c = host.connect(host.daemon("--poll-frequency", "1h", serving=False))
    status = c.status()
    assert status.HasField("last_poll") == (status.polls > 0)


def test_times_in_the_status_are_of_one_clock(host):
    c = host.connect(host.daemon("--poll-frequency", "1h"))
    before = time.time_ns()
    status = c.status()
    assert before < status.timestamp_ns < time.time_ns()
    assert 0 <= status.timestamp_ns - status.start_time_ns - status.uptime_ns < 1e9
    wait = status.schedule.next_poll_ns - status.timestamp_ns
    assert 3500e9 < wait < 3600e9


def test_what_others_ask_for_leaves_the_full_figure(host):
    """A poll for a filter tells of the sockets that match; how many there are is still known, here and of namespaces."""
    s = host.keep(socket.socket())
    s.bind(("127.0.0.1", 0))
    s.listen(1)
    port = s.getsockname()[1]
    d = host.daemon("--poll-frequency", "1h")
    c = host.connect(d)
    full = c.status()
    assert full.last_poll.sockets > 1 and not full.last_poll.partial
    assert full.last_full_poll.poll_id == full.last_poll.poll_id == 1
    with c.poll_stream() as stream:
        stream.request(markers=True, filter=f"state listening and sport = {port}")
        stream.next_that(lambda m: m.HasField("poll_end"))
        status = c.status()
    assert status.last_poll.partial and status.last_poll.sockets == 1
    assert (status.last_full_poll.poll_id, status.last_full_poll.sockets) == (1, full.last_poll.sockets)
    (own,) = c.list_namespaces()
    assert (own.full_poll_id, own.last_poll_id, own.sockets) == (1, 2, full.last_poll.sockets)
    text = subprocess.run([str(paths.CLIENT), "--target", d.target, "-o", "table", "status"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=True, timeout=bound(20)).stdout
    assert re.search(r"^last poll   number 2 .*: 1 matching socket in 1 namespace, ", text, re.M), text
    assert re.search(rf"^last full   number 1 .*: {full.last_poll.sockets} sockets in 1 namespace, ", text, re.M), text
    assert c.poll().end.sockets > 1
    status = c.status()
    assert not status.last_poll.partial and status.last_full_poll.poll_id == 3


def test_sockets_that_nobody_has_counted_are_not_zero(host):
    ns = host.anonymous()
    d = host.daemon("--poll-frequency", "1h")
    c = host.connect(d)
    host.names_of(d).add("blue", ns.path)
    until(lambda: len(c.list_namespaces()) == 2, 2, "two namespaces")
    with c.poll_stream() as stream:
        stream.request(markers=True, filter="state listening")
        stream.next_that(lambda m: m.HasField("poll_end"))
    blue = next(n for n in c.list_namespaces() if n.cookie == ns.cookie)
    assert (blue.last_poll_id, blue.full_poll_id) == (2, 0)
    text = subprocess.run([str(paths.CLIENT), "--target", d.target, "-o", "table", "namespaces"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=bound(20)).stdout
    (row,) = [line.split() for line in text.splitlines() if line.startswith("blue")]
    assert row[:4] == ["blue", "named", "ready", "-"]


def test_cost_is_not_known_before_the_second_poll(host):
    c = host.connect(host.daemon("--poll-frequency", "1h"))
    assert not c.status().cost.measured
    c.poll()
    until(lambda: c.status().cost.measured, 5, "the second poll to be counted")
    assert c.status().cost.cpu_percent > 0


def test_subscribers_in_the_status(host):
    folder = host.folder()
    d = host.daemon("--poll-frequency", "1h", listen=["127.0.0.1:0", f"unix:{folder}/s"])
    tcp, unix = (host.connect(t) for t in d.targets)
    with tcp.edges() as first, unix.poll_stream() as second:
        until(lambda: tcp.status().subscribers, 5, "a subscriber")
        second.request(markers=True, batch_rows=1000)
        (poll,) = second.polls(1)
        first.polls(1)
        a, b = sorted(tcp.status().subscribers, key=lambda s: s.id)
    assert a.method.endswith("XTCPFlatRecordService/FlatRecords")
    assert b.method.endswith("XTCPFlatRecordService/PollFlatRecords")
    assert a.peer.startswith("127.0.0.1:")
    assert str(os.getpid()) in b.peer
    assert (a.id, b.id) == (1, 2)
    for s in (a, b):
        assert s.rows_delivered == poll.end.sockets
        assert (s.rows_lost, s.rows_queued) == (0, 0)
        assert s.since_ns > 0
    until(lambda: not tcp.status().subscribers, 5, "no subscriber")


def test_failed_namespaces_are_counted_by_kind(host):
    """A namespace that cannot be had is told in the poll, in the list and in the status; others are polled."""
    ns = host.anonymous()
    d = host.daemon("--poll-frequency", "1h")
    c = host.connect(d)
    names = host.names_of(d)
    names.add("blue", ns.path)
    until(lambda: len(c.list_namespaces()) == 2, 2, "two namespaces")
    with ns:
        for n in range(3000):
            s = host.keep(socket.socket())
            s.bind(("127.0.0.1", 20000 + n))
            s.listen(1)
    c.set_frequency(3600, 0.001)
    poll = until(lambda: next((p for p in [c.poll()] if p.end.namespaces_failed), None), 5,
                 "a poll that one millisecond is too short for")
    assert poll.end.namespaces + poll.end.namespaces_failed == poll.begin.namespaces == 2
    assert len(poll.rows) == poll.end.rows_sent
    error = poll.end.errors[0]
    assert error.code < 0 and error.text
    assert error.cookie in (ns.cookie, netns.own().cookie)
    status = c.status()
    assert status.last_poll.namespaces_failed == poll.end.namespaces_failed
    assert "namespace timed out" in {e.kind for e in status.errors}
    listed = next(n for n in c.list_namespaces() if n.cookie == error.cookie)
    assert listed.errors >= 1 and listed.last_error
    c.set_frequency(3600, 10)
    assert c.poll().end.namespaces_failed == 0
    listed = next(n for n in c.list_namespaces() if n.cookie == error.cookie)
    assert listed.last_error == ""
