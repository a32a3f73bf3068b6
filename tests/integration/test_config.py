"""ConfigService: what Get tells, what Set accepts, refuses and changes."""

import socket
import sys

import grpc
import pytest

from harness.rpc import Code, config_pb, message
from harness.waiting import bound, until

SET = "/xtcp_config.v1.ConfigService/Set"


def duration(seconds, nanos=0):
    return message("google.protobuf.Duration")(seconds=seconds, nanos=nanos)


def config(**fields):
    """An XtcpConfig; durations as numbers of seconds."""
    c = config_pb.XtcpConfig()
    for name, value in fields.items():
        field = c.DESCRIPTOR.fields_by_name[name]
        if field.message_type and field.message_type.name == "Duration":
            getattr(c, name).FromNanoseconds(round(value * 1e9))
        elif field.label == field.LABEL_REPEATED:
            getattr(c, name).extend(value)
        else:
            setattr(c, name, value)
    return c


def refused(call, code=Code.INVALID_ARGUMENT):
    """The text of the error that call() must end with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() == code, caught.value
    return caught.value.details()


@pytest.fixture
def client(host):
    daemon = host.daemon("--poll-frequency", "1h")
    c = host.connect(daemon)
    c.daemon = daemon
    return c


# ---- Get and Set ----

def test_set_of_get_changes_nothing(client):
    before = client.get()
    answer = client.set(before)
    assert list(answer.changed) == []
    assert answer.config == before
    assert client.get() == before


def test_set_of_get_without_our_additions_changes_nothing(client):
    """The original tool drops fields that it does not know on their way through JSON."""
    before = client.get()
    known = config_pb.XtcpConfig()
    known.CopyFrom(before)
    known.ClearField("generation")
    known.ClearField("options")
    answer = client.set(known)
    assert list(answer.changed) == []
    assert client.get() == before


def test_set_of_nothing_changes_nothing(client):
    before = client.get()
    assert list(client.set().changed) == []
    assert list(client.config.Set(config_pb.SetRequest(), timeout=bound(5)).changed) == []
    assert client.get() == before


def test_get_satisfies_its_constraints(client):
    c = client.get()
    assert 0 < c.poll_timeout.ToNanoseconds() < c.poll_frequency.ToNanoseconds() <= 604800 * 10**9
    assert c.netlinkers >= 1 and c.netlinkers_done_chan_size >= 1 and c.modulus >= 1
    assert c.marshal_to == "protobufList" and c.dest == "null:"
    assert 1 <= c.grpc_port <= 65535
    assert c.generation == 1


def test_the_port_is_the_listeners(host):
    d = host.daemon()
    assert host.connect(d).get().grpc_port == d.port
    u = host.daemon(listen=[f"unix:{host.folder()}/s"])
    assert host.connect(u).get().grpc_port == 8889


def test_a_change_takes_the_next_generation_and_is_named(client):
    before = client.get()
    answer = client.set(label="blue", tag="t", location="rack 7", hostname="elsewhere")
    assert set(answer.changed) == {"label", "tag", "location", "hostname"}
    after = client.get()
    assert answer.config == after
    assert after.generation == before.generation + 1
    assert (after.label, after.tag, after.location, after.hostname) == ("blue", "t", "rack 7", "elsewhere")
    row = client.poll().rows[0]
    assert (row.label, row.tag, row.location, row.hostname) == ("blue", "t", "rack 7", "elsewhere")


def test_dry_run_tells_and_changes_nothing(client):
    before = client.get()
    answer = client.set(config(label="blue", poll_frequency=30), dry_run=True)
    assert set(answer.changed) == {"label", "poll_frequency"}
    assert answer.config.label == "blue"
    assert client.get() == before
    assert "label" in refused(lambda: client.set(config(label="x" * 41), dry_run=True))


def test_a_stale_generation_is_refused(client):
    first = client.get()
    client.set(label="a")
    first.label = "b"
    refused(lambda: client.set(first), Code.ABORTED)
    first.generation += 1
    assert list(client.set(first).changed) == ["label"]
    assert client.get().label == "b"


def test_all_or_nothing(client):
    before = client.get()
    assert "tag" in refused(lambda: client.set(label="good", tag="x" * 41))
    assert client.get() == before


# ---- Bounds ----

OUTSIDE = [
    ("nl_timeout_milliseconds", 100001, "100000"),
    ("poll_frequency", 0, "0"),
    ("poll_frequency", -1, "0"),
    ("poll_frequency", 604800.000000001, "604800"),
    ("poll_timeout", 0, "0"),
    ("poll_timeout", -0.5, "0"),
    ("poll_timeout", 604801, "604800"),
    ("max_loops", 100001, "100000"),
    ("netlinkers", 101, "100"),
    ("netlinkers_done_chan_size", 1001, "1000"),
    ("nlmsg_seq", 10001, "10000"),
    ("packet_size", 1000001, "1000000"),
    ("packet_size_mply", 101, "100"),
    ("write_files", 1001, "1000"),
    ("capture_path", "x" * 81, "80"),
    ("modulus", 1000001, "1000000"),
    ("marshal_to", "xx", "3"),
    ("marshal_to", "x" * 41, "40"),
    ("dest", "xxx", "4"),
    ("dest", "x" * 513, "512"),
    ("dest_write_files", 1001, "1000"),
    ("topic", "x" * 41, "40"),
    ("xtcp_proto_file", "x" * 81, "80"),
    ("kafka_schema_url", "x" * 61, "60"),
    ("kafka_produce_timeout", -1, "0"),
    ("kafka_produce_timeout", 601, "600"),
    ("debug_level", 1001, "1000"),
    ("label", "x" * 41, "40"),
    ("tag", "x" * 41, "40"),
    ("location", "x" * 254, "253"),
    ("hostname", "x" * 254, "253"),
    ("daemon_version", "x" * 254, "253"),
    ("ipv4_ttl", 256, "255"),
    ("ipv6_hop_limit", 256, "255"),
    ("grpc_port", 65536, "65535"),
    ("io_uring_recv_batch_size", 4097, "4096"),
    ("io_uring_cqe_batch_size", 4097, "4096"),
    ("poll_jitter_pct", 101, "100"),
    ("s3_flush_interval", -1, "0"),
    ("s3_flush_jitter_pct", 101, "100"),
    ("s3_flush_threshold_jitter_pct", 101, "100"),
    ("s3_upload_max_attempts", 101, "100"),
    ("s3_upload_backoff_cap", -1, "0"),
    ("reconcile_frequency", -1, "0"),
    ("docker_socket_path", "x" * 256, "255"),
    ("lldpd_socket_path", "x" * 256, "255"),
    ("lldpd_version_hint", "x" * 17, "16"),
    ("uplink_count", 3, "2"),
    ("uplink_interfaces", ["a", "b", "c"], "2"),
]


def test_bounds(client):
    """Each bound, by a value just outside: the error names field, value and bound, and nothing has changed."""
    before = client.get()
    for field, value, limit in OUTSIDE:
        text = refused(lambda c=config(**{field: value}): client.set(c))
        assert field in text, text
        assert limit in text, text
        shown = value[:8] if isinstance(value, str) else str(len(value)) if isinstance(value, list) else f"{value:.9g}"
        assert shown in text, text
    assert client.get() == before


FIXED = [
    ("netlinkers", 2), ("netlinkers_done_chan_size", 1000),
    ("nlmsg_seq", 1), ("packet_size_mply", 100), 
    ("s3_endpoint", "http://x"),
    ("s3_bucket", "x"), ("s3_prefix", "x"), ("s3_access_key", "x"), ("s3_secret_key", "x"),
    ("s3_parquet_flush_threshold_bytes", 1), ("s3_region", "x"), ("s3_skip_bucket_probe", True),
    ("pyroscope_url", "x"), ("pyroscope_app_name", "x"), ("pyroscope_sample_hz", 1),
    ("pyroscope_upload_interval_sec", 1), ("dest_write_files", 1),
    ("xtcp_proto_file", "x"), ("kafka_schema_url", "x"), ("daemon_version", "9.9"),
    ("resolve_container_id", True), ("io_uring", True),
    ("io_uring_recv_batch_size", 1), ("io_uring_cqe_batch_size", 4096),
    ("s3_flush_interval", 1), ("s3_flush_jitter_pct", 1),
    ("s3_flush_threshold_jitter_pct", 1), ("s3_upload_max_attempts", 1), ("s3_upload_backoff_cap", 1),
    ("enrich_container_enable", True),
    ("docker_socket_path", "/x"), ("enrich_lldp_enable", True), ("lldpd_socket_path", "/x"),
    ("lldpd_version_hint", "1"), ("enrich_nic_enable", True), ("uplink_count", 2), ("uplink_interfaces", ["a", "b"]),
    
]


def test_what_cannot_be_changed_is_refused_by_name(client):
    before = client.get()
    for field, value in FIXED:
        c = config_pb.XtcpConfig()
        c.CopyFrom(before)
        c.ClearField(field)
        c.MergeFrom(config(**{field: value}))
        assert field in refused(lambda c=c: client.set(c))
    assert client.get() == before


def test_every_field_is_in_one_of_these_tests():
    """A field that is added to the schema wants a decision here."""
    changeable = {"poll_frequency", "poll_timeout", "debug_level", "label", "tag", "location", "hostname",
                  "enabled_deserializers", "generation", "options", "max_loops", "ipv4_ttl", "ipv6_hop_limit",
                  "poll_jitter_pct", "reconcile_frequency", "reconcile_before_poll", "modulus", "packet_size",
                  "nl_timeout_milliseconds", "write_files", "capture_path", "populate_nsid",
                  "grpc_port", "dest", "marshal_to", "topic", "csv_columns", "envelope_flush_threshold_bytes",
                  "envelope_flush_threshold_rows", "kafka_compression", "kafka_produce_timeout"}
    fields = set(config_pb.XtcpConfig.DESCRIPTOR.fields_by_name)
    assert fields == changeable | {name for name, _ in FIXED}


def test_the_output_of_dest(host):
    """The fields that the Go daemon has make an output: in its format, with its columns."""
    folder = host.folder()
    d = host.daemon("--poll-frequency", "1h", "--output-dirs", folder)
    c = host.connect(d)
    before = c.get()
    assert (before.dest, before.marshal_to, before.topic) == ("null:", "protobufList", "xtcp")
    answer = c.set(config(dest=f"file:{folder}/rows", marshal_to="csv", csv_columns="pollId,tcpInfoRtt",
                          envelope_flush_threshold_rows=1, kafka_compression="lz4", kafka_produce_timeout=10, topic="sockets"))
    assert set(answer.changed) == {"dest", "marshal_to", "csv_columns", "envelope_flush_threshold_rows", "kafka_compression",
                                   "kafka_produce_timeout", "topic"}
    poll = c.poll()
    until(lambda: [(o.name, o.format, o.rows_sent) for o in c.list_outputs()] == [("default", "csv", len(poll.rows))], 5, "rows")
    with open(f"{folder}/rows", encoding="ascii") as f:
        lines = f.read().splitlines()
    assert lines[0] == "poll_id,tcp_info_rtt" and len(lines) == 1 + len(poll.rows)
    assert 'outputs: default: to: has ".."' in refused(lambda: c.set(config(dest=f"file:{folder}/../x")), Code.PERMISSION_DENIED)
    c.set(config(dest="null"))
    until(lambda: not c.list_outputs(), 5, "no output")


def test_the_greatest_values_are_accepted(client):
    client.set(config(label="x" * 40, tag="y" * 40, location="l" * 253, hostname="h" * 253, debug_level=1000,
                      poll_frequency=604800, poll_timeout=604799.5))
    c = client.get()
    assert (len(c.label), len(c.tag), len(c.location), len(c.hostname), c.debug_level) == (40, 40, 253, 253, 1000)
    assert c.poll_timeout.ToNanoseconds() == 604799_500_000_000


def test_lengths_count_characters(client):
    """The same of the widest characters: four bytes each, and records carry them."""
    wide = "\U0001F600"
    client.set(label=wide * 40, tag=wide * 40, location=wide * 253, hostname=wide * 253)
    rows = client.poll().rows
    assert rows
    assert {(r.label, r.tag, r.location, r.hostname) for r in rows} == {(wide * 40, wide * 40, wide * 253, wide * 253)}
    for field, most in (("label", 40), ("tag", 40), ("location", 253), ("hostname", 253)):
        assert field in refused(lambda f=field, n=most: client.set(**{f: wide * (n + 1)}))


def test_log_level(host):
    d = host.daemon("--poll-frequency", "1h")
    c = host.connect(d)
    assert c.get().options.log.level == "info"
    c.set(options=config_pb.DaemonOptions(log=config_pb.Log(level="debug")))
    c.poll()
    d.wait_log(r" debug poll: \d+: \d+ sockets")
    assert "level" in refused(lambda: c.set(options=config_pb.DaemonOptions(log=config_pb.Log(level="loud"))))


def test_limits_over_grpc(client):
    client.daemon.allow("stream: a subscriber is refused")
    client.set(options=config_pb.DaemonOptions(limits=config_pb.Limits(subscribers_max=1)))
    with client.edges() as first:
        client.trigger()
        first.polls(1)
        with client.edges() as second:
            assert second.next() is None
            code, text = second.status()
            assert code == Code.RESOURCE_EXHAUSTED
            assert "subscribers_max" in text


def test_what_takes_a_restart_is_refused(client):
    limits = config_pb.Limits(connection_calls_max=7)
    text = refused(lambda: client.set(options=config_pb.DaemonOptions(limits=limits)))
    assert "options.limits.connection_calls_max" in text and "restart" not in text and "at the next start" in text


def test_reset(client):
    """Values that proto3 cannot tell from absence: an empty text, zero, false."""
    client.set(config(label="a", max_loops=7, reconcile_before_poll=True, poll_frequency=60))
    request = config_pb.SetRequest(reset=["label", "max_loops", "reconcile_before_poll"], config=config(tag="t"))
    answer = client.config.Set(request, timeout=bound(5))
    assert set(answer.changed) == {"label", "max_loops", "reconcile_before_poll", "tag"}
    now = client.get()
    assert (now.label, now.max_loops, now.reconcile_before_poll, now.tag) == ("", 0, False, "t")
    assert now.poll_frequency.seconds == 60
    request = config_pb.SetRequest(reset=["colour"])
    assert "colour" in refused(lambda: client.config.Set(request, timeout=bound(5)))


# ---- Schedule and namespaces ----

def test_max_loops(host):
    """After this many regular polls the daemon polls only on request; it goes on serving."""
    d = host.daemon("--poll-frequency", "20ms", "--max-loops", "3")
    c = host.connect(d)
    until(lambda: c.status().polls == 3, 5, "three polls")
    with c.edges() as stream:
        c.trigger()
        (poll,) = stream.polls(1)
        assert poll.begin.poll_id == 4
        c.set(max_loops=2)
        assert [p.begin.poll_id for p in stream.polls(2)] == [5, 6]
        c.trigger()
        assert stream.polls(1)[0].begin.poll_id == 7


def test_jitter(host):
    d = host.daemon("--poll-frequency", "50ms", "--poll-jitter-pct", "100")
    c = host.connect(d)
    with c.edges() as stream:
        begins = [p.begin.timestamp_ns for p in stream.polls(20)]
    steps = [b - a for a, b in zip(begins, begins[1:])]
    assert max(steps) - min(steps) > 10_000_000  # without: well below that
    assert max(steps) < bound(0.4) * 1e9


def test_hops(host):
    """The daemon's end of a connection has the time to live that is configured, and new ones the changed one."""
    d = host.daemon("--poll-frequency", "1h", "--ipv4-ttl", "7", "--ipv6-hop-limit", "8",
                    listen=["127.0.0.1:0", "[::1]:0"])
    for target, expected in zip(d.targets, (7, 8)):
        c = host.connect(target)
        c.get()
        assert sent_ttl(target) == expected
    c.set(ipv4_ttl=9)
    until(lambda: sent_ttl(d.targets[0]) == 9, 5, "the changed time to live")
    c.config.Set(config_pb.SetRequest(reset=["ipv4_ttl"]), timeout=bound(5))
    with open("/proc/sys/net/ipv4/ip_default_ttl", encoding="ascii") as f:
        default = int(f.read())
    until(lambda: sent_ttl(d.targets[0]) == default, 5, "the kernel's time to live")


