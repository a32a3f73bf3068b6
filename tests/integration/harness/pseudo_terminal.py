"""A pseudo-terminal for a program whose output on one is looked at as bytes. terminal.py has one that draws."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios

from .waiting import bound, until


class PseudoTerminal:
    """A program on a terminal of |width| columns, 0: of none that it knows. |errors|: its standard error; the terminal when it is None."""

    def __init__(self, command, width, height=50, env=None, errors=None):
        self.main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        environment |= {"TERM": "xterm", **(env or {})}
        # setsid(1), and neither pty.fork nor preexec_fn: these fork, and gRPC waits then for threads of its own that
        # may never come.
        self.process = subprocess.Popen(["setsid", "--ctty", *command], stdin=side, stdout=side, stderr=errors or side,
                                        env=environment)
        os.close(side)
        self.text = ""

    def read_until(self, words):
        def there():
            self.text += os.read(self.main, 4096).decode()
            return words in self.text
        until(there, 15, words)

    def write(self, text):
        os.write(self.main, text.encode())

    def end(self):
        """Waits for the end of the program. Returns its exit status; all that it wrote is in |text|."""
        with contextlib.suppress(OSError):
            while part := os.read(self.main, 4096):
                self.text += part.decode(errors="replace")
        os.close(self.main)
        return self.process.wait(bound(20))

    def kill(self):
        self.process.kill()
        self.process.wait()
