"""An HTTP server that misbehaves as told: a process of its own, so that it can be killed.

usage: http_faults.py FOLDER [--port PORT] [--tls CERT KEY [CLIENT_CA]]

It listens on 127.0.0.1 and writes into FOLDER:

    port       as soon as it listens
    requests   a line of JSON for each POST that came completely: path, headers, status of the answer, length
    accepted   the bodies, decoded, of those that were answered with 2xx
    refused    the bodies, decoded, of those that were answered with 4xx

How it answers is what FOLDER/mode says, or the path of a request, as /fault/503/7:

    ok            200
    NUMBER        that status with a body of two lines
    NUMBER TIMES  for this many requests, then 200
    after NUMBER SECONDS        that status with Retry-After; an HTTP-date when SECONDS begins with @
    redirect      301 to another place of the same server
    slow SECONDS  200 after this time
    drip          200, then a byte of the body each 50 ms
    half          200 with half of its body, then the connection is closed
    reset         the connection is reset in the middle of the request
    late-reset    the same after all of it was read
    close         connections are closed as soon as they come
    silent        no answer
    endless       a head that never ends
    long          400 with a line of 100,000 characters
    echo          400 with the request as its body: URL and headers in one line
"""

import argparse
import email.utils
import gzip
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

TETHER = ("setpriv", "--pdeathsig", "KILL")  # it does not outlive the test


# ---- The server, in its own process ----


def decode(body, encoding):
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "zstd":
        return subprocess.run(["zstd", "-dcq"], input=body, stdout=subprocess.PIPE, check=True).stdout
    assert not encoding, encoding
    return body


class Modes:
    """What the file says; counts down."""

    def __init__(self, path):
        self._path = path
        self._lock = threading.Lock()
        self._text = None
        self._left = None

    def _read(self):
        try:
            text = self._path.read_text().strip()
        except FileNotFoundError:
            text = ""
        if text != self._text:
            self._text = text
            counted = re.fullmatch(r"(\d+) (\d+)( #.*)?", text)
            self._left = int(counted[2]) if counted else None
        return text.split(" #")[0] or "ok"

    def look(self):
        """The mode, which stays."""
        with self._lock:
            return self._read().split()

    def take(self):
        """The mode for one request."""
        with self._lock:
            words = self._read().split()
            if self._left is None:
                return words
            if self._left == 0:
                return ["ok"]
            self._left -= 1
            return words[:1]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def log_message(self, format, *args):
        pass

    def do_POST(self):
        words = self.path.split("/")[2:] if self.path.startswith("/fault/") else self.server.modes.take()
        if words[0] == "reset":
            self.rfile.read(min(1000, self._length()))
            return self._reset()
        body = self.rfile.read(self._length())
        if len(body) < self._length():
            self.close_connection = True  # the client went away
            return None
        return self._act(body, words)

    def _length(self):
        return int(self.headers["Content-Length"])

    def _reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())  # at once: the base class says goodbye first
        self.close_connection = True

    def _record(self, body, status):
        line = {"path": self.path, "headers": dict(self.headers), "status": status, "length": len(body)}
        kept = {2: "accepted", 4: "refused"}.get(status // 100)
        if kept:
            self.server.append(kept, decode(body, self.headers["Content-Encoding"]))
        self.server.append("requests", json.dumps(line).encode() + b"\n")

    def _answer(self, body, status, text, *headers):
        self._record(body, status)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _raw(self, body, status, text):
        self._record(body, status)
        self.close_connection = True
        self.wfile.write(text)
        self.wfile.flush()

    def _act(self, body, words):
        name, rest = words[0], words[1:]
        if name.isdigit():
            empty = name in ("204", "304")
            return self._answer(body, int(name), b"" if empty else b"the first line\nthe second line\n")
        return getattr(self, "_mode_" + name.replace("-", "_"))(body, *rest)

    def _mode_ok(self, body):
        self._answer(body, 200, b"")

    def _mode_after(self, body, status, seconds):
        if seconds.startswith("@"):
            seconds = email.utils.formatdate(time.time() + float(seconds[1:]), usegmt=True)
        self._answer(body, int(status), b"later\n", ("Retry-After", seconds))

    def _mode_redirect(self, body):
        self._answer(body, 301, b"", ("Location", "/elsewhere"))

    def _mode_slow(self, body, seconds):
        time.sleep(float(seconds))
        self._answer(body, 200, b"")

    def _mode_drip(self, body):
        self._raw(body, 0, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def _mode_half(self, body):
        self._raw(body, 0, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    def _mode_late_reset(self, body):
        self._record(body, 0)
        self._reset()

    def _mode_close(self, body):
        self._record(body, 0)  # on a connection that was there already
        self.close_connection = True

    def _mode_silent(self, body):
        self._record(body, 0)
        self.connection.recv(1)
        self.close_connection = True

    def _mode_endless(self, body):
        self._raw(body, 0, b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X-Filler: y\r\n" * 100)

    def _mode_long(self, body):
        self._answer(body, 400, b"x" * 100000)

    def _mode_echo(self, body):
        headers = " ".join(f"{name}: {value}" for name, value in self.headers.items())
        self._answer(body, 400, f"{self.path} {headers}".encode())


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, folder, port):
        self.folder = pathlib.Path(folder)
        self.modes = Modes(self.folder / "mode")
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def append(self, name, data):
        """Appends to a file; whole, also when the process is killed meanwhile."""
        with self._lock:
            fd = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(fd, data)
            finally:
                os.close(fd)

    def verify_request(self, request, client_address):
        return self.modes.look()[0] != "close"

    def handle_error(self, request, client_address):
        """A client that has gone, or a handshake that failed, is no error of the server."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs="+", metavar="FILE")
    options = parser.parse_args()
    server = Server(options.folder, options.port)
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls[:2])
        if len(options.tls) > 2:
            context.load_verify_locations(options.tls[2])
            context.verify_mode = ssl.CERT_REQUIRED
        # The handshake is made by the thread of the connection, at its first read.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    port = server.folder / "port"
    port.with_suffix(".new").write_text(str(server.server_address[1]))
    port.with_suffix(".new").rename(port)
    server.serve_forever()


# ---- The peer, for a test ----


class HttpFaults:
    """The server, started. |folder| is the caller's, who removes it; the port stays the same when it starts again."""

    def __init__(self, folder, tls=()):
        self.folder = pathlib.Path(folder)
        self._tls = ["--tls", *map(str, tls)] if tls else []
        self._process = None
        self._modes = 0
        self.port = 0
        self.start()

    def start(self):
        (self.folder / "port").unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [*TETHER, sys.executable, __file__, str(self.folder), "--port", str(self.port), *self._tls],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not (self.folder / "port").exists():
            assert self._process.poll() is None, f"exit code {self._process.returncode}"
            assert time.monotonic() < deadline, "it does not start"
            time.sleep(0.01)
        self.port = int((self.folder / "port").read_text())

    def kill(self):
        """Ends it as a crash does. May be called twice."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    stop = kill

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    @property
    def url(self):
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/"

    def mode(self, *words):
        """How requests are answered from now on. A number with TIMES counts from now on, too."""
        self._modes += 1
        new = self.folder / "mode.new"
        new.write_text(" ".join(map(str, words)) + f" #{self._modes}")
        new.rename(self.folder / "mode")

    def _read(self, name):
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return b""

    def accepted(self):
        return self._read("accepted")

    def refused(self):
        return self._read("refused")

    def requests(self):
        """What came, in its order: dicts of path, headers, status, length."""
        return [json.loads(line) for line in self._read("requests").splitlines()]


if __name__ == "__main__":
    main()
