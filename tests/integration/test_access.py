"""Access: the roles of callers, by the way they come in and by their identity. docs/access.md has the rules."""

import grp
import os
import re
import signal
import socket
import struct
import subprocess

import grpc
import pytest

from harness import netns, paths
from harness.caller import as_user, ask
from harness.waiting import bound, until

SOMEBODY, MEMBER, FRIEND = 64001, 64002, 64003  # users of no account
GROUP = 64100

NOBODY_IN = {"health": "UNAVAILABLE", "read": "UNAVAILABLE", "control": "UNAVAILABLE"}
HEALTH = {"health": "OK", "read": "PERMISSION_DENIED", "control": "PERMISSION_DENIED"}
READ = {"health": "OK", "read": "OK", "control": "PERMISSION_DENIED"}
CONTROL = {"health": "OK", "read": "OK", "control": "OK"}


@pytest.fixture
def start(host):
    """Starts a daemon that polls on request only."""
    def make(*options, **how):
        return host.daemon("--poll-frequency", "1h", *options, **how)
    return make


def unix(host):
    return f"unix:{host.folder()}/s"


# ---- On this machine ----

def test_unix_socket(host, start):
    d = start("--unix-socket-group", str(GROUP), listen=[unix(host)])
    status = os.stat(d.target.removeprefix("unix:"))
    assert (status.st_mode & 0o777, status.st_gid) == (0o660, GROUP)
    assert ask(d.target) == CONTROL
    assert ask(d.target, as_user(MEMBER, groups=[GROUP])) == READ
    assert ask(d.target, as_user(MEMBER, gid=GROUP)) == READ
    assert ask(d.target, as_user(SOMEBODY)) == NOBODY_IN


def test_unix_socket_for_everybody(host, start):
    d = start("--unix-socket-mode", "0666", listen=[unix(host)])
    assert ask(d.target, as_user(SOMEBODY)) == READ


def test_unix_socket_for_the_user_only(host, start):
    d = start("--unix-socket-mode", "0600", "--unix-socket-group", str(GROUP), listen=[unix(host)])
    assert ask(d.target, as_user(MEMBER, groups=[GROUP])) == NOBODY_IN
    assert ask(d.target) == CONTROL


def test_group_by_name(host, start):
    group = grp.getgrall()[-1]
    d = start("--unix-socket-group", group.gr_name, listen=[unix(host)])
    assert os.stat(d.target.removeprefix("unix:")).st_gid == group.gr_gid


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0"])
def test_loopback(start, listen):
    d = start(listen=[listen])
    assert ask(d.target) == CONTROL
    assert ask(d.target, as_user(SOMEBODY)) == READ


def test_ipv4_from_an_ipv6_socket(start):
    d = start("--access-read-uids", str(FRIEND))
    mapped = f"[::ffff:127.0.0.1]:{d.port}"
    assert ask(mapped, as_user(FRIEND)) == READ
    assert ask(mapped, as_user(SOMEBODY)) == HEALTH


def test_lists_of_users(start):
    d = start("--access-control-uids", str(FRIEND), "--access-read-uids", str(MEMBER))
    assert ask(d.target, as_user(FRIEND)) == CONTROL
    assert ask(d.target, as_user(MEMBER)) == READ
    assert ask(d.target, as_user(SOMEBODY)) == HEALTH
    assert ask(d.target) == CONTROL  # root cannot be locked out


def test_everybody_may_control(start):
    d = start("--access-control-uids", "*")
    assert ask(d.target, as_user(SOMEBODY)) == CONTROL


def test_the_daemons_own_user(host, start):
    folder = host.folder()
    os.chown(folder, SOMEBODY, SOMEBODY)
    os.makedirs(f"{folder}/netns")
    d = start("--access-read-uids", "", folder=folder, wrapper=as_user(SOMEBODY))
    d.allow("CAP_", "may not be")
    assert ask(d.target, as_user(SOMEBODY)) == CONTROL
    assert ask(d.target) == CONTROL
    assert ask(d.target, as_user(FRIEND)) == HEALTH


def test_the_error_says_what_is_missing(start):
    d = start()
    text = ask(d.target, as_user(SOMEBODY), texts=True)["control_text"]
    for word in ("ConfigService/TriggerPoll", "needs the role control", "has read", "access_control_uids"):
        assert word in text
    d.wait_log("is refused: .*TriggerPoll needs the role control")