def sent_ttl(target):
    """The time to live or hop limit of a packet from |target|: of the answer to our SYN, by a raw socket."""
    address, port = target.rsplit(":", 1)
    v6 = address.startswith("[")
    family = socket.AF_INET6 if v6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw, socket.socket(family) as s:
        raw.settimeout(bound(5))
        if v6:
            raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        s.connect((address.strip("[]"), int(port)))
        mine = s.getsockname()[1]
        while True:
            data, ancillary, _, _ = raw.recvmsg(4096, 256)
            tcp = data if v6 else data[4 * (data[0] & 15):]
            if (int.from_bytes(tcp[0:2], "big"), int.from_bytes(tcp[2:4], "big")) == (int(port), mine):
                return int.from_bytes(ancillary[0][2][:4], sys.byteorder) if v6 else data[8]


def inodes(client):
    return {n.inode for n in client.list_namespaces()}


def test_reconcile_frequency(host):
    """A namespace of which nothing tells is found by looking again."""
    d = host.daemon("--poll-frequency", "1h", "--proc-scan-interval", "1h", everywhere=True)
    c = host.connect(d)
    c.set(config(reconcile_frequency=0.1))
    ns = host.anonymous()
    until(lambda: ns.inode in inodes(c), 10, "the anonymous namespace")


