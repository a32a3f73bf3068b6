"""OutputService: the states of outputs, and what can be done to one of them."""

import json
import re
import signal
import socket
import subprocess
import tempfile
import time

import grpc
import pytest

from harness import paths
from harness.caller import as_user, python
from harness.rpc import Code, config_pb, output_pb
from harness.waiting import bound, until

SOMEBODY = 64001  # a user of no account
SERVICE = "/xtcp_output.v1.OutputService/"
STARTING, RUNNING, RETRYING, PAUSED = (output_pb.OutputState.Value(f"OUTPUT_STATE_{name}")
                                       for name in ("STARTING", "RUNNING", "RETRYING", "PAUSED"))


def closed_port(host):
    """A port of 127.0.0.1 that nobody listens at, and nobody else gets; it may listen later."""
    s = host.keep(socket.socket())
    s.bind(("127.0.0.1", 0))
    return s, s.getsockname()[1]


@pytest.fixture
def start(host):
    """Starts a daemon with |outputs| (dicts) that polls on request; and a client, root by the unix socket, who may change them."""
    def make(*outputs, options=(), **how):
        folder = host.folder()
        with open(f"{folder}/xtcp2.yaml", "w", encoding="utf-8") as f:
            json.dump({"outputs": outputs, "output_dirs": [tempfile.gettempdir()]}, f)  # JSON is YAML
        d = host.daemon("--poll-frequency", "1h", "--config", f"{folder}/xtcp2.yaml", *options, folder=folder,
                        listen=["127.0.0.1:0", f"unix:{folder}/s"], **how)
        d.allow(r" output: .*(refused|trying again|times? out|dropped|left behind)")
        return d, host.connect(d.targets[1])
    return make


@pytest.fixture
def archive(host):
    """An output that works: a file."""
    return {"name": "archive", "to": f"file:{host.folder()}/archive.jsonl", "format": "jsonl"}


@pytest.fixture
def far(host):
    """An output that does not: nobody listens there."""
    return {"name": "far", "to": f"tcp:127.0.0.1:{closed_port(host)[1]}"}


def by_name(c, name):
    return next(o for o in c.list_outputs() if o.name == name)


def accounted(o):
    """Rows that were sent or dropped, or wait: all that it was given."""
    return o.rows_sent + sum(d.rows for d in o.dropped) + o.rows_queued + o.rows_spooled


def settled(c, name, polls):
    """The output |name|, once it has got the rows of |polls| and has sent all."""
    rows = sum(p.sockets for p in polls)
    return until(lambda: next((o for o in c.list_outputs() if o.name == name and o.rows_taken >= rows and not o.rows_queued),
                              None), 5, f"{rows} rows that are sent")


