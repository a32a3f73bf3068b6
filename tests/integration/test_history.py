"""The change log of the configuration, in StatusService.Get."""

import re
import signal
import time

import grpc
import pytest

from harness.rpc import config_pb
from harness.waiting import until


def options(change):
    return {o.name: (o.before, o.after) for o in change.options}


def test_changes_are_told(host):
    folder = host.folder()
    with open(f"{folder}/config.yaml", "w", encoding="utf-8") as f:
        f.write("label: first\n")
    d = host.daemon("--poll-frequency", "1h", "--config", f"{folder}/config.yaml",
                    listen=["127.0.0.1:0", f"unix:{folder}/s"])
    tcp, unix = (host.connect(t) for t in d.targets)
    assert list(tcp.status().changes) == []

    begin = time.time_ns()
    tcp.set(tag="x", location="y")
    unix.set_frequency(60, 30)
    tcp.set(tag="x")  # changes nothing
    tcp.set(tag="z", dry_run=True)
    with pytest.raises(grpc.RpcError):
        tcp.set(tag="x" * 41)
    first, second = tcp.status().changes
    assert (first.origin, first.generation) == ("Set", 2)
    assert re.fullmatch(r"127\.0\.0\.1:\d+ uid=0", first.peer), first.peer
    assert options(first) == {"tag": ("", "x"), "location": ("", "y")}
    assert begin <= first.timestamp_ns <= second.timestamp_ns <= time.time_ns()
    assert (second.origin, second.generation) == ("SetPollFrequency", 3)
    assert "unix" in second.peer and "uid=0" in second.peer, second.peer
    assert options(second) == {"poll_frequency": ("1h", "1m"), "poll_timeout": ("2s", "30s")}

    with open(f"{folder}/config.yaml", "w", encoding="utf-8") as f:
        f.write("label: second\n")
    d.send_signal(signal.SIGHUP)
    until(lambda: len(tcp.status().changes) == 3, 5, "the reload in the log")
    third = tcp.status().changes[2]
    assert (third.origin, third.peer, third.generation) == ("reload", "", 4)
    assert options(third)["label"] == ("first", "second")
    assert options(third)["poll_frequency"] == ("1m", "1h")


def test_a_hundred_are_kept(host):
    c = host.connect(host.daemon("--poll-frequency", "1h"))
    for i in range(130):
        c.config.Set(config_pb.SetRequest(config=config_pb.XtcpConfig(label=str(i))), timeout=10)
    changes = c.status().changes
    assert [options(x)["label"][1] for x in changes] == [str(i) for i in range(30, 130)]
    assert [x.generation for x in changes] == list(range(32, 132))