def test_reconcile_before_poll(host):
    """The same, before each poll: it has the namespaces of the moment."""
    d = host.daemon("--poll-frequency", "1h", "--proc-scan-interval", "1h", everywhere=True)
    c = host.connect(d)
    c.set(reconcile_before_poll=True)
    for _ in range(5):
        ns = host.anonymous()
        c.poll()
        assert ns.inode in inodes(c)


# ---- Attribute groups ----

def test_unknown_group(client):
    c = config_pb.XtcpConfig()
    c.enabled_deserializers.enabled["info"] = True
    c.enabled_deserializers.enabled["colour"] = True
    text = refused(lambda: client.set(c))
    assert "enabled_deserializers" in text and "colour" in text


def test_groups_are_exactly_those_that_are_true(client):
    c = config_pb.XtcpConfig()
    c.enabled_deserializers.enabled["cong"] = True
    c.enabled_deserializers.enabled["info"] = False
    assert list(client.set(c).changed) == ["enabled_deserializers"]
    enabled = client.get().enabled_deserializers.enabled
    assert {name for name, on in enabled.items() if on} == {"cong"}


# ---- Frequency ----

def test_set_poll_frequency(client):
    before = client.get()
    with client.edges() as stream:
        now = client.set_frequency(0.1, 0.05)
        assert now.poll_frequency.ToNanoseconds() == 100_000_000
        assert now.poll_timeout.ToNanoseconds() == 50_000_000
        assert now.generation == before.generation + 1
        polls = stream.polls(4)
    begins = [p.begin.timestamp_ns for p in polls]
    steps = [b - a for a, b in zip(begins, begins[1:])]
    assert min(steps[1:]) > 50_000_000
    assert max(steps) < bound(0.4) * 1e9


