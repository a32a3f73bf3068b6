"""A caller that takes things and keeps them: a process of its own, as whichever user."""

import json
import pathlib
import select
import subprocess

from .caller import as_user, python
from .waiting import bound

PROGRAM = pathlib.Path(__file__).resolve().parent / "guest_program.py"


class Guest:
    """The process of user |uid|, connected to |target|."""

    def __init__(self, host, uid, target):
        self.process = host.process(*as_user(uid), *python(PROGRAM), target, cwd="/", stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, text=True)
        host.keep(self.process.stdout)
        host.keep(self.process.stdin)

    def _ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], bound(60))
        assert ready, f"no answer within {bound(60):g} s: {request.get('method', request)}"
        answer = json.loads(self.process.stdout.readline())
        assert "failed" not in answer, answer["failed"]
        return answer["answer"]

    def unary(self, method, message):
        """The result of the call: [code, text]."""
        return self._ask(do="unary", method=method, message=message.SerializeToString().hex())

    def streams(self, method, messages, bidi=False):
        """A stream for each of |messages|, one after the other: [code, text] of each, "OK" for those that are held: they have
        been answered with a message."""
        return self._ask(do="streams", method=method, messages=[m.SerializeToString().hex() for m in messages], bidi=bidi)

    def connections(self, host, port, count):
        """Connects |count| times and says nothing; how many of these connections there are after a second."""
        return self._ask(do="connections", host=host, port=port, count=count)

    def end(self):
        """It ends, and everything that it holds is freed."""
        self.process.kill()
        self.process.wait()
