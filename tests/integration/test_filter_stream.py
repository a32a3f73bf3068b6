"""The selection of a stream: some sockets (filter), some fields (columns), some namespaces (netns)."""

import contextlib
import os
import socket

import pytest

from harness.rpc import Code, record_pb
from harness.waiting import until

PLACE = record_pb.FilterPlace.Value
ESTABLISHED, LISTEN = 1, 10


@pytest.fixture
def sockets():
    """Listeners of our own; their ports."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(20):
            s = stack.enter_context(socket.socket())
            s.bind(("127.0.0.1", 0))
            s.listen()
            ports.append(s.getsockname()[1])
        yield ports


@contextlib.contextmanager
def listeners(ns, count):
    """|count| listeners in |ns|."""
    with contextlib.ExitStack() as stack:
        with ns:
            for _ in range(count):
                s = stack.enter_context(socket.socket())
                s.bind(("127.0.0.1", 0))
                s.listen()
        yield


def ports_of(poll):
    return sorted(row.inet_diag_msg_socket_source_port for row in poll.rows)


def numbers(row):
    return [field.name for field, _ in row.ListFields()]


def poll_with_info(client, **fields):
    """One poll of a request that is answered with a stream_info, and that."""
    options = {"markers": True, "batch_rows": 1000, **fields}
    with client.poll_stream() as stream:
        stream.request(**options)
        stream.half_close()
        first = stream.next()
        assert first is not None, stream.status()
        assert first.HasField("stream_info")
        (poll,) = stream.polls()
        assert stream.status()[0] == Code.OK
    return first.stream_info, poll


def one_of(ports):
    return " or ".join(f"sport = {port}" for port in ports)


# ---- filter ----

@pytest.mark.parametrize("batch_rows", [0, 1, 7, 1000])
def test_a_filter(client, sockets, batch_rows):
    wanted = sorted(sockets[::3])
    info, poll = poll_with_info(client, filter=one_of(wanted), batch_rows=batch_rows)
    assert ports_of(poll) == wanted
    assert poll.end.rows_sent == len(wanted)
    assert poll.end.rows_lost == 0
    assert info.filter and not info.columns
    # Everything that was asked for is what the kernel can do alone, and nobody else wants more.
    assert [part.place for part in info.parts] == [PLACE("FILTER_PLACE_KERNEL")]
    assert poll.end.sockets == len(wanted)
    # A canonical text stays as it is.
    again, _ = poll_with_info(client, filter=info.filter)
    assert again.filter == info.filter


def test_where_the_parts_of_a_filter_run(client, sockets):
    info, poll = poll_with_info(client, filter=f"state listening and ({one_of(sockets)}) and netns = def*")
    assert ports_of(poll) == sorted(sockets)
    places = [part.place for part in info.parts]
    assert places[-1] == PLACE("FILTER_PLACE_COLLECTOR")
    assert set(places[:-1]) == {PLACE("FILTER_PLACE_KERNEL")}


def test_a_filter_that_lets_everything_pass(client):
    info, poll = poll_with_info(client, filter="   ")
    assert info.filter == "" and not info.parts
    assert poll.end.rows_sent == poll.end.sockets == len(poll.rows) > 0


def test_a_filter_that_lets_nothing_pass(client):
    _, poll = poll_with_info(client, filter="sport = 1 and dport = 1")
    assert not poll.rows and not poll.messages
    assert poll.end.rows_sent == poll.end.rows_lost == 0


def test_everybody_gets_their_own(client, host, daemon, sockets):
    """Two filters, a filter with columns, a namespace and no filter, single and in batches, all in the same polls."""
    half, third = sorted(sockets[::2]), sorted(sockets[::3])
    requests = [
        ({"filter": one_of(half), "batch_rows": 1000}, half),
        ({"filter": one_of(third)}, third),
        ({"filter": one_of(half), "columns": ["inet_diag_msg_socket_source_port"], "batch_rows": 3}, half),
        ({"filter": one_of(third), "columns": ["inet_diag_msg_socket_source_port"]}, third),
        ({"filter": one_of(third), "netns": ["no-such-*"]}, []),
        ({"batch_rows": 1000}, None),
        ({}, None),
    ]
    with contextlib.ExitStack() as stack:
        streams = []
        for fields, _ in requests:
            stream = stack.enter_context(host.connect(daemon).stream(markers=True, **fields))
            if set(fields) - {"batch_rows"}:
                assert stream.next().HasField("stream_info")
            streams.append(stream)
        for _ in range(3):
            client.trigger()
            polls = [stream.polls(1)[0] for stream in streams]
            assert len({poll.begin.poll_id for poll in polls}) == 1
            assert len({poll.end.sockets for poll in polls}) == 1
            for (fields, wanted), poll in zip(requests, polls):
                assert poll.end.rows_lost == 0 and poll.end.rows_sent == len(poll.rows)
                if wanted is None:
                    assert len(poll.rows) == poll.end.sockets
                    assert set(sockets) <= set(ports_of(poll))
                else:
                    assert ports_of(poll) == wanted
                if fields.get("columns"):
                    assert all(numbers(row) == fields["columns"] for row in poll.rows)
                for m in poll.messages:
                    assert m.HasField("envelope") == bool(fields.get("batch_rows"))


def test_a_filtered_stream_gets_what_another_one_asks_for(client, host, daemon, sockets):
    """An unfiltered on-demand poll is a poll of the filtered stream too; and the other way round."""
    wanted = sorted(sockets[:5])
    with host.connect(daemon).stream(markers=True, batch_rows=100, filter=one_of(wanted)) as stream:
        assert stream.next().HasField("stream_info")
        everything = client.poll()
        (seen,) = stream.polls(1)
        assert seen.begin.poll_id == everything.begin.poll_id
        assert seen.end.sockets == everything.end.sockets > len(wanted)
        assert ports_of(seen) == wanted
        _, mine = poll_with_info(client, filter=f"sport = {sockets[0]}")
        (seen,) = stream.polls(1)
        assert seen.begin.poll_id == mine.begin.poll_id
        assert ports_of(seen) == wanted and ports_of(mine) == [sockets[0]]
        assert mine.end.sockets == len(wanted)  # what the two of them want


def test_who_comes_in_the_middle_of_a_poll_begins_with_the_next_one(host, sockets):
    """The running poll asks the kernel for fewer sockets than a new stream wants."""
    daemon = host.daemon("--poll-frequency", "1h")
    client = host.connect(daemon)
    with client.stream(markers=True, batch_rows=10, filter=f"sport = {sockets[0]}") as first:
        assert first.next().HasField("stream_info")
        for _ in range(30):
            client.trigger()
            with host.connect(daemon).stream(markers=True, batch_rows=1000) as late:
                (poll,) = first.polls(1)
                assert ports_of(poll) == [sockets[0]]
                client.trigger()
                (whole,) = late.polls(1)
                assert set(sockets) <= set(ports_of(whole))
                assert whole.end.rows_sent == whole.end.sockets
                while poll.begin.poll_id < whole.begin.poll_id:
                    (poll,) = first.polls(1)
                    assert ports_of(poll) == [sockets[0]]


BAD_FILTERS = [("sport =", "column 8"), ("colour = red", "column 1"), ("(state established", "column"),
               ("rtt > 5 apples", "column"), ("\x01", "column 1"), ("(" * 5000, "column"), ("not " * 4000, "column")]


@pytest.mark.parametrize("text, where", BAD_FILTERS)
def test_a_filter_that_is_none(client, text, where):
    for stream in (client.stream(filter=text), client.poll_stream()):
        with stream:
            if hasattr(stream, "request"):
                stream.request(filter=text)
            assert stream.next() is None
            code, said = stream.status()
        assert code == Code.INVALID_ARGUMENT and said.startswith("filter: ") and where in said


def test_the_number_of_filters_is_bounded(client, daemon):
    daemon.allow("a subscriber is refused: different filters: 64 of 64 ")
    with contextlib.ExitStack() as stack:
        for n in range(64):
            stream = stack.enter_context(client.stream(filter=f"sport = {n + 1}"))
            assert stream.next().HasField("stream_info")
        stack.enter_context(client.stream(filter="sport = 64")).next()  # one of those
        with client.stream(filter="sport = 65") as refused:
            assert refused.next() is None
            code, said = refused.status()
            assert code == Code.RESOURCE_EXHAUSTED and "64" in said and "filter" in said
        client.trigger()
    until(lambda: not client.status().subscribers, 5, "no subscriber is left")
    poll_with_info(client, filter="sport = 65")


# ---- columns ----

IDENTITY = ["netns", "netns_cookie", "inet_diag_msg_socket_cookie"]


@pytest.mark.parametrize("batch_rows", [0, 1, 7, 1000])
def test_columns(client, sockets, batch_rows):
    columns = ["inet_diag_msg_socket_source_port", "inet_diag_msg_state", "netns", "tcp_info_snd_mss"]
    whole = client.poll()
    info, poll = poll_with_info(client, columns=columns, batch_rows=batch_rows)
    assert sorted(info.columns) == sorted(columns) and not info.filter
    assert len(poll.rows) == poll.end.sockets
    for row in poll.rows:
        assert set(numbers(row)) <= set(columns)
    mine = [(r.inet_diag_msg_socket_source_port, r.netns) for r in poll.rows if r.inet_diag_msg_state == LISTEN]
    assert {(port, "default") for port in sockets} <= set(mine)
    assert sorted(mine) == sorted((r.inet_diag_msg_socket_source_port, r.netns) for r in whole.rows
                                  if r.inet_diag_msg_state == LISTEN)


def test_every_column_is_what_it_is_in_whole_records(client, sockets):
    names = [f.name for f in record_pb.XtcpFlatRecord.DESCRIPTOR.fields]
    with client.stream(markers=True, batch_rows=1000) as whole, \
         client.stream(markers=True, batch_rows=1000, columns=names) as all_of_them, \
         contextlib.ExitStack() as stack:
        assert list(all_of_them.next().stream_info.columns) == names
        some = [names[i::8] for i in range(8)]
        streams = [stack.enter_context(client.stream(markers=True, batch_rows=1000, columns=c)) for c in some]
        for stream in streams:
            assert stream.next().HasField("stream_info")
        client.trigger()
        rows = whole.polls(1)[0].rows
        assert all_of_them.polls(1)[0].rows == rows
        cut = [stream.polls(1)[0].rows for stream in streams]
    for i, row in enumerate(rows):
        merged = record_pb.XtcpFlatRecord()
        for columns, part in zip(some, cut):
            assert set(numbers(part[i])) <= set(columns)
            merged.MergeFrom(part[i])
        assert merged == row


def test_identity_comes_only_when_it_is_asked_for(client, sockets):
    _, poll = poll_with_info(client, columns=["tcp_info_snd_cwnd"])
    assert not any(name in numbers(row) for row in poll.rows for name in IDENTITY)
    _, poll = poll_with_info(client, columns=["tcp_info_snd_cwnd", *IDENTITY])
    assert all(set(IDENTITY) <= set(numbers(row)) for row in poll.rows)


def test_columns_that_do_not_exist(client):
    for columns, hint in ((["netns", "tcp_info_rttt"], "tcp_info_rtt"), (["RTT of the socket"], "RTT of the socket")):
        with client.stream(columns=columns) as stream:
            assert stream.next() is None
            code, said = stream.status()
        assert code == Code.INVALID_ARGUMENT and said.startswith("columns: ") and hint in said


def test_the_number_of_sets_of_columns_is_bounded(client, daemon):
    daemon.allow("a subscriber is refused: different sets of columns: 32 of 32 ")
    names = [f.name for f in record_pb.XtcpFlatRecord.DESCRIPTOR.fields]
    with contextlib.ExitStack() as stack:
        for n in range(32):
            stream = stack.enter_context(client.stream(columns=[names[n], names[n + 1]]))
            assert stream.next().HasField("stream_info")
        stack.enter_context(client.stream(columns=[names[1], names[0], names[1]])).next()  # one of those
        with client.stream(columns=names[:5]) as refused:
            assert refused.next() is None
            code, said = refused.status()
            assert code == Code.RESOURCE_EXHAUSTED and "32" in said and "columns" in said
    until(lambda: not client.status().subscribers, 5, "no subscriber is left")
    poll_with_info(client, columns=names[:5])


# ---- netns ----

@pytest.fixture
def two(host):
    """A daemon that knows two namespaces besides its own, with 3 and 5 listeners."""
    daemon = host.daemon("--poll-frequency", "1h")
    names = host.names_of(daemon)
    with contextlib.ExitStack() as stack:
        found = []
        for name, count in (("web-1", 3), ("db-1", 5)):
            ns = host.anonymous()
            names.add(name, ns.path)
            stack.enter_context(listeners(ns, count))
            found.append(ns)
        client = host.connect(daemon)
        until(lambda: {"web-1", "db-1"} <= names_in(client.poll()), 5, "namespaces")
        yield client, names, found


def names_in(poll):
    return {row.netns for row in poll.rows}


def test_namespaces_by_name_and_inode(two):
    client, _, (web, db) = two
    cases = [(["web-*"], {"web-1"}, 3), (["db-1"], {"db-1"}, 5), (["*-1"], {"web-1", "db-1"}, 8),
             ([str(web.inode)], {"web-1"}, 3), (["web-?", str(db.inode)], {"web-1", "db-1"}, 8),
             (["web-2", "WEB-1", "[0-9]*", "1"], set(), 0)]
    for patterns, names, count in cases:
        _, poll = poll_with_info(client, netns=patterns)
        assert names_in(poll) == names and len(poll.rows) == count, patterns
        # Nobody wants another namespace, so none is looked at.
        assert poll.begin.namespaces == poll.end.namespaces == len(names)
        assert poll.end.sockets == count
    _, poll = poll_with_info(client, netns=["default"], batch_rows=0)
    assert names_in(poll) == {"default"} and poll.end.namespaces == 1


def test_what_is_known_of_a_namespace_is_of_all_its_sockets(two):
    """A poll that the kernel was asked only some sockets for does not change their number."""
    client, _, _ = two
    client.poll()
    _, poll = poll_with_info(client, filter="state established and dport = 1")
    assert not poll.rows and poll.end.namespaces == 3
    found = {n.names[0]: n.sockets for n in client.list_namespaces()}
    assert (found["web-1"], found["db-1"]) == (3, 5)


def test_namespaces_of_several_streams(two, host):
    client, _, _ = two
    with client.stream(markers=True, batch_rows=100, netns=["web-*"]) as web, \
         client.stream(markers=True, netns=["db-*", "nothing"]) as db:
        assert web.next().HasField("stream_info") and db.next().HasField("stream_info")
        client.trigger()
        (a,), (b,) = web.polls(1), db.polls(1)
        assert names_in(a) == {"web-1"} and names_in(b) == {"db-1"}
        assert a.begin.namespaces == b.begin.namespaces == 2
        everything = client.poll()
        (a,), (b,) = web.polls(1), db.polls(1)
        assert everything.end.namespaces == a.end.namespaces == 3
        assert names_in(a) == {"web-1"} and names_in(b) == {"db-1"}
        assert names_in(everything) == {"web-1", "db-1", "default"}
        assert (a.end.rows_sent, b.end.rows_sent) == (3, 5)


def test_a_namespace_that_is_renamed(two):
    client, names, (web, _) = two
    with client.stream(markers=True, batch_rows=100, netns=["web-*"]) as stream:
        assert stream.next().HasField("stream_info")
        client.trigger()
        assert names_in(stream.polls(1)[0]) == {"web-1"}
        names.add("other", web.path)
        names.remove("web-1")

        def polled(*expected):
            client.trigger()
            return names_in(stream.polls(1)[0]) == set(expected)

        until(lambda: polled(), 5, "gone from the stream")
        names.add("web-9", web.path)
        names.remove("other")
        until(lambda: polled("web-9"), 5, "back under its new name")


def test_all_of_it_together(two, host):
    client, _, (web, _) = two
    fields = {"netns": ["web-*", "db-*"], "columns": ["netns", "inet_diag_msg_state"]}
    with client.stream(markers=True, batch_rows=1000) as whole:
        client.trigger()
        whole.polls(1)
        info, poll = poll_with_info(client, filter="state listening and netns = web*", **fields)
        assert list(info.columns) == ["netns", "inet_diag_msg_state"]
        assert len(poll.rows) == 3 and names_in(poll) == {"web-1"}
        assert all(numbers(row) == ["netns", "inet_diag_msg_state"] for row in poll.rows)
        (seen,) = whole.polls(1)
        assert seen.begin.poll_id == poll.begin.poll_id and len(seen.rows) == seen.end.sockets > 8


def test_a_recording_is_of_everything(two, host):
    """A recorded poll has all sockets, also when its readers asked for some."""
    client, _, (web, db) = two
    folder = host.folder()
    client.set(write_files=1, capture_path=folder)
    _, poll = poll_with_info(client, filter="state listening and netns = web*", netns=["web-1"])
    assert len(poll.rows) == 3
    assert poll.begin.namespaces == poll.end.namespaces == 3 and poll.end.sockets > 8
    assert {f"poll-{poll.begin.poll_id}-netns-{ns.inode}.pcap" for ns in (web, db)} <= set(os.listdir(folder))
    _, poll = poll_with_info(client, filter="state listening", netns=["web-1"])
    assert poll.end.namespaces == 1 and poll.end.sockets == 3


# ---- the form ----

def test_no_stream_info_for_who_asks_for_nothing_of_it(client):
    with client.stream(batch_rows=10, markers=True) as stream:
        client.trigger()
        assert stream.next().HasField("poll_begin")


def test_a_further_request_cannot_ask_for_something_else(client, sockets):
    with client.poll_stream() as stream:
        stream.request(markers=True, batch_rows=100, filter=f"sport = {sockets[0]}")
        assert stream.next().HasField("stream_info")
        stream.polls(1)
        stream.request()
        assert ports_of(stream.polls(1)[0]) == [sockets[0]]
        stream.request(filter=f"( sport = {sockets[0]} )")
        assert ports_of(stream.polls(1)[0]) == [sockets[0]]
        stream.request(filter=f"sport = {sockets[1]}")
        assert stream.next() is None
        code, said = stream.status()
        assert code == Code.INVALID_ARGUMENT and "first request" in said
