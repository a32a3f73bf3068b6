"""Files that are none, standard input without an end, and signals that count all the same."""

import os
import signal
import subprocess
import time

import pytest

from harness import paths
from harness.certs import NAME, Authority
from harness.waiting import bound, until


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def run(*command, status, stdin=subprocess.DEVNULL):
    """The text of |command| on standard error; it must end by itself, soon, with |status|."""
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, timeout=bound(5), check=False)
    assert done.returncode == status, done
    return done.stderr


@pytest.fixture
def fifo(host):
    path = f"{host.folder()}/fifo"
    os.mkfifo(path)
    return path


# ---- Files that are not regular ----

@pytest.mark.parametrize("options", [["--check-config"], ["--once"], []])
def test_a_start_with_a_fifo(fifo, options):
    assert f"{fifo}: is a FIFO; only a regular file can be read" in run(paths.DAEMON, "--config", fifo, *options, status=1)


@pytest.mark.parametrize("option, status", [("--config", 2), ("--targets-file", 2), ("--token-file", 2), ("--cacert", 2)])
def test_a_client_with_a_fifo(fifo, option, status):
    tls = ["--tls"] if option == "--cacert" else []
    text = run(paths.CLIENT, *tls, option, fifo, "status", status=status)
    assert f"{fifo}: is a FIFO; only a regular file can be read" in text


def test_apply_a_fifo(host, fifo):
    d = host.daemon("--poll-frequency", "1h")
    assert "is a FIFO" in run(paths.CLIENT, "-t", d.target, "apply", fifo, status=2)


def test_files_become_fifos(host):
    """Configuration, state, tokens and certificates of a running daemon: told, and it goes on, and stops in time."""
    folder = host.folder()
    cert, key = Authority(folder, "ours").issue("server", cn="daemon", sans=[NAME])
    config = write(f"{folder}/xtcp2.yaml", "label: first\npoll_frequency: 1h\n")
    token = write(f"{folder}/tokens", "read:0123456789012345678901234567890123456789\n")
    os.chmod(token, 0o600)
    state = f"{folder}/state"
    d = host.daemon("--config", config, "--state-file", state, "--token-file", token, "--grpc-tls-listen",
                    "127.0.0.1:0", "--tls-cert-file", cert, "--tls-key-file", key)
    c = host.connect(d)
    d.allow("is a FIFO", "state_file")
    for path in (config, token, key):
        os.unlink(path)
        os.mkfifo(path)
        d.wait_log(f"{path}: is a FIFO", 5)
        assert c.get().label == "first"
    os.mkfifo(state)
    d.send_signal(signal.SIGHUP)
    until(lambda: d.log().count(f"{config}: is a FIFO") > 1, 5, "the error")
    assert c.get().label == "first"
    d.stop()
    assert all(os.path.exists(p) for p in (config, token, key, state))


def test_a_state_file_that_is_a_fifo(host, fifo):
    d = host.daemon("--poll-frequency", "1h", "--state-file", fifo)
    d.allow("state_file: what was kept is not used: .*is a FIFO")
    assert host.connect(d).health() == "SERVING"


def test_dev_null_stays_what_it_is(host):
    """As a file to read it is empty; as the state file it is not replaced."""
    null = f"{host.folder()}/null"
    os.mknod(null, 0o600 | 0o020000, os.makedev(1, 3))
    d = host.daemon("--config", null, "--state-file", null, "--poll-frequency", "1h")
    d.allow("what was kept is not used", "is not kept for the next start: .*no state file of this program")
    c = host.connect(d)
    c.set_frequency(2.0, 1.0)
    d.wait_log("no state file of this program", 5)
    d.stop()
    assert os.stat(null).st_rdev == os.makedev(1, 3)


# ---- Standard input ----

def feed(host, *command, text=b"", signals=(signal.SIGINT, signal.SIGTERM)):
    """How |command|, which reads a standard input that does not end, ends by each of |signals|."""
    for number in signals:
        p = host.process(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdin.write(text)
        p.stdin.flush()
        until(lambda pid=p.pid: reads_standard_input(pid), 5, "reading")
        p.send_signal(number)
        begin = time.monotonic()
        status = p.wait(timeout=bound(5))
        assert time.monotonic() - begin < bound(1)
        p.stdin.close()
        yield number, status, p.stderr.read().decode()


def reads_standard_input(pid):
    """Whether main waits in poll(2), and has gone past its start."""
    with open(f"/proc/{pid}/wchan", encoding="ascii") as f:
        return f.read() in ("do_sys_poll", "poll_schedule_timeout.constprop.0") or waits(pid)


def waits(pid):
    """Where wchan says nothing: it sleeps, and has not used any time for a while."""
    def stat():
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(") ", 1)[1].split()
        return fields[0], fields[11:13]
    before = stat()
    time.sleep(0.2)
    return before[0] == "S" and stat() == before


@pytest.mark.parametrize("command", [
    [paths.DAEMON, "--config", "/dev/stdin"],
    [paths.DAEMON, "--check-config", "--config", "/dev/stdin"],
    [paths.CLIENT, "--targets-file", "-", "status"],
    [paths.CLIENT, "--config", "/dev/stdin", "status"],
])
def test_a_signal_ends_reading(host, command):
    for number, status, _ in feed(host, *command):
        assert status == -number


def test_one_signal_ends_apply(host):
    d = host.daemon("--poll-frequency", "1h", "--label", "before")
    for _, status, text in feed(host, paths.CLIENT, "-t", d.target, "apply", "-", text=b'{"label": "x"'):
        assert status == 1 and "standard input: interrupted" in text
    assert host.connect(d).get().label == "before"


def test_standard_input_is_read(host):
    with open(write(f"{host.folder()}/file", "label: x\nlabel: y\n"), encoding="ascii") as f:
        assert "/dev/stdin:2: label" in run(paths.DAEMON, "--check-config", "--config", "/dev/stdin", status=1, stdin=f)
    done = subprocess.run(["bash", "-c", f"echo 'queue_rows: 1' | {paths.DAEMON} --check-config -c /dev/stdin; "
                           f"{paths.DAEMON} --check-config -c <(echo 'queue_rows: 2')"],
                          capture_output=True, text=True, timeout=bound(10), check=False)
    assert "/dev/stdin:1: queue_rows" in done.stderr and '/dev/fd/63:1: queue_rows: value "2"' in done.stderr


def test_standard_input_is_read_once(host):
    """A daemon that got its configuration that way keeps it."""
    path = write(f"{host.folder()}/c", "label: given\npoll_frequency: 1h\n")
    d = host.daemon("--config", "/dev/stdin", wrapper=("bash", "-c", f'exec "$@" < <(cat {path})', "bash"))
    c = host.connect(d)
    assert c.get().label == "given"
    d.send_signal(signal.SIGHUP)
    d.wait_log(r"the configuration came by standard input \(/dev/stdin\), which is read once: it stays")
    assert c.get().label == "given"
