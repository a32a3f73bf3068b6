"""A terminal that a program runs in: tmux, driven from outside. A shell in it runs the program, as for people."""

import os
import pathlib
import re
import subprocess

from .waiting import until

MARK = "done-with-"


class Terminal:
    def __init__(self, folder, width=120, height=30, environment=None):
        self.folder = pathlib.Path(folder)
        self._socket = str(self.folder / "tmux")
        self._runs = 0
        surroundings = {k: v for k, v in os.environ.items() if k not in ("TMUX", "NO_COLOR", "LC_ALL", "COLUMNS")}
        surroundings |= {"LANG": "C.UTF-8", "TERM": "xterm-256color", "PS1": "$ ", "HISTFILE": "/dev/null"}
        surroundings |= environment or {}
        self._environment = surroundings
        assigned = [f"{k}={surroundings[k]}" for k in ("LANG", "LC_ALL", "NO_COLOR", "PS1") if k in surroundings]
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height),
                  "env", *assigned, "bash", "--norc", "--noprofile", "-i")
        self.pid = int(self.ask("#{pane_pid}"))

    def tmux(self, *arguments):
        done = subprocess.run(["tmux", "-u", "-S", self._socket, "-f", "/dev/null", *arguments], env=self._environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def ask(self, what):
        return self.tmux("display-message", "-p", what).strip()

    def keys(self, *names):
        """Presses keys, by their tmux names; text is typed as it is."""
        self.tmux("send-keys", *names)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def lines(self, *options):
        """The contents of the screen; with -e the attributes as well."""
        return self.tmux("capture-pane", "-p", *options).split("\n")

    def text(self):
        return "\n".join(self.lines())

    def wait(self, pattern, seconds=10):
        """The match of |pattern| on the screen, once it is there."""
        try:
            return until(lambda: re.search(pattern, self.text(), re.MULTILINE), seconds, f"{pattern!r} on the screen")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.text()}") from None

    @property
    def alternate(self):
        """Whether a program has the alternate screen."""
        return self.ask("#{alternate_on}") == "1"

    # ---- One program after the other ----

    def start(self, *command):
        """Runs |command|, with what stty says before and after it in files."""
        self._runs += 1
        line = " ".join(f"'{c}'" for c in map(str, command))
        script = self.folder / f"run{self._runs}"
        script.write_text(f"stty -a > {self.folder}/before{self._runs}\n"
                          f"{line}\n"
                          f"status=$?\n"
                          f"stty -a > {self.folder}/after{self._runs}\n"
                          f"echo {MARK}{self._runs}: $status\n")
        self.type(f"clear; . {script}")
        self.keys("Enter")

    def process(self, name):
        """The pid of the program |name| that the shell has started."""
        def find():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                        head, rest = f.read().rsplit(") ", 1)
                except OSError:
                    continue
                if int(rest.split()[1]) == self.pid and head.split("(", 1)[1] == name[:15]:
                    return int(pid)
            return None
        return until(find, 5, f"process {name}")

    def ended(self, seconds=10):
        """The exit status, once the program has ended, and that the terminal is as it was."""
        status = int(self.wait(rf"^{MARK}{self._runs}: (\d+)", seconds)[1])
        before = (self.folder / f"before{self._runs}").read_text()
        after = (self.folder / f"after{self._runs}").read_text()
        # The size may be another one on purpose.
        size = re.compile(r"rows \d+; columns \d+;")
        assert size.sub("", after) == size.sub("", before)
        assert not self.alternate
        assert self.ask("#{cursor_flag}") == "1"
        return status

    def close(self):
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
