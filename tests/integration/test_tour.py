"""docs/tour.md: its commands are run, and what they print has the shape that it shows.

    ```console            each line that begins with "$ " is run; the lines below it are what it prints
    ```text screen KEYS   what `xtcp2client top` shows after these keys

XTCP_UPDATE=1 writes what was printed into the document.
"""

import os
import re
import shutil

import pytest

from harness import paths
from harness.stage import Stage
from harness.terminal import Terminal
from harness.waiting import until

TOUR = paths.SOURCE / "docs" / "tour.md"
UPDATE = os.environ.get("XTCP_UPDATE") == "1"
FENCE = re.compile(r"^```(console|text screen(?P<keys>[^\n]*))\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)

# Lines that may be missing: connections of commands before that have just ended, bars.
COMES_AND_GOES = re.compile(r"(.*TIME_WAIT.*:8889\b.*|[▁▂▃▄▅▆▇█ ]*)$")

# Texts that differ from run to run. Numbers with their unit, moments, identities; "-" is a number that there is none
# of.
VARIES = (
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "MOMENT"),
    (r"\((request|schedule|burst)\)", "(#)"),
    (r"\b(peer|buffer) \d+%", "#"),
    (r"\b(application|receiving|idle|congestion window|receive window|send buffer|retransmission|not limited)\b", "#"),
    (r"(?<![\w.:])-(?![\w-])", "#"),
    (r"\b\d+(\.\d+)?([kMGTPE]?(B|bit/s)|ns|us|ms|s|m|h|d|k|M|G|%)?(?![\w])", "#"),
    (r"\b[0-9a-f]{8,}\b", "#"),
    (r"#(, #)+", "#"),
    (r"#/#", "#"),  # RETRANS of a socket that has ever had to send again
    (r"\s+", " "),
)


def shape(text, ordered=True):
    """The lines of |text| without what differs from run to run."""
    lines = []
    for line in text.split("\n"):
        if COMES_AND_GOES.match(line):
            continue
        for pattern, put in VARIES:
            line = re.sub(pattern, put, line)
        lines.append(line.strip())
    return lines if ordered else sorted(lines)


def split(body):
    """[(command, what it prints)] of a console block."""
    found = []
    for line in body.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:].rstrip("\n"), ""])
        elif found and found[-1][0].endswith("\\"):
            found[-1][0] += "\n" + line.rstrip("\n")
        else:
            assert found, f"output without a command: {line!r}"
            found[-1][1] += line
    return found


@pytest.fixture
def stage(host):
    return Stage(host)


def clean(printed):
    return "".join(line.rstrip() + "\n" for line in printed.splitlines())


def console(stage, body):
    done = []
    for command, expected in split(body):
        printed = clean(stage.run(command))
        assert "Sanitizer" not in printed
        if not UPDATE:
            ordered = "--target" not in command  # who of several answers first is not known
            assert shape(printed, ordered) == shape(expected, ordered), f"$ {command}\n{printed}"
        done.append(f"$ {command}\n{printed}")
    return "".join(done)


def screen(terminal, keys, body):
    """The screen after |keys|. Waits until it has the shape; when it is to be written, for some polls."""
    before = len(body.splitlines())
    for key in keys:
        terminal.keys(key)
    if UPDATE:
        number = int(terminal.wait(r"^xtcp2 top .* poll (\d+)")[1])
        terminal.wait(rf"^xtcp2 top .* poll {number + 5}\b", 20)
        return clean(terminal.text().rstrip("\n"))
    expected = shape(body)
    try:
        until(lambda: shape(terminal.text()) == expected, 10, "the screen of the tour")
    except AssertionError:
        assert shape(terminal.text()) == expected
    assert before <= 16
    return body


@pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")
def test_tour(host, stage):
    text = TOUR.read_text(encoding="utf-8")
    terminal = host.keep(Terminal(host.folder(), width=100, height=16, environment={"NO_COLOR": "1"}))
    started = False

    def run(match):
        nonlocal started
        if match[1] == "console":
            return f"```console\n{console(stage, match['body'])}```"
        if not started:
            started = True
            terminal.start("nsenter", f"--net={stage.hosts['web1'].path}", paths.CLIENT, "top", "--every", "1s",
                           "not (sport = 8889 or dport = 8889)")
            terminal.wait(r"^xtcp2 top .* poll [3-9]")
        return f"```{match[1]}\n{screen(terminal, match['keys'].split(), match['body'])}```"

    written = FENCE.sub(run, text)
    if started:
        terminal.keys("q")
        assert terminal.ended() == 0
    if UPDATE:
        TOUR.write_text(written, encoding="utf-8")
    assert len(FENCE.findall(text)) >= 10  # they were found at all
