"""Which namespaces the daemon knows, how soon, and that it holds none of them."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import netns, paths
from harness.rpc import Client, namespace_pb
from harness.waiting import SLOW, bound, until

TYPE = namespace_pb.NamespaceEventType.Value
STATE = namespace_pb.NamespaceState.Value
KIND = namespace_pb.NamespaceKind.Value
READY = TYPE("NAMESPACE_EVENT_TYPE_READY")
REMOVED = TYPE("NAMESPACE_EVENT_TYPE_REMOVED")
SYNCED = TYPE("NAMESPACE_EVENT_TYPE_SYNCED")


def of_cookie(kind, cookie):
    return lambda event: event.type == kind and event.namespace.cookie == cookie


@pytest.fixture
def folder(host):
    return host.keep(netns.Folder(host.folder()))


def watching(host, d):
    """A watch of |d| that has told what is present."""
    watch = host.enter(host.connect(d).watch_namespaces())
    present = []
    while (event := watch.next()).type != SYNCED:
        present.append(event)
    assert not event.HasField("namespace")
    return watch, present


# ---- Events ----

def test_list(host):
    named, other = host.namespace(), host.anonymous()
    with named:
        for _ in range(3):
            host.keep(socket.create_server(("127.0.0.1", 0)))
    c = host.connect(host.daemon("--poll-frequency", "1h", "--proc-scan-interval", "100ms", everywhere=True))
    poll = c.poll()
    found = {n.cookie: n for n in c.list_namespaces()}
    own = netns.own()
    assert c.list_namespaces()[0].cookie == own.cookie
    assert found[own.cookie].kind == KIND("NAMESPACE_KIND_OWN")
    assert found[own.cookie].names[0] == "default"
    mine = found[named.cookie]
    assert list(mine.names) == [named.name]
    assert mine.inode == named.inode
    assert mine.kind == KIND("NAMESPACE_KIND_NAMED")
    assert named.path in mine.found_at
    assert mine.state == STATE("NAMESPACE_STATE_READY")
    assert mine.sockets == 3 and mine.errors == 0 and mine.last_error == ""
    assert mine.last_poll_id == poll.begin.poll_id
    assert mine.last_poll_ns == poll.begin.timestamp_ns
    assert 0 < mine.last_poll_duration_ns <= poll.end.duration_ns
    theirs = found[other.cookie]
    assert list(theirs.names) == [other.name]
    assert theirs.kind == KIND("NAMESPACE_KIND_ANONYMOUS")
    assert theirs.found_at[0] == f"/proc/{other.process.pid}/ns/net"


def test_watch_tells_what_is_present_first(host):
    ns = host.namespace()
    _, present = watching(host, host.daemon("--poll-frequency", "1h", everywhere=True))
    assert {e.type for e in present} == {READY}
    assert ns.cookie in {e.namespace.cookie for e in present}
    assert netns.own().cookie in {e.namespace.cookie for e in present}


def test_two_names_for_one_namespace(host):
    """`ip netns attach`: one namespace, polled once, with two names; records carry one of them."""
    ns = host.namespace()
    with ns:
        host.keep(socket.create_server(("127.0.0.1", 0)))
    c = host.connect(host.daemon("--poll-frequency", "1h", everywhere=True))
    alias = netns.fresh_name()
    netns.run("touch", f"/run/netns/{alias}")
    netns.run("mount", "--bind", ns.path, f"/run/netns/{alias}")
    try:
        def listed():
            return next(n for n in c.list_namespaces() if n.cookie == ns.cookie)
        until(lambda: set(listed().names) == {ns.name, alias}, 5, "two names")
        rows = [r for r in c.poll().rows if r.netns_cookie == ns.cookie]
        assert [r.netns for r in rows] == [listed().names[0]]
    finally:
        netns.delete(alias)
    until(lambda: list(listed().names) == [ns.name], 5, "one name")
    assert len([r for r in c.poll().rows if r.netns_cookie == ns.cookie]) == 1


def test_a_file_that_is_no_namespace(host, folder):
    """Never ready, never polled, no harm; ready at once when it becomes one."""
    d = host.daemon("--poll-frequency", "1h", "--netns-dirs", folder.path)
    d.allow("nswatch: .*not-one")
    watch, _ = watching(host, d)
    with open(f"{folder.path}/not-one", "w", encoding="ascii") as f:
        f.write("nothing")
    os.mkdir(f"{folder.path}/a-folder")
    other = host.anonymous()
    folder.add("one", other.path)
    event = watch.next_that(lambda e: e.type == READY)
    assert list(event.namespace.names) == ["one"]
    ready = [n for n in host.connect(d).list_namespaces() if n.state == STATE("NAMESPACE_STATE_READY")]
    assert "not-one" not in {n.names[0] for n in ready}


def test_folders_can_be_changed_while_it_runs(host, folder):
    d = host.daemon("--poll-frequency", "1h")
    watch, _ = watching(host, d)
    ns = host.anonymous()
    folder.add("late", ns.path)
    c = host.connect(d)
    change = c.get().options
    assert folder.path not in change.namespaces.directories.path
    change.namespaces.directories.path[:] = [folder.path]
    c.set(options=change)
    assert watch.next_that(of_cookie(READY, ns.cookie)).namespace.names[0] == "late"
    change.namespaces.directories.path[:] = []
    change.namespaces.directories.SetInParent()
    c.set(options=change)
    watch.next_that(of_cookie(REMOVED, ns.cookie))


def test_a_folder_that_comes_later(host):
    base = host.folder()
    d = host.daemon("--poll-frequency", "1h", "--netns-dirs", f"{base}/not/yet")
    watch, _ = watching(host, d)
    ns = host.anonymous()
    os.makedirs(f"{base}/not/yet")
    late = host.keep(netns.Folder(f"{base}/not/yet"))
    late.add("late", ns.path)
    assert watch.next_that(of_cookie(READY, ns.cookie)).namespace.names[0] == "late"


# ---- How soon ----

def test_ready_within_ten_milliseconds_of_the_mount(host, folder):
    watch, _ = watching(host, host.daemon("--poll-frequency", "1h", "--netns-dirs", folder.path))
    delays = []
    for n in range(21):
        ns = host.anonymous()
        mounted = folder.add(f"n{n}", ns.path)
        event = watch.next_that(of_cookie(READY, ns.cookie), 2)
        assert event.namespace.names[0] == f"n{n}"
        assert event.namespace.state == STATE("NAMESPACE_STATE_READY")
        delays.append((event.timestamp_ns - mounted) / 1e6)
    print("ms from mount to ready:", sorted(round(d, 2) for d in delays))
    assert sorted(delays)[len(delays) * 9 // 10] < bound(10)
    assert max(delays) < bound(200)


def test_watch_in_the_client_is_as_quick(host):
    d = host.daemon("--poll-frequency", "1h", everywhere=True)
    watch = host.process(paths.CLIENT, "--target", d.target, "-o", "jsonl", "namespaces", "--watch",
                         stdout=subprocess.PIPE, text=True)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend((time.time(), line) for line in watch.stdout), daemon=True)
    reader.start()
    until(lambda: any("default" in line for _, line in lines), 5, "the daemon's own namespace")
    delays = []
    for _ in range(5):
        ns = host.namespace()
        added = time.time()
        seen, _ = until(lambda: next((l for l in lines if f'"{ns.name}"' in l[1] and "ready" in l[1]), None), 2, "line")
        delays.append(seen - added)
    watch.terminate()
    assert watch.wait(bound(5)) == 0
    reader.join()
    watch.stdout.close()
    assert sorted(delays)[2] < bound(0.010), delays


def test_first_record_within_two_polls(host):
    """`ip netns add` while records are streamed, and a socket in it."""
    d = host.daemon("--poll-frequency", "100ms", "--poll-timeout", "90ms", everywhere=True)
    with host.connect(d).edges() as stream:
        for _ in range(5):
            stream.polls(1)
            ns = host.namespace()
            with ns:
                host.keep(socket.create_server(("127.0.0.1", 0)))
            there = time.time_ns()
            found = None
            for poll in iter(lambda: stream.polls(1)[0], None):
                if poll.begin.timestamp_ns < there:
                    continue  # it had begun before
                found = [r for r in poll.rows if r.netns_cookie == ns.cookie]
                if found:
                    break
                assert poll.begin.timestamp_ns < there + bound(0.2) * 1e9
            assert [r.netns for r in found] == [ns.name]


def test_anonymous_namespaces_come_and_go(host):
    d = host.daemon("--poll-frequency", "1h", "--proc-scan-interval", "100ms")
    watch, _ = watching(host, d)
    ns = netns.Anonymous()
    try:
        event = watch.next_that(of_cookie(READY, ns.cookie), 2)
        assert list(event.namespace.names) == [ns.name]
    finally:
        ns.end()
    watch.next_that(of_cookie(REMOVED, ns.cookie), 2)


# ---- Nothing is held ----

def test_a_deleted_namespace_dies_at_once(host):
    """The other end of its veth pair disappears with it, though it is polled twenty times a second."""
    d = host.daemon("--poll-frequency", "50ms", "--poll-timeout", "40ms", everywhere=True)
    c = host.connect(d)
    for n in range(20):
        end = f"xt{os.getpid() % 100000}v{n}"
        ns = host.namespace()
        with netns.veth(end, ns, "10.77.0.1/24"):
            with ns:
                server = socket.create_server(("127.0.0.1", 0))
            until(lambda: any(x.cookie == ns.cookie and x.last_poll_id for x in c.list_namespaces()), 2, "a poll of it")
            server.close()
            assert netns.link_exists(end)
            netns.delete(ns.name)
            until(lambda: not netns.link_exists(end), 2, "the namespace has died")
        assert ns.cookie not in {x.cookie for x in c.list_namespaces() if x.state == STATE("NAMESPACE_STATE_READY")}


def test_between_polls_everything_is_at_home(host):
    spaces = [host.namespace() for _ in range(10)]
    d = host.daemon("--poll-frequency", "1h", everywhere=True)
    c = host.connect(d)
    until(lambda: {ns.cookie for ns in spaces} <= {n.cookie for n in c.list_namespaces()}, 5, "all are known")
    c.poll()
    own = os.readlink("/proc/self/ns/net")
    until(lambda: set(d.threads().values()) == {own}, 2, "all threads are at home")
    # fds to namespaces: of our own one at most, threads come home by it.
    links = [link for link in d.fds().values() if link.startswith(("net:", "/run/netns"))]
    assert set(links) <= {own}


def test_threads_and_descriptors_go_with_their_namespaces(host):
    d = host.daemon("--poll-frequency", "1h")
    c = host.connect(d)
    folder = host.names_of(d)
    spaces = [host.anonymous() for _ in range(10)]
    c.poll()
    threads, fds = d.own_threads(), len(d.fds())
    for _ in range(3):
        for i, ns in enumerate(spaces):
            folder.add(f"n{i}", ns.path)
        until(lambda: len(c.list_namespaces()) == 11, 5, "all are known")
        c.poll()
        assert len(d.own_threads()) > len(threads)
        for i in range(10):
            folder.remove(f"n{i}")
        until(lambda: len(c.list_namespaces()) == 1, 5, "all are forgotten")
        until(lambda: d.own_threads() == threads, 5, f"the {threads} from before")
        until(lambda: len(d.fds()) <= fds + 3, 5, f"no more than the {fds} descriptors from before")


def test_churn(host):
    """Namespaces come and go by the dozen while polls run as fast as they can: every poll ends and adds up."""
    d = host.daemon("--poll-frequency", "20ms", "--poll-timeout", "19ms", "--netns-dirs", "/run/netns")
    stop = time.monotonic() + 4
    failed = []

    def churn(part):
        try:
            while time.monotonic() < stop:
                names = [netns.fresh_name() for _ in range(5)]
                for name in names:
                    subprocess.run(["ip", "netns", "add", name], check=True, stdin=subprocess.DEVNULL)
                for name in names:
                    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True, stdin=subprocess.DEVNULL)
                for name in names:
                    subprocess.run(["ip", "netns", "del", name], check=True, stdin=subprocess.DEVNULL)
        except subprocess.CalledProcessError as e:
            failed.append((part, e))
    # The sockets that other tests have left in TIME_WAIT, fifty times a second, are more than this reader can take.
    with host.connect(d).stream(markers=True, batch_rows=10000, filter="exclude time-wait") as stream:
        assert stream.next().HasField("stream_info")
        threads = [threading.Thread(target=churn, args=(n,)) for n in range(4)]
        polls = []
        try:
            for t in threads:
                t.start()
            while any(t.is_alive() for t in threads):
                polls += stream.polls(1)
        finally:
            for t in threads:
                t.join()
            for name in netns.left_over():
                netns.delete(name)
        polls += stream.polls(2)
    assert not failed
    assert len(polls) > 20 / SLOW
    ids = [p.begin.poll_id for p in polls]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    for poll in polls:
        end = poll.end
        # Collectors that come or go between the count and the order change it by as many.
        assert len(end.errors) == min(end.namespaces_failed + end.namespaces_unseen, 100)
        assert end.rows_lost == 0 and end.rows_sent == len(poll.rows)
        assert all(e.code < 0 and e.text and e.name for e in end.errors)
        keys = {(r.netns_cookie, r.inet_diag_msg_socket_cookie) for r in poll.rows}
        assert len(keys) == len(poll.rows)
    with contextlib.closing(Client(d.target)) as c:
        until(lambda: not [n for n in c.list_namespaces() if n.names and n.names[0].startswith(netns.PREFIX)], 5,
              "all are forgotten")


def test_names_that_are_reused(host):
    """The same name, and most likely the same inode, for another namespace: another cookie, its own sockets."""
    d = host.daemon("--poll-frequency", "1h", everywhere=True)
    c = host.connect(d)
    name = netns.fresh_name()
    seen = set()
    for n in range(10):
        ns = host.namespace(name)
        with ns:
            s = socket.create_server(("127.0.0.1", 3000 + n))
        until(lambda: ns.cookie in {x.cookie for x in c.list_namespaces()}, 2, "known")
        rows = [r for r in c.poll().rows if r.netns == name]
        assert [(r.netns_cookie, r.inet_diag_msg_socket_source_port) for r in rows] == [(ns.cookie, 3000 + n)]
        seen.add(ns.cookie)
        s.close()
        netns.delete(name)
    assert len(seen) == 10


def test_sigterm_while_namespaces_come_and_go(host):
    """The stop does not wait for anything that goes on outside."""
    for _ in range(3):
        d = host.daemon("--poll-frequency", "10ms", "--poll-timeout", "9ms", everywhere=True)
        names = [netns.fresh_name() for _ in range(5)]
        for name in names:
            host.namespace(name)
        os.kill(d.pid, signal.SIGSTOP)
        for name in names:
            netns.delete(name)
        os.kill(d.pid, signal.SIGCONT)
        d.stop()
