"""The memory of the daemon: bounded by a control group, measured while something happens."""

import contextlib
import os
import re
import secrets
import threading
import time

from .waiting import until

MIB = 1 << 20
SAMPLE_SECONDS = 0.02
GROUP_PREFIX = "xtcp2-test-"


def _read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def _write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


# ---- Bounds ----

class Bound:
    """At most |limit| bytes for what is started by `wrapper`: by a control group, else by RLIMIT_AS.

    Address space is far more than what is used of it, so that bound is the looser one; `kind` says which it is.
    """

    def __init__(self, limit, address_space):
        self.folder = None
        for kind, make in (("cgroup v2", self._make_v2), ("cgroup v1", self._make_v1)):
            try:
                make(limit)
            except OSError:
                self.close()
                continue
            self.kind = kind
            self.wrapper = ("sh", "-ec", 'echo $$ >"$0"; exec "$@"', f"{self.folder}/cgroup.procs")
            return
        self.kind = f"RLIMIT_AS of {address_space // MIB} MiB"
        self.wrapper = ("prlimit", f"--as={address_space}:{address_space}")

    def _make_v2(self, limit):
        mount = _mounted("cgroup2", "")
        if "memory" not in _read(f"{mount}/cgroup.controllers").split():
            raise FileNotFoundError(mount)
        self._make_folder(mount)
        if not os.path.exists(f"{self.folder}/memory.max"):
            raise FileNotFoundError(self.folder)
        _write(f"{self.folder}/memory.max", str(limit))
        if os.path.exists(f"{self.folder}/memory.swap.max"):
            _write(f"{self.folder}/memory.swap.max", "0")

    def _make_v1(self, limit):
        self._make_folder(_mounted("cgroup", "memory"))
        _write(f"{self.folder}/memory.limit_in_bytes", str(limit))
        if os.path.exists(f"{self.folder}/memory.swappiness"):
            _write(f"{self.folder}/memory.swappiness", "0")

    def _make_folder(self, mount):
        _remove_left_over(mount)
        folder = f"{mount}/{GROUP_PREFIX}{secrets.token_hex(4)}"
        os.mkdir(folder)
        self.folder = folder

    def close(self):
        if self.folder:
            until(self._removed, 5, f"the end of {self.folder}")
            self.folder = None

    def _removed(self):
        """A group can be removed a moment after its last process has ended."""
        try:
            os.rmdir(self.folder)
        except OSError:
            return False
        return True


def _remove_left_over(mount):
    """Groups of tests that were killed."""
    for name in os.listdir(mount):
        if name.startswith(GROUP_PREFIX):  # one that is in use stays
            with contextlib.suppress(OSError):
                os.rmdir(f"{mount}/{name}")


def _mounted(kind, option):
    """Where control groups of |kind| with |option| are."""
    for line in _read("/proc/self/mounts").splitlines():
        _, where, type_, options = line.split()[:4]
        if type_ == kind and (not option or option in options.split(",")):
            return where
    raise FileNotFoundError(kind)


# ---- Memory in use ----

def resident(pid):
    """Resident memory in bytes, 0 when the process has ended."""
    return _status(pid, "VmRSS")


def _status(pid, field):
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB", _read(f"/proc/{pid}/status"), re.M)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


class Watch:
    """The resident memory of |pid| from here on, sampled each 20 ms; the kernel notes what is highest in between."""

    def __init__(self, pid):
        self.pid = pid
        _write(f"/proc/{pid}/clear_refs", "5")  # the highest begins anew
        self.start = self.last = self.peak = resident(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ended.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self):
        now = resident(self.pid)
        self.last = now or self.last
        self.peak = max(self.peak, now, _status(self.pid, "VmHWM"))

    def close(self):
        self._ended.set()
        self._thread.join()
        self._sample()

    def falls_to(self, limit, seconds):
        """Waits until no more than |limit| bytes are used, |seconds| at most. Returns how many are."""
        deadline = time.monotonic() + seconds
        while resident(self.pid) > limit and time.monotonic() < deadline:
            time.sleep(SAMPLE_SECONDS)
        return resident(self.pid)
