"""FlatRecords and PollFlatRecords: what a client gets, in what form, and how a stream ends."""

import collections

import grpc
import pytest

from harness.rpc import Code, record_pb
from harness.waiting import bound, until

TRIGGER = record_pb.PollTrigger.Value


def check_poll(poll):
    """The properties of every poll that lost nothing."""
    begin, end = poll.begin, poll.end
    assert begin.poll_id == end.poll_id
    assert begin.timestamp_ns < end.timestamp_ns
    assert 0 < end.duration_ns <= end.timestamp_ns - begin.timestamp_ns + 10_000_000
    assert end.namespaces + end.namespaces_failed == begin.namespaces
    assert end.namespaces_empty <= end.namespaces
    assert len(end.errors) == min(end.namespaces_failed + end.namespaces_unseen, 100)
    assert end.rows_lost == 0
    assert end.rows_sent == end.sockets == len(poll.rows)
    assert all(row.poll_id == begin.poll_id and row.timestamp_ns == begin.timestamp_ns for row in poll.rows)
    counters = collections.defaultdict(list)
    for row in poll.rows:
        counters[row.netns_cookie].append(row.record_counter)
    for found in counters.values():
        assert found == list(range(len(found)))
    keys = {(row.netns_cookie, row.inet_diag_msg_socket_cookie) for row in poll.rows}
    assert len(keys) == len(poll.rows)


# ---- FlatRecords ----

def test_an_empty_request_gets_records_alone_and_a_good_end(daemon, client):
    with client.stream() as stream:
        until(lambda: client.status().subscribers, 5, "subscriber")
        client.trigger()
        polled = client.poll()
        first = stream.next()
        rows = [first]
        while len(rows) < polled.end.sockets // 2:
            rows.append(stream.next())
        daemon.stop()
        rows += list(stream)
        assert stream.status() == (Code.OK, "")
    for m in rows:
        assert [field.name for field, _ in m.ListFields()] == ["xtcp_flat_record"]
        assert m.xtcp_flat_record.schema_version == 1
    # As the original schema's readers see it: field 1 and nothing that they do not know.
    assert first.SerializeToString()[0] == 0x0A


def test_records_carry_what_all_have_in_common(daemon, client):
    status = client.status()
    poll = client.poll()
    check_poll(poll)
    for row in poll.rows:
        assert row.schema_version == 1
        assert row.daemon_version == status.version
        assert row.hostname == status.hostname != ""
        assert row.netns and row.netns_inode and row.netns_cookie
        assert (row.socket_fd, row.netlinker_id, row.event) == (0, 0, record_pb.RECORD_EVENT_POLL)
        size = {2: 4, 10: 16}[row.inet_diag_msg_family]
        assert len(row.inet_diag_msg_socket_source) == len(row.inet_diag_msg_socket_destination) == size
    own = [r for r in poll.rows if r.netns == "default"]
    listener = [r for r in own if r.inet_diag_msg_state == 10 and r.inet_diag_msg_socket_source_port == daemon.port]
    assert len(listener) == 1


@pytest.mark.parametrize("batch_rows", [0, 1, 7, 100, 2**32 - 1])
def test_batch_rows(client, batch_rows):
    poll = client.poll(batch_rows=batch_rows)
    check_poll(poll)
    assert len(poll.rows) > 0
    for m in poll.messages:
        if batch_rows:
            assert [field.name for field, _ in m.ListFields()] == ["envelope"]
            assert 1 <= len(m.envelope.row) <= batch_rows
        else:
            assert [field.name for field, _ in m.ListFields()] == ["xtcp_flat_record"]


def test_batches_without_markers(client):
    with client.poll_stream() as stream:
        stream.request(batch_rows=5)
        stream.half_close()
        messages = list(stream)
        assert stream.status()[0] == Code.OK
    assert messages
    for m in messages:
        assert [field.name for field, _ in m.ListFields()] == ["envelope"]


def test_polls_of_a_stream_follow_each_other(client):
    client.set_frequency(0.05, 0.04)
    with client.edges() as stream:
        polls = stream.polls(10)
    ids = [p.begin.poll_id for p in polls]
    assert ids == list(range(ids[0], ids[0] + 10))
    for poll in polls:
        check_poll(poll)
        assert poll.begin.trigger == TRIGGER("POLL_TRIGGER_SCHEDULE")
    for before, after in zip(polls, polls[1:]):
        assert before.end.timestamp_ns <= after.begin.timestamp_ns


def test_a_stream_with_markers_is_told_that_the_daemon_stops(daemon, client):
    with client.edges() as stream:
        until(lambda: client.status().subscribers, 5, "subscriber")  # else the poll may be over before it is one
        client.trigger()
        stream.polls(1)
        daemon.stop()
        assert list(stream) == []
        assert stream.status()[0] == Code.UNAVAILABLE


def test_every_stream_is_told_that_the_daemon_stops(daemon, client):
    """At once, so that nobody has to be waited for."""
    streams = [client.watch_namespaces(), client.watch_health(), client.poll_stream(), client.edges()]
    for watch in streams[:2]:
        watch.next()
    until(lambda: client.status().subscribers, 5, "subscriber")
    daemon.stop()
    assert daemon.stop_seconds < bound(0.4)
    for stream in streams:
        for _ in stream:
            pass
        assert stream.status()[0] == Code.UNAVAILABLE
        assert "stopping" in stream.status()[1]


