"""Every socket of every namespace, each once, and in each field what ss says."""

import json
import re
import socket
import struct
import subprocess
import sys

import pytest

from harness import netns, paths, ss
from harness.rpc import record_pb
from harness.waiting import bound, until

ALL_STATES = set(ss.STATES.values()) - {7}


def listener(host, ns, family, address, port=0, dual=False, reuse=True):
    with ns:
        s = host.keep(socket.socket(family))
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    s.bind((address, port))
    s.listen(7)
    return s


def connect(host, ns, family, address, server):
    """A connection to |server|: both ends."""
    with ns:
        c = host.keep(socket.socket(family))
    c.connect((address, server.getsockname()[1]))
    a = host.keep(server.accept()[0])
    return c, a


def populate(host, ns):
    """Known connections of all three kinds, some with data under way and options of their own."""
    four = listener(host, ns, socket.AF_INET, "127.0.0.1")
    six = listener(host, ns, socket.AF_INET6, "::1")
    both = listener(host, ns, socket.AF_INET6, "::", dual=True)
    kinds = [(socket.AF_INET, "127.0.0.1", four), (socket.AF_INET6, "::1", six), (socket.AF_INET, "127.0.0.1", both),
             (socket.AF_INET6, "::1", both)]
    for family, address, server in kinds:
        c, a = connect(host, ns, family, address, server)
        c.sendall(b"x" * 30000)
        assert a.recv(20000, socket.MSG_WAITALL)
        a.sendall(b"y" * 100)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 5)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0x77)
        c.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
        if family == socket.AF_INET6:
            c.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0x20)
        a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Another algorithm, a half-closed connection, one that waits to be accepted.
    c, a = connect(host, ns, socket.AF_INET, "127.0.0.1", four)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    c.sendall(b"z" * 5000)
    c, a = connect(host, ns, socket.AF_INET6, "::1", six)
    a.shutdown(socket.SHUT_WR)
    with ns:
        waits = host.keep(socket.socket())
    waits.connect(four.getsockname())


def three_namespaces(host):
    spaces = [host.namespace(), host.namespace(), host.anonymous()]
    for ns in spaces:
        populate(host, ns)
    return spaces


def by_cookie(rows, ns):
    """The rows of |ns| by the cookie of the socket: each is there once."""
    mine = [r for r in rows if r.netns_cookie == ns.cookie]
    found = {r.inet_diag_msg_socket_cookie: r for r in mine}
    assert len(found) == len(mine)
    assert {r.netns for r in mine} == {ns.name}
    assert {r.netns_inode for r in mine} == {ns.inode}
    return found


def quiet_poll(poll, spaces):
    """Rows and lines of ss, taken while nothing moved: ss says the same before and after the poll."""
    def still(lines):
        return {cookie: ss.without(s, (*ss.MOVING, "timer")) for cookie, s in lines.items()}

    def attempt():
        before = [ss.sockets(ns) for ns in spaces]
        rows = poll()
        after = [ss.sockets(ns) for ns in spaces]
        return (rows, before) if [still(b) for b in before] == [still(a) for a in after] else None
    return until(attempt, 10, "sockets at rest")


def compare(poll, spaces):
    rows, lines = quiet_poll(poll, spaces)
    for ns, theirs in zip(spaces, lines):
        ours = by_cookie(rows, ns)
        assert set(ours) == set(theirs)
        wrong = {cookie: d for cookie in ours if (d := ss.differences(theirs[cookie], ours[cookie]))}
        assert not wrong, wrong


def known_to(client, spaces):
    """Waits until the daemon knows |spaces|."""
    cookies = {ns.cookie for ns in spaces}
    until(lambda: cookies <= {n.cookie for n in client.list_namespaces()}, 5, "namespaces are known")


ALL_GROUPS = ("--proc-scan-interval", "100ms", "--poll-frequency", "1h")


def test_equal_to_ss_over_grpc(host):
    spaces = three_namespaces(host)
    client = host.connect(host.daemon(*ALL_GROUPS, everywhere=True))
    known_to(client, spaces)
    compare(lambda: client.poll().rows, spaces)


