"""The daemon as a process: started, watched, and held to a clean end."""

import os
import pathlib
import re
import signal
import subprocess
import time

from . import paths
from .waiting import bound, until

LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug|trace) +[a-z_]+: ")
JSON_LINE = re.compile(r'^\{"time":"[^"]+","level":"([a-z]+)","module":"[a-z_]+","msg":".*"\}$')
GRPC_THREADS = ("default-execut", "resolver-execut", "grpc_global_tim", "event_engine", "timer_manager")
STOP_SECONDS = 2

# Not the daemon's doing: a process of the machine that even root may not look into comes and goes as it likes.
ALWAYS_ALLOWED = (r"nswatch: the namespaces of \d+ of \d+ processes may not be seen, such as that of .*: a security module",)


class Daemon:
    """One run of xtcp2. Its files live in |folder|, which the caller removes."""

    def __init__(self, folder, *options, listen=("127.0.0.1:0",), wrapper=(), json_log=False):
        self.folder = pathlib.Path(folder)
        self.log_path = self.folder / "log"
        self.allowed = list(ALWAYS_ALLOWED)
        self.json_log = json_log
        self.stopped = False
        command = [*wrapper, str(paths.DAEMON)]
        for where in listen:
            command += ["--grpc-listen", where]
        command += options
        self.command = command
        with open(self.log_path, "wb") as log, open(self.folder / "stdout", "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log)
        self.pid = self.process.pid

    # ---- Start ----

    def wait_started(self):
        """Waits for the line that says so."""
        def started():
            assert self.process.poll() is None, f"exit code {self.process.returncode}\n{self.log()}"
            return re.search(r"xtcp2 \S+: polls every ", self.log())
        until(started, 5, f"start of the daemon: {self.command}")
        return self

    @property
    def targets(self):
        """The targets for clients, one for each listener."""
        found = re.findall(r"(?<!longer )listening on ([^\s\"]+)", self.log())
        assert found, self.log()
        return found

    @property
    def target(self):
        return self.targets[0]

    @property
    def port(self):
        return int(self.target.rsplit(":", 1)[1])

    # ---- Log ----

    def log(self):
        return self.log_path.read_text(errors="replace")

    def allow(self, *patterns):
        """Lines of level error or warn that match one of |patterns| are expected from now on."""
        self.allowed += patterns

    def wait_log(self, pattern, seconds=2):
        """The match of |pattern| in the log, once it is there."""
        return until(lambda: re.search(pattern, self.log()), seconds, f"log line {pattern!r}")

    def check_log(self):
        """Nothing but log lines, none of them an unexpected error or warning. Reports of sanitizers fail it as well."""
        bad = []
        for line in self.log().splitlines():
            match = (JSON_LINE if self.json_log else LOG_LINE).match(line)
            if match and match[1] in ("info", "debug", "trace"):
                continue
            if not any(re.search(pattern, line) for pattern in self.allowed):
                bad.append(line)
        assert not bad, "unexpected in the log:\n" + "\n".join(bad)

    # ---- Its resources ----

    def fds(self):
        """Descriptors, as {number: what it leads to}."""
        found = {}
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                found[int(fd)] = os.readlink(f"/proc/{self.pid}/fd/{fd}")
            except FileNotFoundError:
                pass
        return found

    def threads(self):
        """Threads, as {tid: network namespace}."""
        found = {}
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            try:
                found[int(tid)] = os.readlink(f"/proc/{self.pid}/task/{tid}/ns/net")
            except OSError:
                pass
        return found

    def own_threads(self):
        """Sorted names of the daemon's own threads; gRPC starts and ends some as it likes."""
        names = []
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            try:
                with open(f"/proc/{self.pid}/task/{tid}/comm", encoding="utf-8", errors="replace") as f:
                    names.append(f.read().strip())
            except OSError:
                pass
        return sorted(n for n in names if not n.startswith(GRPC_THREADS))

    def thread_states(self):
        """A line for each thread: its name, its state, where in the kernel it waits."""
        lines = ""
        for tid in sorted(os.listdir(f"/proc/{self.pid}/task"), key=int):
            task = pathlib.Path(f"/proc/{self.pid}/task/{tid}")
            try:
                stat = (task / "stat").read_text(errors="replace").rpartition(")")[2].split()
                lines += f"{(task / 'comm').read_text(errors='replace').strip()}: {stat[0]}, {(task / 'wchan').read_text()}\n"
            except OSError as e:
                lines += f"{tid}: {e}\n"
        return lines

    # ---- End ----

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait_exit(self, seconds):
        """The exit status, which must be there within |seconds| (scaled)."""
        return self.process.wait(timeout=bound(seconds))

    def stop(self, number=signal.SIGTERM):
        """SIGTERM: exit status 0 within two seconds, a log without surprises, nothing on standard output."""
        if self.stopped:
            return
        self.stopped = True
        begin = time.monotonic()
        self.send_signal(number)
        try:
            status = self.wait_exit(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            threads = self.thread_states()
            self.kill()
            raise AssertionError(f"still running {bound(STOP_SECONDS):g} s after signal {number}\n{threads}{self.log()}")
        self.stop_seconds = time.monotonic() - begin
        assert status == 0, f"exit status {status}\n{self.log()}"
        self.check_log()
        assert (self.folder / "stdout").read_bytes() == b""

    def kill(self):
        """The last resort, for a test that has failed."""
        self.stopped = True
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
