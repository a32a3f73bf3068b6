"""Listeners that come, go and change while the daemon runs: nothing else is touched, a failure changes nothing."""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import ssl
import stat

import grpc
import pytest

from harness.caller import ask
from harness.certs import NAME, Authority
from harness.netns import free_port
from harness.rpc import Client, Code, config_pb
from harness.waiting import bound, until
from test_access import CONTROL, HEALTH, NOBODY_IN, READ


@pytest.fixture
def ours(host):
    return Authority(host.folder(), "ours")


def local():
    return f"127.0.0.1:{free_port()}"


def with_listeners(c, listen=None, **access):
    """The argument of Set for these listeners: a list replaces a list."""
    config = config_pb.XtcpConfig(generation=c.get().generation)
    if listen is not None:
        config.options.listeners.listen.extend(listen)
    for name, value in access.items():
        if isinstance(value, (list, tuple)):
            getattr(config.options.access, name).SetInParent()
            getattr(config.options.access, name).item.extend(value)
        else:
            setattr(config.options.access, name, value)
    return config


def change(c, listen=None, **access):
    return c.set(with_listeners(c, listen, **access))


def refused(c, listen=None, **access):
    """The reason of a change that fails; it has changed nothing."""
    before = c.get()
    with pytest.raises(grpc.RpcError) as e:
        change(c, listen, **access)
    assert e.value.code() == Code.FAILED_PRECONDITION, e.value
    assert c.get() == before
    return e.value.details()


def secure(host, target, ca):
    with open(ca, "rb") as f:
        credentials = grpc.ssl_channel_credentials(f.read())

    class Secure(Client):
        def __init__(self):
            real, grpc.insecure_channel = grpc.insecure_channel, lambda t, options: grpc.secure_channel(
                t, credentials, options=[*options, ("grpc.ssl_target_name_override", NAME)])
            try:
                super().__init__(target)
            finally:
                grpc.insecure_channel = real
    return host.keep(Secure())


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def shown(target):
    host, port = target.rsplit(":", 1)
    return ssl.get_server_certificate((host, int(port))).strip()


def certificate(ours, name):
    with open(f"{ours.folder}/{name}.crt", encoding="ascii") as f:
        return f.read().strip()


def check_whole(polls):
    ids = [p.begin.poll_id for p in polls]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert all(p.end.rows_lost == 0 for p in polls)


# ---- Each kind comes and goes ----

def test_listeners_come_and_go_during_a_stream(host, ours):
    d = host.daemon("--poll-frequency", "50ms", "--poll-timeout", "40ms", "--access-anonymous-role", "control")
    c = host.connect(d)
    first = d.target
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    path = f"{host.folder()}/s"
    tcp, probe, tls = local(), local(), local()
    with c.edges() as stream:
        polls = stream.polls(1)
        answer = change(c, [first, tcp, f"unix:{path}", "unix-abstract:" + os.path.basename(host.folder())],
                        health_listen=[probe], tls_listen=[tls], tls_cert_file=cert, tls_key_file=key).config
        assert answer.options.listeners.listen[1] == tcp and answer.grpc_port == d.port
        assert ask(tcp) == ask(f"unix:{path}") == CONTROL
        assert ask(probe) == HEALTH
        assert ask(tls, ca=ours.path) == CONTROL
        polls += stream.polls(2)
        # The first one is gone, but the connection over it is not, nor is the stream.
        assert change(c, [tcp], health_listen=[], tls_listen=[]).config.grpc_port == int(tcp.rsplit(":", 1)[1])
        for gone in (first, f"unix:{path}", probe):
            assert ask(gone) == NOBODY_IN
        assert ask(tls, ca=ours.path) == NOBODY_IN
        assert not os.path.exists(path) and not os.path.exists(path + ".lock")
        assert ask(tcp) == CONTROL
        assert c.get().options.listeners.listen == [tcp]
        polls += stream.polls(2)
    check_whole(polls)


def test_a_listener_takes_all_that_wait(host):
    """A client that connected before a listener is closed, and was not yet let in, still gets in."""
    d = host.daemon("--poll-frequency", "1h")
    c = host.connect(d)
    other = local()
    clients = [host.keep(socket.create_connection(("127.0.0.1", d.port))) for _ in range(50)]
    change(c, [other])
    for s in clients:
        s.settimeout(bound(5))
        assert s.recv(9)[3] == 4  # SETTINGS, which gRPC begins with
    assert ask(d.targets[0]) == NOBODY_IN


