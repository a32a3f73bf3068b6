"""xtcp2client against daemons that are played by this file: what no real daemon does on demand."""

import contextlib
import fcntl
import json
import os
import queue
import random
import re
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
from concurrent import futures

import grpc
import pytest
from google.protobuf import json_format

from harness.paths import CLIENT
from harness.pseudo_terminal import PseudoTerminal
from harness.waiting import bound, until
from xtcp_config.v1 import xtcp_config_pb2 as cfg
from xtcp_config.v1 import xtcp_config_pb2_grpc as cfg_rpc
from xtcp_flat_record.v1 import xtcp_flat_record_pb2 as rec
from xtcp_flat_record.v1 import xtcp_flat_record_pb2_grpc as rec_rpc
from xtcp_focus.v1 import xtcp_focus_pb2 as focus
from xtcp_namespace.v1 import xtcp_namespace_pb2 as ns
from xtcp_namespace.v1 import xtcp_namespace_pb2_grpc as ns_rpc
from xtcp_output.v1 import xtcp_output_pb2 as outp
from xtcp_output.v1 import xtcp_output_pb2_grpc as outp_rpc
from xtcp_status.v1 import xtcp_status_pb2 as st
from xtcp_status.v1 import xtcp_status_pb2_grpc as st_rpc

LIMIT = bound(20)  # seconds that any run may take


def record(i=0, timestamp=1_700_000_000_000_000_000, poll_id=0, netns="default"):
    return rec.XtcpFlatRecord(
        schema_version=1, timestamp_ns=timestamp, netns=netns, poll_id=poll_id,
        inet_diag_msg_family=2, inet_diag_msg_state=1,
        inet_diag_msg_socket_source=bytes([192, 0, 2, 1]), inet_diag_msg_socket_source_port=1000 + i,
        inet_diag_msg_socket_destination=bytes([198, 51, 100, 7]), inet_diag_msg_socket_destination_port=443,
        tcp_info_state=1, tcp_info_rtt=1200, congestion_algorithm_string="cubic")


class Records(rec_rpc.XTCPFlatRecordServiceServicer):
    """Answers with what |script| yields; |script| gets (request, context)."""

    def __init__(self, stream=None, poll=None):
        self.stream, self.poll = stream, poll

    def FlatRecords(self, request, context):
        yield from self.stream(request, context)

    def PollFlatRecords(self, requests, context):
        for request in requests:
            yield from self.poll(request, context)


def marked_poll(reply, poll_id, rows, **end):
    """A poll as this project's daemon sends it."""
    yield reply(poll_begin=rec.PollBegin(poll_id=poll_id, namespaces=1))
    yield reply(envelope=rec.Envelope(row=[record(i, poll_id=poll_id) for i in range(rows)]))
    fields = {"poll_id": poll_id, "sockets": rows, "namespaces": 1, "duration_ns": 3_100_000, **end}
    yield reply(poll_end=rec.PollEnd(**fields))


class Daemon:
    """A gRPC server with the given servicers, on a port of its own or the one given."""

    def __init__(self, *adders, port=0):
        self.server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)])
        for adder, servicer in adders:
            adder(servicer, self.server)
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        assert self.port
        self.server.start()
        self.target = f"127.0.0.1:{self.port}"

    def stop(self):
        self.server.stop(0).wait(10)


@pytest.fixture
def daemon():
    daemons = []

    def start(*adders, port=0):
        daemons.append(Daemon(*adders, port=port))
        return daemons[-1]

    yield start
    for each in daemons:
        each.stop()


def records_daemon(daemon, port=0, **scripts):
    return daemon((rec_rpc.add_XTCPFlatRecordServiceServicer_to_server, Records(**scripts)), port=port)


def client(target, *args, **kwargs):
    return subprocess.run([CLIENT, "--target", target, *args], stdin=kwargs.pop("stdin", subprocess.DEVNULL),
                          capture_output=True, text=True, timeout=LIMIT, **kwargs)


