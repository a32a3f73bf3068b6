"""Fixtures. `host` makes what a test needs and takes it away again, the last thing first, also when the test fails."""

import contextlib
import os
import subprocess
import tempfile

import pytest

from harness import netns
from harness.daemon import Daemon
from harness.rpc import Client
from harness.waiting import until

# A child of ours does not outlive us, whatever happens.
TETHER = ("setpriv", "--pdeathsig", "KILL")


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("skipped: network namespaces need root", returncode=77)
    # Not the width of whoever started us. Loading libreadline, as pytest does, puts them into the environment of the C
    # library, where os.environ does not see them.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
        os.unsetenv(name)
    netns.leave_host()


class Host:
    """The things that a test has made on this machine."""

    def __init__(self, stack):
        self._stack = stack

    def folder(self):
        """A new folder that others can enter."""
        path = self._stack.enter_context(tempfile.TemporaryDirectory(prefix=netns.PREFIX))
        os.chmod(path, 0o755)
        return path

    def daemon(self, *options, serving=True, everywhere=False, wrapper=(), **how):
        """A daemon that has started; its first poll is done unless |serving| is false. Stopped and checked at the end.

        It knows its own namespace and, with |everywhere|, those of the whole machine as by default.
        """
        folder = how.pop("folder", None) or self.folder()
        if not everywhere:
            os.makedirs(f"{folder}/netns", exist_ok=True)
            options = ("--netns-dirs", f"{folder}/netns", "--proc-scan-interval", "0", *options)
        d = Daemon(folder, *options, wrapper=(*TETHER, *wrapper), **how)
        self._stack.callback(d.kill)
        self._stack.callback(d.stop)
        d.wait_started()
        if serving:
            with contextlib.closing(Client(d.target)) as probe:
                until(lambda: probe.health() == "SERVING", 5, "first poll")
        return d

    def connect(self, d, *options):
        """A client of |d| (or of a target) on a connection of its own, with these arguments of its channel."""
        c = Client(d if isinstance(d, str) else d.target, *options)
        self._stack.callback(c.close)
        return c

    def namespace(self, name=None):
        """A namespace by `ip netns add`, with lo up."""
        name = name or netns.fresh_name()
        self._stack.callback(self._delete, name)
        return netns.add(name)

    @staticmethod
    def _delete(name):
        if os.path.exists(f"/run/netns/{name}"):
            netns.delete(name)

    def anonymous(self):
        """A namespace that only a process is in."""
        ns = netns.Anonymous()
        self._stack.callback(ns.end)
        return ns

    def names_of(self, d):
        """The folder in which |d|, started without |everywhere|, looks for namespaces."""
        return self.keep(netns.Folder(f"{d.folder}/netns"))

    def process(self, *command, **how):
        """A process that is gone at the end at the latest."""
        how.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen([*TETHER, *command], **how)
        self._stack.callback(p.wait)
        self._stack.callback(p.kill)
        return p

    def keep(self, closable):
        """Closes |closable| at the end."""
        self._stack.callback(closable.close)
        return closable

    def enter(self, context):
        return self._stack.enter_context(context)


@pytest.fixture
def host():
    with contextlib.ExitStack() as stack:
        yield Host(stack)


@pytest.fixture
def daemon(host):
    """A daemon that polls at its start and on request."""
    return host.daemon("--poll-frequency", "1h")


@pytest.fixture
def client(host, daemon):
    return host.connect(daemon)


def children():
    """Processes whose parent is this one."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                name, rest = f.read().rsplit(") ", 1)
        except OSError:
            continue
        if int(rest.split()[1]) == os.getpid():
            found.append(name)
    return found


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert netns.left_over() == []
    assert children() == []
    assert [n for n in os.listdir(tempfile.gettempdir()) if n.startswith(netns.PREFIX)] == []