def test_what_is_not_supported_is_refused_by_name(client):
    with client.stream(events=True) as stream:
        assert stream.next() is None
        code, text = stream.status()
    assert code == Code.UNIMPLEMENTED and "events" in text
    with client.poll_stream() as stream:
        stream.request(events=True)
        assert stream.next() is None
        code, text = stream.status()
    assert code == Code.UNIMPLEMENTED and "events" in text


@pytest.mark.parametrize("method", ["FlatRecords", "PollFlatRecords"])
def test_a_request_that_is_none(client, method):
    path = f"/xtcp_flat_record.v1.XTCPFlatRecordService/{method}"
    for data in (b"\xff", b"\x0a\x05", b"\xa0\x06", b"\xb2\x06\x01\xff"):
        with pytest.raises(grpc.RpcError) as caught:
            list(client.channel.stream_stream(path)(iter([data]), timeout=bound(5)))
        assert caught.value.code() == Code.INVALID_ARGUMENT, data
    assert client.health() == "SERVING"


def test_fields_from_the_future_are_ignored(client):
    request = record_pb.FlatRecordsRequest.FromString(b"\xfa\x3e\x03abc")
    assert request.ByteSize() > 0
    with client.poll_stream() as stream:
        stream._requests.put(record_pb.PollFlatRecordsRequest.FromString(b"\xfa\x3e\x03abc"))
        stream.half_close()
        assert list(stream)
        assert stream.status()[0] == Code.OK


# ---- PollFlatRecords ----

def test_each_request_gets_its_poll(client):
    with client.poll_stream() as stream:
        last = 0
        for _ in range(3):
            stream.request(markers=True, batch_rows=1000)
            (poll,) = stream.polls(1)
            check_poll(poll)
            assert poll.begin.trigger == TRIGGER("POLL_TRIGGER_REQUEST")
            assert poll.begin.poll_id > last
            last = poll.begin.poll_id
        stream.half_close()
        assert stream.next() is None
        assert stream.status()[0] == Code.OK


def test_requests_during_a_poll_share_the_next_one(client):
    count = 50
    with client.poll_stream() as stream:
        for _ in range(count):
            stream.request(markers=True, batch_rows=1000)
        stream.half_close()
        polls = stream.polls()
        assert stream.status()[0] == Code.OK
    for poll in polls:
        check_poll(poll)
    assert 1 <= len(polls) < count
    assert len({p.begin.poll_id for p in polls}) == len(polls)


def test_many_streams_share_a_poll(client, host, daemon):
    """20 streams that all ask at once: far fewer polls than requests, and everybody has what it asked for."""
    before = client.status().polls
    clients = [host.connect(daemon) for _ in range(20)]
    streams = [c.poll_stream() for c in clients]
    for stream in streams:
        stream.request(markers=True, batch_rows=1000)
        stream.half_close()
    for stream in streams:
        with stream:
            (poll,) = stream.polls()
            check_poll(poll)
    assert client.status().polls - before <= 20


def test_half_close_without_a_request(client):
    with client.poll_stream() as stream:
        stream.half_close()
        assert stream.next() is None
        assert stream.status() == (Code.OK, "")


def test_a_poll_is_not_for_those_who_did_not_ask(client, host, daemon):
    with client.poll_stream() as stream:
        stream.request(markers=True, batch_rows=1000)
        (mine,) = stream.polls(1)
        other = host.connect(daemon).poll()
        stream.request(markers=True, batch_rows=1000)
        (next_one,) = stream.polls(1)
    assert mine.begin.poll_id < other.begin.poll_id < next_one.begin.poll_id


def test_a_requested_poll_reaches_all_streams(client, host, daemon):
    other = host.connect(daemon)
    with other.edges() as stream:
        until(lambda: client.status().subscribers, 5, "subscriber")
        asked = client.poll()
        (seen,) = stream.polls(1)
    assert seen.begin.poll_id == asked.begin.poll_id
    assert seen.end.rows_sent == asked.end.rows_sent


def test_cancel_in_the_middle(client, daemon):
    """Clients that leave while their poll runs or while records are on their way."""
    for n in range(30):
        with client.poll_stream() as stream:
            stream.request(markers=True)
            if n % 3:
                stream.next()
            if n % 3 == 2:
                stream.next()
    until(lambda: not client.status().subscribers, 5, "no subscriber is left")
    check_poll(client.poll())


def test_the_length_of_a_message_is_not_bounded_by_the_daemon(client):
    """The whole poll in one message where the batch allows it; nothing is cut."""
    poll = client.poll(batch_rows=2**31)
    check_poll(poll)


def test_compressed_requests_are_understood(host, daemon):
    """As some clients send them for all of a channel: gzip, with a request long enough for it to be done."""
    gzip = host.connect(daemon, ("grpc.default_compression_algorithm", 2))
    assert gzip.set(dry_run=True, tag="x" * 40, label="y" * 40).config.tag == "x" * 40
    with gzip.stream(filter="state all" + " " * 2000) as stream:
        assert stream.next().stream_info.filter == "state all"
