"""Recorded answers, decoded by `xtcp2 --replay`, held against what ss said on the same machine moments apart.

The captures of tests/data/captures are of sockets at rest: all fields are compared. Those that XTCP2_CAPTURES names are of
other kernels and of sockets in motion: what stays is compared.
"""

import os
import pathlib
import subprocess

import pytest

from harness import paths, ss
from harness.rpc import record_pb
from harness.waiting import bound

OWN = paths.SOURCE / "tests" / "data" / "captures"
OTHERS = os.environ.get("XTCP2_CAPTURES")

# Fields that identify a socket, and those that its handshake has set.
LASTING = ("state", "local", "peer", "ino", "sk", "uid", "fwmark", "cong", "mss", "wscale", "pmtu", "advmss", "tos", "tclass",
           "class_id", "ts", "sack", "ecn", "ecnseen", "<->", "-->", "<--", "---", "limits")

# Values that some of the versions of ss that made these texts do not print.
UNTOLD = ("users", *ss.NEWER)


def replay(file, *arguments):
    return subprocess.run([paths.DAEMON, "--replay", file, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=bound(20), check=False)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def records(data):
    """The records of `-o proto`: envelopes, each with its length before it."""
    found, at = [], 0
    while at < len(data):
        size, at = varint(data, at)
        found += record_pb.Envelope.FromString(data[at:at + size]).row
        at += size
    return found


def decoded(file):
    done = replay(file, "-o", "proto")
    assert done.returncode == 0, done.stderr.decode()
    return records(done.stdout)


def lines_of_ss(file):
    """The sockets of a text of ss with a heading and two lines for each socket, by cookie."""
    lines = file.read_text().splitlines()[1:]
    found = [ss.parse_line(" ".join(pair)) for pair in zip(lines[::2], lines[1::2])]
    by_cookie = {int(s["sk"], 16): s for s in found}
    assert len(by_cookie) == len(found) > 0
    return by_cookie


def limits(found):
    """skmem without what moves: the two limits of the buffers."""
    if "skmem" in found:
        parts = found["skmem"].split(",")
        found["limits"] = tuple(p for p in parts if p.startswith(("rb", "tb")))
    return found


def lasting(found):
    return {name: value for name, value in limits(dict(found)).items() if name in LASTING}


def by_cookie(rows):
    """The last record of each socket: a capture may hold several dumps."""
    return {r.inet_diag_msg_socket_cookie: r for r in rows}


def name_of(path):
    """For a parameter; pytest's own name where there are no captures, and so no path."""
    return f"{path.parent.name}-{path.stem}" if isinstance(path, pathlib.Path) else None


def other_captures():
    if not OTHERS:
        return []
    found = []
    for text in sorted(pathlib.Path(OTHERS).glob("*/ss_*.txt")):
        _, count, *kind = text.stem.split("_")
        found.append((text, text.with_name("_".join(["tcp", count, "sockets", *kind]) + ".pcap")))
    return found


@pytest.mark.parametrize("name", ["tcpdiag.pcap", "sock_diag.pcap"])
def test_own_captures_equal_ss(name):
    rows = decoded(OWN / name)
    ours, theirs = by_cookie(rows), lines_of_ss(OWN / "ss.txt")
    assert len(rows) == len(ours)
    assert set(ours) == set(theirs)
    # This text was made without --tos, and names cgroups by paths of its own machine.
    moving = (*ss.MOVING, *UNTOLD, "timer", "tos", "tclass", "class_id", "sockopt", "cgroup")
    wrong = {cookie: d for cookie in ours if (d := ss.differences(theirs[cookie], ours[cookie], moving))}
    assert not wrong, wrong


@pytest.mark.skipif(not OTHERS, reason="XTCP2_CAPTURES is not set")
@pytest.mark.parametrize("text,capture", other_captures(), ids=name_of)
def test_other_captures_equal_ss(text, capture):
    ours, theirs = by_cookie(decoded(capture)), lines_of_ss(text)
    assert set(ours) == set(theirs)
    wrong = {}
    for cookie, record in ours.items():
        a = lasting(ss.settle(theirs[cookie], record))
        b = lasting(ss.expect(record))
        if a != b:
            wrong[cookie] = {n: (a.get(n), b.get(n)) for n in {*a, *b} if a.get(n) != b.get(n)}
    assert not wrong, wrong


@pytest.mark.skipif(not OTHERS, reason="XTCP2_CAPTURES is not set")
def test_every_capture_is_read():
    files = sorted(pathlib.Path(OTHERS).glob("*/*.pcap"))
    assert files
    for file in files:
        rows = decoded(file)
        assert (len(rows) == 0) == ("request" in file.name), file


@pytest.mark.parametrize("form", ["jsonl", "protojson"])
def test_formats_have_a_line_for_each_socket(form):
    done = replay(OWN / "tcpdiag.pcap", "-o", form)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == len(lines_of_ss(OWN / "ss.txt"))


def test_what_the_kernel_refused_is_an_error():
    done = replay(OWN / "refused.pcap", "-o", "jsonl")
    assert done.returncode != 0
    assert done.stdout == b""
    assert b"offset" in done.stderr and b"refused" in done.stderr


@pytest.mark.parametrize("cut", [10, 30, 500, 5000])
def test_truncated_capture(tmp_path, cut):
    whole = decoded(OWN / "tcpdiag.pcap")
    file = tmp_path / "cut.pcap"
    file.write_bytes((OWN / "tcpdiag.pcap").read_bytes()[:cut])
    done = replay(file, "-o", "proto")
    assert done.returncode != 0
    assert f"offset {cut}" in done.stderr.decode()
    before = records(done.stdout)
    assert len(before) < len(whole)
    assert [r.inet_diag_msg_socket_cookie for r in before] == \
        [r.inet_diag_msg_socket_cookie for r in whole[:len(before)]]
    assert bool(before) == (cut >= 1000)


@pytest.mark.parametrize("content,says", [(b"", "offset 0"), (b"\x7fELF" + bytes(100), "offset 0"),
                                          (bytes.fromhex("0a0d0d0a") + bytes(100), "pcapng"),
                                          (bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"), "link type 1")])
def test_foreign_files(tmp_path, content, says):
    file = tmp_path / "foreign"
    file.write_bytes(content)
    done = replay(file, "-o", "jsonl")
    assert done.returncode != 0
    assert done.stdout == b""
    assert says in done.stderr.decode()
