"""The processes of a measurement: bench_tool's jobs, daemons, and what they cost."""

import os
import re
import select
import signal
import subprocess
import time

PATIENCE = 300  # seconds for anything that has to happen; what is large takes its time on a busy machine


class Failed(Exception):
    """A measurement could not be made."""


def cpu_ns(pid):
    """CPU time of a process, of all its threads, also of those that have ended: its clock in clock_gettime(2)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def rss_kib(pid):
    """Resident memory, counted page by page (VmRSS is an estimate)."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(re.search(r"^Rss:\s+(\d+) kB", f.read(), re.M)[1])


def status_of(pid, field):
    """A number of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(rf"^{field}:\s+(\d+)", f.read(), re.M)[1])


def until(condition, what, step=0.005):
    """Waits for |condition| to be true; returns its value."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > end:
            raise Failed(f"waited {PATIENCE} s for {what}")
        time.sleep(step)
    return value


def inside(netns):
    """The words before a command that is to run in the network namespace |netns|, a path or None for our own."""
    return ["nsenter", f"--net={netns}"] if netns else []


class Process:
    """A child that ends with the `with` it is used in."""

    def __init__(self, command, netns=None, log=None, **how):
        self.log = log
        stderr = open(log, "wb") if log else None  # pylint: disable=consider-using-with
        self._popen = subprocess.Popen(inside(netns) + command, stderr=stderr, **how)
        if stderr:
            stderr.close()
        self.pid = self._popen.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """Asks it to end, and sees to it."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def running(self):
        """Whether it is."""
        return self._popen.poll() is None

    def why(self):
        """Its last output on standard error."""
        if not self.log:
            return ""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()[-2000:]


class Job(Process):
    """A job of bench_tool: a line in, a line out."""

    def __init__(self, tool, *arguments, netns=None):
        self.name = arguments[0]
        super().__init__([tool, *map(str, arguments)], netns, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._line = b""
        self.ready = self._answer()

    def _answer(self):
        end = time.monotonic() + PATIENCE
        while not self._line.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._popen.stdout], [], [], left)[0]:
                raise Failed(f"bench_tool {self.name} has not answered within {PATIENCE} s")
            more = self._popen.stdout.read(4096)
            if not more:
                raise Failed(f"bench_tool {self.name} has ended")
            self._line += more
        line, self._line = self._line.decode(), b""
        return [int(word) for word in line.split() if word.isdigit()]

    def ask(self, line):
        """Writes |line|; returns the numbers of the answer."""
        self._popen.stdin.write(f"{line}\n".encode())
        return self._answer()

    def end(self):
        self._popen.stdin.close()
        try:
            self._popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._popen.stdout.close()


class Poll:
    """The last poll according to StatusService."""

    def __init__(self, numbers):
        self.polls, self.namespaces, self.subscribers, self.sockets, self.failed, self.duration_ns = numbers


class Daemon(Process):
    """A daemon that polls when it is told to, on a unix socket, and knows its own namespace and those of |names|."""

    QUIET_NS = 5_000_000  # no CPU time for so long: it is done
    count = 0

    def __init__(self, bench, netns=None, names=None, options=()):
        Daemon.count += 1
        self.target = f"unix:{bench.folder}/{Daemon.count}.sock"
        nothing = os.path.join(bench.folder, "nothing")
        os.makedirs(nothing, exist_ok=True)
        super().__init__(
            [bench.daemon, "--grpc-listen", self.target, "--netns-dirs", names or nothing, "--proc-scan-interval", "0",
             "--poll-frequency", "7d", "--poll-timeout", f"{PATIENCE}s", "--log-level", "warn", *options],
            netns, f"{bench.folder}/{Daemon.count}.log", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._bench = bench
        self._control = None
        try:
            self._control = Job(bench.tool, "control", self.target)
            until(lambda: self.status().polls, "the first poll")
        except (Failed, OSError) as e:
            self.end()
            raise Failed(f"{e}\n{self.why()}") from e

    def end(self):
        if self._control:
            self._control.end()
        super().end()

    def status(self):
        """How it is doing."""
        if not self.running():
            raise Failed(f"the daemon has ended: {self.why()}")
        return Poll(self._control.ask("status"))

    def cpu_ns(self):
        """CPU time so far."""
        return cpu_ns(self.pid)

    def _wait_quiet(self):
        """Waits until it does nothing, without asking it, which would cost it something."""
        before, since = self.cpu_ns(), time.monotonic_ns()
        end = since + PATIENCE * 1_000_000_000
        while time.monotonic_ns() - since < self.QUIET_NS:
            time.sleep(0.001)
            now = self.cpu_ns()
            if now != before:
                before, since = now, time.monotonic_ns()
            if since > end:
                raise Failed("the daemon does not come to rest")

    def _finished(self, first, times):
        """Waits until it has made |times| polls after the |first|; fewer, when a request came while it was at another one (on
        a busy machine it may look quiet), and the two became one."""
        end = time.monotonic() + PATIENCE
        while (last := self.status()).polls < first + times:
            before = self.cpu_ns()
            time.sleep(0.5)
            if last.polls > first and self.cpu_ns() - before < 1_000_000:
                break
            if time.monotonic() > end:
                raise Failed(f"waited {PATIENCE} s for a poll")
        self._wait_quiet()
        return last

    def trigger(self):
        """Asks for a poll."""
        self._control.ask("trigger")

    def poll(self, times, sockets=None, then=None):
        """Makes it poll |times| times, one after the other, |then| called after each trigger to wait for its rows.
        Returns the CPU time and the duration, in ns, of one poll. |sockets|: how many it has to find."""
        first = self.status().polls
        self._wait_quiet()
        start = self.cpu_ns()
        for _ in range(times):
            self.trigger()
            if then:
                then()
            self._wait_quiet()
        last = self._finished(first, times)
        cost, polls = self.cpu_ns() - start, last.polls - first
        if polls > times:
            raise Failed(f"{polls} polls instead of {times}")
        if last.failed or sockets not in (None, last.sockets):
            raise Failed(f"the daemon found {last.sockets} sockets instead of {sockets}, {last.failed} namespaces failed")
        return cost / polls, last.duration_ns


class Readers(Job):
    """Subscribers of a daemon."""

    def __init__(self, bench, daemon, count, batch_rows):
        super().__init__(bench.tool, "readers", daemon.target, count, batch_rows)
        self.count = count
        self._polls = self._rows = 0
        until(lambda: daemon.status().subscribers >= count, f"{count} subscribers")

    def wait(self, rows):
        """Waits for the end of one more poll, of which each must have got |rows|."""
        self._polls += 1
        self._rows += rows * self.count
        _, got, lost, _ = self.ask(self._polls)
        if lost or got != self._rows:
            raise Failed(f"{self.count} subscribers got {got} rows instead of {self._rows}, {lost} were lost")
