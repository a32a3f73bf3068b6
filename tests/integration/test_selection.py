"""Which namespaces are collected: netns_include and netns_exclude, from every source, while polls run."""

import json
import socket
import subprocess
import threading

import grpc
import pytest

from harness import paths
from harness.rpc import Code, namespace_pb
from harness.waiting import SLOW, bound, until
from test_scale import Site

READY = namespace_pb.NAMESPACE_STATE_READY
EXCLUDED = namespace_pb.NAMESPACE_STATE_EXCLUDED
MANY = 1000


def choose(c, include=(), exclude=()):
    """Sets both lists."""
    options = c.get().options
    for message, items in ((options.namespaces.include, include), (options.namespaces.exclude, exclude)):
        message.item[:] = items
        message.SetInParent()
    return c.set(options=options)


def states(c):
    """{name: state} of all that are known."""
    return {n.names[0]: n.state for n in c.list_namespaces()}


def collected(c):
    """The namespaces that a poll has rows of."""
    return {r.netns for r in c.poll().rows}


@pytest.fixture
def site(host):
    """A daemon that knows its own namespace and red, web-1 and web-2, each with a socket."""
    d = host.daemon("--poll-frequency", "1h")
    names = host.names_of(d)
    c = host.connect(d)
    c.target = d.target
    c.spaces = {}
    for name in ("red", "web-1", "web-2"):
        ns = c.spaces[name] = host.anonymous()
        names.add(name, ns.path)
        with ns:
            s = host.keep(socket.socket())
        s.bind(("127.0.0.1", 0))
        s.listen(1)
    until(lambda: collected(c) == {"default", "red", "web-1", "web-2"}, 5, "all are polled")
    c.names = names
    return c


def test_a_file_called_default(site):
    """Each of the two can be meant: in a stream, by the client, and in the configuration."""
    ns = site.spaces["red"]
    path = f"{site.names.path}/default"
    site.names.add("default", ns.path)
    site.names.remove("red")
    until(lambda: collected(site) == {"default", path, "web-1", "web-2"}, 5, "it has the other name")

    def found(which):
        out = subprocess.run([paths.CLIENT, "--target", site.target, "-o", "jsonl", "snapshot", "-N", which], check=True,
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=bound(15)).stdout
        return {(r["netns"], r["netns_cookie"] == ns.cookie) for r in map(json.loads, out.splitlines())}
    assert found("default") == {("default", False)}
    assert found(path) == {(path, True)}
    assert {n.inode == ns.inode for n in site.list_namespaces() if "default" in n.names} == {False}
    for include, expected in (("default", "default"), ("kind:own", "default"), (path, path)):
        choose(site, include=[include])
        assert collected(site) == {expected}


# ---- Selected namespaces ----

@pytest.mark.parametrize("include, exclude, expected", [
    ([], [], {"default", "red", "web-1", "web-2"}),
    (["web-*"], [], {"web-1", "web-2"}),
    (["web-*", "default"], ["*-2"], {"default", "web-1"}),
    ([], ["kind:own"], {"red", "web-1", "web-2"}),
    (["kind:own"], [], {"default"}),
    ([], ["kind:named"], {"default"}),
    (["nobody"], [], set()),
    (["red"], ["name:red"], set()),
])
def test_patterns(site, include, exclude, expected):
    choose(site, include, exclude)
    assert collected(site) == expected
    found = states(site)
    assert {n for n, state in found.items() if state == READY} == expected
    assert {n for n, state in found.items() if state == EXCLUDED} == set(found) - expected
    status = site.status()
    assert (status.namespaces, status.namespaces_excluded) == (4, 4 - len(expected))
    assert status.last_poll.namespaces == len(expected) and status.last_poll.namespaces_failed == 0
    choose(site)
    assert collected(site) == {"default", "red", "web-1", "web-2"}
    assert not site.status().errors


def test_numbers_and_paths(site):
    red, one = site.spaces["red"], site.spaces["web-1"]
    choose(site, [f"cookie:{red.cookie}", f"inode:{one.inode}"])
    assert collected(site) == {"red", "web-1"}
    choose(site, [f"{site.names.path}/web-*"], [f"cookie:{one.cookie}"])
    assert collected(site) == {"web-2"}


def test_anonymous(host):
    ns = host.anonymous()
    d = host.daemon("--poll-frequency", "1h", "--proc-scan-interval", "100ms", "--netns-exclude", "kind:anonymous",
                    everywhere=True)
    c = host.connect(d)

    def state():
        return next((n.state for n in c.list_namespaces() if n.cookie == ns.cookie), None)
    until(lambda: state() == EXCLUDED, 5, "it is listed as excluded")
    choose(c, [f"cookie:{ns.cookie}"])
    assert state() == READY
    assert set(states(c).values()) == {READY, EXCLUDED}