@pytest.mark.parametrize("frequency, timeout, words", [
    (1, 1, ["poll_timeout", "1s", "poll_frequency"]),
    (1, 2, ["poll_timeout", "2s", "poll_frequency", "1s"]),
    (0, 0, ["poll_frequency", "0"]),
    (604801, 1, ["poll_frequency", "604801", "604800"]),
    (10, 604801, ["poll_timeout", "604801", "604800"]),
    (-1, 1, ["poll_frequency", "-1"]),
    (1, -1, ["poll_timeout", "-1", "0"]),
])
def test_set_poll_frequency_bounds(client, frequency, timeout, words):
    before = client.get()
    text = refused(lambda: client.set_frequency(frequency, timeout))
    for word in words:
        assert word in text, text
    assert client.get() == before


def test_both_durations_are_required(client):
    for name in ("poll_frequency", "poll_timeout"):
        request = config_pb.SetPollFrequencyRequest()
        getattr(request, name).FromSeconds(1)
        other = {"poll_frequency": "poll_timeout", "poll_timeout": "poll_frequency"}[name]
        assert other in refused(lambda r=request: client.config.SetPollFrequency(r, timeout=bound(5)))


def test_timeout_must_stay_below_the_frequency_in_set_too(client):
    client.set_frequency(10, 5)
    assert "poll_timeout" in refused(lambda: client.set(config(poll_frequency=5)))
    assert "poll_timeout" in refused(lambda: client.set(config(poll_timeout=10)))
    client.set(config(poll_frequency=4, poll_timeout=3))


