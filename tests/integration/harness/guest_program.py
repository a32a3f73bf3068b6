"""The process of harness/guest.py: guest_program.py TARGET reads a JSON object from each line of its standard input and answers
each with a line of JSON. It keeps everything that it opens until it ends. Any user can run it; it needs only
python3-grpcio.
"""

import json
import queue
import resource
import socket
import sys
import time

import grpc

# Fewer than connection_calls_max.
CALLS_PER_CHANNEL = 200


class Hands:
    """The calls and connections of the process."""

    def __init__(self, target):
        self.target = target
        self.calls, self.channels, self.sockets = [], [], []

    def channel(self):
        if len(self.calls) >= CALLS_PER_CHANNEL * len(self.channels):
            self.channels.append(grpc.insecure_channel(self.target, options=[("grpc.use_local_subchannel_pool", 1)]))
        return self.channels[-1]

    def unary(self, method, message):
        try:
            self.channel().unary_unary(method)(bytes.fromhex(message), timeout=20)
            return ["OK", ""]
        except grpc.RpcError as e:
            return [e.code().name, e.details()]

    def stream(self, method, message, bidi):
        data = bytes.fromhex(message)
        if bidi:
            requests = queue.Queue()
            requests.put(data)
            call = self.channel().stream_stream(method)(iter(requests.get, None))
        else:
            call = self.channel().unary_stream(method)(data)
        try:
            next(call)
        except grpc.RpcError as e:
            if bidi:
                requests.put(None)
            return [e.code().name, e.details()]
        self.calls.append(call)
        return ["OK", ""]

    def streams(self, method, messages, bidi):
        return [self.stream(method, m, bidi) for m in messages]

    def connections(self, host, port, count):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.sockets += [socket.create_connection((host, port)) for _ in range(count)]
        time.sleep(1)
        return sum(is_open(s) for s in self.sockets)


def is_open(s):
    """Whether the other end has not closed it; what it said is read."""
    s.setblocking(False)
    try:
        while s.recv(4096):
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def main(target):
    hands = Hands(target)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": getattr(hands, request.pop("do"))(**request)}
        except Exception as e:  # pylint: disable=broad-except
            answer = {"failed": repr(e)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
