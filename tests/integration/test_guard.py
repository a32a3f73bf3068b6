"""The guard that stands before gRPC: what it does when it does not work, requests that do not come, whom calls are accounted
to, and what is told of those who are kept out. test_floods.py has the floods themselves."""

import contextlib
import subprocess

import grpc
import pytest

from harness import flood, paths
from harness.certs import NAME
from harness.rpc import Client, Code, config_pb, message
from harness.waiting import bound, until
from test_limits import refusals
from test_tls import READ_TOKEN, clients, ours, tls_target, token_file, with_tls  # noqa: F401 (fixtures)

UNGUARDED = paths.BUILD / "tests" / "xtcp2_unguarded"
NO_GUARD = "the guard against floods does not work here"


# ---- A daemon whose gRPC does not read through the guard ----

@pytest.fixture
def unguarded(monkeypatch):
    monkeypatch.setattr(paths, "DAEMON", UNGUARDED)


def test_unguarded_serves_this_machine(host, unguarded):
    d = host.daemon("--poll-frequency", "1h", listen=(f"unix:{host.folder()}/s", "127.0.0.1:0"))
    d.allow(NO_GUARD)
    d.wait_log(f"{NO_GUARD}: gRPC does not read by the program's recvmsg")
    for target in d.targets:
        assert host.connect(target).status().polls > 0
    # Connections are counted all the same, and those that are gone are found.
    c = host.connect(d.targets[0])
    c.set(options=config_pb.DaemonOptions(limits=config_pb.Limits(connections_max=10)))
    for _ in range(30):
        with contextlib.closing(Client(d.targets[1])) as other:
            assert other.health() == "SERVING"


def test_unguarded_is_not_for_strangers(host, unguarded, ours):
    for options in (("--grpc-health-listen", "127.0.0.1:0"), ("--grpc-insecure", "true", "--grpc-listen", "0.0.0.0:0"),
                    with_tls(ours)):
        done = subprocess.run([UNGUARDED, "--grpc-listen", f"unix:{host.folder()}/s", *options], text=True,
                              timeout=bound(20), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert done.returncode == 1, done.stderr
        assert f"{NO_GUARD} (gRPC does not read by the program's recvmsg" in done.stderr
    d = host.daemon("--poll-frequency", "1h")
    d.allow(NO_GUARD)
    c = host.connect(d)
    with pytest.raises(grpc.RpcError) as e:
        c.set(options=config_pb.DaemonOptions(access=config_pb.Access(health_listen={"item": ["127.0.0.1:0"]})))
    assert e.value.code() == Code.FAILED_PRECONDITION
    assert NO_GUARD in e.value.details()


# ---- Requests ----

def test_requests_that_do_not_come(host):
    """A call whose request stays away ends after ten seconds; one that may begin with silence goes on."""
    c = host.connect(host.daemon("--poll-frequency", "1h"))
    silence = iter(lambda: until(lambda: False, 60, "never") and None, 0)
    calls = [c.channel.stream_stream(method)(silence, timeout=bound(60)) for method in
             ("/grpc.health.v1.Health/Check", "/xtcp_flat_record.v1.XTCPFlatRecordService/FlatRecords")]
    with c.poll_stream() as quiet:
        for call in calls:
            with pytest.raises(grpc.RpcError) as e:
                next(call)
            assert (e.value.code(), e.value.details()) == (Code.DEADLINE_EXCEEDED, "the request did not come in time")
        quiet.request(markers=True)
        assert len(quiet.polls(1)) == 1


# ---- Users ----

def refused_watch(channel, count, **how):
    """The text that the first stream beyond the share ends with; |count| streams are held before."""
    request = message("grpc.health.v1.HealthCheckRequest")()
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch", request_serializer=lambda m: m.SerializeToString(),
                                 response_deserializer=lambda b: b)
    held = [watch(request, **how) for _ in range(count)]
    for stream in held:
        assert next(stream) is not None
    with pytest.raises(grpc.RpcError) as e:
        next(watch(request, **how))
    assert e.value.code() == Code.RESOURCE_EXHAUSTED
    for stream in held:
        stream.cancel()
    return e.value.details()


def test_calls_are_accounted_to_tokens_and_names(host, ours, clients):
    limits = ("--poll-frequency", "1h", "--calls-max", "16", "--token-file", token_file(host),
              "--tls-client-ca-file", clients.path)
    d = host.daemon(*with_tls(ours), *limits)
    d.allow("is refused")
    cert, key = clients.issue("who", cn="reader of ours", sans=["ops.example"])
    files = []
    for path in (ours.path, key, cert):
        with open(path, "rb") as f:
            files.append(f.read())
    credentials = grpc.ssl_channel_credentials(files[0], files[1], files[2])
    channel = grpc.secure_channel(tls_target(d), credentials, [("grpc.ssl_target_name_override", NAME)])
    host.keep(channel)
    text = refused_watch(channel, 8)
    assert text == ("open calls: name ops.example has 8 and asks for 1, its share is 8 of 16 "
                    "(calls_max, user_share_percent 50)")
    # The same connection with a token has the share of the token.
    token = [("authorization", f"Bearer {READ_TOKEN}")]
    assert "token 1 has 8" in refused_watch(channel, 8, metadata=token)


# ---- Messages ----

def test_told_once(host):
    """A user who floods is named in the log once, and counted by reason in the status."""
    d = host.daemon("--poll-frequency", "1h")
    d.allow("guard: uid 65534: ")
    c = host.connect(d)
    assert refusals(c) == {}
    flood.Flood(host, "resets", d.target, 1, 2).figures()
    found = refusals(c)
    assert found["connection closed: too many calls reset"] > 0
    assert found["connection not read for a while: it sends too much"] > 0
    assert d.log().count("guard: ") == 1
    d.wait_log("guard: uid 65534: connection closed: too many calls reset")
    assert "too many calls reset" in subprocess.run([paths.CLIENT, "--target", d.target, "status", "-o", "table"],
                                                    text=True, stdout=subprocess.PIPE, check=True).stdout


def test_a_flood_of_ones_own_is_no_way_to_lock_others_out(host):
    """A user who keeps its budget used up is alone with that: another user's calls at the same listener are answered."""
    d = host.daemon("--poll-frequency", "1h", "--unix-socket-mode", "0666", listen=(f"unix:{host.folder()}/s",))
    d.allow("guard: uid 65534: ")
    other = flood.Probe(host, d.target, uid=64001)
    other.figures()
    flood.Flood(host, "calls", d.target, 20, 1.5).figures()
    found = other.figures()
    assert found.failures == 0
    assert found.count > 50 / bound(1)
    assert found.p99_ms <= bound(250)
