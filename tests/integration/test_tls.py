"""Listeners with TLS, roles by certificate and by token. docs/access.md has the rules."""

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess

import grpc
import pytest

from harness import paths
from harness.caller import as_user, ask
from harness.certs import NAME, Authority
from harness.rpc import Client
from harness.waiting import bound, until
from test_access import CONTROL, HEALTH, NOBODY_IN, READ, SOMEBODY, start  # noqa: F401 (a fixture)

NOT_AUTHENTICATED = {"health": "UNAUTHENTICATED", "read": "UNAUTHENTICATED", "control": "UNAUTHENTICATED"}
READ_TOKEN, CONTROL_TOKEN = "r" * 16, "c0ntrol-" + "x" * 56


@pytest.fixture
def ours(host):
    return Authority(host.folder(), "ours")


@pytest.fixture
def clients(host):
    return Authority(host.folder(), "clients")


def with_tls(ours, *options):
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    return ("--grpc-tls-listen", "127.0.0.1:0", "--tls-cert-file", cert, "--tls-key-file", key, *options)


def tls_target(d):
    return d.wait_log(r"listening on (\S+) \(TLS")[1]


def token_file(host, text=f"# ours\n\nread:{READ_TOKEN}\ncontrol:{CONTROL_TOKEN}\n", mode=0o600):
    path = f"{host.folder()}/tokens"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, mode), "w") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


# ---- TLS ----

def test_tls(start, ours):
    d = start(*with_tls(ours))
    assert ask(tls_target(d), ca=ours.path) == READ
    assert ask(d.target) == CONTROL  # the plaintext listener is still there


@pytest.mark.parametrize("role,answers", [("health", HEALTH), ("control", CONTROL)])
def test_role_of_those_without_a_certificate(start, ours, role, answers):
    d = start(*with_tls(ours, "--access-anonymous-role", role))
    assert ask(tls_target(d), ca=ours.path) == answers


def test_plaintext_at_a_tls_listener(start, ours):
    d = start(*with_tls(ours))
    assert ask(tls_target(d)) == NOBODY_IN


def test_clients_check_the_daemon(start, ours, clients):
    d = start(*with_tls(ours))
    assert ask(tls_target(d), ca=clients.path) == NOBODY_IN


@pytest.mark.parametrize("cn,sans,answers", [
    ("admin.ops.example", (), CONTROL),
    ("somebody", ("admin.ops.example",), CONTROL),
    ("", ("spiffe://example/ops/admin",), CONTROL),
    ("viewer", (), READ),
    ("somebody", ("other.example", "viewer"), READ),
    ("stranger", ("stranger.example",), HEALTH),
    ("admin.ops.example.evil", (), HEALTH),
    ("", ("xadmin.ops.example.evil",), HEALTH),
])
def test_roles_by_certificate(start, ours, clients, cn, sans, answers):
    d = start(*with_tls(ours, "--tls-client-ca-file", clients.path, "--access-anonymous-role", "control",
                        "--access-control-names", "*.ops.example,spiffe://example/ops/*", "--access-read-names", "viewer"))
    cert, key = clients.issue("client", cn=cn, sans=sans)
    assert ask(tls_target(d), ca=ours.path, cert=cert, key=key) == answers


def test_any_certificate_may_read_by_default(start, ours, clients):
    d = start(*with_tls(ours, "--tls-client-ca-file", clients.path))
    cert, key = clients.issue("client", cn="whoever")
    assert ask(tls_target(d), ca=ours.path, cert=cert, key=key) == READ


def test_certificates_that_do_not_count(host, start, ours, clients):
    d = start(*with_tls(ours, "--tls-client-ca-file", clients.path, "--access-control-names", "*"))
    target = tls_target(d)
    assert ask(target, ca=ours.path) == NOBODY_IN  # none
    for authority, expired in ((clients, True), (ours, False), (Authority(host.folder(), "clients"), False)):
        cert, key = authority.issue("client", cn="admin", expired=expired)
        assert ask(target, ca=ours.path, cert=cert, key=key) == NOBODY_IN
    cert, key = clients.issue("client", cn="admin")
    assert ask(target, ca=ours.path, cert=cert, key=key) == CONTROL


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(start, ours):
    d = start(*with_tls(ours))
    port = int(tls_target(d).rsplit(":", 1)[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ours.path)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port)) as s, pytest.raises(OSError):
        context.wrap_socket(s, server_hostname=NAME)


