"""Honest clients who ask for much: each a process of its own, as whichever user.

As a program: NAME REQUEST, with a JSON object of arguments; prints a JSON object of figures. Messages are
bytes, so nothing but python3-grpcio is needed, whoever runs it.
"""

import json
import os
import subprocess
import sys
import threading
import time

if __package__:
    from .caller import python

RECORDS = "/xtcp_flat_record.v1.XTCPFlatRecordService/FlatRecords"
STATUS = "/xtcp_status.v1.StatusService/Get"

# A field that the daemon does not know, and that gets much smaller by being compressed.
LARGE_REQUEST = b"\x7a\xd0\x0f" + 2000 * b"x"


def start(host, name, wrapper=(), **arguments):
    """The client |name| as a process that has begun; |wrapper| says as whom."""
    p = host.process(*wrapper, *python(__file__), name, json.dumps(arguments), cwd="/", stdout=subprocess.PIPE, text=True)
    host.keep(p.stdout)
    return p


def figures(p, seconds):
    """The report of the client |p| at its end, which must come within |seconds|."""
    out, _ = p.communicate(timeout=seconds)
    assert p.returncode == 0, out
    return json.loads(out)


# ---- In that process ----

class Line:
    """A connection; `states` are those that it went through: one that is never lost goes from READY to nowhere."""

    def __init__(self, target, ca=None, server_name=None, **options):
        import grpc
        self.states = []
        settings = [("grpc.use_local_subchannel_pool", 1), *options.items()]
        if ca:
            settings.append(("grpc.ssl_target_name_override", server_name))
            self.channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(ca.encode()), options=settings)
        else:
            self.channel = grpc.insecure_channel(target, options=settings)
        self.channel.subscribe(lambda state: self.states.append(state.name), try_to_connect=True)

    def ask(self, method=STATUS, request=b"", **how):
        """Seconds that a call took, and "OK", or why it failed."""
        import grpc
        begin = time.monotonic()
        try:
            self.channel.unary_unary(method)(request, timeout=20, **how)
            return time.monotonic() - begin, "OK"
        except grpc.RpcError as e:
            return time.monotonic() - begin, f"{e.code().name}: {e.details()}"

    def losses(self):
        """How often it was lost."""
        return sum(state not in ("IDLE", "CONNECTING", "READY") for state in self.states) + max(
            self.states.count("READY") - 1, 0)


def summary(lines, calls, **more):
    """Figures of |calls|, which are pairs as of Line.ask()."""
    times = sorted(seconds for seconds, _ in calls)
    return {"calls": len(calls), "failures": sorted({end for _, end in calls} - {"OK"}),
            "median_ms": times[len(times) // 2] * 1000, "max_ms": times[-1] * 1000,
            "losses": sum(line.losses() for line in lines), **more}


def cancelled_streams(target, streams, rounds):
    """Opens many streams at the same time and cancels all of them, again and again."""
    line = Line(target)
    calls, codes, slowest = [line.ask()], set(), 0
    for _ in range(rounds):
        begin = time.monotonic()
        opened = [line.channel.unary_stream(RECORDS)(b"", timeout=60) for _ in range(streams)]
        for stream in opened:
            stream.initial_metadata()  # the daemon knows of it
        slowest = max(slowest, time.monotonic() - begin)
        for stream in opened:
            stream.cancel()
        codes |= {stream.code().name for stream in opened}
        calls.append(line.ask())
    return summary([line], calls, codes=sorted(codes), slowest_ms=slowest * 1000)


def calls_at_a_time(target, at_a_time, seconds):
    """Keeps so many calls under way on one connection."""
    line = Line(target)
    calls, lock, end, over = [line.ask()], threading.Lock(), time.monotonic() + seconds, threading.Semaphore(0)

    def done(begin, future):
        with lock:
            calls.append((time.monotonic() - begin, future.code().name))
        one_more()

    def one_more():
        begin = time.monotonic()
        if begin >= end:
            over.release()
            return
        line.channel.unary_unary(STATUS).future(b"", timeout=20).add_done_callback(lambda f: done(begin, f))
    for _ in range(at_a_time):
        one_more()
    for _ in range(at_a_time):
        over.acquire()
    return summary([line], calls)


def compressed_calls(target, clients, count, pause):
    """Many clients, each with a connection, who compress each request."""
    import grpc
    lines, calls = [Line(target) for _ in range(clients)], []

    def work(n, line):
        how = grpc.Compression.Deflate if n % 5 == 4 else grpc.Compression.Gzip
        for _ in range(count):
            calls.append(line.ask(request=LARGE_REQUEST, compression=how))
            time.sleep(pause)
    threads = [threading.Thread(target=work, args=a) for a in enumerate(lines)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return summary(lines, calls)


def large_requests(target, clients, seconds, size, ca=None, server_name=None):
    """Clients that send one large request after the other, each waiting for its answer; by TLS with the certificate |ca|."""
    request = b"\x7a" + bytes([size & 0x7f | 0x80, size >> 7 & 0x7f | 0x80, size >> 14]) + b"x" * size
    calls, lines = [], [Line(target, ca, server_name) for _ in range(clients)]
    end = time.monotonic() + seconds

    def work(line):
        while time.monotonic() < end:
            calls.append(line.ask(request=request))
    threads = [threading.Thread(target=work, args=(line,)) for line in lines]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return summary(lines, calls)


def _forward(source, sink, bytes_per_second):
    """Passes on what comes, no faster than that."""
    try:
        while data := source.recv(1024):
            sink.sendall(data)
            time.sleep(len(data) / bytes_per_second)
    except OSError:
        pass


def _slow_link(target, bytes_per_second):
    """Where a link to |target| begins over which answers come slowly."""
    import socket
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        near, _ = listener.accept()
        far = socket.socket()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        far.connect(("127.0.0.1", int(target.rsplit(":", 1)[1])))
        threading.Thread(target=_forward, args=(near, far, 1e9), daemon=True).start()
        _forward(far, near, bytes_per_second)
    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}", listener


def slow_link(target, bytes_per_second, seconds):
    """A stream and calls over a link that is slow on the way to the client."""
    import grpc
    near, listener = _slow_link(target, bytes_per_second)
    line, received = Line(near), []
    stream = line.channel.unary_stream(RECORDS)(b"")

    def read():
        try:
            for message in stream:
                received.append(len(message))
        except grpc.RpcError:
            pass
    reader = threading.Thread(target=read)
    reader.start()
    calls, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        calls.append(line.ask())
        time.sleep(0.05)
    stream.cancel()
    reader.join()
    listener.close()
    return summary([line], calls, records=len(received), bytes=sum(received), code=stream.code().name)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))), flush=True)
    os._exit(0)  # the threads of gRPC use what the interpreter takes away at its end: now and then it crashes
