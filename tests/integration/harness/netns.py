"""Network namespaces of the tests: named ones as ip-netns makes them, anonymous ones of a process; sockets in them.

The tests themselves are in one of their own (leave_host): what else runs on the machine, and what earlier tests left in
TIME_WAIT, is not in it.
"""

import contextlib
import ctypes
import fcntl
import itertools
import os
import socket
import struct
import subprocess
import time

from .waiting import until

PREFIX = f"xt-{os.getpid()}-"
CLONE_NEWNET = 0x40000000
MS_BIND, MNT_DETACH = 4096, 2
SO_NETNS_COOKIE = 71

_libc = ctypes.CDLL(None, use_errno=True)
_ports = itertools.count(11000)
_numbers = itertools.count(1)


def run(*command):
    """Runs |command|; a failure fails the test with what it said."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}"
    return done.stdout


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _open_own():
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


_own = _open_own()


class Namespace:
    """A namespace by the path of its file. In `with ns:` the calling thread is in it: make sockets, nothing else."""

    def __init__(self, path, name):
        self.path = path
        self.name = name
        self.inode = os.stat(path).st_ino
        with self:
            probe = socket.socket()
            self.cookie = struct.unpack("=Q", probe.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0]
            _loopback_up(probe)
            probe.close()

    def __enter__(self):
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(fd)
        finally:
            os.close(fd)
        return self

    def __exit__(self, *_):
        _setns(_own)

    def exec(self, *command):
        """The output of |command|, run in this namespace."""
        return run("nsenter", f"--net={self.path}", *command)


def _loopback_up(probe):
    """SIOCSIFFLAGS with IFF_UP|IFF_RUNNING on lo."""
    fcntl.ioctl(probe, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))


def leave_host():
    """Moves this process, which has a single thread yet, into a new namespace with lo up."""
    global _own
    if _libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    os.close(_own)
    _own = _open_own()
    with socket.socket() as probe:
        _loopback_up(probe)


def own():
    return Namespace("/proc/self/ns/net", "default")


def free_port():
    """A TCP port that nobody has had: this process has a namespace of its own, and the kernel gives to connections those from
    32768 on.
    """
    return next(_ports)


def fresh_name():
    return f"{PREFIX}{next(_numbers)}"


def add(name):
    run("ip", "netns", "add", name)
    return Namespace(f"/run/netns/{name}", name)


def delete(name):
    run("ip", "netns", "del", name)


def left_over():
    """Namespaces of this process that are still named."""
    folder = "/run/netns"
    return [n for n in os.listdir(folder) if n.startswith(PREFIX)] if os.path.isdir(folder) else []


class Anonymous(Namespace):
    """A namespace that only a process is in."""

    def __init__(self):
        own_link = os.readlink("/proc/self/ns/net")
        self.process = subprocess.Popen(["unshare", "-n", "sleep", "1000"], stdin=subprocess.DEVNULL)
        path = f"/proc/{self.process.pid}/ns/net"
        try:
            until(lambda: os.readlink(path) != own_link, 2, "unshare")
            super().__init__(path, None)
        except BaseException:
            self.end()
            raise
        self.name = f"netns:[{self.inode}]"

    def end(self):
        self.process.kill()
        self.process.wait()


class Folder:
    """A folder of our own with namespaces in it, each mounted at a moment that we know."""

    def __init__(self, path):
        self.path = path
        self.mounted = []

    def add(self, name, source):
        """Binds |source| (a /proc/PID/ns/net) to |name|. Returns the wall clock when it was there, in ns."""
        target = f"{self.path}/{name}"
        os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o444))
        if _libc.mount(source.encode(), target.encode(), None, MS_BIND, None) != 0:
            raise OSError(ctypes.get_errno(), f"mount {target}")
        now = time.time_ns()
        self.mounted.append(target)
        return now

    def remove(self, name):
        target = f"{self.path}/{name}"
        self.mounted.remove(target)
        if _libc.umount2(target.encode(), MNT_DETACH) != 0:
            raise OSError(ctypes.get_errno(), f"umount {target}")
        os.unlink(target)

    def close(self):
        for target in list(self.mounted):
            self.remove(os.path.basename(target))


@contextlib.contextmanager
def veth(host_end, ns, address, inner="eth0"):
    """A pair with one end here and the other, with |address|, in |ns|."""
    run("ip", "link", "add", host_end, "type", "veth", "peer", "name", inner, "netns", ns.name)
    try:
        ns.exec("ip", "addr", "add", address, "dev", inner)
        ns.exec("ip", "link", "set", inner, "up")
        run("ip", "link", "set", host_end, "up")
        yield
    finally:
        subprocess.run(["ip", "link", "del", host_end], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def link_exists(name):
    return name in (n for _, n in socket.if_nameindex())