def test_it_does_not_matter_by_whom_it_comes(host):
    """SIGHUP goes the same way; what stays is the same socket."""
    path = f"{host.folder()}/xtcp2.yaml"
    one, two, three = local(), local(), local()

    def write(*listen):
        with open(path, "w", encoding="ascii") as f:
            f.write(f"poll_frequency: 1h\ngrpc_listen: {list(listen)}\n")
    write(one, two)
    d = host.daemon("--config", path, "--config-watch", "off", listen=())

    def inodes():
        return {line.split()[1]: line.split()[9] for line in open("/proc/net/tcp").readlines()[1:]
                if line.split()[3] == "0A"}
    hex_two = f"0100007F:{int(two.rsplit(':', 1)[1]):04X}"
    before = inodes()[hex_two]
    write(two, three)
    d.send_signal(signal.SIGHUP)
    d.wait_log(rf"listening on {three}")
    until(lambda: ask(one) == NOBODY_IN, 2, "the first one is gone")
    assert ask(two) == ask(three) == CONTROL
    assert inodes()[hex_two] == before
    assert host.connect(two).get().grpc_port == int(two.rsplit(":", 1)[1])


def test_port_zero_stays(host):
    d = host.daemon("--poll-frequency", "1h")
    c = host.connect(d)
    port = d.port
    other = local()
    assert change(c, ["127.0.0.1:0", other]).config.grpc_port == port
    assert change(c, [other, "127.0.0.1:0"]).config.grpc_port == int(other.rsplit(":", 1)[1])
    assert ask(f"127.0.0.1:{port}") == CONTROL


# ---- The same address ----

def test_a_listener_becomes_one_for_probes_and_back(host):
    one, two = local(), local()
    d = host.daemon("--poll-frequency", "1h", listen=(one, two))
    c = host.connect(one)
    change(c, [one], health_listen=[two])
    assert ask(two) == HEALTH
    change(c, [one, two], health_listen=[])
    assert ask(two) == CONTROL
    assert "no longer" not in d.log()  # it was never closed


def test_plaintext_becomes_tls_and_back(host, ours):
    one, two = local(), local()
    host.daemon("--poll-frequency", "100ms", "--poll-timeout", "50ms", listen=(one, two))
    c = host.connect(one)
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    with host.connect(two).edges() as plain:
        change(c, [one], tls_listen=[two], tls_cert_file=cert, tls_key_file=key)
        assert ask(two, ca=ours.path) == READ
        with secure(host, two, ours.path).edges() as encrypted:
            encrypted.polls(1)
            change(c, [one, two], tls_listen=[])
            assert ask(two) == CONTROL
            check_whole(encrypted.polls(2))
        check_whole(plain.polls(2))


def test_a_wider_address_takes_the_place_of_a_narrow_one(host):
    one, two = local(), local()
    host.daemon("--poll-frequency", "1h", listen=(one, two))
    c = host.connect(one)
    everywhere = "0.0.0.0:" + two.rsplit(":", 1)[1]
    change(c, [one, everywhere], insecure=True)
    assert ask(two) == CONTROL
    change(c, [one, two])
    assert ask(two) == CONTROL
    with socket.socket() as s:  # nobody else can have it, not even one who would share
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError):
            s.bind(("127.0.0.1", int(two.rsplit(":", 1)[1])))


def test_other_certificates_at_the_same_address(host, ours):
    one, two = local(), local()
    first = ours.issue("first", cn="daemon", sans=[NAME])
    second = ours.issue("second", cn="daemon", sans=[NAME])
    d = host.daemon("--poll-frequency", "100ms", "--poll-timeout", "50ms", "--grpc-tls-listen", two, "--tls-cert-file",
                    first[0], "--tls-key-file", first[1], listen=(one,))
    c = host.connect(one)
    assert shown(two) == certificate(ours, "first")
    with secure(host, two, ours.path).edges() as stream:
        stream.polls(1)
        change(c, tls_cert_file=second[0], tls_key_file=second[1])
        assert shown(two) == certificate(ours, "second")
        check_whole(stream.polls(2))
        assert "no longer" not in d.log()
        # Whether clients have to show one is settled when the listener is made: another one takes its place.
        clients = Authority(host.folder(), "clients")
        change(c, tls_client_ca_file=clients.path)
        cert, key = clients.issue("client", cn="whoever")
        assert ask(two, ca=ours.path) == NOBODY_IN
        assert ask(two, ca=ours.path, cert=cert, key=key) == READ
        check_whole(stream.polls(2))