# ---- Polls on request ----

def test_trigger_poll(client):
    with client.edges() as stream:
        client.trigger()
        (poll,) = stream.polls(1)
    assert poll.begin.trigger == poll.begin.DESCRIPTOR.fields_by_name["trigger"].enum_type.values_by_name[
        "POLL_TRIGGER_REQUEST"].number


def test_burst(client):
    client.set_frequency(3600, 0.5)
    with client.edges() as stream:
        answer = client.burst(2, 1)
        assert answer.count == 2 and answer.interval.seconds == 1
        text = refused(lambda: client.burst(5, 1), Code.RESOURCE_EXHAUSTED)
        assert "replace" in text
        polls = stream.polls(2)
        # The burst is over now: another one may start, and is replaced, and is cancelled.
        client.burst(1000, 3600)
        client.burst(1000, 1, replace=True)
        stream.polls(2)
    assert [p.begin.trigger for p in polls] == [3, 3]
    assert abs(polls[1].begin.timestamp_ns - polls[0].begin.timestamp_ns - 10**9) < bound(0.2) * 1e9
    left = client.cancel_burst()
    assert 990 <= left <= 999
    assert client.cancel_burst() == 0


@pytest.mark.parametrize("count, interval, words", [
    (0, 1, ["count", "1", "1000"]),
    (1001, 1, ["count", "1001", "1000"]),
    (1, 0.999999999, ["interval", "1"]),
    (1, 3601, ["interval", "3601", "3600"]),
    (1, 2, ["interval", "2s", "poll_timeout"]),
])
def test_burst_bounds(client, count, interval, words):
    text = refused(lambda: client.burst(count, interval))
    for word in words:
        assert word in text, text