# ---- Reload ----

def served(d):
    """The certificate that the daemon shows to who connects now."""
    host, port = tls_target(d).rsplit(":", 1)
    return ssl.get_server_certificate((host, int(port)))


def secure_client(host, d, ca):
    class Secure(Client):
        def __init__(self, target):
            with open(ca, "rb") as f:
                credentials = grpc.ssl_channel_credentials(f.read())
            real, grpc.insecure_channel = grpc.insecure_channel, lambda t, options: grpc.secure_channel(
                t, credentials, options=[*options, ("grpc.ssl_target_name_override", NAME)])
            try:
                super().__init__(target)
            finally:
                grpc.insecure_channel = real
    return host.keep(Secure(tls_target(d)))


def test_certificate_is_replaced(host, start, ours):
    """A client that comes after the change sees the new certificate; a stream from before goes on."""
    d = start(*with_tls(ours), "--poll-frequency", "200ms", "--poll-timeout", "100ms")
    first = served(d)
    with secure_client(host, d, ours.path).edges() as stream:
        stream.polls(1)
        ours.issue("server", cn="daemon", sans=[NAME])  # both files are replaced, the certificate first
        second = until(lambda: (c := served(d)) != first and c, 5, "the new certificate")
        d.wait_log("certificate read again")
        d.allow("is still in use")  # between the two files
        assert open(f"{ours.folder}/server.crt").read().strip() == second.strip()
        stream.polls(2)
    assert ask(tls_target(d), ca=ours.path) == READ


@pytest.mark.parametrize("damage", ["garbage", "empty", "missing", "other key"])
def test_broken_files_change_nothing(host, start, ours, damage):
    d = start(*with_tls(ours))
    first = served(d)
    path = f"{ours.folder}/server.key"
    if damage == "missing":
        os.unlink(path)
    elif damage == "other key":
        os.rename(ours.issue("other")[1], path)
    else:
        with open(path, "w") as f:
            f.write("garbage\n" if damage == "garbage" else "")
    d.allow("the certificate from before is still in use")
    d.send_signal(signal.SIGHUP)
    d.wait_log(r"tls_key_file: \S+server.key: .*the certificate from before is still in use")
    assert served(d) == first
    assert ask(tls_target(d), ca=ours.path) == READ
    ours.issue("server", cn="daemon", sans=[NAME])
    until(lambda: served(d) != first, 5, "the repaired certificate")


@pytest.mark.parametrize("what,said", [
    ("no key", "grpc_tls_listen needs tls_cert_file and tls_key_file"),
    ("missing", "tls_cert_file: .*No such file"),
    ("garbage", "tls_cert_file: .*holds no certificate"),
    ("key", "tls_key_file: .*is not the key of the certificate"),
    ("ca", "tls_client_ca_file: .*holds no certificate"),
])
def test_a_start_with_bad_files(host, ours, what, said):
    cert, key = ours.issue("server", sans=[NAME])
    ca = ours.path
    if what == "missing":
        os.unlink(cert)
    if what == "garbage":
        open(cert, "w").close()
    if what == "key":
        key = ours.issue("other")[1]
    if what == "ca":
        ca = key
    options = ["--grpc-listen", f"unix:{host.folder()}/s", "--grpc-tls-listen", "127.0.0.1:0", "--tls-cert-file", cert,
               "--tls-client-ca-file", ca] + (["--tls-key-file", key] if what != "no key" else [])
    for more in ([], ["--check-config"]):
        done = subprocess.run([paths.DAEMON, *options, *more], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, timeout=30)
        assert done.returncode == 1
        assert re.search(said, done.stderr), done.stderr


def test_a_port_that_is_taken(host, start, ours):
    with socket.create_server(("127.0.0.1", 0)) as s:
        cert, key = ours.issue("server", sans=[NAME])
        where = f"127.0.0.1:{s.getsockname()[1]}"
        done = subprocess.run([paths.DAEMON, "--grpc-listen", f"unix:{host.folder()}/s", "--grpc-tls-listen", where,
                               "--tls-cert-file", cert, "--tls-key-file", key], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=30)
        assert done.returncode == 1
        assert f"cannot listen on {where} (TLS): Address already in use" in done.stderr


