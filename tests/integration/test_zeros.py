"""Zero and absent: a zero that the kernel sent is 0 in the forms that are tables, an absent value is empty."""

import contextlib
import csv
import io
import json
import socket
import statistics
import subprocess

from harness import paths, ss
from harness.waiting import bound, until
from test_sockets import connect, known_to, listener, make_states

FORMS = ("jsonl", "csv", "tsv")
STRING = 9  # FieldDescriptor.TYPE_STRING, _BYTES and _ENUM
NOT_NUMBERS = (STRING, 12, 14)
NAMED = {"inet_diag_msg_state", "tcp_info_state", "tcp_info_ca_state"}


def load(form, text):
    """The rows as Python reads them, {name: number or text}; what is absent or empty is not in them."""
    if form == "jsonl":
        return [json.loads(line) for line in text.splitlines()]
    dialect = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if form == "tsv" else {}
    rows = list(csv.DictReader(io.StringIO(text), **dialect))
    assert rows and None not in rows[0] and all(len(row) == len(rows[0]) for row in rows)
    return [{name: int(cell) if cell.isdigit() else cell for name, cell in row.items() if cell} for row in rows]


def one_poll(client, d):
    """The same poll in each form."""
    before = len(client.status().subscribers)
    with contextlib.ExitStack() as stack:
        readers = {}
        for form in FORMS:
            readers[form] = stack.enter_context(subprocess.Popen(
                [paths.CLIENT, "--target", d.target, "-q", "-o", form, "stream", "--polls", "1"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True))
            stack.callback(readers[form].kill)
        until(lambda: len(client.status().subscribers) == before + len(FORMS), 5, "all of them listen")
        client.trigger()
        return {form: load(form, reader.communicate(timeout=bound(10))[0]) for form, reader in readers.items()}


def at_rest(lines):
    return {cookie: ss.without(line, (*ss.MOVING, "timer", "busy", "rwnd_limited", "sndbuf_limited")) for cookie, line in lines.items()}


def column(rows, name):
    """The figures that a reader of tables computes for a column: empty cells, zeros, and the mean of the others."""
    cells = [row[name] for row in rows if row.get(name) is not None]
    return len(rows) - len(cells), cells.count(0), statistics.mean(cells) if cells else None


def test_tables_say_what_ss_says(host):
    """All states at once: gaps, zeros and means of all columns that are numbers."""
    spaces = make_states(host)
    server = listener(host, spaces[0], socket.AF_INET6, "::1")
    connect(host, spaces[0], socket.AF_INET6, "::1", server)[0].sendall(b"x" * 9000)
    d = host.daemon("--poll-frequency", "1h", everywhere=True)
    client = host.connect(d)
    known_to(client, spaces)
    cookies = {ns.cookie for ns in spaces}

    def attempt():
        before = [ss.sockets(ns) for ns in spaces]
        tables = one_poll(client, d)
        after = [ss.sockets(ns) for ns in spaces]
        same = [at_rest(b) for b in before] == [at_rest(a) for a in after]
        return (tables, {cookie: line for lines in before for cookie, line in lines.items()}) if same else None
    tables, lines = until(attempt, 20, "sockets at rest")
    theirs = {cookie: ss.numbers(line) for cookie, line in lines.items()}
    assert {line["state"] for line in lines.values()} >= {"LISTEN", "ESTAB", "TIME-WAIT", "SYN-RECV", "SYN-SENT"}
    for form, every in tables.items():
        rows = [row for row in every if row["netns_cookie"] in cookies]
        assert {row["inet_diag_msg_socket_cookie"] for row in rows} == set(theirs) and len(rows) == len(theirs)
        expected = [theirs[row["inet_diag_msg_socket_cookie"]] for row in rows]
        for name in expected[0]:
            ours, wanted = column(rows, name), column(expected, name)
            if name in {ss.PLAIN[word] for word in ss.MOVING}:
                ours, wanted = ours[0], wanted[0]
            assert ours == wanted, (form, name)
        # Columns that ss does not print: there with all others of what the kernel sent, up to the end of its tcp_info.
        for row in rows:
            whole = "skmem" in lines[row["inet_diag_msg_socket_cookie"]]
            assert ("tcp_info_rehash" in row) == ("tcp_info_probes" in row) == whole
            assert "tcp_info_rcv_wnd" in row or not whole or row["tcp_info_len"] < 236
            assert {"inet_diag_msg_timer", "inet_diag_msg_expires", "inet_diag_msg_socket_interface"} <= set(row)
            assert "mem_info_rmem" not in row and "vegas_info_rtt" not in row  # not asked for; not in control
    assert tables["csv"] == tables["tsv"]
    for row, line in zip(tables["csv"], tables["jsonl"]):
        line.pop("timestamp")
        assert {name: value for name, value in line.items() if value != ""} == row


def test_chosen_columns(host):
    """Fields that tell zeros are not shown unless asked for; sorts and filters by them are right as well."""
    d = host.daemon("--poll-frequency", "1h")

    def run(*arguments):
        return subprocess.run([paths.CLIENT, "--target", d.target, "-q", *arguments], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, timeout=bound(10), check=True).stdout
    listens = "state listening"
    assert run("-o", "csv", "poll", "-c", "tcp_info_total_retrans,mem_info_rmem", listens) == (
        "tcp_info_total_retrans,mem_info_rmem\n0,\n")
    assert run("-o", "jsonl", "poll", "-c", "tcp_info_total_retrans,mem_info_rmem", listens) == (
        '{"tcp_info_total_retrans":0}\n')
    assert run("-o", "protojson", "poll", "-c", "tcp_info_total_retrans", listens) == "{}\n"
    assert run("-o", "csv", "poll", "-H", "-c", "sk_mem_info_drops,tcp_info_len", f"{listens} and info_len > 100")[:2] == "0,"
    table = run("-o", "table", "poll", "-H", "-c", "sk_mem_info_drops,mem_info_rmem", "-s", "sk_mem_info_drops", listens)
    assert table.split() == ["0", "-"]
    assert run("-o", "csv", "poll", "-H", "-c", "netns", "vegas_info_rtt = 0") == ""
    assert run("-o", "csv", "poll", "-H", "-c", "netns", f"{listens} and total_retrans = 0 and bytes_retrans = 0") == (
        "default\n")
