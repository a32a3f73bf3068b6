"""Honest clients who ask for much at once, as ordinary users: what guards against floods must let all of them through.

Nobody loses the connection, no call fails, none takes long. XTCP2_SOAK=1 makes it longer, and more.
"""

import os
import re
import resource
import shutil
import socket
import subprocess
import time

import pytest

from harness import honest, paths
from harness.caller import as_user
from harness.certs import NAME, Authority
from harness.waiting import SLOW, bound, until

SOAK = os.environ.get("XTCP2_SOAK", "0") not in ("", "0")
LONGER = 10 if SOAK else 1
REST_SECONDS = 5  # of a client that has cancelled all it could
SOMEBODY = 64001
LONG_MS = 500  # for a call that shares the machine with no more than its like


@pytest.fixture(params=["tcp", "unix"])
def daemon(host, request):
    where = "127.0.0.1:0" if request.param == "tcp" else f"unix:{host.folder()}/s"
    return host.daemon("--poll-frequency", "500ms", "--poll-timeout", "400ms", "--unix-socket-mode", "0666",
                       listen=[where])


def tell(capfd, found):
    with capfd.disabled():
        print(f"\n  {found}", end="", flush=True)


def let_through(found):
    assert found["failures"] == []
    assert found["losses"] == 0, "the connection was closed"


def test_streams_that_are_cancelled(host, capfd, daemon):
    """As many as a connection may have, opened at the same time, cancelled at the same time, three times."""
    for number in range(LONGER):
        time.sleep(number and REST_SECONDS)
        client = honest.start(host, "cancelled_streams", as_user(SOMEBODY), target=daemon.target, streams=250, rounds=3)
        found = honest.figures(client, bound(60))
        tell(capfd, found)
        let_through(found)
        assert found["codes"] == ["CANCELLED"]
        assert found["slowest_ms"] <= bound(3000)
    c = host.connect(daemon)
    until(lambda: not c.status().subscribers, 5, "no subscriber")


def test_fifty_calls_at_a_time(host, capfd, daemon):
    """Thousands of calls of root, who may do anything and is not held back."""
    seconds = 3 * LONGER
    client = honest.start(host, "calls_at_a_time", target=daemon.target, at_a_time=50, seconds=seconds)
    found = honest.figures(client, seconds + bound(60))
    tell(capfd, found)
    let_through(found)
    assert found["calls"] >= 600 * seconds / SLOW
    assert found["max_ms"] <= bound(LONG_MS)


def test_compressed_requests(host, capfd, daemon):
    """Ten clients who compress all that they send, as clients in Go can be told to do everywhere."""
    client = honest.start(host, "compressed_calls", as_user(SOMEBODY), target=daemon.target, clients=10,
                          count=50 * LONGER, pause=0.01)
    found = honest.figures(client, bound(60 * LONGER))
    tell(capfd, found)
    let_through(found)
    assert found["calls"] == 10 * 50 * LONGER
    assert found["max_ms"] <= bound(LONG_MS)


@pytest.mark.parametrize("size", [15000, 60000])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_large_requests(host, capfd, secure, size):
    """Six clients of one user who wait for each answer: they are slowed down, and none is closed."""
    ours = Authority(host.folder(), "ours")
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    d = host.daemon("--poll-frequency", "1h", "--grpc-tls-listen", "127.0.0.1:0", "--tls-cert-file", cert,
                    "--tls-key-file", key)
    target, how = d.target, {}
    if secure:
        target = d.wait_log(r"listening on (\S+) \(TLS")[1]
        with open(ours.path, encoding="ascii") as f:
            how = {"ca": f.read(), "server_name": NAME}
    client = honest.start(host, "large_requests", as_user(SOMEBODY), target=target, clients=6, seconds=4 * LONGER,
                          size=size, **how)
    found = honest.figures(client, bound(60) + 4 * LONGER)
    tell(capfd, found)
    let_through(found)
    assert found["calls"] * size > 1000000  # what the budget of its user gives, and something


def test_a_slow_link(host, capfd):
    """50 kB a second, about as much as the stream takes: it goes on, and calls beside it are answered."""
    d = host.daemon("--poll-frequency", "500ms", "--poll-timeout", "400ms")
    listeners(host, 100)
    client = honest.start(host, "slow_link", as_user(SOMEBODY), target=d.target, bytes_per_second=50000,
                          seconds=5 * LONGER)
    found = honest.figures(client, bound(60) + 5 * LONGER)
    tell(capfd, found)
    let_through(found)
    assert found["code"] == "CANCELLED"
    assert found["records"] >= 100 * 5 * LONGER / SLOW  # of ten polls in five seconds


def listeners(host, count, first=20000):
    for n in range(count):
        s = host.keep(socket.socket())
        s.bind(("127.0.0.1", first + n))
        s.listen(1)


def test_a_reader_of_many_sockets(host, capfd):
    """Each socket in a message of its own, 20,000 in a second (in soak 95,000): not one is lost."""
    count, period = (19000, bound(0.2)) if SOAK else (2000, bound(0.1))
    polls = 20 * LONGER
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ns = host.anonymous()
    with ns:
        listeners(host, count)
    folder = host.folder()
    d = host.daemon("--poll-frequency", f"{round(period * 1000)}ms", "--poll-timeout", f"{round(period * 900)}ms",
                    "--unix-socket-mode", "0666", listen=[f"unix:{folder}/s"])
    host.names_of(d).add("many", ns.path)
    c = host.connect(d)
    until(lambda: c.status().last_poll.sockets >= count, 10, "polls of the namespace")
    program = shutil.copy(paths.CLIENT, folder)  # where anybody may start it
    begin = time.monotonic()
    reader = host.process(*as_user(SOMEBODY), program, "--target", d.target, "-o", "null", "stream", "--polls",
                          str(polls), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "HOME": folder})
    host.keep(reader.stdout)
    out, _ = reader.communicate(timeout=bound(60 + polls))
    seconds = time.monotonic() - begin
    tell(capfd, f"{polls} polls of {count} sockets in {seconds:.1f} s")
    assert reader.returncode == 0, out
    found = re.findall(r"^poll \d+: (\d+) sockets .*; (\d+) lost", out, re.M)
    assert len(found) == polls
    assert all(int(sockets) >= count and lost == "0" for sockets, lost in found)
    assert seconds <= polls * period + bound(2)