def test_bad_patterns_are_refused(site):
    for bad, text in (("kind:other", "kind:own"), ("", "pattern"), ("cookie:0", "18446744073709551615"), ("a/b", "slash")):
        with pytest.raises(grpc.RpcError) as caught:
            choose(site, ["web-*", bad])
        assert caught.value.code() == Code.INVALID_ARGUMENT
        assert "options.namespaces.include" in caught.value.details() and text in caught.value.details()
    assert collected(site) == {"default", "red", "web-1", "web-2"}


# ---- From where ----

def test_command_line_environment_and_file(host):
    folder = host.folder()
    config = f"{folder}/xtcp2.yaml"

    def write(text):
        with open(config, "w", encoding="ascii") as f:
            f.write(text)
    write("netns_exclude: [default]\n")
    d = host.daemon("--poll-frequency", "1h", "--config", config)
    c = host.connect(d)
    assert collected(c) == set()
    write("netns_exclude: [blue]\n")
    d.send_signal(1)
    until(lambda: collected(c) == {"default"}, 5, "the file is read again")
    e = host.connect(host.daemon("--poll-frequency", "1h", "--netns-include", "blue,red",
                                 wrapper=("env", "XTCP2_NETNS_INCLUDE=default")))
    assert collected(e) == set()  # the command line wins


def test_once(host):
    folder = host.folder()
    for exclude, lines in (("", True), ("default", False)):
        out = subprocess.run([str(paths.DAEMON), "--once", "--netns-dirs", folder, "--proc-scan-interval", "0",
                              f"--netns-exclude={exclude}"], capture_output=True, text=True, check=True)
        assert bool(out.stdout) == lines


# ---- While it runs ----

def test_a_rename_is_looked_at(site):
    choose(site, [], ["web-*"])
    ns = site.spaces["web-1"]
    site.names.add("blue", ns.path)  # the first name counts, by the alphabet: blue is first, web-1 still a name
    until(lambda: "blue" in states(site), 5, "the second name is known")
    assert states(site)["blue"] == EXCLUDED
    site.names.remove("web-1")
    until(lambda: states(site)["blue"] == READY, 5, "it is collected under its new name")
    assert collected(site) == {"default", "red", "blue"}


def test_watchers_see_it(host, site):
    with site.watch_namespaces() as watch:
        watch.next_that(lambda e: e.type == namespace_pb.NAMESPACE_EVENT_TYPE_SYNCED)
        choose(site, [], ["red"])
        event = watch.next()
        assert (event.type, list(event.namespace.names), event.namespace.state) == (
            namespace_pb.NAMESPACE_EVENT_TYPE_EXCLUDED, ["red"], EXCLUDED)
        choose(site)
        event = watch.next()
        assert (event.type, list(event.namespace.names), event.namespace.state) == (
            namespace_pb.NAMESPACE_EVENT_TYPE_READY, ["red"], READY)


def test_streams_live_through_it(host):
    """Polls every 20 ms; the selection changes all the time: no poll fails, none is torn, each is one selection."""
    d = host.daemon("--poll-frequency", "20ms", "--poll-timeout", "15ms")
    names = host.names_of(d)
    for number in range(10):
        names.add(f"{'even' if number % 2 == 0 else 'odd'}-{number}", host.anonymous().path)
    c = host.connect(d)
    until(lambda: len(c.list_namespaces()) == 11, 5, "all are known")
    counts = []

    def read():
        with host.connect(d).edges() as stream:
            for poll in stream.polls(100):
                assert poll.end.namespaces + poll.end.namespaces_failed == poll.begin.namespaces
                counts.append(poll.begin.namespaces)
    reader = threading.Thread(target=read)
    reader.start()
    turn = 0
    while reader.is_alive():
        choose(c, *((["even-*"], []), ([], ["even-*", "default"]), ([], []))[turn % 3])
        turn += 1
    reader.join()
    assert turn > 10
    assert len(counts) == 100 and set(counts) <= {5, 11}
    assert len(set(counts)) == 2


def test_a_thousand_are_toggled(host):
    site = Site(host, "--poll-frequency", "1h", "--poll-timeout", "30s")
    c = site.client
    assert site.ask(f"hold {MANY}") == MANY
    site.wait_known(MANY, 20)
    assert c.poll().end.namespaces == MANY + 1
    before = site.figures()
    for _ in range(3):
        choose(c, ["default"])
        assert site.known() == 0
        assert c.poll().end.namespaces == 1
        until(lambda: not any(n.startswith("col/") and n != "col/default" for n in site.daemon.own_threads()), 5,
              "their threads have ended")
        choose(c)
        assert site.known() == MANY
        poll = c.poll()
        assert (poll.end.namespaces, poll.end.namespaces_failed) == (MANY + 1, 0)
    after = site.figures()
    assert abs(after.threads - before.threads) < 8  # gRPC starts and ends some as it likes
    assert abs(after.fds - before.fds) < 4
    if SLOW == 1:  # a sanitizer keeps what was freed for a while
        assert after.rss_kib < before.rss_kib * 1.3 + 4096
    assert not c.status().errors
