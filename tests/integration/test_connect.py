"""Connections of xtcp2client to a daemon: TLS and its flags, its identity, and its messages when a connection fails."""

import http.server
import os
import socket
import subprocess
import tempfile
import threading
from concurrent import futures

import grpc
import pytest

from harness.caller import as_user
from harness.certs import NAME, Authority
from harness.paths import CLIENT
from harness.waiting import bound
from xtcp_status.v1 import xtcp_status_pb2 as st
from xtcp_status.v1 import xtcp_status_pb2_grpc as st_rpc

LIMIT = bound(20)  # seconds that any run may take


class Status(st_rpc.StatusServiceServicer):
    """Answers, unless |abort| is (code, text); remembers what it was called with."""

    def __init__(self, abort=None):
        self.abort = abort
        self.headers, self.authority = {}, None

    def Get(self, request, context):
        self.headers = dict(context.invocation_metadata())
        self.authority = context._rpc_event.call_details.host.decode()
        if self.abort:
            context.abort(*self.abort)
        return st.GetResponse(version="1.2.3", hostname="h" * 100)


class Server:
    def __init__(self, status=None, credentials=None):
        self.server = grpc.server(futures.ThreadPoolExecutor(max_workers=2), options=[("grpc.so_reuseport", 0)])
        if status:
            st_rpc.add_StatusServiceServicer_to_server(status, self.server)
        if credentials:
            self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        else:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.target = f"127.0.0.1:{self.port}"


@pytest.fixture
def serve():
    servers = []

    def start(*args, **kwargs):
        servers.append(Server(*args, **kwargs))
        return servers[-1]

    yield start
    for s in servers:
        s.server.stop(0).wait(10)


@pytest.fixture
def ours(tmp_path):
    return Authority(str(tmp_path), "ours")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def secure(authority, expired=False, clients=None, sans=(NAME,)):
    cert, key = authority.issue("server", cn="daemon", sans=list(sans), expired=expired)
    return grpc.ssl_server_credentials([(read(key), read(cert))], read(clients.path) if clients else None, bool(clients))