def from_jsonl(line):
    """A record of a line of jsonl."""
    values = json.loads(line)
    stamp = values.pop("timestamp")
    r = record_pb.XtcpFlatRecord()
    for name, value in values.items():
        if name in ("inet_diag_msg_socket_source", "inet_diag_msg_socket_destination"):
            family = socket.AF_INET if values["inet_diag_msg_family"] == 2 else socket.AF_INET6
            value = socket.inet_pton(family, value)
        elif name in ("inet_diag_msg_state", "tcp_info_state"):
            value = JSON_STATES.index(value) + 1
        elif name == "tcp_info_ca_state":
            value = CA_STATES.index(value)
        elif name == "congestion_algorithm_enum":
            value = {"cubic": 1, "bbr": 5}[value]
        setattr(r, name, value)
    assert stamp.startswith("20") and stamp.endswith(f"{r.timestamp_ns % 10**9:09d}Z")
    return r


JSON_STATES = ["ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
               "LAST_ACK", "LISTEN", "CLOSING"]
CA_STATES = ["Open", "Disorder", "CWR", "Recovery", "Loss"]


def test_equal_to_ss_in_the_client(host):
    spaces = three_namespaces(host)
    d = host.daemon(*ALL_GROUPS, everywhere=True)
    known_to(host.connect(d), spaces)

    def poll():
        done = subprocess.run([paths.CLIENT, "--target", d.target, "-o", "jsonl", "poll"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=bound(10), check=True)
        return [from_jsonl(line) for line in done.stdout.splitlines()]
    compare(poll, spaces)


# ---- States ----

def cut(ns, device, address):
    """From now on what |ns| sends to |address| arrives nowhere: it goes to a hardware address that nobody has."""
    ns.exec("ip", "neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", device, "nud", "permanent")


class Wire:
    """Two namespaces with a cable between them."""

    def __init__(self, host):
        self.host = host
        self.a = host.namespace()
        self.b = host.namespace()
        self.a.exec("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", self.b.name)
        for ns, address in ((self.a, "10.9.0.1"), (self.b, "10.9.0.2")):
            ns.exec("ip", "addr", "add", f"{address}/24", "dev", "eth0")
            ns.exec("ip", "link", "set", "eth0", "up")
        self.server = listener(host, self.b, socket.AF_INET, "10.9.0.2")

    def connection(self):
        with self.a:
            c = self.abort_at_end(socket.socket())
        c.connect(self.server.getsockname())
        return c, self.abort_at_end(self.server.accept()[0])

    def abort_at_end(self, s):
        """No orphan is left that would keep the namespace alive."""
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return self.host.keep(s)


def state_of(s):
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def reaches(s, name):
    until(lambda: state_of(s) == ss.STATES[name], 5, f"state {name}")


def make_states(host):
    """Sockets in every state there is; returns the two namespaces that they are in."""
    wire = Wire(host)
    pairs = [wire.connection() for _ in range(4)]
    # FIN_WAIT2 and CLOSE_WAIT.
    pairs[0][0].shutdown(socket.SHUT_WR)
    reaches(pairs[0][0], "FIN-WAIT-2")
    reaches(pairs[0][1], "CLOSE-WAIT")
    # TIME_WAIT: closed by both, and the last end gone.
    c, a = wire.connection()
    c.shutdown(socket.SHUT_WR)
    reaches(a, "CLOSE-WAIT")
    a.shutdown(socket.SHUT_WR)
    # The sockets that b has closed wait for the last packet of a, which will not arrive.
    pairs[2][1].shutdown(socket.SHUT_WR)
    reaches(pairs[2][0], "CLOSE-WAIT")
    cut(wire.a, "eth0", "10.9.0.2")
    pairs[1][0].shutdown(socket.SHUT_WR)   # FIN_WAIT1
    pairs[2][0].shutdown(socket.SHUT_WR)   # LAST_ACK
    pairs[3][0].shutdown(socket.SHUT_WR)   # FIN_WAIT1, and then both at once:
    pairs[3][1].shutdown(socket.SHUT_WR)   # CLOSING
    reaches(pairs[1][0], "FIN-WAIT-1")
    reaches(pairs[2][0], "LAST-ACK")
    reaches(pairs[3][0], "CLOSING")
    with wire.a:
        c = wire.abort_at_end(socket.socket())
    c.setblocking(False)
    c.connect_ex(wire.server.getsockname())
    reaches(c, "SYN-SENT")
    half_open(host, wire.b)
    return wire.a, wire.b


def half_open(host, ns):
    """SYN_RECV: the answer to a SYN goes to an address that nobody has."""
    server = listener(host, ns, socket.AF_INET, "0.0.0.0", 7777)
    peer = host.namespace()
    peer.exec("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1", "netns", ns.name)
    for where, device, address in ((peer, "eth0", "10.8.0.1"), (ns, "eth1", "10.8.0.2")):
        where.exec("ip", "addr", "add", f"{address}/24", "dev", device)
        where.exec("ip", "link", "set", device, "up")
    cut(ns, "eth1", "10.8.0.1")
    with peer:
        c = host.keep(socket.socket())
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.setblocking(False)
    mac = re.search(r"link/ether (\S+)", ns.exec("ip", "-o", "link", "show", "eth1"))[1]
    peer.exec("ip", "neigh", "replace", "10.8.0.2", "lladdr", mac, "dev", "eth0", "nud", "permanent")
    c.connect_ex(("10.8.0.2", 7777))
    until(lambda: "SYN-RECV" in ns.exec("ss", "-tan"), 5, "SYN_RECV")
    return server


# Retransmissions go on while these are looked at.
RESTLESS = (*ss.MOVING, "timer", "rto", "backoff", "segs_out", "segs_in", "retrans", "unacked", "lost", "cwnd",
            "ssthresh", "skmem", "send", "pacing_rate", "delivery_rate", "busy", "send_q", "bbr", "bytes_retrans",
            "bytes_sent", "data_segs_out", "notsent", "ato", "rtt", "app_limited", "dsack_dups", "rcv_ooopack", "rehash")


def test_all_states(host):
    spaces = make_states(host)
    client = host.connect(host.daemon("--poll-frequency", "1h", everywhere=True))
    known_to(client, spaces)

    def attempt():
        before = [ss.sockets(ns) for ns in spaces]
        rows = client.poll().rows
        ours = [by_cookie(rows, ns) for ns in spaces]
        return (ours, before) if [set(o) for o in ours] == [set(b) for b in before] else None
    ours, theirs = until(attempt, 10, "the same sockets")
    seen = set()
    for mine, lines in zip(ours, theirs):
        for cookie, row in mine.items():
            assert not ss.differences(lines[cookie], row, RESTLESS)
            seen.add(row.inet_diag_msg_state)
            if row.inet_diag_msg_state in (ss.STATES["TIME-WAIT"], ss.STATES["SYN-RECV"]):
                assert not [f.name for f, _ in row.ListFields() if f.name.startswith("tcp_info")]
            else:
                assert row.tcp_info_state == row.inet_diag_msg_state
    assert seen == ALL_STATES


# ---- Identity ----

def test_the_same_four_tuple_twice(host):
    """Same addresses and ports in two namespaces: two sockets."""
    spaces = [host.namespace(), host.namespace()]
    for ns in spaces:
        server = listener(host, ns, socket.AF_INET, "127.0.0.1", 4000)
        with ns:
            c = host.keep(socket.socket())
        c.bind(("127.0.0.1", 4001))
        c.connect(("127.0.0.1", 4000))
        host.keep(server.accept()[0])
    client = host.connect(host.daemon("--poll-frequency", "1h", everywhere=True))
    known_to(client, spaces)
    rows = client.poll().rows
    same = [r for ns in spaces for r in by_cookie(rows, ns).values()
            if (r.inet_diag_msg_socket_source_port, r.inet_diag_msg_socket_destination_port) == (4001, 4000)]
    assert sorted(r.netns_cookie for r in same) == sorted(ns.cookie for ns in spaces)
    assert len({r.inet_diag_msg_socket_cookie for r in same}) == 2


def test_uid_of_the_owner(host):
    server = host.process("setpriv", "--reuid=4321", "--clear-groups", sys.executable, "-c",
                          "import socket,time\ns=socket.create_server(('127.0.0.1',0))\n"
                          "print(s.getsockname()[1],flush=True)\ntime.sleep(1000)", stdout=subprocess.PIPE, text=True)
    port = int(server.stdout.readline())
    server.stdout.close()
    client = host.connect(host.daemon("--poll-frequency", "1h"))
    (row,) = [r for r in client.poll().rows if r.inet_diag_msg_socket_source_port == port]
    assert row.inet_diag_msg_uid == 4321
    assert row.netns == "default"


# ---- Attribute groups ----

# A field of each group that is not zero on the socket that the test makes.
GROUP_FIELDS = {
    "meminfo": {"mem_info_rmem"},
    "info": {"tcp_info_rtt", "tcp_info_snd_cwnd", "tcp_info_bytes_received"},
    "cong": {"congestion_algorithm_string", "congestion_algorithm_enum"},
    "tos": {"type_of_service"},
    "tc": {"traffic_class"},
    "skmem": {"sk_mem_info_rcv_buf"},
    "shut": {"shutdown_state"},
    "bbr": {"bbr_info_min_rtt"},
    "classid": {"class_id"},
    "cgroup": {"c_group"},
    "sockopt": {"sock_opt"},
    "vegas": set(),  # neither algorithm is in this kernel
    "dctcp": set(),
}


def test_groups_choose_what_records_carry(host):
    ns = host.namespace()
    server = listener(host, ns, socket.AF_INET6, "::1")
    c, a = connect(host, ns, socket.AF_INET6, "::1", server)
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control", encoding="ascii") as f:
        has_bbr = "bbr" in f.read().split()
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bbr" if has_bbr else b"cubic")
    c.sendall(b"x" * 2000)
    a.sendall(b"x" * 2000)
    c.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
    c.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0x20)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 5)
    c.shutdown(socket.SHUT_WR)
    reaches(c, "FIN-WAIT-2")  # from CLOSE_WAIT on the kernel tells nothing of the algorithm's own state
    port = c.getsockname()[1]
    client = host.connect(host.daemon("--poll-frequency", "1h", everywhere=True))
    known_to(client, [ns])
    wanted = {name: fields for name, fields in GROUP_FIELDS.items() if has_bbr or name != "bbr"}
    everything = set().union(*wanted.values())
    for group, fields in [*wanted.items(), (None, set())]:
        change = client.get()
        change.generation = 0
        change.enabled_deserializers.enabled.clear()
        change.enabled_deserializers.enabled[group or "info"] = group is not None
        client.set(change)
        (row,) = [r for r in client.poll().rows
                  if r.netns_cookie == ns.cookie and r.inet_diag_msg_socket_source_port == port]
        present = {f.name for f, _ in row.ListFields()}
        assert present & everything == fields, group
        assert {"inet_diag_msg_family", "inet_diag_msg_rqueue", "inet_diag_msg_socket_cookie"} <= present


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_size_of_a_namespace(host, count):
    """Nothing, one socket, and more than an answer of the kernel holds."""
    ns = host.namespace()
    with ns:
        for n in range(count):
            s = host.keep(socket.socket())
            s.bind(("127.0.0.1", 10000 + n))
            s.listen(1)
    client = host.connect(host.daemon("--poll-frequency", "1h", everywhere=True))
    known_to(client, [ns])
    rows = [r for r in client.poll().rows if r.netns_cookie == ns.cookie]
    assert sorted(r.inet_diag_msg_socket_source_port for r in rows) == list(range(10000, 10000 + count))
    (listed,) = [n for n in client.list_namespaces() if n.cookie == ns.cookie]
    assert listed.sockets == count


def test_own_namespace_is_the_default(host):
    client = host.connect(host.daemon("--poll-frequency", "1h"))
    own = netns.own()
    rows = client.poll().rows
    assert {r.netns for r in rows} == {"default"}
    assert {(r.netns_inode, r.netns_cookie) for r in rows} == {(own.inode, own.cookie)}