def test_one_port_at_several_addresses_is_replaced_in_place(host, ours):
    port = free_port()
    both = [f"127.0.0.1:{port}", f"127.0.0.2:{port}"]
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    clients = Authority(host.folder(), "clients")
    mine = clients.issue("client", cn="whoever")
    d = host.daemon("--poll-frequency", "1h", "--grpc-tls-listen", ",".join(both), "--tls-cert-file", cert,
                    "--tls-key-file", key)
    c = host.connect(d)
    for _ in range(3):
        change(c, tls_client_ca_file=clients.path)
        for target in both:
            assert ask(target, ca=ours.path) == NOBODY_IN
            assert ask(target, ca=ours.path, cert=mine[0], key=mine[1]) == READ
        c.config.Set(config_pb.SetRequest(reset=["options.access.tls_client_ca_file"]), timeout=bound(5))
        for target in both:
            assert ask(target, ca=ours.path) == READ


def test_mode_and_group_of_a_socket(host):
    path = f"{host.folder()}/s"
    d = host.daemon("--poll-frequency", "1h", listen=(f"unix:{path}", "127.0.0.1:0"))
    c = host.connect(d.targets[1])
    inode = os.stat(path).st_ino
    assert mode_of(path) == 0o660
    change(c, unix_socket_mode="0666", unix_socket_group="7")
    assert (mode_of(path), os.stat(path).st_gid, os.stat(path).st_ino) == (0o666, 7, inode)
    change(c, unix_socket_mode="0600")
    assert (mode_of(path), os.stat(path).st_gid) == (0o600, 7)
    assert "no group nobody-at-all" in refused(c, unix_socket_mode="0666", unix_socket_group="nobody-at-all")
    assert (mode_of(path), os.stat(path).st_gid) == (0o600, 7)


def test_a_group_with_many_members(host):
    folder = host.folder()
    with open("/etc/group", encoding="utf-8") as f:
        groups = f.read()
    with open(f"{folder}/group", "w", encoding="utf-8") as f:
        f.write(groups + "xtcp2-many:x:61234:" + ",".join(f"user-number-{i}" for i in range(5000)) + "\n")
    path = f"{folder}/s"
    host.daemon("--poll-frequency", "1h", "--unix-socket-group", "xtcp2-many", listen=(f"unix:{path}",),
                wrapper=("unshare", "-m", "sh", "-c", f'mount --bind {folder}/group /etc/group && exec "$@"', "sh"))
    assert os.stat(path).st_gid == 61234


# ---- Failures ----

def test_what_fails_changes_nothing(host, ours):
    first = local()
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    other = ours.issue("other")[1]
    path = f"{host.folder()}/s"
    d = host.daemon("--poll-frequency", "100ms", "--poll-timeout", "50ms", listen=(first,))
    c = host.connect(first)
    new = local()
    with socket.create_server(("127.0.0.1", 0)) as taken, c.edges() as stream:
        polls = stream.polls(1)
        before = sum(f.startswith("socket:") for f in d.fds().values()) + 1  # a dump's
        full = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"cannot listen on {full}: Address already in use" in refused(c, [new, full])
        assert f"cannot listen on {full} (TLS): Address already in use" in refused(
            c, [new], tls_listen=[full], tls_cert_file=cert, tls_key_file=key)
        assert "needs tls_cert_file and tls_key_file" in refused(c, [new], tls_listen=[local()])
        assert "is not the key of the certificate" in refused(c, [new], tls_listen=[local()], tls_cert_file=cert,
                                                              tls_key_file=other)
        assert "holds no certificate" in refused(c, [new], tls_listen=[local()], tls_cert_file=key, tls_key_file=key)
        assert "cannot listen on unix:/proc/s" in refused(c, [f"unix:{path}", "unix:/proc/s"])
        assert "token_file: /does/not/exist" in refused(c, [new], token_file="/does/not/exist")
        # A dry run reads the same files.
        bad = with_listeners(c, [new], tls_listen=[local()], tls_cert_file=cert, tls_key_file=other)
        with pytest.raises(grpc.RpcError) as e:
            c.set(bad, dry_run=True)
        assert e.value.code() == Code.FAILED_PRECONDITION and "is not the key" in e.value.details()
        bad.options.access.tls_key_file = key
        assert "options.access.tls_listen" in c.set(bad, dry_run=True).changed
        assert ask(new) == NOBODY_IN and not os.path.exists(path)
        assert ask(first) == CONTROL
        polls += stream.polls(2)
        until(lambda: sum(f.startswith("socket:") for f in d.fds().values()) <= before, 5, "no descriptor is left over")
    check_whole(polls)