def run(*args, env=None):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("XTCP2_TARGET", "XTCP2_CLIENT"))}
    return subprocess.run([CLIENT, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT,
                          env={**clean, "XDG_CONFIG_HOME": "/nonexistent", **(env or {})})


def status(target, *args, **kwargs):
    return run("--target", target, *args, "status", "-o", "jsonl", **kwargs)


def fails(done, text, code=1):
    """One line on standard error, with |text| in it."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert text in done.stderr and done.stderr.count("\n") == 1, done.stderr


# ---- Connections that work ----

@pytest.mark.parametrize("flags", [
    ("--cacert", "CA", "--servername", NAME),
    ("-cacert", "CA", "-servername", NAME),
    ("-cacert=CA", "-servername=" + NAME),
    ("--insecure",),
    ("-insecure",),
])
def test_tls(serve, ours, flags):
    s = serve(Status(), secure(ours))
    done = status(s.target, *(f.replace("CA", ours.path) for f in flags))
    assert done.returncode == 0, done.stderr
    assert '"version":"1.2.3"' in done.stdout


def test_cas_of_the_system(serve, ours):
    s = serve(Status(), secure(ours))
    roots = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": ours.path, "SSL_CERT_FILE": ours.path}
    assert status(s.target, "--tls", "--servername", NAME, env=roots).returncode == 0
    fails(status(s.target, "--tls", "--servername", NAME), "is not signed by a CA that this system trusts")


@pytest.mark.parametrize("flag", ["--insecure", "--cacert"])
def test_client_certificate(serve, ours, tmp_path, flag):
    clients = Authority(str(tmp_path), "clients")
    s = serve(Status(), secure(ours, clients=clients))
    how = ("--insecure",) if flag == "--insecure" else ("--cacert", ours.path, "--servername", NAME)
    cert, key = clients.issue("client", cn="me")
    assert status(s.target, *how, "--cert", cert, "--key", key).returncode == 0
    fails(status(s.target, *how), f"{s.target} wants a certificate of this client: give one with --cert and --key")
    cert, key = ours.issue("other", cn="me")
    fails(status(s.target, *how, "--cert", cert, "--key", key), f"does not accept the certificate in {cert}")


def test_headers_and_authority(serve, tmp_path):
    it = Status()
    s = serve(it)
    token = tmp_path / "token"
    token.write_text("geheim\n")
    token.chmod(0o600)
    done = status(s.target, "-H", "X-Rack: 7", "--header", "authorization: Bearer abc", "--authority", "node7.example")
    assert done.returncode == 0, done.stderr
    assert it.headers["x-rack"] == "7" and it.headers["authorization"] == "Bearer abc"
    assert it.authority == "node7.example"
    done = status(s.target, "--token-file", str(token))
    assert done.returncode == 0 and done.stderr == "" and it.headers["authorization"] == "Bearer geheim"
    token.chmod(0o644)
    done = status(s.target, "--token-file", str(token))
    assert done.returncode == 0 and f"{token} can be read by others: chmod 600 {token}" in done.stderr


@pytest.mark.parametrize("header,text", [
    ("authorization", "expected NAME: VALUE"),
    ("grpc-timeout: 1S", "those that begin with grpc-"),
    ("x-bin: 1", "binary headers are not supported"),
    ("a b: c", "may have letters"),
    ("a: \u00e9", "may have letters"),
    ("a: " + "x" * 9000, "at most 8000"),
])
def test_wrong_headers(header, text):
    done = status("127.0.0.1:1", "-H", header)
    assert done.returncode == 2 and text in done.stderr


def test_size_of_answers(serve):
    s = serve(Status())
    assert status(s.target, "--max-msg-sz", "1000").returncode == 0
    fails(status(s.target, "--max-msg-sz", "50"), "RESOURCE_EXHAUSTED")


# ---- Connections that fail ----

def test_expired_certificate(serve, ours):
    s = serve(Status(), secure(ours, expired=True))
    fails(status(s.target, "--cacert", ours.path, "--servername", NAME), f"the certificate of {s.target} has expired on 20")
    assert status(s.target, "--insecure").returncode == 0


def test_wrong_ca(serve, ours, tmp_path):
    other = Authority(str(tmp_path), "other")
    s = serve(Status(), secure(ours))
    fails(status(s.target, "--cacert", other.path, "--servername", NAME),
          f"the certificate of {s.target} is not signed by a CA in {other.path}")


def test_wrong_name(serve, ours):
    s = serve(Status(), secure(ours))
    fails(status(s.target, "--cacert", ours.path),
          f"the certificate of {s.target} is for {NAME}, not for 127.0.0.1: --servername gives the name to expect")
    fails(status(s.target, "--cacert", ours.path, "--servername", "evil.test"), f"is for {NAME}, not for evil.test")


def test_plaintext_at_a_tls_daemon(serve, ours):
    s = serve(Status(), secure(ours))
    fails(status(s.target), f"{s.target} speaks TLS: give --cacert FILE")
    fails(status(s.target, "--cacert", ours.path, "--plaintext"), f"{s.target} speaks TLS")


def test_tls_at_a_plaintext_daemon(serve, ours):
    s = serve(Status())
    fails(status(s.target, "--cacert", ours.path), f"{s.target} does not speak TLS: leave out the options for TLS")
    assert status(s.target, "--cacert", ours.path, "-plaintext").returncode == 0


def test_refused():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{s.getsockname()[1]}"
        fails(status(target), f"nothing listens at {target}: is xtcp2 running there?")


def test_unresolvable():
    fails(status("node7.invalid"), "cannot find the address of node7.invalid:8889: is the name right?")


def test_web_server():
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.RequestHandlerClass.log_message = lambda *a: None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    target = f"127.0.0.1:{server.server_port}"
    try:
        fails(status(target), target)
        assert "--target names another place" in status(target).stderr
    finally:
        server.shutdown()
        server.server_close()


def test_other_service(serve):
    s = serve()
    fails(status(s.target), f"{s.target} does not offer this: it is an older daemon or another program")


@pytest.mark.parametrize("code,text", [
    (grpc.StatusCode.PERMISSION_DENIED, "does not allow this: show who you are"),
    (grpc.StatusCode.UNAUTHENTICATED, "wants to know who you are"),
])
def test_not_allowed(serve, code, text):
    s = serve(Status((code, "reads only")))
    done = status(s.target)
    fails(done, f"{s.target} {text}")
    assert "(reads only)" in done.stderr


def test_socket_of_somebody_else(tmp_path):
    """A directory that this user may enter, a socket that it may not use."""
    path = f"{tempfile.gettempdir()}/xt-{os.getpid()}-s"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        try:
            os.chmod(path, 0o600)
            s.listen(1)
            done = subprocess.run([*as_user(64001), CLIENT, "--target", f"unix:{path}", "status"], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=LIMIT,
                                  env={k: v for k, v in os.environ.items() if k == "PATH" or k.endswith("SAN_OPTIONS")})
        finally:
            os.unlink(path)
    fails(done, f"this user may not connect to unix:{path}: ask for access to the socket, or try as root")


def test_silence():
    """It accepts, and that is all."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(8)
        target = f"127.0.0.1:{s.getsockname()[1]}"
        fails(status(target, "--connect-timeout", "300ms"), target)
        fails(status(target, "--timeout", "300ms"), f"no answer from {target} in time (--timeout gives it more)")


def test_files_that_are_none(tmp_path):
    missing = tmp_path / "missing"
    text = tmp_path / "text"
    text.write_text("hello\n")
    fails(status("127.0.0.1:1", "--cacert", str(missing)), f"{missing}: cannot open: No such file or directory", code=2)
    fails(status("127.0.0.1:1", "--cacert", str(text)), f"{text}: is no PEM file", code=2)
    done = status("127.0.0.1:1", "--cert", str(text))
    assert done.returncode == 2 and "a certificate and its key go together" in done.stderr


# ---- client.yaml ----

def config(tmp_path, text):
    folder = tmp_path / "xtcp2"
    folder.mkdir(exist_ok=True)
    (folder / "client.yaml").write_text(text)
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_nodes_of_the_file(serve, ours, tmp_path):
    s = serve(Status(), secure(ours))
    env = config(tmp_path, f"target: n1\noutput: jsonl\nnodes:\n  n1:\n    address: {s.target}\n"
                           f"    cacert: ../ours.crt\n    servername: {NAME}\n")
    assert '"version":"1.2.3"' in run("status", env=env).stdout
    # The environment comes before the file, the command line before both.
    nobody = {"XTCP2_TARGET": "127.0.0.1:1", **env}
    assert "nothing listens at 127.0.0.1:1" in run("status", "--plaintext", env=nobody).stderr
    assert run("status", "--target", "n1", env=nobody).returncode == 0
    assert "is for xtcp2.test, not for other" in run("status", "--servername", "other", env=env).stderr
    path = f"{tmp_path}/xtcp2/client.yaml"
    assert run("status", "--config", path).returncode == 0
    assert run("status", env={"XTCP2_CLIENT_CONFIG": path}).returncode == 0


def test_wrong_file(tmp_path):
    env = config(tmp_path, "nodes:\n  n1:\n    adress: x\n")
    done = run("status", env=env)
    assert done.returncode == 2
    assert f"{tmp_path}/xtcp2/client.yaml:3: adress: is not known; did you mean address?" in done.stderr
    assert "/nonexistent.yaml: cannot open: No such file" in run("status", "--config", "/nonexistent.yaml").stderr
