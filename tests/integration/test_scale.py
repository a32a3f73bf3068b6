"""Thousands of namespaces, and namespaces that never stop coming and going.

XTCP2_SOAK=1 makes it 5,000 namespaces instead of 1,000 and ten minutes of churn instead of one. The namespaces are in
mount namespaces of their own: nothing of them is left on the machine, whatever happens.
"""

import os
import re
import subprocess
import time

import pytest

from harness import netns, paths
from harness.rpc import namespace_pb
from harness.waiting import SLOW, bound, until

SOAK = os.environ.pop("XTCP2_SOAK", "0") not in ("", "0")  # the daemon takes it for an option
NAMESPACES = 5000 if SOAK else 1000
CHURN_SECONDS = 300 if SOAK else 30  # each of the two kinds
CHURNED = 200
STABLE = 20

THREADS_MAX = 512   # collector_threads_max
OTHER_THREADS = 40  # workers, nswatch, hub, gRPC
KIB_PER_NAMESPACE = 40
READY = namespace_pb.NAMESPACE_STATE_READY
ERR_TIMEOUT = -1009  # lib/err.h


class Site:
    """A tool that makes namespaces in a folder of its mount namespace, and a daemon in there."""

    def __init__(self, host, *options):
        self.folder = host.folder()
        self.names = f"{self.folder}/netns"
        os.mkdir(self.names)
        self._tool = host.process(str(paths.BUILD / "tests" / "ns_tool"), self.names, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, bufsize=1)
        self._answer()
        enter = ("nsenter", f"--mount=/proc/{self._tool.pid}/ns/mnt", f"--root=/proc/{self._tool.pid}/root")
        self.daemon = host.daemon("--netns-dirs", self.names, "--proc-scan-interval", "0", *options, folder=self.folder,
                                  everywhere=True, wrapper=enter)
        self.client = host.connect(self.daemon)
        self._enter = enter

    def _answer(self):
        line = self._tool.stdout.readline()
        assert line, "ns_tool has ended"
        return int(line)

    def ask(self, line):
        """The tool's answer to |line|."""
        self._tool.stdin.write(f"{line}\n")
        return self._answer()

    def shell(self, script):
        """Runs |script| where the daemon's mounts are, in the folder of the names."""
        netns.run(*self._enter, "sh", "-ec", f"cd {self.folder}\n{script}")

    def known(self):
        """How many namespaces the daemon can collect, its own not counted."""
        return sum(ns.state == READY for ns in self.client.list_namespaces()) - 1

    def wait_known(self, count, seconds):
        until(lambda: self.known() == count, seconds, f"{count} namespaces are known")

    def wait_none_alive(self, but, seconds):
        until(lambda: self.ask("alive") == but, seconds, f"all namespaces but {but} have ended")

    def figures(self):
        return Figures(self.daemon)

    def figures_at_rest(self):
        """Those of a daemon whose threads neither come nor go: on a busy machine that may take a while."""
        def rest():
            before = self.daemon.own_threads()
            time.sleep(bound(0.3))
            figures = self.figures()
            return figures if figures.own_threads == before else None
        return until(rest, 10, "the threads stay the same")


class Figures:
    """The resources of the daemon."""

    def __init__(self, daemon):
        with open(f"/proc/{daemon.pid}/smaps_rollup", encoding="ascii") as f:
            self.rss_kib = int(re.search(r"^Rss:\s+(\d+) kB", f.read(), re.M)[1])
        self.threads = len(os.listdir(f"/proc/{daemon.pid}/task"))
        self.own_threads = daemon.own_threads()
        self.fds = len(daemon.fds())

    def __str__(self):
        return f"{self.rss_kib / 1024:.1f} MiB resident, {self.threads} threads, {self.fds} descriptors"


def tell(capfd, text):
    """Prints |text| whatever pytest captures: these figures are what the test is for."""
    with capfd.disabled():
        print(f"\n  {text}", end="", flush=True)


def test_thousands(host, capfd):
    """All of them are polled completely, in bounded memory; deleted while polls run, they all end."""
    site = Site(host, "--poll-frequency", "1h", "--poll-timeout", "30s")
    site.client.poll()
    idle = site.figures_at_rest()
    tell(capfd, f"idle: {idle}")
    begin = time.monotonic()
    assert site.ask(f"hold {NAMESPACES}") == NAMESPACES
    made = time.monotonic()
    site.wait_known(NAMESPACES, 20)
    tell(capfd, f"{NAMESPACES} namespaces made in {made - begin:.2f} s, known {time.monotonic() - made:.2f} s later")

    for _ in range(3):
        poll = site.client.poll()
        assert poll.end.namespaces_failed == 0, poll.end.errors
        assert poll.end.namespaces == NAMESPACES + 1
        ours = [row for row in poll.rows if row.netns != "default"]
        assert len(ours) == NAMESPACES
        assert len({row.netns for row in ours}) == NAMESPACES
        tell(capfd, f"poll: {poll.end.duration_ns / 1e6:.0f} ms, {poll.end.cpu_ns / 1e6:.0f} ms of CPU")
    full = site.figures()
    per_namespace = (full.rss_kib - idle.rss_kib) / NAMESPACES
    tell(capfd, f"with {NAMESPACES} namespaces: {full}; {per_namespace:.1f} KiB for each")
    assert full.threads <= THREADS_MAX + OTHER_THREADS
    assert full.fds <= idle.fds + 8
    if SLOW == 1:
        assert per_namespace <= KIB_PER_NAMESPACE

    site.client.set_frequency(0.2, 0.19)
    begin = time.monotonic()
    assert site.ask("drop") == NAMESPACES
    site.wait_known(0, 30)
    site.wait_none_alive(0, 60)
    tell(capfd, f"deleted while polled: all have ended within {time.monotonic() - begin:.1f} s")
    until(lambda: site.figures().own_threads == idle.own_threads, 10, "the threads are gone")
    after = site.figures()
    tell(capfd, f"afterwards: {after}\n")
    assert after.fds <= idle.fds + 8