def lines(output):
    with open(output["to"].removeprefix("file:"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def fails(code, call, *arguments):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    assert caught.value.code() == code, caught.value
    return caught.value.details()


# ---- List ----

def test_states_are_listed(start, archive, far):
    before = time.time_ns()
    _, c = start(archive, far)
    polls = [c.status().last_poll, c.poll().end]
    settled(c, "archive", polls)
    until(lambda: by_name(c, "far").state == RETRYING, 5, "an attempt that fails")
    first, second = c.list_outputs()
    assert (first.name, first.to, first.format) == ("archive", archive["to"], "jsonl")
    assert (second.name, second.to) == ("far", far["to"])
    assert first.state == RUNNING and not first.last_error and first.last_failure_ns == 0 and first.next_attempt_ns == 0
    assert before < first.since_ns <= first.last_success_ns < time.time_ns()
    assert first.messages_sent >= 1 and first.rows_queued == 0 and first.oldest_ns == 0
    assert first.bytes_sent >= sum(len(json.dumps(x)) for x in lines(archive)) / 2
    assert len(lines(archive)) == first.rows_sent == first.rows_taken
    assert "refused" in second.last_error and second.last_failure_ns > before and second.last_success_ns == 0
    assert second.rows_sent == 0 and second.retries >= 1 and second.rows_queued > 0
    assert 0 < second.bytes_queued <= second.queue_bytes
    assert before < second.oldest_ns < time.time_ns()
    assert second.spool_bytes == 0
    for o in (first, second):
        assert accounted(o) == o.rows_taken > 0


def test_no_outputs(client):
    assert list(client.list_outputs()) == []
    with client.watch_outputs() as watch:
        watch.call.initial_metadata()
        client.list_outputs()
        assert watch.answers.empty()


def test_secrets_are_not_told(start, host):
    port = closed_port(host)[1]
    d, c = start({"name": "web", "to": f"http://user:hunter2@127.0.0.1:{port}/"})
    c.poll()
    until(lambda: by_name(c, "web").last_error, 5, "an attempt that fails")
    (o,) = c.list_outputs()
    test = c.test_output("web")
    assert "user" in o.to or "***" in o.to
    for text in (str(o), str(test), d.log()):
        assert "hunter2" not in text


# ---- Watch ----

def test_pause_and_resume_are_seen(start, archive, far):
    d, c = start(archive, far)
    settled(c, "archive", [c.status().last_poll])
    until(lambda: by_name(c, "far").state == RETRYING, 5, "an attempt that fails")
    with c.watch_outputs() as watch:
        present = [watch.next(), watch.next()]
        assert [(e.output.name, e.initial, e.removed) for e in present] == [("archive", True, False), ("far", True, False)]
        assert c.pause_output("archive").state == PAUSED
        event = watch.next_that(lambda e: e.output.name == "archive")
        assert (event.output.state, event.initial, event.removed) == (PAUSED, False, False)
        sent = by_name(c, "archive").rows_sent
        poll = c.poll()
        until(lambda: by_name(c, "archive").rows_queued >= poll.end.sockets, 5, "rows that wait")
        assert by_name(c, "archive").rows_sent == sent
        assert c.resume_output("archive").name == "archive"
        event = watch.next_that(lambda e: e.output.name == "archive" and e.output.state != PAUSED)
        assert event.output.state == RUNNING
        o = settled(c, "archive", [poll.end])
        assert len(lines(archive)) == o.rows_sent >= sent + poll.end.sockets
    d.wait_log(r"output: archive: paused by unix pid=\d+ uid=0")
    d.wait_log(r"output: archive: resumed by unix pid=\d+ uid=0")


def test_what_comes_and_goes_is_seen(start, archive, far):
    d, c = start(archive)
    with c.watch_outputs() as watch:
        assert watch.next().output.name == "archive"
        config = config_pb.XtcpConfig()
        for o in (archive, far):
            config.options.outputs.output.add(**o)
        c.set(config)
        event = watch.next_that(lambda e: e.output.name == "far")
        assert not event.initial and not event.removed and event.output.to == far["to"]
        del config.options.outputs.output[0]
        c.set(config)
        event = watch.next_that(lambda e: e.removed)
        assert event.output.name == "archive"
        assert [o.name for o in c.list_outputs()] == ["far"]


def test_changes_come_once_a_second(start, archive):
    _, c = start(archive)
    with c.watch_outputs() as watch:
        assert watch.next().initial
        begin, changes = time.monotonic(), 0
        while time.monotonic() < begin + 3:
            c.pause_output("archive")
            c.resume_output("archive")
            changes += 1
            time.sleep(0.01)  # less often than control_calls_max
        c.pause_output("archive")
        seconds = time.monotonic() - begin
        time.sleep(1.5)
        events = []
        while not watch.answers.empty():
            events.append(watch.next())
    assert changes > 10
    assert 1 <= len(events) <= seconds + 3
    assert events[-1].output.state == PAUSED, "the last change was not told"


def test_two_who_watch(start, archive, host):
    d, c = start(archive)
    other = host.connect(d)
    with c.watch_outputs() as first:
        assert first.next().initial
        c.pause_output("archive")
        assert first.next_that(lambda e: e.output.state == PAUSED)
        with other.watch_outputs() as second:
            event = second.next()
            assert event.initial and event.output.state == PAUSED
            c.resume_output("archive")
            for watch in (first, second):
                assert watch.next_that(lambda e: e.output.state == RUNNING)


def test_watch_ends_with_the_daemon(start, archive):
    d, c = start(archive)
    watch = c.watch_outputs()
    assert watch.next().initial
    d.stop()
    assert watch.next() is None
    assert watch.status()[0] == Code.UNAVAILABLE


# ---- Flush ----

def test_flush_does_not_wait_for_the_next_attempt(start, host):
    """An output that waits between two attempts makes the next one at once."""
    s, port = closed_port(host)
    _, c = start({"name": "far", "to": f"tcp:127.0.0.1:{port}"})
    c.poll()
    # Pauses grow, up to a minute, and are drawn at random: one that is long enough to see the difference.
    until(lambda: by_name(c, "far").next_attempt_ns - time.time_ns() > 4e9, 60, "a pause of 4 s")
    s.listen(1)
    assert c.flush_output("far").name == "far"
    until(lambda: by_name(c, "far").rows_sent > 0, 2, "rows that are sent")
    assert by_name(c, "far").state == RUNNING


# ---- Test ----

def test_a_test_is_delivered(start, archive):
    _, c = start(archive)
    settled(c, "archive", [c.status().last_poll])
    n = len(lines(archive))
    test = c.test_output("archive")
    assert test.delivered and not test.error and test.bytes > 0
    assert 0 < test.duration_ns < 10e9
    (line,) = lines(archive)[n:]
    assert line["hostname"]
    o = by_name(c, "archive")
    assert accounted(o) == o.rows_taken, "a record that was made up is none of a poll"


def test_a_test_tells_why_not(start, far):
    _, c = start(far)
    test = c.test_output("far")
    assert not test.delivered and "refused" in test.error and "127.0.0.1" in test.error


@pytest.fixture
def slow(host):
    """An output that connects for ever: its peer takes no more connections."""
    s = host.keep(socket.socket())
    s.bind(("127.0.0.1", 0))
    s.listen(0)
    for _ in range(4):  # until the backlog is full
        full = host.keep(socket.socket())
        full.setblocking(False)
        full.connect_ex(s.getsockname())
    return {"name": "slow", "to": f"tcp:127.0.0.1:{s.getsockname()[1]}", "options": {"timeout": "60s"}}


def test_a_test_of_an_output_that_hangs(start, slow):
    """The answer comes after 10 s at most, and says so; nobody else waits meanwhile."""
    _, c = start(slow)
    begin = time.monotonic()
    call = c.outputs.Test.future(output_pb.TestRequest(name="slow"))
    time.sleep(0.3)
    assert by_name(c, "slow").name == "slow"
    second = c.test_output("slow")
    assert not second.delivered and second.error
    assert time.monotonic() - begin < bound(5)
    test = call.result(timeout=bound(20)).test
    assert not test.delivered and test.error
    assert time.monotonic() - begin < bound(12)


def test_the_caller_of_a_test_leaves(start, slow):
    _, c = start(slow)
    call = c.outputs.Test.future(output_pb.TestRequest(name="slow"))
    time.sleep(0.3)
    call.cancel()
    assert by_name(c, "slow").name == "slow"


def test_a_test_does_not_hold_up_the_stop(start, slow):
    d, c = start(slow)
    call = c.outputs.Test.future(output_pb.TestRequest(name="slow"))
    time.sleep(0.3)
    d.stop()
    try:
        assert not call.result(timeout=bound(10)).test.delivered
    except grpc.RpcError as e:
        assert e.code() == Code.UNAVAILABLE


# ---- What is refused ----

@pytest.mark.parametrize("method", ["Pause", "Resume", "Flush", "Test"])
def test_names_that_are_none(start, archive, method):
    _, c = start(archive)
    request = getattr(output_pb, f"{method}Request")
    text = fails(Code.NOT_FOUND, getattr(c.outputs, method), request(name="nothing"))
    assert '"nothing"' in text
    assert "name" in fails(Code.INVALID_ARGUMENT, getattr(c.outputs, method), request())
    fails(Code.INVALID_ARGUMENT, getattr(c.outputs, method), request(name="archive\0"))
    fails(Code.NOT_FOUND, getattr(c.outputs, method), request(name="x" * 5000))
    fails(Code.INVALID_ARGUMENT, c.channel.unary_unary(SERVICE + method), b"\x0a\xff")
    assert by_name(c, "archive").state in (STARTING, RUNNING)


ASK = """
import grpc, sys
with grpc.insecure_channel(sys.argv[1]) as channel:
    for method in ("List", "Watch", "Pause", "Resume", "Flush", "Test"):
        kind = channel.unary_stream if method == "Watch" else channel.unary_unary
        try:
            answer = kind("/xtcp_output.v1.OutputService/" + method)(b"" if method in ("List", "Watch") else b"\\x0a\\x07archive",
                                                                      timeout=20)
            if method == "Watch":
                next(answer)
            print(method, "OK")
        except grpc.RpcError as e:
            print(method, e.code().name, e.details())
"""


def test_roles(start, archive, host, tmp_path):
    """A reader may look, and is refused the rest by name."""
    d, c = start(archive)
    program = tmp_path / "ask.py"
    program.write_text(ASK, encoding="utf-8")

    def ask(wrapper=()):
        done = subprocess.run([*wrapper, *python(program), d.target], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True, timeout=bound(60))
        return dict(line.split(" ", 1) for line in done.stdout.splitlines())

    answers = ask(as_user(SOMEBODY))
    assert answers["List"] == answers["Watch"] == "OK"
    for method in ("Pause", "Resume", "Flush", "Test"):
        code, text = answers[method].split(" ", 1)
        assert code == "PERMISSION_DENIED"
        assert f"OutputService/{method} needs the role control" in text and "has read" in text
    assert by_name(c, "archive").state != PAUSED
    assert set(ask().values()) == {"OK"}


def test_control_calls_are_counted(start, archive):
    """One user may change something so often in a second, whatever the method."""
    _, c = start(archive, options=("--control-calls-max", "3"))
    with pytest.raises(grpc.RpcError) as caught:
        for _ in range(20):
            c.pause_output("archive")
            c.flush_output("archive")
            c.resume_output("archive")
    assert caught.value.code() == Code.RESOURCE_EXHAUSTED and "control_calls_max" in caught.value.details()
    c.list_outputs()


# ---- xtcp2client ----

def client(d, *words, code=0):
    """The output of xtcp2client as root by the unix socket, or what it says when it fails with |code|."""
    done = subprocess.run([paths.CLIENT, "--target", d.targets[1], *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=bound(30))
    assert done.returncode == code, done
    return done.stdout if code == 0 else done.stderr


def test_client_shows_and_pauses(start, archive, far):
    d, c = start(archive, far)
    until(lambda: by_name(c, "far").state == RETRYING, 5, "an attempt that fails")
    told = [json.loads(line) for line in client(d, "-o", "jsonl", "outputs").splitlines()]
    assert [(o["name"], o["to"]) for o in told] == [("archive", archive["to"]), ("far", far["to"])]
    assert told[1]["state"] == "retrying"
    titles, first, second = client(d, "-o", "table", "outputs").splitlines()
    assert titles.startswith("NAME") and first.startswith("archive") and " retrying " in second
    assert json.loads(client(d, "-o", "jsonl", "outputs", "pause", "archive"))["state"] == "paused"
    assert "NOT_FOUND" in client(d, "outputs", "pause", "nothing", code=1)
    assert by_name(c, "archive").state == PAUSED
    assert json.loads(client(d, "-o", "jsonl", "outputs", "resume", "archive"))["name"] == "archive"
    assert "archive: delivered " in client(d, "-o", "table", "outputs", "test", "archive")
    p = subprocess.run([paths.CLIENT, "--target", d.target, "-o", "table", "outputs", "test", "far"], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, text=True, timeout=bound(30))
    assert p.returncode == 1 and re.match(r"far: not delivered, after .*refused", p.stdout), p.stdout


def test_client_watches(start, archive, host):
    d, c = start(archive)
    p = host.process(paths.CLIENT, "--target", d.target, "-o", "jsonl", "outputs", "--watch", stdout=subprocess.PIPE, text=True)
    event = json.loads(p.stdout.readline())
    assert event["initial"] and event["output"]["name"] == "archive"
    c.pause_output("archive")
    while event["output"]["state"] != "paused":
        event = json.loads(p.stdout.readline())
    assert not event["initial"]
    p.send_signal(signal.SIGINT)
    assert p.wait(bound(10)) in (0, 1, 130)


def test_client_adds_and_removes(start, host, far):
    """Others in the list stay as they are, secrets included, and go on undisturbed."""
    port = closed_port(host)[1]
    web = {"name": "web", "to": f"http://user:hunter2@127.0.0.1:{port}/"}
    d, c = start(far, web)
    before = {o.name: o.since_ns for o in c.list_outputs()}
    folder = host.folder()
    d.allow(r"config: ")
    told = client(d, "outputs", "add", "new", "--to", f"file:{folder}/new.csv", "--format", "csv", "--set", "queue=1MiB", "--set",
                  "columns=netns,poll_id", "--set", "rotate_keep=2")
    assert "options.outputs: " in told and "hunter2" not in told
    assert [o.name for o in c.list_outputs()] == ["far", "web", "new"]
    new = by_name(c, "new")
    assert (new.to, new.format, new.queue_bytes) == (f"file:{folder}/new.csv", "csv", 1 << 20)
    poll = c.poll()
    until(lambda: by_name(c, "new").rows_sent >= poll.end.sockets > 0, 5, "the poll in the file")
    with open(f"{folder}/new.csv", encoding="utf-8") as f:
        assert f.readline() == "netns,poll_id\n"
    assert "another output has it" in client(d, "outputs", "add", "new", "--to", "null:", code=1)
    assert "nothing" in client(d, "outputs", "add", "other", "--to", "null:", "--set", "nothing=1", code=1)
    assert [o.name for o in c.list_outputs()] == ["far", "web", "new"]
    assert "would" in client(d, "outputs", "remove", "far", "--dry-run")
    client(d, "outputs", "remove", "far")
    assert [o.name for o in c.list_outputs()] == ["web", "new"]
    assert by_name(c, "web").since_ns == before["web"], "it was made anew"
    assert "no output" in client(d, "outputs", "remove", "far", code=1)
    client(d, "outputs", "remove", "web")
    client(d, "outputs", "remove", "new")
    assert list(c.list_outputs()) == []
    assert "hunter2" not in d.log()