def test_certificates_are_read_when_tls_comes_back(host, ours):
    tls = local()
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    d = host.daemon("--poll-frequency", "1h", "--config-watch", "off", "--grpc-tls-listen", tls, "--tls-cert-file",
                    cert, "--tls-key-file", key)
    c = host.connect(d)
    change(c, tls_listen=[])
    with open(cert, "r+b") as f:
        good = f.read()
        f.truncate(0)
        assert "holds no certificate" in refused(c, tls_listen=[tls])
        f.seek(0)
        f.write(good)
    change(c, tls_listen=[tls])
    assert ask(tls, ca=ours.path) == READ


def test_a_failing_reload_names_the_listener(host):
    path = f"{host.folder()}/xtcp2.yaml"
    first = local()
    with open(path, "w", encoding="ascii") as f:
        f.write(f"poll_frequency: 1h\ngrpc_listen: ['{first}']\n")
    d = host.daemon("--config", path, "--config-watch", "off", listen=())
    d.allow("not reloaded")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        full = f"127.0.0.1:{taken.getsockname()[1]}"
        with open(path, "w", encoding="ascii") as f:
            f.write(f"poll_frequency: 2h\ngrpc_listen: ['{full}']\n")
        d.send_signal(signal.SIGHUP)
        d.wait_log(rf"not reloaded, everything stays as it is: cannot listen on {re.escape(full)}: Address already in use")
        assert host.connect(first).get().poll_frequency.seconds == 3600


# ---- The client that asks for the change ----

@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
def test_the_answer_survives_the_end_of_its_own_listener(host, ours, kind):
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    one, two = local(), local()
    path = f"{host.folder()}/s"
    host.daemon("--poll-frequency", "1h", "--grpc-tls-listen", two, "--tls-cert-file", cert, "--tls-key-file", key,
                "--access-anonymous-role", "control", listen=(one, f"unix:{path}"))
    for _ in range(10):
        c = {"tcp": lambda: host.connect(one), "unix": lambda: host.connect(f"unix:{path}"),
             "tls": lambda: secure(host, two, ours.path)}[kind]()
        stays = [one] if kind == "unix" else [f"unix:{path}"]
        other = host.connect(stays[0])
        assert list(change(c, stays, tls_listen=[]).config.options.listeners.listen) == stays
        change(other, [one, f"unix:{path}"], tls_listen=[two])
        c.close()


def test_the_port_alone(host):
    """grpc_port is the port of the first TCP listener: setting it moves that one."""
    path = f"{host.folder()}/s"
    d = host.daemon("--poll-frequency", "1h", listen=(f"unix:{path}", "127.0.0.1:0"))
    c = host.connect(f"unix:{path}")
    port = free_port()
    answer = c.set(grpc_port=port)
    assert answer.config.grpc_port == port
    assert answer.config.options.listeners.listen == [f"unix:{path}", f"127.0.0.1:{port}"]
    assert {"grpc_port", "options.listeners.listen"} <= set(answer.changed)
    assert ask(f"127.0.0.1:{port}") == CONTROL and ask(d.targets[1]) == NOBODY_IN
    config = c.get()  # read, edit, apply
    config.grpc_port = other = free_port()
    assert c.set(config).config.grpc_port == other
    config = c.get()
    config.grpc_port = free_port()
    config.options.listeners.listen[1] = local()
    with pytest.raises(grpc.RpcError) as e:
        c.set(config)
    assert e.value.code() == Code.INVALID_ARGUMENT and "contradicts" in e.value.details()


# ---- Many ----

ROUNDS = 200


