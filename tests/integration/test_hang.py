"""A collector that hangs: nobody waits for it. A tracer that stops its thread stands for a kernel that does not answer."""

import ctypes
import os

import pytest

from harness.waiting import SLOW, until

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000
CAP_SYS_PTRACE = 19

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


def may_trace():
    with open("/proc/self/status", encoding="ascii") as f:
        caps = next(line for line in f if line.startswith("CapEff:"))
    return int(caps.split()[1], 16) >> CAP_SYS_PTRACE & 1


pytestmark = [pytest.mark.skipif(not may_trace(), reason="this machine's root may not trace"),
              pytest.mark.skipif(SLOW > 1, reason="a sanitizer wants to see all threads end")]


class Stopped:
    """A thread that stands still until the end of the test."""

    def __init__(self, tid):
        self.tid = tid
        self._trace(PTRACE_SEIZE)
        self._trace(PTRACE_INTERRUPT)
        os.waitpid(tid, WALL)

    def _trace(self, request):
        if _libc.ptrace(request, self.tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")

    def wait_end(self, seconds):
        """The process ends: its tracer has to hear of the thread's end before its parent can hear of it."""
        until(lambda: os.waitpid(self.tid, WALL | os.WNOHANG)[0], seconds, "the end of the thread")

    def close(self):
        try:
            self._trace(PTRACE_DETACH)
        except OSError:
            pass  # its process has ended


def thread_of(d, name):
    for tid in os.listdir(f"/proc/{d.pid}/task"):
        with open(f"/proc/{d.pid}/task/{tid}/comm", encoding="ascii") as f:
            if f.read().strip() == name:
                return int(tid)
    raise AssertionError(f"no thread {name}")


@pytest.fixture
def daemon(host):
    """A daemon with the namespaces stuck and fine, of which the first hangs."""
    d = host.daemon("--poll-frequency", "1h", "--poll-timeout", "300ms")
    d.names = host.names_of(d)
    d.spaces = {name: host.anonymous() for name in ("stuck", "fine")}
    c = host.connect(d)
    for name, ns in d.spaces.items():
        d.names.add(name, ns.path)
    until(lambda: c.poll().end.namespaces == 3, 5, "all are polled")
    d.stopped_thread = host.keep(Stopped(thread_of(d, "col/stuck")))
    return d


def names(c):
    return {n.names[0] for n in c.list_namespaces()}


def test_its_namespace_can_go(host, daemon):
    c = host.connect(daemon)
    poll = c.poll()
    assert (poll.end.namespaces, poll.end.namespaces_failed) == (2, 1)
    assert [e.name for e in poll.end.errors] == ["stuck"]
    daemon.names.remove("stuck")
    until(lambda: names(c) == {"default", "fine"}, 2, "it is gone from the list")
    other = host.anonymous()
    daemon.names.add("later", other.path)  # the watcher is not held up
    until(lambda: "later" in names(c), 2, "the next one is noticed")
    poll = c.poll()
    assert (poll.end.namespaces, poll.end.namespaces_failed) == (3, 0)
    daemon.stopped_thread.close()
    until(lambda: "col/stuck" not in daemon.own_threads(), 5, "it ends once it can")
    daemon.stop()


def test_it_is_named_when_its_namespace_goes_during_the_poll(host, daemon):
    c = host.connect(daemon)
    with c.edges() as stream:
        c.trigger()
        begin = stream.next()
        assert begin.poll_begin.namespaces == 3
        daemon.names.remove("stuck")
        until(lambda: names(c) == {"default", "fine"}, 2, "it is gone from the list")
        end = stream.next_that(lambda m: m.HasField("poll_end")).poll_end
    assert (end.namespaces, end.namespaces_failed) == (2, 1)
    assert [(e.name, e.cookie) for e in end.errors] == [("stuck", daemon.spaces["stuck"].cookie)]


def test_it_can_be_excluded_and_comes_back(host, daemon):
    c = host.connect(daemon)
    assert c.poll().end.namespaces_failed == 1
    options = c.get().options
    options.namespaces.exclude.item[:] = ["stuck"]
    c.set(options=options)
    for _ in range(3):
        poll = c.poll()
        assert (poll.begin.namespaces, poll.end.namespaces, poll.end.namespaces_failed) == (2, 2, 0)
    daemon.stopped_thread.close()
    options.namespaces.exclude.item[:] = []
    options.namespaces.exclude.SetInParent()
    c.set(options=options)
    until(lambda: c.poll().end.namespaces == 3, 5, "it is polled again")


def test_the_daemon_stops_all_the_same(host, daemon):
    with host.connect(daemon).edges() as stream:
        host.connect(daemon).trigger()
        stream.polls(1)
        daemon.stopped = True
        daemon.send_signal(15)
        assert stream.next() is None  # with its status, as ever
        daemon.stopped_thread.wait_end(2)
    assert daemon.wait_exit(2) == 0
    daemon.check_log()
    assert "a collector hangs in the kernel" in daemon.log()
