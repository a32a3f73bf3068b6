"""Polls on request, asked for by a caller of its own: a process, as whichever user.

As a program: demand.py REQUEST, a JSON object with the target, the message of a request (hex) and seconds. It asks for one
poll after the other for so long, or for one at each line of standard input when that is 0. A line of JSON tells each poll:
when it was asked for (wall clock, ns) and its first and last message (hex); the last line tells how the stream ended. The
messages are not looked into further than their first tag, so nothing but python3-grpcio is needed, whoever runs it.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time

if __package__:
    from .caller import python
    from .waiting import bound

METHOD = "/xtcp_flat_record.v1.XTCPFlatRecordService/PollFlatRecords"
BEGIN_TAG, END_TAG = b"\xaa\x06", b"\xb2\x06"  # PollFlatRecordsResponse.poll_begin, poll_end


class Poll:
    """One poll: when it was asked for, and the edges that came."""

    def __init__(self, line, response):
        self.asked_ns = line["asked_ns"]
        self.begin = response.FromString(bytes.fromhex(line["begin"])).poll_begin
        self.end = response.FromString(bytes.fromhex(line["end"])).poll_end


class Demand:
    """The process, with |wrapper| as whom. |request| is the message, |response| the type of the answers."""

    def __init__(self, host, target, request, response, seconds=0, wrapper=()):
        self._response = response
        what = {"target": target, "message": request.SerializeToString().hex(), "seconds": seconds}
        command = (*wrapper, *python(__file__), json.dumps(what))
        self._process = host.process(*command, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()  # or the caller would wait for us
        assert self._line() == {"ready": True}

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _line(self):
        line = self._lines.get(timeout=bound(60))
        assert line, "the caller has ended"
        return json.loads(line)

    def ask(self):
        """Asks for a poll, whose answer `next` waits for."""
        self._process.stdin.write("\n")

    def next(self):
        """The next poll; after the end of the stream the name of its status."""
        line = self._line()
        return line["status"] if "status" in line else Poll(line, self._response)

    def rest(self):
        """All polls up to the end, which has to come by itself."""
        polls = list(iter(self.next, "OK"))
        assert not any(isinstance(p, str) for p in polls), polls
        return polls


def _requests(request):
    """The messages to send; notes in |request| when it has sent one."""
    until = time.monotonic() + request["seconds"]
    while True:
        if request["seconds"] == 0 and not sys.stdin.readline():
            return
        if request["seconds"] and time.monotonic() >= until:
            return
        request["turn"].acquire()
        request["asked_ns"] = time.time_ns()
        yield bytes.fromhex(request["message"])


def main(request):
    import grpc
    request["turn"] = threading.Semaphore(1)
    with grpc.insecure_channel(request["target"]) as channel:
        grpc.channel_ready_future(channel).result(timeout=60)
        print(json.dumps({"ready": True}), flush=True)
        try:
            for m in channel.stream_stream(METHOD)(_requests(request)):
                if m.startswith(BEGIN_TAG):
                    begin = m.hex()
                elif m.startswith(END_TAG):
                    print(json.dumps({"asked_ns": request["asked_ns"], "begin": begin, "end": m.hex()}), flush=True)
                    request["turn"].release()
            status = "OK"
        except grpc.RpcError as e:
            status = e.code().name
    print(json.dumps({"status": status}), flush=True)
    os._exit(0)  # a thread may still wait for a line


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