@pytest.mark.parametrize("pause_ms", [100, 0])
def test_churn(host, capfd, pause_ms):
    """Namespaces that come and go without end: the stable ones are in every poll, or named as late where the machine is
    too busy for it; nothing grows, nobody is held."""
    site = Site(host, "--poll-frequency", "500ms", "--poll-timeout", "490ms")
    # Where the kernel is behind with its clean-up, a name can wait for its namespace longer than nswatch does.
    site.daemon.allow(r"nswatch: ns=c\d+: is not a network namespace")
    site.ask(f"hold {STABLE}")
    site.wait_known(STABLE, 5)
    stable = {f"n{i}" for i in range(STABLE)}

    def run(seconds):
        """Churns for so long; returns how many rounds it was, and the longest poll, ns."""
        longest = polls = complete = 0
        site.ask(f"churn {CHURNED} {pause_ms}")
        end = time.monotonic() + seconds
        with site.client.edges() as stream:
            while time.monotonic() < end:
                poll = stream.polls(1)[0]
                longest = max(longest, poll.end.duration_ns)
                polls += 1
                missing = stable - {row.netns for row in poll.rows}
                complete += not missing
                late = {e.name for e in poll.end.errors if e.code == ERR_TIMEOUT}
                assert missing <= late or poll.end.namespaces_failed > len(poll.end.errors)  # not all are named then
                assert not [e for e in poll.end.errors if not e.name.startswith("c") and e.name not in late]
        rounds = site.ask("rest")
        assert rounds > seconds / (10 + pause_ms / 10) / SLOW
        assert polls > seconds / SLOW  # two a second, if all goes well
        assert complete > polls // 4
        site.wait_known(STABLE, 10)
        site.wait_none_alive(STABLE, 60)
        return rounds, longest

    run(bound(2))  # what is allocated once
    before = site.figures_at_rest()
    rounds, longest = run(bound(CHURN_SECONDS) if SLOW == 1 else CHURN_SECONDS)
    until(lambda: site.figures().own_threads == before.own_threads, 10, "the threads are gone")
    until(lambda: site.figures().fds <= before.fds + 2, 10, "the descriptors are closed")
    after = site.figures()
    tell(capfd, f"{rounds} times {CHURNED} namespaces; longest poll {longest / 1e6:.0f} ms")
    tell(capfd, f"before: {before}")
    tell(capfd, f"after:  {after}\n")
    assert longest <= bound(1.5) * 1e9
    if SLOW == 1:
        assert after.rss_kib <= before.rss_kib + 2048

    # All of those that stay are found and polled completely, also under names that were used before.
    site.ask("drop")
    site.ask(f"hold {CHURNED}")
    site.wait_known(CHURNED, 5)
    site.client.set_frequency(60, 30)  # however busy the machine is

    def complete():
        poll = site.client.poll()
        return {row.netns for row in poll.rows} >= {f"n{i}" for i in range(CHURNED)} and not poll.end.namespaces_failed
    until(complete, 10, "a complete poll")


def test_hard_life_of_a_folder(host):
    """Removed and made again, hidden by another mount, full of garbage, more events than the kernel keeps: healed."""
    site = Site(host, "--poll-frequency", "1h")
    source = host.anonymous()
    bind = f"touch netns/$n; mount --bind /proc/{source.process.pid}/ns/net netns/$n"

    def names():
        return {name for ns in site.client.list_namespaces() if ns.state == READY for name in ns.names} - {"default"}

    def wait_names(*expected):
        until(lambda: names() == set(expected), 10, f"names {expected}")

    site.shell(f"umount netns; n=a; {bind}")
    wait_names("a")
    site.shell("umount netns/a; rm netns/a; rmdir netns")
    wait_names()
    site.shell(f"mkdir netns; n=b; {bind}")
    wait_names("b")
    site.shell(f"mount -t tmpfs none netns; n=c; {bind}")
    wait_names("c")
    site.shell("umount netns/c; umount netns")
    wait_names("b")

    # 10,000 files that are no namespaces, then one that is: it does not wait for them.
    site.daemon.allow(r"nswatch: .*")
    site.shell("seq -f netns/x%g 10000 | xargs touch")
    begin = time.monotonic()
    site.shell(f"umount netns/b; rm netns/b; n=d; {bind}")
    wait_names("d")
    assert time.monotonic() - begin < bound(2)
    site.shell("seq -f netns/x%g 10000 | xargs rm")
    until(lambda: len(site.client.list_namespaces()) == 2, 10, "the garbage is forgotten")

    # Stopped, it misses more events than the kernel keeps for it.
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as f:
        events = int(f.read())
    site.daemon.send_signal(19)
    try:
        site.shell(f"seq -f netns/y%g {events} | xargs touch; seq -f netns/y%g {events} | xargs rm")
        site.shell(f"n=e; {bind}; umount netns/d; rm netns/d")
    finally:
        site.daemon.send_signal(18)
    wait_names("e")
    assert site.client.poll().end.namespaces_failed == 0
    site.shell("umount netns/e; rm netns/e")
    wait_names()
