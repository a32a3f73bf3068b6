"""Records in Kafka: librdkafka's mock cluster in a process of its own, read by kcat."""

import shutil

import pytest

from harness.rpc import record_pb
from harness.waiting import SLOW
from peers import kafka
from peers.counter import split
from test_outputs import Outputs, dropped, sockets  # pylint: disable=unused-import

assert sockets

pytestmark = [
    pytest.mark.skipif(not kafka.MOCK.exists(), reason="the module for Kafka is not built"),
    pytest.mark.skipif(SLOW >= 10, reason="ThreadSanitizer does not know the threads of librdkafka"),
    pytest.mark.skipif(not shutil.which("kcat"), reason="kcat is not installed"),
]


@pytest.fixture
def cluster(host):
    found = host.keep(kafka.Cluster(brokers=2))
    found.topic("xtcp", 4)
    return found


def rows_of(record):
    """The rows of a message: protobuf-list, decoded by stock protobuf."""
    envelopes, rest = split(record.value)
    assert not rest
    return [row for envelope in envelopes for row in record_pb.Envelope.FromString(envelope).row]


def key_of(row):
    return row.poll_id, row.netns_cookie, row.inet_diag_msg_socket_cookie


def test_what_is_consumed_equals_the_stream(host, cluster):
    """Row by row, with headers; messages without a key."""
    d = Outputs(host, {"name": "out", "to": f"kafka:{cluster.bootstrap}"})
    with d.client.edges() as stream:
        polls = stream.polls(5)
    s = d.rest()
    records = cluster.records("xtcp")
    consumed = {key_of(row): row for record in records for row in rows_of(record)}
    assert len(consumed) == s.rows_sent == s.rows_taken and not s.dropped
    for poll in polls:
        assert poll.rows
        for row in poll.rows:
            assert consumed[key_of(row)] == row
    for record in records:
        assert record.key is None
        assert record.headers["poll_id"] == str(rows_of(record)[0].poll_id)
        assert record.headers["hostname"] == rows_of(record)[0].hostname


@pytest.mark.parametrize("key", ["hostname", "netns", "socket"])
def test_keys(host, cluster, key):
    """A message has rows of one key only, and a key stays in one partition."""
    d = Outputs(host, {"name": "out", "to": f"kafka:{cluster.bootstrap}", "options": {"key": key}})
    d.wait(lambda s: s.rows_sent > 0, "rows")
    s = d.rest()
    places = {}
    found = set()
    for record in cluster.records("xtcp"):
        rows = rows_of(record)
        wanted = {"hostname": lambda r: r.hostname, "netns": lambda r: r.netns,
                  "socket": lambda r: f"{r.netns_cookie:016x}{r.inet_diag_msg_socket_cookie:016x}"}[key]
        assert {wanted(row) for row in rows} == {record.key.decode()}
        assert places.setdefault(record.key, record.partition) == record.partition
        found |= {key_of(row) for row in rows}
    assert len(found) == s.rows_sent and not s.dropped
    if key == "socket":
        assert len(set(places.values())) == 4


def test_brokers_that_go_and_come_back(host, cluster):
    d = Outputs(host, {"name": "out", "to": f"kafka:{cluster.bootstrap}", "options": {"timeout": "2s"}})
    d.daemon.allow(r" output: out: ")
    d.wait(lambda s: s.rows_sent > 0, "rows")
    cluster.down()
    d.wait(lambda s: s.retries > 0, "they are missed", seconds=30)
    cluster.up()
    d.client.flush_output("out")
    s = d.rest()
    found = {key_of(row) for record in cluster.records("xtcp") for row in rows_of(record)}
    assert len(found) == s.rows_sent == s.rows_taken and not dropped(s)


def test_no_broker(host):
    """The reason in one line, and a stop that is not held up."""
    d = Outputs(host, {"name": "out", "to": "kafka://user:hush-hush@127.0.0.1:9"})
    d.daemon.allow(r" output: out: ")
    s = d.wait(lambda s: s.last_error, "an error", seconds=30)
    assert s.last_error.startswith("kafka:127.0.0.1:9: ") and "\n" not in s.last_error
    assert "hush" not in d.daemon.log() + str(d.client.list_outputs()) + str(d.client.get())