def test_two_hundred_random_changes_under_load(host, ours):
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    cert2, key2 = ours.issue("second", cn="daemon", sans=[NAME])
    chance = random.Random(1)
    base = f"unix:{host.folder()}/base"
    folder = host.folder()
    ports = [local() for _ in range(5)]
    d = host.daemon("--poll-frequency", "20ms", "--poll-timeout", "15ms", "--access-anonymous-role", "control",
                    listen=(base,))
    d.allow("is turned away")
    c = host.connect(base)
    unix = [f"unix:{folder}/{n}" for n in range(3)]
    with socket.create_server(("127.0.0.1", 0)) as taken, c.edges() as stream:
        full = f"127.0.0.1:{taken.getsockname()[1]}"
        polls = stream.polls(1)
        before = sum(f.startswith("socket:") for f in d.fds().values()) + 1  # a dump's
        done = failed = 0
        for number in range(ROUNDS):
            places = chance.sample(ports, len(ports))
            first, second = sorted((chance.randint(0, 5), chance.randint(0, 5)))
            listen = [base, *places[:first], *chance.sample(unix, chance.randint(0, 3))]
            tls = places[first:second]
            bad = chance.random() < 0.2
            config = with_listeners(c, listen, health_listen=places[second:][:2], tls_listen=tls + [full] * bad,
                                    tls_cert_file=chance.choice((cert, cert2)),
                                    unix_socket_mode=chance.choice(("0600", "0660", "0666")))
            config.options.access.tls_key_file = key if config.options.access.tls_cert_file == cert else key2
            try:
                c.set(config)
                done += 1
            except grpc.RpcError as e:
                assert e.code() == Code.FAILED_PRECONDITION and full in e.details() and bad, e
                failed += 1
                continue
            assert not bad
            if number % 10 == 0 and tls:
                where = chance.choice(tls)
                assert shown(where) == certificate(ours, "server" if config.options.access.tls_cert_file == cert else "second")
            if first and number % 7 == 0:
                with contextlib.closing(Client(places[0])) as other:
                    assert other.get().generation == c.get().generation
        assert done > 100 and failed > 10
        change(c, [base], health_listen=[], tls_listen=[])
        until(lambda: not any(ask(p) != NOBODY_IN for p in ports), 5, "all of them are gone")
        c.set_frequency(0.2, 0.1)
        while polls[-1].begin.poll_id < c.status().polls - 1:
            polls += stream.polls(1)
    check_whole(polls)
    assert sorted(os.listdir(folder)) == []

    # Nothing is left over of it.
    def sockets():
        return sum(f.startswith("socket:") for f in d.fds().values())
    until(lambda: sockets() <= before, 10, "the descriptors are those of the start")


# ---- Connections ----

def test_connections_by_tls_count(host, ours):
    """connections_max holds for both kinds together, and no accepted connection is closed."""
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    tls = local()
    d = host.daemon("--poll-frequency", "100ms", "--poll-timeout", "50ms", "--grpc-tls-listen", tls, "--tls-cert-file",
                    cert, "--tls-key-file", key)
    d.allow("turned away")
    c = host.connect(d)
    with c.edges() as plain, secure(host, tls, ours.path).edges() as encrypted:
        polls = plain.polls(1), encrypted.polls(1)
        # Of those that there are, the one by TLS counts as two.
        limits = config_pb.Limits(connections_max=7, user_share_percent=100, reserve=config_pb.Reserve(percent=0))
        c.set(options=config_pb.DaemonOptions(limits=limits))
        context = ssl.create_default_context(cafile=ours.path)
        context.set_alpn_protocols(["h2"])
        address = ("127.0.0.1", int(tls.rsplit(":", 1)[1]))

        def come():
            raw = socket.create_connection(address, timeout=bound(5))
            try:
                s = context.wrap_socket(raw, server_hostname=NAME)
                host.keep(s)
                s.settimeout(1)  # not for long: who does not begin to speak HTTP/2 has to go after ten seconds
                while s.recv(1000):
                    pass
                return False
            except TimeoutError:
                return True  # it is let be
            except OSError:
                return False
        stay = sum(come() for _ in range(6))
        assert stay == 2, "seven in all"
        d.wait_log("a connection by TLS is turned away: connections: ")
        # The plaintext ones as well.
        with socket.create_connection(("127.0.0.1", d.port), timeout=bound(5)) as s:
            assert s.recv(100) == b""
        d.wait_log(r"a connection is turned away: connections: 7 of 7 are in use \(connections_max\)")
        check_whole(polls[0] + plain.polls(2))
        check_whole(polls[1] + encrypted.polls(2))
        limits.connections_max = 100
        c.set(options=config_pb.DaemonOptions(limits=limits))
        assert ask(tls, ca=ours.path) == READ