def test_burst_without_interval(client):
    request = config_pb.TriggerPollBurstRequest(count=1)
    assert "interval" in refused(lambda: client.config.TriggerPollBurst(request, timeout=bound(5)))


def test_set_s3_upload(client):
    request = config_pb.SetS3UploadRequest(s3_parquet_flush_threshold_bytes=1000)
    text = refused(lambda: client.config.SetS3Upload(request, timeout=bound(5)), Code.FAILED_PRECONDITION)
    assert "S3" in text
    text = refused(lambda: client.config.SetS3Upload(config_pb.SetS3UploadRequest(), timeout=bound(5)))
    assert "s3_flush_interval" in text
    request = config_pb.SetS3UploadRequest()
    request.s3_flush_interval.FromSeconds(-1)
    assert "s3_flush_interval" in refused(lambda: client.config.SetS3Upload(request, timeout=bound(5)))


# ---- Hostile bytes ----

def tagged(number, data):
    """Field |number| with |data| (less than 128 bytes) as its length-delimited value."""
    tag = number << 3 | 2
    key = bytes([tag & 0x7F | 0x80, tag >> 7]) if tag > 127 else bytes([tag])
    return key + bytes([len(data)]) + data


def answered(client, data):
    """Sends |data| to Set: any answer will do, but there must be one."""
    try:
        client.raw(SET, data)
        return Code.OK
    except grpc.RpcError as e:
        assert e.code() in (Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED), e
        return e.code()


def test_map_entries_with_unknown_fields(client):
    """A map entry with an unknown field, up to the very end of the message: some decoders die of it."""
    before = client.get()
    for unknown in (b"\x1a\x01x", b"\x18\x01", b"\x1d\0\0\0\0", b"\x1b\x1c", b"\x1a\x05"):
        for key in (b"", b"\x0a\x01k", b"\x0a\x04info"):
            for tail in range(0, 40):
                entry = key + unknown + b"\x1a" + bytes([max(tail - 2, 0)]) + b"x" * max(tail - 2, 0) if tail else key + unknown
                answered(client, tagged(1, tagged(200, tagged(1, entry))))
    # A key, an unknown field and five bytes more: 18 bytes are known to do it.
    entry = b"\x0a\x01k" + b"\x18\x01" + b"\x1a\x04xxxx"
    message_18 = tagged(1, tagged(200, tagged(1, entry)))
    assert len(message_18) == 18
    answered(client, message_18)
    assert client.get().poll_frequency == before.poll_frequency


def test_cut_and_bent_requests(client):
    """Every prefix of a request, and every request with one bit turned: an answer to each, and a daemon that goes on."""
    whole = config_pb.SetRequest(config=client.get(), dry_run=True).SerializeToString()
    for n in range(len(whole)):
        answered(client, whole[:n])
    for n in range(len(whole)):
        bent = bytearray(whole)
        bent[n] ^= 1 << n % 8
        answered(client, bytes(bent) + b"\xa0\x06\x01")  # dry_run again, in case that it was the bit
    assert client.health() == "SERVING"


def test_texts_that_are_no_utf8(client):
    assert answered(client, tagged(1, tagged(170, b"\xff\xfe"))) == Code.INVALID_ARGUMENT
    assert client.get().label == ""


def test_a_request_that_is_too_large(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.raw(SET, b"\x0a\x80\x80\x08" + b"\0" * (1 << 17))
    assert caught.value.code() == Code.RESOURCE_EXHAUSTED
    assert client.health() == "SERVING"


def test_unknown_methods(client):
    for method in ("/xtcp_config.v1.ConfigService/Frobnicate", "/nobody.v1.Nothing/Get", "/x",
                   "/xtcp_config.v1.ConfigService/" + "LongName" * 100):
        with pytest.raises(grpc.RpcError) as caught:
            client.raw(method, b"")
        assert caught.value.code() == Code.UNIMPLEMENTED, method
