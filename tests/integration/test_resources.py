"""The environment of the process: limits, and variables that gRPC reads."""

import subprocess

import pytest

from harness import paths
from harness.waiting import SLOW, bound

LIMITED = 64077  # a user of nothing else
NO_THREAD = "RLIMIT_NPROC"

# Nor can all threads be joined where gRPC waits for one that it could not start.
limits_threads = pytest.mark.skipif(SLOW > 1, reason="a sanitizer has threads of its own and wants to see all end")


def run(program, *options, limit):
    """Standard error and exit status of |program| under |limit|, an option of prlimit(1)."""
    done = subprocess.run(["prlimit", limit, "setpriv", f"--reuid={LIMITED}", f"--regid={LIMITED}", "--clear-groups",
                           program, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=bound(10), check=False, env={"HOME": "/nonexistent"})
    assert done.stdout == ""
    return done.stderr, done.returncode


@limits_threads
@pytest.mark.parametrize("threads", [1, 3, 6, 9, 12, 15, 18])
def test_no_threads_left_for_the_daemon(threads):
    text, status = run(paths.DAEMON, "--grpc-listen", "127.0.0.1:0", limit=f"--nproc={threads}")
    assert status == 1 and "cannot start" in text and NO_THREAD in text


@limits_threads
@pytest.mark.parametrize("threads", [1, 2])
def test_no_threads_left_for_the_client(threads):
    text, status = run(paths.CLIENT, "--target", "127.0.0.1:1", "status", limit=f"--nproc={threads}")
    assert status == 1 and "cannot start" in text and NO_THREAD in text


@pytest.mark.parametrize("program", [paths.DAEMON, paths.CLIENT])
def test_a_small_stack(program):
    text, status = run(program, "--version", limit="--stack=65536")
    assert status == 1 and "RLIMIT_STACK (ulimit -s) is 64 KiB; allowed 512 KiB or more" in text


@pytest.mark.parametrize("strategy", ["epollex", "poll", "none", "x"])
def test_engines_of_grpc(host, strategy):
    environment = ("env", f"GRPC_POLL_STRATEGY={strategy}")
    d = host.daemon("--poll-frequency", "1h", wrapper=environment)
    done = subprocess.run([*environment, paths.CLIENT, "--target", d.target, "health"], capture_output=True, text=True,
                          timeout=bound(10), check=False)
    assert (done.returncode, done.stderr) == (0, "")