def test_streams_need_a_role(start):
    d = start("--access-read-uids", "")
    script = """
import grpc, sys
for method in ("XTCPFlatRecordService/FlatRecords", "XTCPFlatRecordService/PollFlatRecords"):
    with grpc.insecure_channel(sys.argv[1]) as c:
        try:
            kind = c.stream_stream if "Poll" in method else c.unary_stream
            next(kind("/xtcp_flat_record.v1." + method)(iter([b""]) if "Poll" in method else b"", timeout=20))
        except grpc.RpcError as e:
            print(e.code().name)
"""
    done = subprocess.run([*as_user(SOMEBODY), "/usr/bin/python3", "-c", script, d.target], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.stdout.split() == ["PERMISSION_DENIED"] * 2


def test_roles_follow_a_reload(host, start):
    folder = host.folder()
    file = f"{folder}/xtcp2.yaml"

    def write(uids):
        with open(file, "w") as f:
            f.write(f"access_control_uids: [{uids}]\n")

    write("")
    d = start("--config", file)
    assert ask(d.target, as_user(FRIEND)) == READ
    write(f'"{FRIEND}"')
    d.send_signal(signal.SIGHUP)
    d.wait_log("access_control_uids: ")
    assert ask(d.target, as_user(FRIEND)) == CONTROL


# ---- Send, then close ----

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    """A header of HPACK without indexing or Huffman coding."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def trigger_request():
    """All bytes of a TriggerPoll call."""
    headers = b"".join(literal(n, v) for n, v in (
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/xtcp_config.v1.ConfigService/TriggerPoll"),
        (b":authority", b"x"), (b"te", b"trailers"), (b"content-type", b"application/grpc")))
    return PREFACE + frame(4, 0, 0, b"") + frame(1, 4, 1, headers) + frame(0, 1, 1, b"\0\0\0\0\0")


@pytest.mark.parametrize("how,role", [("stays", "control"), ("close", "health"), ("reset", "health"), ("half", "health")])
def test_send_then_close(host, start, how, role):
    """A peer that is gone when the daemon looks at the connection is nobody, even if it was root: the same address may
    be somebody else's by then. The daemon is stopped meanwhile, so that it looks only afterwards."""
    d = start("--log-level", "debug")
    client = host.connect(d)
    before = client.status().polls
    seen = len(d.log())
    os.kill(d.pid, signal.SIGSTOP)
    try:
        s = host.keep(socket.create_connection(("127.0.0.1", d.port)))
        s.sendall(trigger_request())
        if how == "reset":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "half":
            s.shutdown(socket.SHUT_WR)
        elif how != "stays":
            s.close()
    finally:
        os.kill(d.pid, signal.SIGCONT)
    found = until(lambda: re.findall(r"connection from .*: role (\w+)", d.log()[seen:]), 5, "a look at the connection")
    assert found == [role]
    if how == "stays":
        until(lambda: client.status().polls > before, 5, "the poll that was asked for")
    else:
        client.poll()
        assert client.status().polls == before + 1  # ours


# ---- From elsewhere ----

def test_beyond_loopback_takes_insecure(host):
    for where in ("0.0.0.0:0", "[::]:0"):
        done = subprocess.run([paths.DAEMON, "--grpc-listen", where], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, text=True, timeout=30)
        assert done.returncode == 1
        assert where in done.stderr and "grpc_insecure" in done.stderr


@pytest.mark.parametrize("role,answers", [("health", HEALTH), ("read", READ), ("control", CONTROL)])
def test_insecure(host, start, role, answers):
    """From another namespace: to the daemon that is another machine, also if its user is root."""
    ns = host.namespace()
    end = f"xta{os.getpid() % 100000}"
    with netns.veth(end, ns, "198.18.55.2/30"):
        netns.run("ip", "addr", "add", "198.18.55.1/30", "dev", end)
        d = start("--grpc-insecure", "true", "--access-anonymous-role", role, listen=["198.18.55.1:0"])
        assert ask(d.target, ("nsenter", f"--net={ns.path}")) == answers
        d.stop()


def test_health_only(host, start):
    d = start("--grpc-health-listen", "0.0.0.0:0")
    port = int(d.wait_log(r"listening on 0\.0\.0\.0:(\d+) \(health only\)")[1])
    assert ask(f"127.0.0.1:{port}") == HEALTH  # also root has nothing else here
    assert ask(d.target) == CONTROL


# ---- Listeners ----

def test_two_daemons_at_one_socket(host, start):
    d = start(listen=[unix(host)])
    other = host.process(paths.DAEMON, "--grpc-listen", d.target, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert b"already in use" in other.communicate(timeout=bound(10))[1]
    assert other.returncode == 1
    assert ask(d.target) == CONTROL


def test_many_starters_at_one_socket(host):
    """Of those that start at the same time over a socket that somebody has left behind, exactly one gets it."""
    folder = host.folder()
    for _ in range(5):
        left = socket.socket(socket.AF_UNIX)
        left.bind(f"{folder}/s")
        left.close()
        racers = [host.process(paths.DAEMON, "--grpc-listen", f"unix:{folder}/s", "--poll-frequency", "1h",
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(6)]
        until(lambda: sum(r.poll() is None for r in racers) <= 1, 10, "one starter is left")
        alive = [r for r in racers if r.poll() is None]
        assert len(alive) == 1
        assert ask(f"unix:{folder}/s") == CONTROL
        alive[0].terminate()
        for r in racers:
            r.communicate(timeout=bound(10))
        assert os.listdir(folder) == []


def test_killed_daemons_leave_nothing_in_the_way(host, start):
    folder = host.folder()
    for _ in range(10):
        d = start(listen=[f"unix:{folder}/s"], serving=False)
        d.kill()
        assert sorted(os.listdir(folder)) == ["s", "s.lock"]
    d = start(listen=[f"unix:{folder}/s"])
    assert ask(d.target) == CONTROL
    d.stop()
    assert os.listdir(folder) == []


def test_folder_of_the_socket(host, start):
    folder = host.folder()
    d = start(listen=[f"unix:{folder}/run/s"], wrapper=("sh", "-c", 'umask 077; exec "$@"', "sh"))
    assert os.stat(f"{folder}/run").st_mode & 0o777 == 0o755
    assert os.stat(f"{folder}/run/s").st_mode & 0o777 == 0o660
    d.stop()
    assert not os.path.exists(f"{folder}/run")
    os.mkdir(f"{folder}/run")
    start(listen=[f"unix:{folder}/run/s"]).stop()
    assert os.path.exists(f"{folder}/run")  # it was there before


def test_default_listeners(host):
    """One of them will do; none will not. In namespaces of its own, since others may use the same addresses here."""
    where = ("unshare", "-n", "-m", "--wd=/", "sh", "-c", 'mount -t tmpfs none /run && ip link set lo up && exec "$@"', "sh")
    d = host.daemon("--poll-frequency", "1h", listen=(), serving=False, wrapper=where)
    assert d.targets == ["127.0.0.1:8889", "unix:/run/xtcp2/xtcp2.sock"]
    inside = ("nsenter", f"--target={d.pid}", "-n", "-m", "-r")
    assert ask("127.0.0.1:8889", inside) == CONTROL
    assert ask("unix:/run/xtcp2/xtcp2.sock", inside) == CONTROL
    second = subprocess.run([*inside, str(paths.DAEMON)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, timeout=30)
    assert second.returncode == 1 and "going on without it" not in second.stderr
    last = second.stderr.splitlines()[-1]
    for address in d.targets:
        assert f"cannot listen on {address}: Address already in use, by xtcp2 (pid {d.pid})" in last, second.stderr
    assert second.stderr.count("cannot listen") == 2
    elsewhere = ("unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    third = host.daemon("--poll-frequency", "1h", listen=(), serving=False, wrapper=(*inside, *elsewhere))
    third.allow(rf"xtcp2.sock: Address already in use, by xtcp2 \(pid {d.pid}\): going on without it")
    third.allow(r"sh: 0: getcwd\(\) failed")  # of the wrapper, whose directory nsenter has left behind
    assert third.targets == ["127.0.0.1:8889"]
    third.stop()
    d.stop()


# ---- Limits ----

def test_connections_max(host, start):
    d = start("--connections-max", "20")
    d.allow("a connection is turned away")
    held = [host.keep(socket.create_connection(("127.0.0.1", d.port))) for _ in range(20)]
    for _ in range(10):
        late = host.keep(socket.create_connection(("127.0.0.1", d.port)))
        late.settimeout(bound(5))
        while late.recv(4096):  # what a server says first, when an earlier connection had just made room
            held.append(late)
            break
        else:
            break
    assert len(held) <= 21
    d.wait_log(r"20 of 20 are in use \(connections_max\)")
    for s in held:
        s.close()
    until(lambda: ask(d.target)["health"] == "OK", 10, "there is room again")


def test_control_calls_max(host, start):
    d = start("--control-calls-max", "5")
    d.allow("is refused")
    client = host.connect(d)
    codes = []
    for _ in range(30):
        try:
            client.trigger()
            codes.append("OK")
        except grpc.RpcError as e:
            codes.append(e.code().name)
            assert "control_calls_max" in e.details()
    assert set(codes) == {"OK", "RESOURCE_EXHAUSTED"} and codes[:5] == ["OK"] * 5
    assert client.get().generation == 1  # what changes nothing is not counted
    until(lambda: ask(d.target) == CONTROL, 5, "it may call again")


def test_users_and_groups_by_name(host, start):
    """`nobody` is a user, `daemon` (user and group 1) the primary group of one."""
    d = start("--access-control-uids", "nobody", "--access-read-uids", "@daemon,sys")
    assert ask(d.target, as_user(65534)) == CONTROL
    assert ask(d.target, as_user(1)) == READ
    assert ask(d.target, as_user(3)) == READ
    assert ask(d.target, as_user(SOMEBODY)) == HEALTH
    c = host.connect(d)
    assert c.get().options.access.read_uids.item == ["@daemon", "sys"]
    config = c.get()
    config.options.access.read_uids.item.append("no-such-user")
    with pytest.raises(grpc.RpcError) as e:
        c.set(config)
    assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert 'options.access.read_uids: "no-such-user": is no user of this machine' in e.value.details()
    config.options.access.read_uids.item[-1] = "bin"
    c.set(config)
    assert ask(d.target, as_user(2)) == READ