class Running:
    """A client that runs on; its lines arrive in queues."""

    def __init__(self, *args):
        self.process = subprocess.Popen([CLIENT, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.out, self.err = queue.Queue(), queue.Queue()
        for pipe, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            threading.Thread(target=lambda p=pipe, q=lines: [q.put(x) for x in p], daemon=True).start()

    def line(self, lines, containing=""):
        end = time.monotonic() + LIMIT
        while True:
            text = lines.get(timeout=max(0.01, end - time.monotonic()))
            if containing in text:
                return text

    def end(self, sig=None):
        if sig:
            self.process.send_signal(sig)
        return self.process.wait(LIMIT)


@contextlib.contextmanager
def running(*args):
    it = Running(*args)
    try:
        yield it
    finally:
        if it.process.poll() is None:
            it.process.kill()
        it.process.wait(LIMIT)


# ---- stream ----

def test_stream_asks_for_batches_and_markers(daemon):
    seen = []

    def stream(request, context):
        seen.append(request)
        for i in (1, 2, 3):
            yield from marked_poll(rec.FlatRecordsResponse, i, 4)

    d = records_daemon(daemon, stream=stream)
    r = client(d.target, "stream", "--polls", "2", "-o", "jsonl")
    assert r.returncode == 0
    assert seen[0].markers and seen[0].batch_rows > 1
    rows = [json.loads(x) for x in r.stdout.splitlines()]
    assert [x["poll_id"] for x in rows] == [1] * 4 + [2] * 4
    assert r.stderr.splitlines() == [f"poll {i}: 4 sockets in 1 namespace, 3.1ms; 0 lost" for i in (1, 2)]


def test_stream_count_ends_in_the_middle(daemon):
    d = records_daemon(daemon, stream=lambda q, c: marked_poll(rec.FlatRecordsResponse, 1, 10))
    r = client(d.target, "stream", "--count", "3", "-o", "jsonl", "-q")
    assert r.returncode == 0 and len(r.stdout.splitlines()) == 3 and r.stderr == ""


@pytest.mark.parametrize("form", ["table", "jsonl", "protojson", "csv", "null"])
def test_formats(daemon, form):
    d = records_daemon(daemon, stream=lambda q, c: marked_poll(rec.FlatRecordsResponse, 1, 2))
    r = client(d.target, "-o", form, "stream", "--polls", "1")
    lines = r.stdout.splitlines()
    assert r.returncode == 0
    assert len(lines) == {"table": 3, "jsonl": 2, "protojson": 2, "csv": 3, "null": 0}[form]
    if form == "protojson":
        assert json.loads(lines[0])["inetDiagMsgSocketSource"] == "wAACAQ=="
    if form in ("table", "jsonl", "csv"):
        assert "192.0.2.1" in lines[-1] and "ESTABLISHED" in lines[-1]


def test_stream_of_a_daemon_without_markers(daemon):
    """One record per message, nothing else: polls are told apart by their time."""
    def stream(request, context):
        for poll in range(3):
            for i in range(2):
                yield rec.FlatRecordsResponse(xtcp_flat_record=record(i, 1_700_000_000_000_000_000 + poll))

    d = records_daemon(daemon, stream=stream)
    r = client(d.target, "stream", "--polls", "2", "-o", "jsonl")
    assert r.returncode == 0
    assert len(r.stdout.splitlines()) == 5  # the first record of the third poll ends the second
    assert r.stderr.count(": 2 sockets") == 2


def test_rows_are_seen_before_the_poll_ends(daemon):
    go_on = threading.Event()

    def stream(request, context):
        yield rec.FlatRecordsResponse(poll_begin=rec.PollBegin(poll_id=1))
        yield rec.FlatRecordsResponse(envelope=rec.Envelope(row=[record()]))
        go_on.wait(LIMIT)

    d = records_daemon(daemon, stream=stream)
    for form in ("table", "jsonl"):
        with running("--target", d.target, "-o", form, "stream") as it:
            it.line(it.out, "192.0.2.1")
            assert it.end(signal.SIGINT) == 0
    go_on.set()


def test_losses_and_failures_are_told(daemon):
    failed = [rec.NamespaceError(name="bl\x1bue", inode=7, text="timed out")]
    d = records_daemon(daemon, stream=lambda q, c: marked_poll(
        rec.FlatRecordsResponse, 1, 1, rows_lost=5, namespaces_failed=1, errors=failed))
    r = client(d.target, "-q", "stream", "--polls", "1", "-o", "null")
    assert r.returncode == 0
    assert "5 lost" in r.stderr and "namespace bl\\x1bue (inode 7): timed out" in r.stderr


def test_reconnects(daemon):
    def stream(request, context):
        yield from marked_poll(rec.FlatRecordsResponse, 1, 1)
        context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")

    first = records_daemon(daemon, stream=stream)
    with running("--target", first.target, "-o", "jsonl", "stream", "--polls", "2") as it:
        assert "trying again in" in it.line(it.err, "stopping")
        first.stop()
        it.line(it.err, "nothing listens")
        records_daemon(daemon, port=first.port, stream=lambda q, c: marked_poll(rec.FlatRecordsResponse, 7, 1))
        start = time.monotonic()
        assert json.loads(it.line(it.out, '"poll_id":7'))
        assert time.monotonic() - start < bound(3)  # the next attempt finds it: 2.4 s at most
        assert it.end() == 0


def test_refusal_is_final(daemon):
    def stream(request, context):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "batch_rows: 256: must be at most 7")
        yield

    d = records_daemon(daemon, stream=stream)
    r = client(d.target, "stream")
    assert r.returncode == 1
    assert "batch_rows: 256: must be at most 7" in r.stderr


def test_timeout_of_a_stream(daemon):
    def stream(request, context):
        yield from marked_poll(rec.FlatRecordsResponse, 1, 1)
        while context.is_active():
            time.sleep(0.01)

    d = records_daemon(daemon, stream=stream)
    assert client(d.target, "stream", "--timeout", "300ms").returncode == 0
    r = client(d.target, "stream", "--timeout", "300ms", "--polls", "5")
    assert r.returncode == 1 and "1 complete poll" in r.stderr


def test_reader_leaves(daemon):
    """`stream | head -1`: the client ends although no more records come, quietly and with 0."""
    def stream(request, context):
        yield from marked_poll(rec.FlatRecordsResponse, 1, 5)
        while context.is_active():
            time.sleep(0.01)

    d = records_daemon(daemon, stream=stream)
    p = subprocess.Popen([CLIENT, "--target", d.target, "-q", "-o", "jsonl", "stream"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    p.stdout.readline()
    p.stdout.close()
    assert p.wait(LIMIT) == 0
    assert p.stderr.read() == ""
    p.stderr.close()


def waiting_bytes(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))[0]


def test_reader_that_does_not_read(daemon):
    """A pager that waits for a key does not keep the client from being ended."""
    def stream(request, context):
        for i in range(1, 1000):
            yield from marked_poll(rec.FlatRecordsResponse, i, 200)

    d = records_daemon(daemon, stream=stream)
    p = subprocess.Popen([CLIENT, "--target", d.target, "-q", "-o", "jsonl", "stream"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    first = p.stdout.read(1)  # from here on it is stuck with a full pipe
    until(lambda: waiting_bytes(p.stdout) > 50000, 10, "the pipe to be full")
    p.send_signal(signal.SIGTERM)
    assert p.wait(LIMIT) == 0
    assert first == b"{"
    p.stdout.close()


def test_closed_standard_output(daemon):
    d = records_daemon(daemon, stream=lambda q, c: marked_poll(rec.FlatRecordsResponse, 1, 1))
    r = subprocess.run(f"exec {CLIENT} --target {d.target} -q stream --polls 1 >&-", shell=True, text=True,
                       stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=LIMIT)
    assert r.returncode == 1 and "standard output" in r.stderr


def test_full_disk():
    with open("/dev/full", "w") as full:
        r = subprocess.run([CLIENT, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    assert r.returncode == 1


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_stream(daemon, sig):
    def stream(request, context):
        yield from marked_poll(rec.FlatRecordsResponse, 1, 1)
        while context.is_active():
            time.sleep(0.01)

    d = records_daemon(daemon, stream=stream)
    with running("--target", d.target, "-o", "jsonl", "stream") as it:
        it.line(it.out)
        assert it.end(sig) == 0


def test_signal_while_waiting_to_reconnect(daemon):
    def stream(request, context):
        yield from marked_poll(rec.FlatRecordsResponse, 1, 1)

    d = records_daemon(daemon, stream=stream)
    with running("--target", d.target, "-o", "null", "stream") as it:
        it.line(it.err, "has ended the stream; trying again in")
        start = time.monotonic()
        assert it.end(signal.SIGINT) == 0
        assert time.monotonic() - start < bound(0.6)


# ---- poll ----

def polls_of(replies):
    ids = iter(range(1, 100))
    return lambda q, c: replies(rec.PollFlatRecordsResponse, next(ids))


def test_polls(daemon):
    d = records_daemon(daemon, poll=polls_of(lambda reply, i: marked_poll(reply, i, 2)))
    r = client(d.target, "poll", "--count", "3", "-o", "jsonl")
    assert r.returncode == 0
    assert [json.loads(x)["poll_id"] for x in r.stdout.splitlines()] == [1, 1, 2, 2, 3, 3]
    start = time.monotonic()
    assert client(d.target, "poll", "--count", "3", "--every", "200ms").returncode == 0
    assert time.monotonic() - start >= 0.4


def test_poll_of_a_daemon_without_markers(daemon):
    d = records_daemon(daemon, poll=polls_of(
        lambda reply, i: (reply(xtcp_flat_record=record(n, 1_700_000_000_000_000_000 + i)) for n in range(3))))
    r = client(d.target, "poll", "--count", "2", "-o", "jsonl")
    assert r.returncode == 0
    assert len(r.stdout.splitlines()) == 6
    assert r.stderr.count(": 3 sockets") == 2


def test_poll_that_breaks_off(daemon):
    def poll(request, context):
        yield rec.PollFlatRecordsResponse(poll_begin=rec.PollBegin(poll_id=1))
        yield rec.PollFlatRecordsResponse(envelope=rec.Envelope(row=[record()]))
        context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")

    d = records_daemon(daemon, poll=poll)
    r = client(d.target, "poll", "-o", "jsonl")
    assert r.returncode == 1
    assert len(r.stdout.splitlines()) == 1 and "stopping" in r.stderr


def test_poll_timeout(daemon):
    def poll(request, context):
        yield rec.PollFlatRecordsResponse(poll_begin=rec.PollBegin(poll_id=1))
        while context.is_active():
            time.sleep(0.01)

    d = records_daemon(daemon, poll=poll)
    r = client(d.target, "poll", "--timeout", "300ms")
    assert r.returncode == 1 and "time is over" in r.stderr


# ---- hostile daemons ----

class Raw(grpc.GenericRpcHandler):
    """Answers every call with the same bytes, whatever they are."""

    def __init__(self, payload):
        self.payload = payload

    def service(self, details):
        if "FlatRecords" in details.method or "Watch" in details.method:
            return grpc.stream_stream_rpc_method_handler(lambda requests, context: iter([self.payload]))
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self.payload)


@pytest.mark.parametrize("arguments", [[], ["--columns", "state,local"]])
def test_watch_of_a_state_without_a_name(arguments):
    tick = focus.WatchResponse(tick=1, sockets=2, rows=rec.Envelope(row=[record()]))
    tick.rows.row[0].inet_diag_msg_state = 99
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers((Raw(tick.SerializeToString()),))
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        r = client(target, "watch", "-o", "table", "--count", "1", *arguments, "sport = 1000")
        assert r.returncode == 0 and "99" in r.stdout.split() and "192.0.2.1:1000" in r.stdout
    finally:
        server.stop(None)


class Status(st_rpc.StatusServiceServicer):
    def __init__(self, reply):
        self.reply = reply

    def Get(self, request, context):
        return self.reply


class Namespaces(ns_rpc.NamespaceServiceServicer):
    def __init__(self, reply):
        self.reply = reply

    def List(self, request, context):
        return self.reply


class Outputs(outp_rpc.OutputServiceServicer):
    """Has |list|; a watch ends with its |events|, a test is answered with |test|."""

    def __init__(self, *outputs):
        self.list, self.events, self.test, self.requests = outp.ListResponse(outputs=outputs), [], outp.TestResponse(), []

    def List(self, request, context):
        return self.list

    def Watch(self, request, context):
        yield from self.events
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no more")

    def _state(self, what, request, context, reply):
        self.requests.append((what, request.name))
        for o in self.list.outputs:
            if o.name == request.name:
                return reply(output=o)
        return context.abort(grpc.StatusCode.NOT_FOUND, f'there is no output "{request.name}"')

    def Pause(self, request, context):
        return self._state("pause", request, context, outp.PauseResponse)

    def Resume(self, request, context):
        return self._state("resume", request, context, outp.ResumeResponse)

    def Flush(self, request, context):
        return self._state("flush", request, context, outp.FlushResponse)

    def Test(self, request, context):
        self.requests.append(("test", request.name))
        return self.test


def status_text(daemon, *args, **reply):
    d = daemon((st_rpc.add_StatusServiceServicer_to_server, Status(st.GetResponse(**reply))))
    done = client(d.target, *(args or ("-o", "table")), "status")
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout


@pytest.mark.parametrize("clock", [1_000_000_000_000_000_000, 4_000_000_000_000_000_000])
@pytest.mark.parametrize("told", [True, False])
def test_status_of_a_daemon_with_another_clock(daemon, clock, told):
    """Waits are told by the clock of the daemon, not by the one that this machine has."""
    second = 10**9
    text = status_text(daemon, start_time_ns=clock - 90 * second, uptime_ns=90 * second,
                       timestamp_ns=clock if told else 0,
                       schedule=st.Schedule(interval_ns=5 * second, next_poll_ns=clock + 3 * second,
                                            burst=st.Burst(polls=9, left=4, interval_ns=second,
                                                           next_poll_ns=clock + 2 * second)))
    assert "every 5s, the next one in 3s\n" in text
    assert "4 of 9 polls to come, 1s apart, the next one in 2s\n" in text


def filled(message):
    """|message| with a value other than zero in every field, the messages within it too."""
    for n, field in enumerate(message.DESCRIPTOR.fields):
        if field.type == field.TYPE_MESSAGE:
            inner = getattr(message, field.name)
            filled(inner.add() if field.label == field.LABEL_REPEATED else inner)
        elif field.type == field.TYPE_ENUM:
            setattr(message, field.name, 1 + n % (len(field.enum_type.values) - 1))
        else:
            value = f"{field.name} {n}" if field.type == field.TYPE_STRING else True if field.type == field.TYPE_BOOL else n + 1
            if field.label == field.LABEL_REPEATED:
                getattr(message, field.name).extend([value, value])
            else:
                setattr(message, field.name, value)
    return message


def test_reports_have_all_fields(daemon):
    """Whatever field a message gets: protojson and jsonl have it."""
    status, list_, outputs = filled(st.GetResponse()), filled(ns.ListResponse()), Outputs()
    outputs.list, outputs.test = filled(outp.ListResponse()), filled(outp.TestResponse())
    outputs.events = [filled(outp.OutputEvent())]
    d = daemon((st_rpc.add_StatusServiceServicer_to_server, Status(status)),
               (ns_rpc.add_NamespaceServiceServicer_to_server, Namespaces(list_)),
               (outp_rpc.add_OutputServiceServicer_to_server, outputs))
    for words, message in ((["status"], status), (["namespaces"], list_.namespaces[0]),
                           (["outputs"], outputs.list.outputs[0]), (["outputs", "--watch"], outputs.events[0]),
                           (["outputs", "flush", "name 0"], outputs.list.outputs[0]),
                           (["outputs", "test", "name 0"], outputs.test.test)):
        told = json_format.Parse(client(d.target, "-o", "protojson", *words).stdout, type(message)())
        assert told == message, words
        by_name = json.loads(client(d.target, "-o", "jsonl", *words).stdout)
        assert {f.name for f in message.DESCRIPTOR.fields} <= by_name.keys(), words


def test_status_does_not_tell_what_was_not_measured(daemon):
    text = status_text(daemon, cost=st.Cost())
    assert "cost        - of a CPU, - in memory, - threads; last poll -, - per socket\n" \
           "            - kernel, - parsing and encoding, - passing on\n" in text
    assert json.loads(status_text(daemon, "-o", "jsonl", cost=st.Cost()))["cost"]["cpu_percent"] is None
    told = json.loads(status_text(daemon, "-o", "jsonl", cost=st.Cost(measured=True)))["cost"]
    assert told["cpu_percent"] == 0 and told["measured"] is True
    assert "cost        0.00% of a CPU, " in status_text(daemon, cost=st.Cost(measured=True))
    assert "rows lost" not in text
    assert "rows lost   5 for want of room in the daemon, 6 after" in status_text(daemon, rows_dropped=5, rows_late=6)
    text = status_text(daemon, last_poll=st.PollSummary(poll_id=2, partial=True, sockets=2),
                       cost=st.Cost(last_poll_cpu_ns=2000, last_socket_cpu_ns=1000))
    assert "2 matching sockets in 0 namespaces" in text and "last poll 2us, 1us per matching socket\n" in text


def test_changes_show_what_was_changed(daemon):
    """On a narrow terminal, too: of long values that part is shown in which they differ, and all of it."""
    many = [f"/run/some/folder/{i}" for i in range(8)]
    other = many[:5] + ["/run/other"] + many[6:]
    long = "x" * 150
    change = st.ConfigChange(generation=2, timestamp_ns=10**18, origin="Set", peer="unix pid=1234567 uid=0", options=[
        st.OptionChange(name="netns_dirs", before=",".join(many), after=",".join(other)),
        st.OptionChange(name="label", before="rack 7", after="rack 8"),
        st.OptionChange(name="location", before="", after=long)])
    d = daemon((st_rpc.add_StatusServiceServicer_to_server, Status(st.GetResponse(changes=[change]))))
    terminal = PseudoTerminal([CLIENT, "--target", d.target, "changes"], 80)
    assert terminal.end() == 0
    text = terminal.text
    assert re.search(r"netns_dirs +\.\.\./run/some/folder/5\.\.\. +\.\.\./run/other\.\.\.\s", text), text
    assert re.search(r"label +rack 7 +rack 8\s", text) and f" {long}\r\n" in text, text


# ---- outputs ----

ARCHIVE = outp.OutputStatus(name="archive", to="file:/var/log/a", format="jsonl", state=outp.OUTPUT_STATE_RUNNING,
                            rows_sent=1200, bytes_sent=2_000_000, rows_queued=3, bytes_queued=999, last_success_ns=2)
FAR = outp.OutputStatus(name="far", to="tcp:192.0.2.1:5170", format="proto", state=outp.OUTPUT_STATE_RETRYING, last_failure_ns=2,
                        last_error="connection refused", spool_bytes=1 << 30, bytes_spooled=4000,
                        dropped=[outp.DroppedRows(reason="queue_full", rows=3), outp.DroppedRows(reason="too_old", rows=4)])


def outputs_daemon(daemon, *outputs):
    servicer = Outputs(*outputs)
    d = daemon((outp_rpc.add_OutputServiceServicer_to_server, servicer))
    d.servicer = servicer
    return d


def test_outputs_in_a_table(daemon):
    d = outputs_daemon(daemon, ARCHIVE, FAR)
    r = client(d.target, "-o", "table", "outputs")
    assert r.returncode == 0 and r.stderr == "", r
    titles, archive, far = r.stdout.splitlines()
    assert titles.split() == ["NAME", "STATE", "TO", "FORMAT", "SENT", "BYTES", "DROPPED", "QUEUE", "SPOOL", "LAST", "ERROR"]
    assert archive.split() == ["archive", "running", "file:/var/log/a", "jsonl", "1200", "2MB", "0", "999B", "-", "-"]
    assert far.split()[:9] == ["far", "retrying", "tcp:192.0.2.1:5170", "proto", "0", "0B", "7", "0B", "4kB"]
    assert far.endswith("connection refused")


def test_no_outputs(daemon):
    r = client(outputs_daemon(daemon).target, "outputs")
    assert (r.returncode, r.stdout) == (0, "") and "there are no outputs" in r.stderr


def test_outputs_are_watched(daemon):
    d = outputs_daemon(daemon, ARCHIVE)
    d.servicer.events = [outp.OutputEvent(output=ARCHIVE, initial=True), outp.OutputEvent(output=FAR),
                         outp.OutputEvent(output=outp.OutputStatus(name="far"), removed=True)]
    r = client(d.target, "-o", "table", "outputs", "--watch")
    assert r.returncode == 1 and "no more" in r.stderr
    first, second, third = (line.split("Z  ", 1)[1] for line in r.stdout.splitlines())
    assert first == "archive       running   file:/var/log/a, 1200 rows sent"
    assert second == "far           retrying  tcp:192.0.2.1:5170, 0 rows sent, 7 dropped: connection refused"
    assert third == "far           removed"
    told = [json.loads(line) for line in client(d.target, "-o", "jsonl", "outputs", "--watch").stdout.splitlines()]
    assert [(x["output"]["name"], x["initial"], x["removed"]) for x in told] == [
        ("archive", True, False), ("far", False, False), ("far", False, True)]


@pytest.mark.parametrize("action", ["pause", "resume", "flush"])
def test_an_output_is_paused(daemon, action):
    d = outputs_daemon(daemon, ARCHIVE)
    r = client(d.target, "-o", "table", "outputs", action, "archive")
    assert (r.returncode, r.stdout) == (0, "archive       running   file:/var/log/a, 1200 rows sent\n"), r
    r = client(d.target, "outputs", action, "nothing")
    assert r.returncode == 1 and r.stdout == "" and 'there is no output "nothing" (NOT_FOUND)' in r.stderr
    assert d.servicer.requests == [(action, "archive"), (action, "nothing")]


def test_an_output_is_tested(daemon):
    d = outputs_daemon(daemon, ARCHIVE)
    d.servicer.test = outp.TestResponse(test=outp.OutputTest(delivered=True, bytes=163, duration_ns=1_200_000))
    r = client(d.target, "-o", "table", "outputs", "test", "archive")
    assert (r.returncode, r.stdout) == (0, "archive: delivered 163B in 1.2ms\n")
    d.servicer.test = outp.TestResponse(test=outp.OutputTest(error="connection refused", duration_ns=2_000))
    r = client(d.target, "-o", "table", "outputs", "test", "archive")
    assert (r.returncode, r.stdout) == (1, "archive: not delivered, after 2us: connection refused\n")
    r = client(d.target, "-o", "jsonl", "outputs", "test", "archive")
    assert r.returncode == 1 and json.loads(r.stdout) == {
        "delivered": False, "error": "connection refused", "bytes": 0, "duration_ns": 2000}


def test_outputs_of_several_daemons(daemon):
    a, b = outputs_daemon(daemon, ARCHIVE), outputs_daemon(daemon, FAR)
    r = client(a.target, "-t", b.target, "-o", "jsonl", "outputs")
    assert r.returncode == 0
    assert [(x["node"], x["name"]) for x in map(json.loads, r.stdout.splitlines())] == [
        (a.target, "archive"), (b.target, "far")]
    r = client(a.target, "-t", b.target, "outputs", "pause", "far")
    assert r.returncode == 3 and "no output" in r.stderr
    assert a.servicer.requests == b.servicer.requests == [("pause", "far")]
    assert client(a.target, "-t", b.target, "outputs", "--watch").returncode == 2


@pytest.mark.parametrize("words, told", [
    (["pause"], "needs the name of one output"), (["pause", "a", "b"], "needs the name of one output"),
    (["stop", "a"], "expected one of add, remove, pause"), (["--watch", "pause", "a"], "--watch"),
    (["--to", "null:"], "are for outputs add"), (["pause", "a", "--set", "x=1"], "are for outputs add"),
    (["--dry-run"], "--dry-run is for"), (["add", "a"], "--to URL")])
def test_words_behind_outputs(daemon, words, told):
    d = outputs_daemon(daemon, ARCHIVE)
    r = client(d.target, "outputs", *words)
    assert r.returncode == 2 and r.stdout == "" and told in r.stderr, r
    assert d.servicer.requests == []


def test_outputs_are_changed(config_daemon):
    """All of the others go back as they came, for the generation that was read."""
    servicer = config_daemon.servicer
    old = servicer.config.options.outputs.output.add(name="old", to="http://u:***@h/", filter="state == ESTABLISHED", queue=1 << 20)
    old.options["password"] = "***"
    r = client(config_daemon.target, "outputs", "add", "archive", "--to", "file:/var/log/xtcp2/a", "--format", "jsonl", "--filter",
               "dport = 443", "--set", "queue=64MiB", "--set", "columns=netns,poll_id", "--set", "rotate_size=1GiB")
    assert r.returncode == 0, r
    request = servicer.requests.pop()
    assert request.config.generation == 3 and not request.dry_run and not request.reset
    kept, new = request.config.options.outputs.output
    assert kept == old
    assert (new.name, new.to, new.format, new.filter, new.queue) == (
        "archive", "file:/var/log/xtcp2/a", "jsonl", "dport = 443", 64 << 20)
    assert list(new.columns) == ["netns", "poll_id"] and dict(new.options) == {"rotate_size": "1GiB"}
    r = client(config_daemon.target, "outputs", "remove", "old", "--dry-run")
    assert r.returncode == 0, r
    request = servicer.requests.pop()
    assert request.config.HasField("options") and request.config.options.HasField("outputs")
    assert request.dry_run and not request.config.options.outputs.output
    assert request.config.generation == 3 and request.config.label == ""


def test_outputs_that_cannot_be_changed(config_daemon):
    for words, code, told in (
            (["remove", "old"], 1, 'there is no output "old"'), (["remove", "default"], 1, "set dest=null:"),
            (["add", "a", "--to", "null:", "--set", "queue=much"], 2, "queue: value \"much\" is not a size"),
            (["add", "a", "--to", "null:", "--set", "queue"], 2, "expected KEY=VALUE"),
            (["add", "a b", "--to", "null:"], 2, "name: ")):
        r = client(config_daemon.target, "outputs", *words)
        assert r.returncode == code and told in r.stderr and r.stdout == "", r
    assert config_daemon.servicer.requests == []


def test_numbers_at_their_ends():
    """No difference or share of such numbers fits into what they are computed with."""
    least, most = -2**63, 2**64 - 1
    reply = st.GetResponse(
        schedule=st.Schedule(next_poll_ns=least, burst=st.Burst(left=1, next_poll_ns=least)),
        cost=st.Cost(cpu_ns=1, collect_cpu_ns=most, collect_kernel_ns=most, fan_out_cpu_ns=most, cpu_percent=1e300))
    ticks = [focus.WatchResponse(tick=i + 1, sockets=1, timestamp_ns=t, rows=rec.Envelope(row=[record(0, t)]))
             for i, t in enumerate((2**63 - 1, least, 2**63 - 1))]

    class Ends(Raw):
        def service(self, details):
            if "Watch" in details.method:
                return grpc.stream_stream_rpc_method_handler(
                    lambda requests, context: iter([t.SerializeToString() for t in ticks]))
            return super().service(details)

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers((Ends(reply.SerializeToString()),))
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        for arguments in (["status"], ["watch", "--count", "3", "sport = 1000"]):
            r = client(target, "-o", "table", *arguments)
            assert r.returncode == 0 and r.stderr == "", r
    finally:
        server.stop(None)


@pytest.mark.parametrize("payload", [
    b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x03\x01\x02", b"\xa2\x06\x03\x52\x01\xff", b"\x0b" * 30,
    b"\x0a\x08\xfa\x0c\x05\x0a\x03\x0a\x01", os.urandom(300)])
def test_garbage(payload, tmp_path):
    change = tmp_path / "change.json"
    change.write_text('{"label": "x"}')
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers((Raw(payload),))
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        for args in (["stream", "-o", "table"], ["poll"], ["get"], ["status"], ["namespaces"], ["namespaces", "--watch"],
                     ["outputs"], ["outputs", "--watch"], ["outputs", "pause", "a"], ["outputs", "test", "a"],
                     ["outputs", "remove", "a"], ["burst", "--count", "1", "--interval", "3s"], ["health"], ["apply", str(change)],
                         ["watch", "-o", "table", "sport = 1"]):
            r = client(target, *args, "--timeout", "400ms", stdin=subprocess.DEVNULL)
            assert r.returncode in (0, 1), (args, r)
            assert "Sanitizer" not in r.stderr
    finally:
        server.stop(0).wait(10)


def test_hostile_texts(daemon):
    """Nothing that came from elsewhere makes the terminal do anything."""
    evil = "\x1b]0;x\x07\n\u202e\u009b\u200f\u200b\u2028\u2029\U000e0001"

    class Namespaces(ns_rpc.NamespaceServiceServicer):
        def List(self, request, context):
            return ns.ListResponse(namespaces=[ns.Namespace(names=[evil], found_at=[evil], last_error=evil)])

        def Watch(self, request, context):
            yield ns.NamespaceEvent(type=99, namespace=ns.Namespace(names=[evil], kind=99, last_error=evil))
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no more")

    class Status(st_rpc.StatusServiceServicer):
        def Get(self, request, context):
            return st.GetResponse(version=evil, kernel=evil, hostname=evil,
                                  last_poll=st.PollSummary(errors=[rec.NamespaceError(name=evil, text=evil)]),
                                  subscribers=[st.Subscriber(peer=evil, method=evil)],
                                  errors=[st.ErrorCount(kind=evil, count=2**64 - 1)],
                                  gaps=[st.CapabilityGap(capability=evil, effect=evil)])

    outputs = Outputs(outp.OutputStatus(name=evil, to=evil, format=evil, state=99, last_error=evil))
    outputs.events = [outp.OutputEvent(output=outputs.list.outputs[0])]
    outputs.test = outp.TestResponse(test=outp.OutputTest(error=evil))
    d = daemon((ns_rpc.add_NamespaceServiceServicer_to_server, Namespaces()),
               (outp_rpc.add_OutputServiceServicer_to_server, outputs),
               (st_rpc.add_StatusServiceServicer_to_server, Status()),
               (rec_rpc.add_XTCPFlatRecordServiceServicer_to_server, Records(
                   stream=lambda q, c: iter([rec.FlatRecordsResponse(xtcp_flat_record=record(netns=evil))] * 2))))
    for args in (["namespaces"], ["namespaces", "--watch"], ["outputs"], ["outputs", "--watch"], ["outputs", "test", "a"],
                 ["status"], ["stream", "--count", "1"]):
        for form in ("table", "jsonl"):
            r = client(d.target, "-o", form, *args)
            both = r.stdout + r.stderr
            for bad in evil.translate({ord(c): None for c in "]0;x\n"}):
                assert bad not in both, (args, form)
            if form == "jsonl":
                for text in r.stdout.splitlines():
                    json.loads(text)


# ---- no daemon ----

def test_nobody_there():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{s.getsockname()[1]}"
        for args in (["stream"], ["poll"], ["get"], ["status"], ["namespaces", "--watch"], ["health"]):
            start = time.monotonic()
            r = client(target, *args)
            assert r.returncode == 1 and r.stdout == ""
            assert r.stderr == (f"xtcp2client: nothing listens at {target}: is xtcp2 running there? "
                                "(--target names another place)\n")
            assert time.monotonic() - start < bound(3)


def test_no_socket(tmp_path):
    r = client(f"unix:{tmp_path}/none", "get")
    assert r.returncode == 1 and "there is no socket at unix:" in r.stderr


def test_health_waits_for_the_start(daemon):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    with running("--target", f"127.0.0.1:{port}", "health", "--wait", "--timeout", "20s") as it:
        assert it.process.poll() is None
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
        server.add_generic_rpc_handlers((Raw(b"\x08\x01"),))
        assert server.add_insecure_port(f"127.0.0.1:{port}") == port
        server.start()
        assert it.line(it.out) == "SERVING\n"
        assert it.end() == 0
        server.stop(0).wait(10)
    r = client(f"127.0.0.1:{port}", "health", "--wait", "--timeout", "300ms")
    assert r.returncode == 1 and "does not serve yet" in r.stderr


def test_unimplemented(daemon):
    d = records_daemon(daemon)
    for args in (["get"], ["status"], ["namespaces", "--watch"], ["health", "--wait"]):
        r = client(d.target, *args)
        assert r.returncode == 1 and "does not offer this" in r.stderr, r


def test_a_web_server():
    """Something that speaks, but not gRPC."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve():
        listener.settimeout(0.1)
        while not over.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                    connection.settimeout(1)
                    with contextlib.suppress(OSError):
                        while connection.recv(4096):
                            pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        r = client(f"127.0.0.1:{listener.getsockname()[1]}", "get")
        assert r.returncode == 1
        assert r.stderr.startswith("xtcp2client: ") and r.stderr.count("\n") == 1, r.stderr
    finally:
        over.set()
        thread.join()
        listener.close()


def test_silence_and_deadline():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        for args in (["get"], ["stream", "--polls", "1"], ["poll"], ["health", "--wait"], ["namespaces", "--watch"]):
            start = time.monotonic()
            r = client(target, *args, "--timeout", "300ms")
            assert time.monotonic() - start < bound(3)
            assert r.returncode == 1 and r.stderr.count("\n") == 1, (args, r)
        with running("--target", target, "stream") as it:
            it.line(it.err, f"waiting for {target}")
            assert it.end(signal.SIGINT) == 0


def test_a_daemon_far_away(config_daemon):
    """Half a second to the other side and back is no failure."""
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source, to, delay):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                time.sleep(delay)
                to.sendall(data)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_WR)

    def serve():
        with contextlib.suppress(OSError):
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", config_daemon.port))
            with near, far:
                threads = [threading.Thread(target=carry, args=x) for x in ((near, far, 0.5), (far, near, 0))]
                for each in threads:
                    each.start()
                for each in threads:
                    each.join(LIMIT)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        r = client(f"127.0.0.1:{listener.getsockname()[1]}", "get")
        assert r.returncode == 0, r.stderr
    finally:
        listener.close()
        thread.join(LIMIT)


# ---- configuration ----

class Config(cfg_rpc.ConfigServiceServicer):
    def __init__(self):
        self.config = cfg.XtcpConfig(label="a", generation=3, grpc_port=8889)
        self.config.poll_frequency.FromMilliseconds(5000)
        self.config.poll_timeout.FromMilliseconds(2000)
        self.requests = []

    def Get(self, request, context):
        return cfg.GetResponse(config=self.config)

    def Set(self, request, context):
        self.requests.append(request)
        changed = ["label"] if request.config.label not in ("", self.config.label) else []
        return cfg.SetResponse(config=self.config, changed=changed)

    def SetPollFrequency(self, request, context):
        self.requests.append(request)
        self.config.poll_frequency.CopyFrom(request.poll_frequency)
        self.config.poll_timeout.CopyFrom(request.poll_timeout)
        return cfg.SetPollFrequencyResponse(config=self.config)

    def TriggerPoll(self, request, context):
        return cfg.TriggerPollResponse()

    def TriggerPollBurst(self, request, context):
        self.requests.append(request)
        if not request.replace:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "a burst is running")
        return cfg.TriggerPollBurstResponse(count=request.count, interval=request.interval)

    def CancelBurst(self, request, context):
        return cfg.CancelBurstResponse(cancelled=4)


@pytest.fixture
def config_daemon(daemon):
    servicer = Config()
    d = daemon((cfg_rpc.add_ConfigServiceServicer_to_server, servicer))
    d.servicer = servicer
    return d


def test_get_and_apply(config_daemon, tmp_path):
    got = client(config_daemon.target, "get")
    assert got.returncode == 0
    shown = json.loads(got.stdout)
    assert shown["label"] == "a" and shown["pollFrequency"] == "5s" and shown["generation"] == "3"
    path = tmp_path / "config.json"
    path.write_text(got.stdout)
    r = client(config_daemon.target, "apply", str(path))
    assert (r.returncode, r.stdout) == (0, "nothing changed\n")
    assert config_daemon.servicer.requests[-1].config == config_daemon.servicer.config
    path.write_text('{"label": "b"}')
    r = client(config_daemon.target, "apply", str(path))
    assert (r.returncode, r.stdout) == (0, "changed: label (generation 3)\n")
    r = client(config_daemon.target, "apply", "--dry-run", str(path))
    assert (r.returncode, r.stdout) == (0, "would change: label (generation 3)\n")
    assert config_daemon.servicer.requests[-1].dry_run


def test_apply_from_standard_input(config_daemon, tmp_path):
    path = tmp_path / "in.json"
    path.write_text('{"label": "c"}')
    with open(path) as f:
        assert client(config_daemon.target, "apply", "-", stdin=f).stdout.startswith("changed: label")


@pytest.mark.parametrize("text, words", [
    ('{"label": "b",\n  oops}', ":2:"), ('{"labell": "b"}', "labell"), ('{"label": 7}', "label"),
    ('{"label": "b", "label": "c"}', "label"), ("[]", ""), ("", ""), ('{"label": "b"} x', "")])
def test_apply_of_a_wrong_file(config_daemon, tmp_path, text, words):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    r = client(config_daemon.target, "apply", str(path))
    assert r.returncode == 2 and r.stdout == ""
    assert str(path) in r.stderr and words in r.stderr
    assert config_daemon.servicer.requests == []


def test_apply_of_a_missing_file(config_daemon, tmp_path):
    r = client(config_daemon.target, "apply", str(tmp_path / "none"))
    assert r.returncode == 2 and "No such file" in r.stderr
    r = client(config_daemon.target, "apply", str(tmp_path))
    assert r.returncode == 2 and "directory" in r.stderr


def test_frequency(config_daemon):
    r = client(config_daemon.target, "frequency", "--frequency", "2s", "--timeout", "500ms", "--deadline", "5s")
    assert (r.returncode, r.stdout) == (0, "a poll every 2s, which may take 500ms\n")
    r = client(config_daemon.target, "frequency", "--frequency", "2s")
    assert r.returncode == 2


def test_trigger_and_burst(config_daemon):
    assert client(config_daemon.target, "trigger").stdout == "a poll was triggered\n"
    r = client(config_daemon.target, "burst", "--count", "5", "--interval", "3s", "--replace")
    assert (r.returncode, r.stdout) == (0, "5 polls, one every 3s\n")
    r = client(config_daemon.target, "burst", "--count", "5", "--interval", "3s")
    assert r.returncode == 1 and "a burst is running" in r.stderr
    assert client(config_daemon.target, "burst", "--cancel").stdout == "the burst was ended, 4 polls before its end\n"
    assert client(config_daemon.target, "burst", "--cancel", "--count", "3").returncode == 2
    assert client(config_daemon.target, "burst").returncode == 2


# ---- terminal ----

def test_table_is_the_default_on_a_terminal(daemon):
    d = records_daemon(daemon, stream=lambda q, c: marked_poll(rec.FlatRecordsResponse, 1, 2))
    terminal = PseudoTerminal([CLIENT, "--target", d.target, "-q", "stream", "--polls", "1"], 0, env={"COLUMNS": "70"})
    assert terminal.end() == 0
    lines = terminal.text.split("\r\n")
    assert "STATE" in lines[0] and "192.0.2.1:1000" in lines[1]
    assert max(len(x) for x in lines) <= 70


def test_usage():
    for args, words in ((["steam"], "did you mean stream?"), (["stream", "--cuont", "3"], "did you mean --count?"),
                        ([], "usage:"), (["-o", "xml", "get"], "--output xml"), (["status", "-o", "csv"], "csv")):
        r = subprocess.run([CLIENT, *args], capture_output=True, text=True, timeout=LIMIT)
        assert r.returncode == 2 and words in r.stderr and r.stdout == "", args
    r = subprocess.run([CLIENT, "--version"], capture_output=True, text=True, timeout=LIMIT)
    assert r.returncode == 0 and r.stdout.startswith("xtcp2client ")


# ---- what a daemon cannot do, the client does ----

def go_records(request, context):
    """The records of a daemon without filters, which ignores the request."""
    for i in range(4):
        yield rec.FlatRecordsResponse(xtcp_flat_record=record(i, netns="web" if i % 2 else "db"))


def test_choice_of_a_daemon_that_says_nothing(daemon):
    d = records_daemon(daemon, stream=go_records)
    r = client(d.target, "-v", "stream", "--count", "2", "-o", "jsonl", "-c", "sport", "netns", "=", "web")
    assert r.returncode == 0 and "applied here" in r.stderr
    assert [json.loads(x) for x in r.stdout.splitlines()] == [
        {"inet_diag_msg_socket_source_port": 1001}, {"inet_diag_msg_socket_source_port": 1003}]
    r = client(d.target, "stream", "--count", "2", "-o", "jsonl", "-N", "d*")
    assert [json.loads(x)["netns"] for x in r.stdout.splitlines()] == ["db", "db"] and "here" not in r.stderr


# The answer of a daemon that has no filters, and one of this project that is older than a field that is asked for or
# compared.
REFUSALS = {"does not filter": (grpc.StatusCode.UNIMPLEMENTED, "filter: not supported by this daemon"),
            "does not know all fields": (grpc.StatusCode.INVALID_ARGUMENT, "columns: 'diag_attributes' is no field of a record"),
            "does not understand the filter": (grpc.StatusCode.INVALID_ARGUMENT, "filter: column 1: unknown field tcp_info_len")}


@pytest.mark.parametrize("command", ["stream", "snapshot"])
@pytest.mark.parametrize("why", REFUSALS)
def test_choice_of_a_daemon_that_refuses(daemon, command, why):
    seen = []

    def script(reply):
        def answer(request, context):
            seen.append(request)
            if request.filter or request.columns or request.netns:
                context.abort(*REFUSALS[why])
            yield reply(poll_begin=rec.PollBegin(poll_id=1, namespaces=1))
            yield reply(envelope=rec.Envelope(row=[record(i, poll_id=1) for i in range(5)]))
            yield reply(poll_end=rec.PollEnd(poll_id=1, sockets=5, namespaces=1))
        return answer

    d = records_daemon(daemon, stream=script(rec.FlatRecordsResponse), poll=script(rec.PollFlatRecordsResponse))
    end = ["--polls", "1"] if command == "stream" else []
    r = client(d.target, "-v", command, *end, "-o", "csv", "-c", "sport", "sport >= :1003")
    assert r.returncode == 0, r
    assert r.stdout == "inet_diag_msg_socket_source_port\n1003\n1004\n"
    assert why in r.stderr and "2 matching sockets" in r.stderr
    assert len(seen) == 2 and "diag_attributes" in seen[0].columns and not seen[1].columns and seen[1].markers


def test_zeros_of_a_daemon_that_does_not_tell(daemon):
    """Only a daemon that tells its zeros has them distinguished from absent values."""
    def stream(request, context):
        silent, tells = record(0), record(1)
        tells.diag_attributes, tells.tcp_info_len = 1 << 2, 104  # INET_DIAG_INFO, up to tcpi_total_retrans
        for row in (silent, tells):
            yield rec.FlatRecordsResponse(xtcp_flat_record=row)

    d = records_daemon(daemon, stream=stream)
    columns = ["-c", "sport,inet_diag_msg_rqueue,tcp_info_total_retrans,tcp_info_segs_in,sk_mem_info_drops"]
    names = ["inet_diag_msg_rqueue", "tcp_info_total_retrans", "tcp_info_segs_in", "sk_mem_info_drops"]
    r = client(d.target, "-o", "csv", "stream", "--count", "2", *columns)
    assert r.stdout.splitlines()[1:] == ["1000,,,,", "1001,0,0,,"], r
    r = client(d.target, "-o", "jsonl", "stream", "--count", "2")
    silent, tells = map(json.loads, r.stdout.splitlines())
    assert not {*names, "diag_attributes", "tcp_info_len"} & set(silent)
    assert [tells.get(name) for name in names] == [0, 0, None, None] and tells["tcp_info_len"] == 104
    r = client(d.target, "-o", "csv", "stream", "-H", "--count", "1", *columns, "segs_in = 0 or drops = 0")
    assert r.stdout == "1000,,,,\n", r  # as it can be guessed
    r = client(d.target, "-o", "csv", "stream", "-H", "--count", "2", *columns, "total_retrans = 0 and recv_q = 0")
    assert r.stdout.splitlines() == ["1000,,,,", "1001,0,0,,"], r


def test_rates_are_measured(daemon):
    """5 MB/s, of which the kernel's sample says 1.2 GB/s: told as a sample at the first poll, measured from the second on."""
    def stream(request, context):
        for poll in range(3):
            at = 1_700_000_000_000_000_000 + poll * 2 * 10**9
            rows = [record(i, timestamp=at, poll_id=poll + 1) for i in range(2)]
            for i, row in enumerate(rows):
                row.inet_diag_msg_socket_cookie, row.netns_cookie = i + 1, 9
                row.tcp_info_delivery_rate = 1_200_000_000
                row.tcp_info_bytes_acked = 10_000_000 * (poll + 1) * (i + 1)
            yield rec.FlatRecordsResponse(stream_info=rec.StreamInfo())
            yield rec.FlatRecordsResponse(poll_begin=rec.PollBegin(poll_id=poll + 1, namespaces=1))
            yield rec.FlatRecordsResponse(envelope=rec.Envelope(row=rows))
            yield rec.FlatRecordsResponse(poll_end=rec.PollEnd(poll_id=poll + 1, sockets=2, namespaces=1))

    d = records_daemon(daemon, stream=stream)
    for order in ([], ["-s", "-RATE"]):
        r = client(d.target, "-q", "-o", "table", "stream", "--polls", "3", "-H", "-c", "sport,RATE", *order)
        cells = [tuple(line.split()) for line in r.stdout.splitlines()]
        slow, fast = ("1000", "40Mbit/s"), ("1001", "80Mbit/s")
        second = [fast, slow] if order else [slow, fast]
        assert cells == [("1000", "~9.6Gbit/s"), ("1001", "~9.6Gbit/s"), *second, *second], r
    r = client(d.target, "-q", "-o", "table", "stream", "--polls", "2", "-H", "-n", "-c", "rate")
    assert r.stdout.split() == ["-", "-", "5000000", "10000000"], r  # no sample
    r = client(d.target, "-o", "csv", "stream", "--polls", "2", "-H", "-c", "rate")
    assert r.stdout.split() == ["1200000000"] * 4, r  # the field


def test_choice_of_a_daemon_that_filters(daemon):
    seen = []

    def stream(request, context):
        seen.append(request)
        yield rec.FlatRecordsResponse(stream_info=rec.StreamInfo(
            filter=request.filter, parts=[rec.FilterPart(expression="sport = :7\x1b[2J", place=1)]))
        yield from marked_poll(rec.FlatRecordsResponse, 1, 2)

    d = records_daemon(daemon, stream=stream)
    r = client(d.target, "-v", "stream", "--polls", "1", "-o", "jsonl", "-s", "-rtt", "-c", "netns", "sport", "=", ":7")
    assert r.returncode == 0 and len(r.stdout.splitlines()) == 2  # as they came: the daemon has chosen
    assert "by the kernel: sport = :7\\x1b[2J" in r.stderr
    assert seen[0].filter == "sport = 7"  # in canonical form
    assert {"netns", "tcp_info_rtt", "timestamp_ns", "poll_id"} <= set(seen[0].columns)


# ---- hostile records ----

EVIL = "\x1b]0;x\x07\x9b31m\n\r\t\u202e\u009b\u200b\u2028\ufeff\U000e0001" + "\x7f"
TEXT_FORMS = ["table", "wide", "jsonl", "json", "protojson", "protojson-envelope", "humanize", "csv", "tsv", "prototext"]


def evil_record(i):
    texts = {f.name: EVIL for f in rec.XtcpFlatRecord.DESCRIPTOR.fields if f.type == f.TYPE_STRING}
    numbers = {f.name: 2**32 - 1 for f in rec.XtcpFlatRecord.DESCRIPTOR.fields if f.type == f.TYPE_UINT32}
    return rec.XtcpFlatRecord(**texts, **numbers, poll_id=1, timestamp_ns=-1 if i else 2**63 - 1, netns_cookie=2**64 - 1,
                              inet_diag_msg_socket_source=os.urandom((0, 3, 4, 16, 40)[i % 5]),
                              inet_diag_msg_socket_destination=b"\x1b" * 16, congestion_algorithm_enum=99, event=-3)


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_hostile_records(daemon, form):
    """No character that drives a terminal or hides reaches the output, in any form, and it stays what it is."""
    def stream(request, context):
        yield rec.FlatRecordsResponse(poll_begin=rec.PollBegin(poll_id=1))
        yield rec.FlatRecordsResponse(envelope=rec.Envelope(row=[evil_record(i) for i in range(5)]))
        yield rec.FlatRecordsResponse(poll_end=rec.PollEnd(poll_id=1, errors=[rec.NamespaceError(name=EVIL, text=EVIL)],
                                                           namespaces_failed=1))

    d = records_daemon(daemon, stream=stream)
    for extra in ([], ["-s", "-netns,timestamp_ns", "-T", "-n"]):
        r = client(d.target, "stream", "--polls", "1", "-o", form, *extra)
        assert r.returncode == 0 and "Sanitizer" not in r.stderr
        allowed = "\n\t" if form == "tsv" else "\n"
        for text in (r.stdout, r.stderr):
            assert not [c for c in text if (ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0) and c not in allowed], form
            assert not set(text) & set("\u202e\u200b\u2028\ufeff\U000e0001"), form
        if form == "jsonl":
            assert len([json.loads(x) for x in r.stdout.splitlines()]) == 5
        elif form == "json":
            assert len(json.loads(r.stdout)) == 5
        elif form in ("csv", "tsv", "table", "wide"):
            assert len(r.stdout.split("\n")) == 7


def mutated(data, rng):
    """|data| with some bytes changed, put in, left out, or cut off."""
    data = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[at:at + 1] = rng.randbytes(1)
            case 1:
                data[at:at] = rng.choice((b"\xff\xff\xff\xff\x0f", b"\x1b[2J", b"\x80" * 10, rng.randbytes(3)))
            case 2:
                del data[at:at + rng.randrange(8)]
            case 3:
                del data[at:]
    return bytes(data)


class Mutating(grpc.GenericRpcHandler):
    """Answers with real responses that were damaged."""

    def __init__(self, rng):
        self.rng = rng
        one = rec.FlatRecordsResponse(xtcp_flat_record=evil_record(3)).SerializeToString()
        self.stream = [x.SerializeToString() for x in marked_poll(rec.FlatRecordsResponse, 1, 3)] + [one]
        self.stream.append(rec.FlatRecordsResponse(stream_info=rec.StreamInfo(filter="x", columns=["a"])).SerializeToString())
        self.events = [ns.NamespaceEvent(type=1, namespace=ns.Namespace(names=["a"], inode=3)).SerializeToString()]
        self.outputs = [outp.OutputEvent(output=FAR, initial=True).SerializeToString()]
        config = cfg.XtcpConfig(label="a", generation=3)
        config.poll_frequency.FromMilliseconds(5000)
        config.options.outputs.output.add(name="a", to="null:").options["x"] = "y"
        config.enabled_deserializers.enabled["info"] = True
        self.answers = {
            "xtcp_config": cfg.SetResponse(config=config, changed=["label"]).SerializeToString(),
            "xtcp_status": st.GetResponse(version="1", kernel="6", errors=[st.ErrorCount(kind="x", count=1)],
                                          subscribers=[st.Subscriber(peer="p")]).SerializeToString(),
            "xtcp_namespace": ns.ListResponse(namespaces=[ns.Namespace(names=["a"])]).SerializeToString(),
            "OutputService/List": outp.ListResponse(outputs=[ARCHIVE, FAR]).SerializeToString(),
            "OutputService/Test": outp.TestResponse(test=outp.OutputTest(error="x", bytes=3)).SerializeToString(),
            "xtcp_output": outp.PauseResponse(output=FAR).SerializeToString(),
            "grpc.health": b"\x08\x01",
        }

    def service(self, details):
        method = details.method
        if "FlatRecords" in method or "Watch" in method:
            replies = self.stream if "FlatRecords" in method else self.outputs if "Output" in method else self.events
            return grpc.stream_stream_rpc_method_handler(
                lambda requests, context: iter([mutated(x, self.rng) if self.rng.random() < 0.7 else x for x in replies]))
        answer = next((v for k, v in self.answers.items() if k in method), b"")
        return grpc.unary_unary_rpc_method_handler(lambda request, context: mutated(answer, self.rng))


def test_damaged_answers():
    """Any message at all: no crash, no sanitizer, nothing that drives a terminal, an exit code of the table."""
    seed = int(os.environ.get("XTCP_SEED", "1"))
    rng = random.Random(seed)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers((Mutating(rng),))
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    commands = [["stream", "-o", form] for form in (*TEXT_FORMS, "null")]
    commands += [["snapshot", "-s", "-rtt", "state", "established"], ["get"], ["status"], ["namespaces"], ["changes"],
                 ["namespaces", "--watch"], ["outputs"], ["outputs", "--watch"], ["outputs", "test", "a"], ["outputs", "pause", "a"],
                 ["outputs", "remove", "a"], ["set", "label=x"], ["set", "label="], ["reset", "label"],
                 ["health"], ["frequency", "--frequency", "2s", "--timeout", "1s"]]
    try:
        for args in commands * int(os.environ.get("XTCP_ROUNDS", "2")):
            deadline = "--deadline" if args[0] == "frequency" else "--timeout"
            r = client(target, *args, deadline, "200ms", errors="replace")
            assert r.returncode in (0, 1), (seed, args, r)
            assert "Sanitizer" not in r.stderr, (seed, args, r.stderr)
            for text in (r.stdout, r.stderr):
                assert "\x1b" not in text and "\x07" not in text, (seed, args, text)
    finally:
        server.stop(0).wait(10)