def test_a_listener_that_has_died_comes_back(host, ours):
    """Without a descriptor gRPC's listener stops for good; ours is made anew, and streams go on."""
    d = host.daemon("--poll-frequency", "200ms", "--poll-timeout", "100ms", "--log-level", "debug", *with_tls(ours),
                    wrapper=("prlimit", "--nofile=60:60"))
    d.allow("no descriptor", "Too many open files", "turned away", "trying again", "is made anew")
    target = tls_target(d)
    address, port = target.rsplit(":", 1)
    with secure_client(host, d, ours.path).edges() as stream:
        stream.polls(1)
        for time in range(1, 4):
            held = []
            with contextlib.suppress(OSError):
                for _ in range(80):
                    held.append(host.keep(socket.create_connection((address, int(port)), timeout=bound(2))))
            until(lambda: "no descriptor for a connection by TLS" in d.log(), 10, "the loss is noticed")
            stream.polls(2)
            for s in held:
                s.close()
            until(lambda: d.log().count("listening again on") >= time, 10, "it is made anew")
            assert tls_target(d) == target
            until(lambda: ask(target, ca=ours.path) == READ, 20, "a new client is served")
        stream.polls(2)
        assert "a server that was replaced is gone" in d.log()  # strangers cannot make them pile up


# ---- Tokens ----

def test_tokens(host, start):
    d = start("--token-file", token_file(host), "--access-read-uids", "")
    somebody = as_user(SOMEBODY)
    assert ask(d.target, somebody) == HEALTH
    assert ask(d.target, somebody, token=READ_TOKEN) == READ
    assert ask(d.target, somebody, token=CONTROL_TOKEN) == CONTROL
    assert ask(d.target, token=READ_TOKEN) == CONTROL  # raises, never lowers
    for wrong in ("x" * 16, READ_TOKEN + "r", READ_TOKEN[:-1], CONTROL_TOKEN.upper(), "x" * 5000, "short", ""):
        assert ask(d.target, somebody, token=wrong) == NOT_AUTHENTICATED
        assert ask(d.target, token=wrong) == NOT_AUTHENTICATED


def test_tokens_by_tls(host, start, ours, clients):
    d = start(*with_tls(ours, "--token-file", token_file(host), "--access-anonymous-role", "health"))
    assert ask(tls_target(d), ca=ours.path) == HEALTH
    assert ask(tls_target(d), ca=ours.path, token=READ_TOKEN) == READ
    assert ask(tls_target(d), ca=ours.path, token=CONTROL_TOKEN) == CONTROL
    assert ask(tls_target(d), ca=ours.path, token="x" * 40) == NOT_AUTHENTICATED


def test_tokens_with_certificates(host, start, ours, clients):
    d = start(*with_tls(ours, "--tls-client-ca-file", clients.path, "--token-file", token_file(host)))
    cert, key = clients.issue("client", cn="whoever")
    assert ask(tls_target(d), ca=ours.path, cert=cert, key=key, token=CONTROL_TOKEN) == CONTROL
    assert ask(tls_target(d), ca=ours.path, token=CONTROL_TOKEN) == NOBODY_IN  # a token is no certificate


def test_changes_tell_who_made_them(host, start, ours, clients):
    """The address and more: the name in the certificate, the user, the presence of a token."""
    d = start(*with_tls(ours, "--tls-client-ca-file", clients.path, "--access-control-names", "*",
                        "--token-file", token_file(host)))

    def set_label(target, label, *options, wrapper=()):
        subprocess.run([*wrapper, paths.CLIENT, "--target", target, *options, "set", f"label={label}"], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=bound(20))

    certificates = [clients.issue("client", cn="x", sans=["a.ops.example"]), clients.issue("odd", cn="\u00e9: \n" + "y" * 59)]
    for i, (cert, key) in enumerate(certificates):
        set_label(tls_target(d), f"tls{i}", "--cacert", ours.path, "--servername", NAME, "--cert", cert, "--key", key)
    token = f"{host.folder()}/token"
    with open(token, "w", encoding="utf-8") as f:
        f.write(CONTROL_TOKEN)
    os.chmod(os.path.dirname(token), 0o755)
    os.chmod(token, 0o644)
    set_label(d.target, "token", "--token-file", token, wrapper=("env", "-u", "HOME", *as_user(SOMEBODY)))
    set_label(d.target, "user")
    peers = [c.peer for c in host.connect(d).status().changes]
    remote = r"ipv4:127\.0\.0\.1:\d+ "
    expected = [remote + r"name=a\.ops\.example", remote + r"name=\?\?:\?\?y+", rf"127\.0\.0\.1:\d+ uid={SOMEBODY} token",
                r"127\.0\.0\.1:\d+ uid=0"]
    assert len(peers) == len(expected)
    for peer, pattern in zip(peers, expected):
        assert re.fullmatch(pattern, peer), peer