def test_plaintext_beside_tls_at_one_port_counts_once(host, ours):
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    port = free_port()
    host.daemon("--poll-frequency", "1h", "--connections-max", "20", "--grpc-tls-listen", f"127.0.0.2:{port}",
                "--tls-cert-file", cert, "--tls-key-file", key, listen=(f"127.0.0.1:{port}",))
    plain = [socket.create_connection(("127.0.0.1", port), timeout=bound(5)) for _ in range(6)]
    for s in plain:
        host.keep(s)
        assert s.recv(1000)  # its settings
    assert ask(f"127.0.0.2:{port}", ca=ours.path) == READ
    assert ask(f"127.0.0.1:{port}") == CONTROL
    for s in plain:
        s.settimeout(0.2)
        with pytest.raises(TimeoutError):
            while s.recv(1000):
                pass
            pytest.fail("it was closed")


def test_turning_away_costs_little(host):
    """Connections that are turned away do not make the daemon look at all the others each time."""
    d = host.daemon("--poll-frequency", "1h", "--connections-max", "2000")
    d.allow("turned away")
    held = [host.keep(socket.create_connection(("127.0.0.1", d.port))) for _ in range(2000)]

    def cpu():
        with open(f"/proc/{d.pid}/stat", encoding="ascii", errors="replace") as f:
            return sum(map(int, f.read().rsplit(") ", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")
    before = cpu()
    refused_ones = 0
    for _ in range(3000):
        with socket.create_connection(("127.0.0.1", d.port), timeout=bound(5)) as s:
            refused_ones += s.recv(9) == b""
    assert refused_ones >= 2900
    # 3000 looks at 2000 connections would be six million system calls.
    spent = cpu() - before
    assert spent < bound(0.6), f"{spent} s"
    for _ in range(10):
        held.pop().close()
    until(lambda: ask(d.target) == CONTROL, 5, "there is room again")


# ---- The file of a unix socket goes ----

@pytest.mark.parametrize("whole_folder", [False, True])
@pytest.mark.parametrize("watch", ["on", "off"])
def test_a_socket_that_is_removed(host, whole_folder, watch):
    """It is told, once, and SIGHUP makes it again; connections live on."""
    path = f"{host.folder()}/run/s"
    d = host.daemon("--poll-frequency", "200ms", "--config-watch", watch, "--unix-socket-mode", "0600",
                    listen=[f"unix:{path}", "127.0.0.1:0"])
    warning = f"listener unix:{path}: the socket has been removed or replaced"
    d.allow(warning)
    c = host.connect(f"unix:{path}")
    before = c.get()
    if whole_folder:
        shutil.rmtree(os.path.dirname(path))
    else:
        os.unlink(path)
    d.wait_log(warning, 5)
    assert c.get() == before
    d.send_signal(signal.SIGHUP)
    d.wait_log(f"again listening on unix:{path}", 5)
    assert mode_of(path) == 0o600
    assert host.connect(f"unix:{path}").get().label == before.label
    assert c.get().label == before.label
    assert d.log().count(warning) == 1
    d.stop()
    assert not os.path.exists(path)


def test_a_socket_whose_place_is_taken(host):
    path = f"{host.folder()}/s"
    d = host.daemon("--poll-frequency", "1h", listen=[f"unix:{path}", "127.0.0.1:0"])
    d.allow("removed or replaced", "a file that is no socket is in the way")
    os.unlink(path)
    os.symlink("/etc/passwd", path)
    mode = mode_of("/etc/passwd")
    d.wait_log("removed or replaced", 5)
    d.send_signal(signal.SIGHUP)
    d.wait_log("a file that is no socket is in the way", 5)
    change(host.connect(d.targets[1]), unix_socket_mode="0666")
    assert mode_of("/etc/passwd") == mode
    os.unlink(path)
    d.send_signal(signal.SIGHUP)
    d.wait_log(f"again listening on unix:{path}", 5)
    assert mode_of(path) == 0o660
    assert host.connect(f"unix:{path}").health() == "SERVING"
