"""Records in ClickHouse, by HTTP: Debian's clickhouse-server, unpacked and not installed."""

import urllib.parse

import pytest

from harness.rpc import output_pb
from harness.waiting import until
from peers import clickhouse
from test_outputs import Outputs, sockets  # pylint: disable=unused-import

assert sockets

pytestmark = pytest.mark.skipif(not clickhouse.find(), reason="clickhouse-server is not there")

PASSWORD = "hush-hush"
COLUMNS = ("poll_id UInt64, netns_cookie UInt64, inet_diag_msg_socket_cookie UInt64, timestamp_ns UInt64, hostname String,"
           " inet_diag_msg_state String, inet_diag_msg_socket_source String, inet_diag_msg_socket_source_port UInt16,"
           " tcp_info_rtt UInt32, tcp_info_max_pacing_rate UInt64")


@pytest.fixture
def server(host):
    s = host.enter(clickhouse.ClickHouse(host.folder(), password=PASSWORD))
    s.query("CREATE DATABASE xtcp")
    s.query(f"CREATE TABLE xtcp.sockets ({COLUMNS}) ENGINE = MergeTree PARTITION BY tuple() ORDER BY poll_id")
    return s


def output(host, server, form, password=PASSWORD, **more):
    """An output that inserts: the columns that the table has, as |form| of ClickHouse."""
    secret = f"{host.folder()}/password"
    with open(secret, "w", encoding="ascii") as f:
        f.write(password + "\n")
    query = urllib.parse.quote(f"INSERT INTO xtcp.sockets FORMAT {form}")
    return {"name": "out", "to": f"http://127.0.0.1:{server.port}/?query={query}&input_format_skip_unknown_fields=1",
            "options": {"user": "writer", "password_file": secret, "compress": "gzip"}, **more}


def check(server, d, polls):
    """Every row that was sent is there once, and those of |polls| with their values."""
    s = d.rest()
    assert not s.dropped and s.rows_sent == s.rows_taken
    found = {tuple(map(int, row[:3])): row for row in server.rows("SELECT * FROM xtcp.sockets")}
    assert len(found) == s.rows_sent == int(server.query("SELECT count() FROM xtcp.sockets"))
    for poll in polls:
        for r in poll.rows:
            row = found[r.poll_id, r.netns_cookie, r.inet_diag_msg_socket_cookie]
            assert row[3] == str(r.timestamp_ns) and row[4] == r.hostname
            assert row[7:10] == [str(r.inet_diag_msg_socket_source_port), str(r.tcp_info_rtt), str(r.tcp_info_max_pacing_rate)]


@pytest.mark.parametrize("form,name", [("JSONEachRow", "jsonl"), ("CSVWithNames", "csv"), ("TSVWithNames", "tsv")])
def test_inserted(host, server, form, name):
    columns = [column.split()[0] for column in COLUMNS.split(", ")] if name != "jsonl" else []
    d = Outputs(host, output(host, server, form, format=name, columns=columns), frequency="200ms")
    with d.client.edges() as stream:
        polls = stream.polls(3)
    check(server, d, polls)


def test_killed_and_started(host, server):
    """Rows wait for it, and come once at least."""
    d = Outputs(host, output(host, server, "JSONEachRow"), frequency="200ms")
    d.wait(lambda s: s.rows_sent > 0, "rows")
    server.kill()
    d.wait(lambda s: s.retries > 0, "it is missed")
    server.start()
    d.client.flush_output("out")
    s = d.rest()
    assert not s.dropped
    distinct = "SELECT count() FROM (SELECT DISTINCT poll_id, netns_cookie, inet_diag_msg_socket_cookie FROM xtcp.sockets)"
    until(lambda: int(server.query(distinct)) == s.rows_sent == s.rows_taken, 10, "all rows")


def test_a_wrong_password(host, server):
    """Told in one line with the server's words, and no secret in it."""
    d = Outputs(host, output(host, server, "JSONEachRow", password="wrong-" + PASSWORD))
    d.daemon.allow(r" output: out: records are refused: ")
    s = d.wait(lambda s: s.last_error, "an error")
    assert ": 401 " in s.last_error and "\n" not in s.last_error
    d.client.set_frequency(3600, 0.04)
    everything = d.daemon.log() + str(d.client.list_outputs()) + str(d.client.get())
    assert PASSWORD not in everything
    assert s.state in (output_pb.OUTPUT_STATE_RUNNING, output_pb.OUTPUT_STATE_STARTING, output_pb.OUTPUT_STATE_RETRYING)