def test_tokens_do_not_open_a_health_listener(host, start):
    d = start("--token-file", token_file(host), "--grpc-health-listen", "127.0.0.1:0")
    target = d.wait_log(r"listening on (\S+) \(health only\)")[1]
    assert ask(target, token=CONTROL_TOKEN) == HEALTH


def test_without_a_file_tokens_mean_nothing(start):
    d = start()
    assert ask(d.target, as_user(SOMEBODY), token="x" * 40) == READ


def test_the_token_file_is_replaced(host, start):
    path = token_file(host)
    d = start("--token-file", path)
    somebody = as_user(SOMEBODY)
    assert ask(d.target, somebody, token=CONTROL_TOKEN) == CONTROL
    with open(path, "w") as f:
        f.write("control:" + "n" * 20 + "\n")
    assert ask(d.target, somebody, token=CONTROL_TOKEN) == NOT_AUTHENTICATED
    assert ask(d.target, somebody, token="n" * 20) == CONTROL
    d.allow("the tokens from before still count")
    for broken in ("control:" + "n" * 15, "admin:" + "n" * 20, "control:with some space in it", "nothing"):
        with open(path, "w") as f:
            f.write("\n" + broken + "\n")
        assert ask(d.target, somebody, token="n" * 20) == CONTROL
    d.wait_log("tokens: line 2: .*; the tokens from before still count")


@pytest.mark.parametrize("mode,text,said", [
    (0o644, "", "has the mode 0644; allowed 0640 or less"),
    (0o660, "", "has the mode 0660; allowed 0640 or less"),
    (0o600, "write:" + "x" * 16, "line 1: expected read:TOKEN or control:TOKEN"),
    (0o600, "#\nread:short", "line 2: a token has 16 to 255 characters"),
])
def test_a_start_with_a_bad_token_file(host, mode, text, said):
    path = token_file(host, text, mode)
    done = subprocess.run([paths.DAEMON, "--grpc-listen", f"unix:{host.folder()}/s", "--token-file", path],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1
    assert f"token_file: {path}: {said}" in done.stderr
    assert "short" not in done.stderr.replace(path, "")  # no secret in the log


# ---- The client ----

def run_client(d_target, *options):
    done = subprocess.run([paths.CLIENT, "--target", d_target, *options, "get"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stderr if done.returncode else done.stdout


def test_client(host, start, ours, clients):
    d = start(*with_tls(ours, "--tls-client-ca-file", clients.path, "--token-file", token_file(host)))
    target = tls_target(d)
    cert, key = clients.issue("client", cn="whoever")
    tls = ("--cacert", ours.path, "--servername", NAME)
    code, said = run_client(target, *tls, "--cert", cert, "--key", key)
    assert code == 0 and "pollFrequency" in said
    assert run_client(target, *tls)[0] == 1
    assert run_client(target, "--cacert", ours.path, "--cert", cert, "--key", key)[0] == 1  # another name
    assert run_client(target, "--cacert", clients.path, "--servername", NAME, "--cert", cert, "--key", key)[0] == 1
    code, said = run_client(target, *tls, "--cert", cert)
    assert code != 0 and "--key" in said
    code, said = run_client(target, "--cacert", "/does/not/exist")
    assert code != 0 and "/does/not/exist" in said


def test_client_with_a_token(host, start):
    d = start("--token-file", token_file(host))
    mine = f"{host.folder()}/mine"
    for token, expected in ((READ_TOKEN, 0), ("wrong" * 5, 1)):
        with open(mine, "w") as f:
            f.write(token + "\n")
        code, said = run_client(d.target, "--token-file", mine)
        assert code == expected
        assert expected == 0 or "the token of this call is none of those" in said
