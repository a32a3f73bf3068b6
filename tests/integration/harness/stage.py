"""Two hosts of our own with known traffic, for what people do first (docs/tour.md).

Host web1 has a container `web` with a server and its clients; an application of the host talks to a database on host
db1. Each host has a daemon, where clients look for it by default. On db1 a program takes POST requests. All addresses and
ports are fixed.
"""

import contextlib
import http.server
import os
import pathlib
import socket
import socketserver
import subprocess
import threading

from . import paths
from .waiting import bound, until

PORT = 8889
ADDRESSES = {"web1": "10.0.0.1", "db1": "10.0.0.2"}
HOME = "/home/me"
SETTINGS = """\
nodes:
  web1: 10.0.0.1:8889
  db1: 10.0.0.2:8889
groups:
  shop: [web1, db1]
"""


class Talk:
    """Each client sends |piece| bytes every |pause| seconds, the server answers each with |answer| bytes."""

    def __init__(self, server_ns, client_ns, server, clients, piece, answer, pause):
        self._sockets, self._threads = [], []
        self._over = threading.Event()
        with server_ns:
            listener = self._new()
            listener.settimeout(bound(30))
            listener.bind(server)
            listener.listen()
        for client in clients:
            with client_ns:
                near = self._new()
                near.bind(client)
                near.settimeout(bound(30))
                near.connect(server)
            far, _ = listener.accept()
            self._sockets.append(far)
            self._threads += [threading.Thread(target=self._client, args=(near, piece, answer, pause)),
                              threading.Thread(target=self._server, args=(far, piece, answer))]
        for t in self._threads:
            t.start()

    def _new(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sockets.append(s)
        return s

    def _client(self, s, piece, answer, pause):
        with contextlib.suppress(OSError):
            while not self._over.wait(pause):
                s.sendall(bytes(piece))
                _receive(s, answer)

    def _server(self, s, piece, answer):
        with contextlib.suppress(OSError):
            while _receive(s, piece):
                s.sendall(bytes(answer))

    def close(self):
        self._over.set()
        for s in self._sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        for t in self._threads:
            t.join()
        for s in self._sockets:
            s.close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = bound(30)

    def do_POST(self):
        self.server.take(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *args):
        pass


class Receiver(socketserver.ThreadingTCPServer):
    """Takes POST requests at |address| of |ns|, and appends their bodies to the file |path|."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, ns, address, path):
        with ns:
            super().__init__(address, Handler)
        self._path, self._lock = path, threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()

    def take(self, body):
        with self._lock, open(self._path, "ab") as f:
            f.write(body)

    def close(self):
        self.shutdown()
        self._thread.join()
        self.server_close()


def _receive(s, n):
    """Receives |n| bytes; false at the end."""
    while n:
        got = len(s.recv(n))
        if not got:
            return False
        n -= got
    return True


class Stage:
    def __init__(self, host):
        self._host = host
        self.home = pathlib.Path(host.folder())
        self.hosts = {name: host.namespace() for name in ADDRESSES}
        self.container = host.namespace()
        self._wire()
        self.daemons = {name: self._daemon(name) for name in ADDRESSES}
        self.daemons["web1"].allow(r" output: away: .*(trying again|records are dropped)")
        folder = host.names_of(self.daemons["web1"])
        folder.add("web", self.container.path)
        client = host.connect(self.daemons["web1"])
        until(lambda: any("web" in n.names for n in client.list_namespaces()), 5, "the container")
        self._talk()
        host.keep(Receiver(self.hosts["db1"], ("10.0.0.2", 8080), self.home / "received.jsonl"))
        self._home()

    def _wire(self):
        web1, db1 = self.hosts.values()
        web1.exec("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", db1.name)
        for name, ns in self.hosts.items():
            ns.exec("ip", "addr", "add", f"{ADDRESSES[name]}/24", "dev", "eth0")
            ns.exec("ip", "link", "set", "eth0", "up")
        for address in ("192.0.2.10", "198.51.100.7"):
            self.container.exec("ip", "addr", "add", f"{address}/32", "dev", "lo")

    def _daemon(self, name):
        folder = self._host.folder()
        return self._host.daemon("--poll-frequency", "5s", "--hostname", name, "--grpc-insecure", "true",
                                 "--output-dirs", str(self.home), folder=folder,
                                 listen=(f"unix:{folder}/s", f"127.0.0.1:{PORT}", f"{ADDRESSES[name]}:{PORT}"),
                                 wrapper=("nsenter", f"--net={self.hosts[name].path}"))

    def _talk(self):
        keep, web1, db1 = self._host.keep, self.hosts["web1"], self.hosts["db1"]
        browsers = [("198.51.100.7", port) for port in (50001, 50002)]
        keep(Talk(self.container, self.container, ("192.0.2.10", 443), browsers, 400, 60_000, 0.05))
        keep(Talk(db1, web1, ("10.0.0.2", 5432), [("10.0.0.1", 41000)], 200_000, 300, 0.02))

    def _home(self):
        (self.home / "bin").mkdir()
        (self.home / "bin" / "xtcp2client").symlink_to(paths.CLIENT)
        settings = self.home / ".config" / "xtcp2"
        settings.mkdir(parents=True)
        (settings / "client.yaml").write_text(SETTINGS)
        self.environment = {"HOME": str(self.home), "PATH": f"{self.home}/bin:{os.environ['PATH']}", "LANG": "C.UTF-8",
                            "COLUMNS": "100", "TERM": "xterm-256color",
                            **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}

    def run(self, command):
        """The output of |command| on both descriptors, run by a shell on host web1. The home folder is called as people
        call it."""
        done = subprocess.run(["nsenter", f"--net={self.hosts['web1'].path}", "bash", "-c", command], cwd=self.home,
                              env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=bound(60))
        return done.stdout.replace(str(self.home), HOME)
