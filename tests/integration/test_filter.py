"""The filter language against ss: the same expression, the same sockets, evaluated by the collector and in the kernel.

What the two read differently is left out of the generated expressions, each by name:

- and_or_mixed: ss reads `a or b and c` from the left, (a or b) and c; here `and` binds closer, as its manual says.
  The generator writes parentheses.
- state_elsewhere: ss takes `state` and `exclude` only in front of everything.
- no_state_left: what `state` and `exclude` leave may be nothing; ss then takes its default, we take nothing.
- family_global: `inet:` in ss is about the whole expression, wherever it stands. It is generated at the top only.
- family_ignored: beside the kernel, ss compares addresses itself, and then without their family: 0.0.0.0 is the
  begin of [::1] for it, and a prefix of no bits fits everything. So neither is generated.
- not_autobound: ss asks the kernel (was the port chosen by bind?) and itself (is it in the range?) and takes what both
  say; negated, it takes what neither says. Records have the port only, so it is generated unnegated, and the ports
  that the population binds itself are outside of the range.
- names_of_states: newer versions of ss have the states new-syn-recv and bound-inactive beside those here, so that what
  they call big, or what `exclude syn-recv` leaves, holds sockets in SYN_RECV. Such an ss is asked for the states that are
  left, one by one.
- no_space: ss wants a space in front of an operator and around parentheses.
- dst_unequal, ranges: `dst != …`, `dport = 1-9` and comparisons of fields do not exist in ss.
"""

import os
import random
import re
import socket
import subprocess

from harness import paths, ss
from harness.waiting import bound, until
from test_sockets import connect, listener, make_states

SEED = int(os.environ.get("XTCP2_FILTER_SEED", "20260117"))
EXPRESSIONS = 200
POPULATION = 2000

SINGLE = {"established": 1, "syn-sent": 2, "syn-recv": 3, "fin-wait-1": 4, "fin-wait-2": 5, "time-wait": 6, "closed": 7,
          "close-wait": 8, "last-ack": 9, "listening": 10, "closing": 11, "TIME-WAIT": 6, "unconnected": 7, "syn-rcv": 3}
ALL = set(SINGLE.values())
STATES = {name: {number} for name, number in SINGLE.items()} | {
    "all": ALL, "connected": ALL - {7, 10}, "synchronized": ALL - {7, 10, 2}, "bucket": {3, 6}, "big": ALL - {3, 6}}


# Each number by one name that every ss knows.
NAMES = {number: name for name, number in reversed(SINGLE.items())}


def states_left(words):
    """The states that are left by a run of state and exclude."""
    left = set() if words[0] == "state" else ALL
    for keyword, name in zip(words[::2], words[1::2]):
        left = left | STATES[name] if keyword == "state" else left - STATES[name]
    return left


def as_ss_takes(words):
    """A run of state and exclude for the installed ss."""
    if not words or not ss.has("bound-inactive"):
        return words
    return [word for number in sorted(states_left(words)) for word in ("state", NAMES[number])]


# ---- The population ----

def time_wait(host, ns, family, address, server):
    """Both ends are closed; the one that was the first stays in TIME_WAIT."""
    with ns:
        c = socket.socket(family)
    c.connect((address, server.getsockname()[1]))
    a, _ = server.accept()
    c.close()
    a.close()


def pairs(host, ns, family, address, server, count, change=lambda c, a, i: None):
    for i in range(count):
        c, a = connect(host, ns, family, address, server)
        change(c, a, i)


def mark(c, a, i):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, i % 5)
    a.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0x10 | i % 3)


def bind_device(c, _a, i):
    if i % 2:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")


def half_close(c, _a, _i):
    c.shutdown(socket.SHUT_WR)


def populate(host, ns):
    """Connections over loopback of every kind, listeners on known ports outside of the automatic range."""
    for port in ("tcp_synack_retries", "tcp_syn_retries"):
        ns.exec("sysctl", "-qw", f"net.ipv4.{port}=12")
    four = [listener(host, ns, socket.AF_INET, f"127.0.0.{1 + i % 3}", 2000 + i) for i in range(20)]
    for address in ("fd00::1", "fd00::2"):
        ns.exec("ip", "addr", "add", f"{address}/64", "dev", "lo", "nodad")
    six = [listener(host, ns, socket.AF_INET6, ("::1", "fd00::1", "fd00::2")[i % 3], 3000 + i) for i in range(20)]
    both = [listener(host, ns, socket.AF_INET6, "::", 4000 + i, dual=True) for i in range(5)]
    ssh = listener(host, ns, socket.AF_INET, "127.0.0.1", 22)
    for n, change in ((22, mark), (12, bind_device), (12, half_close)):
        for server in four:
            pairs(host, ns, socket.AF_INET, server.getsockname()[0], server, n // 2, change)
        for server in six:
            pairs(host, ns, socket.AF_INET6, server.getsockname()[0], server, n // 2, change)
    for server in both:
        pairs(host, ns, socket.AF_INET, "127.0.0.5", server, 10, mark)
        pairs(host, ns, socket.AF_INET6, "::1", server, 10)
    pairs(host, ns, socket.AF_INET, "127.0.0.1", ssh, 10)
    return four, six, both


def finish(host, ns, servers):
    """Sockets that go by themselves after a minute come last."""
    four, six, both = servers
    for server in four[:10]:
        time_wait(host, ns, socket.AF_INET, server.getsockname()[0], server)
    for server in six[:10]:
        time_wait(host, ns, socket.AF_INET6, server.getsockname()[0], server)
    for server in both:
        time_wait(host, ns, socket.AF_INET, "127.0.0.5", server)


# ---- The expressions ----

class Generator:
    """Expressions of the part of the language that both have."""

    def __init__(self, seed, ports, cgroup):
        self.random = random.Random(seed)
        self.ports = ports
        self.cgroup = cgroup

    def pick(self, *choices):
        return self.random.choice(choices)

    def port(self):
        return self.pick(str(self.random.choice(self.ports)), str(self.random.choice(self.ports)),
                         str(self.random.randrange(65536)), ":" + str(self.random.choice(self.ports)), "ssh", ":ssh")

    def operator(self):
        return self.pick(" ", " = ", " == ", " eq ", " != ", " ne ", " neq ", " < ", " lt ", " <= ", " le ", " leq ", " > ",
                         " gt ", " >= ", " ge ", " geq ")

    def host(self):
        address = self.pick("127.0.0.1", "127.0.0.2", "127.0.0.5", "10.9.0.1", "10.9.0.2", "10.8.0.1", "127.0.0.0/8",
                            "127/8", "127.0.0.2/31", "10/7", "[::1]", "[fd00::1]", "[fd00::/16]", "[fd00::2/127]", "[::ffff:127.0.0.5]",
                            "[::ffff:0:0/96]", "*", "192.0.2.1")
        port = self.pick("", "", "", ":*", ":" + str(self.random.choice(self.ports)), ":ssh")
        return address + port

    def term(self, positive):
        kind = self.random.randrange(12)
        if kind < 4:
            return self.pick("sport", "dport") + self.operator() + self.port()
        if kind < 7:
            return self.pick("src", "dst") + self.pick(" ", " = ") + self.host()
        if kind == 7:
            return "dev" + self.pick(" ", " = ", " != ") + self.pick("lo", "1", "2")
        if kind == 8:
            return "fwmark" + self.pick(" ", " = ", " != ") + self.pick("1", "0x2", "0x10/0xf0", "0x1/0x1", "0")
        if kind == 9 and positive:
            return "autobound"
        if kind == 10 and self.cgroup:
            return "cgroup" + self.pick(" ", " = ", " != ") + self.cgroup
        return self.pick("src", "dst") + " :" + str(self.random.choice(self.ports))

    def expression(self, depth, positive=True):
        kind = self.random.randrange(5) if depth else 0
        if kind <= 1:
            return self.term(positive)
        if kind == 2:
            return self.pick("not ", "! ") + f"( {self.expression(depth - 1, False)} )"
        joint = self.pick(" and ", " & ", " && ", " ") if kind == 3 else self.pick(" or ", " | ", " || ")
        return joint.join(f"( {self.expression(depth - 1, positive)} )" for _ in range(self.random.randrange(2, 4)))

    def states(self):
        while True:
            words = [word for _ in range(self.random.randrange(1, 4))
                     for word in (self.pick("state", "state", "exclude", "excl"), self.random.choice(list(STATES)))]
            if states_left(words):
                return words

    def next(self):
        """(words of ss, the expression)"""
        states = self.states() if self.random.random() < 0.5 else []
        expression = self.expression(3) if not states or self.random.random() < 0.8 else ""
        if expression and self.random.random() < 0.1:
            expression = f"( {expression} ) " + self.pick("dst inet:*", "src inet6:*", "dst inet:127.0.0.0/8")
        words = as_ss_takes(states) + ([expression] if expression else [])
        ours = " ".join(states) + (f" ( {expression} )" if states and expression else expression)
        return words, ours


# ---- Both sides ----

def ss_cookies(ns, words):
    lines = ns.exec("ss", "-HtanOe", *words).splitlines()
    return {int(re.search(r" sk:([0-9a-f]+)", line)[1], 16) for line in lines}


class Tool:
    """filter_tool in |ns|."""

    def __init__(self, host, ns):
        self.process = host.process("nsenter", f"--net={ns.path}", paths.BUILD / "tests" / "filter_tool",
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, expression):
        """(by the collector, with the kernel's help, sockets that the kernel sent, whether it was asked to choose)"""
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line and not line.startswith("error"), f"{expression}: {line}"
        words = line.split()
        middle = words.index("/")
        full, kernel = ({int(word, 16) for word in part} for part in (words[4:middle], words[middle + 1:]))
        assert (len(full), len(kernel)) == (int(words[1]), int(words[2]))
        return full, kernel, int(words[0]), words[3] == "1"

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=bound(10))
        self.process.stdout.close()


def own_cgroup():
    """The path of this process' cgroup as ss takes it, or None."""
    if not ss.CGROUPS:
        return None
    with open("/proc/self/cgroup", encoding="utf-8") as f:
        path = next((line.strip().split("::")[1] for line in f if line.startswith("0::")), None)
    return path if path and os.path.isdir(ss.CGROUPS + path) and path != "/" else None


def explain(ns, tool, words, expression):
    """Prints what the three sets differ in."""
    theirs = ss_cookies(ns, words)
    full, kernel, _, _ = tool.ask(expression)
    lines = {int(re.search(r" sk:([0-9a-f]+)", line)[1], 16): line for line in ns.exec("ss", "-HtanOe").splitlines()}
    print(f"{words}: ss {len(theirs)}, collector {len(full)}, kernel {len(kernel)}")
    for what, cookies in (("only ss", theirs - full), ("only we", full - theirs), ("not by the kernel", full - kernel)):
        print(what, [lines.get(c) for c in sorted(cookies)[:3]])


def compare(spaces, tools, words, expression):
    """The three sets are the same in each namespace while nothing moves. Returns (sockets that match, whether the
    kernel was asked to choose)."""
    def attempt():
        found = []
        for ns, tool in zip(spaces, tools):
            before = ss_cookies(ns, words)
            full, kernel, _, partial = tool.ask(expression)
            theirs = ss_cookies(ns, words)
            found.append((before == theirs, theirs, full, kernel, partial))
        still = all(f[0] for f in found)
        return found if still and all(f[1] == f[2] == f[3] for f in found) else None
    try:
        found = until(attempt, 2, expression)
    except AssertionError:
        for ns, tool in zip(spaces, tools):
            explain(ns, tool, words, expression)
        raise
    return sum(len(f[1]) for f in found), any(f[4] for f in found)


def test_equal_to_ss(host):
    spaces = make_states(host)
    servers = populate(host, spaces[1])
    finish(host, spaces[1], servers)
    tools = [Tool(host, ns) for ns in spaces]
    everything = sum(len(ss_cookies(ns, [])) for ns in spaces)
    states = {line.split()[0] for ns in spaces for line in ns.exec("ss", "-HtanO").splitlines()}
    assert everything >= POPULATION
    assert states == set(ss.STATES) - {"UNCONN"}

    print(f"seed {SEED}, {everything} sockets")
    ports = [22, *range(2000, 2004), *range(3000, 3004), 4000, 4001, 7777]
    generator = Generator(SEED, ports, own_cgroup())
    some = pushed = 0
    for _ in range(EXPRESSIONS):
        words, expression = generator.next()
        matched, partial = compare(spaces, tools, words, expression)
        some += 0 < matched < everything
        pushed += partial
    print(f"{some} of {EXPRESSIONS} expressions tell sockets apart, {pushed} are evaluated in the kernel in part")
    assert some > EXPRESSIONS / 2
    assert pushed > EXPRESSIONS / 2
    for tool in tools:
        tool.close()


def test_the_kernel_sends_what_is_wanted_only(host):
    ns = host.namespace()
    server = listener(host, ns, socket.AF_INET, "127.0.0.1", 2000)
    pairs(host, ns, socket.AF_INET, "127.0.0.1", server, 50)
    tool = Tool(host, ns)
    for expression, matched, sent in (
            ("state listening", 1, 1), ("sport = 2000 and state established", 50, 50),
            ("sport = 2000 and cong = nothing", 0, 51), ("dst 127.0.0.1:2000 and rtt >= 0", 50, 50),
            ("rtt >= 0 or sport = 2000", 101, 101), ("exclude all", 0, 0)):
        full, kernel, got, partial = tool.ask(expression)
        assert full == kernel
        assert (len(full), got) == (matched, sent), expression
        assert partial == (not expression.startswith("rtt"))
    tool.close()


def test_names_are_of_the_namespace(host):
    """Facts that only the namespace knows are looked up there, not in the daemon's."""
    ns = host.namespace()
    ns.exec("ip", "link", "add", "xt-one", "type", "veth", "peer", "name", "xt-two")
    ns.exec("sysctl", "-qw", "net.ipv4.ip_local_port_range=20000 20010")
    chosen = listener(host, ns, socket.AF_INET, "127.0.0.1")
    listener(host, ns, socket.AF_INET, "127.0.0.1", 40000)
    with ns:
        bound = host.keep(socket.socket())
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"xt-two\0")
    bound.bind(("0.0.0.0", 41000))
    bound.listen()
    client = host.connect(host.daemon("--proc-scan-interval", "100ms", "--poll-frequency", "1h", everywhere=True))
    until(lambda: ns.cookie in {n.cookie for n in client.list_namespaces()}, 5, "the namespace is known")

    def ports(expression):
        with client.poll_stream() as stream:
            stream.request(markers=True, filter=expression, netns=[ns.name])
            stream.half_close()
            stream.next()
            (poll,) = stream.polls()
        return sorted(r.inet_diag_msg_socket_source_port for r in poll.rows)

    assert ports("autobound") == [chosen.getsockname()[1]]
    assert ports("not autobound") == [40000, 41000]
    assert ports("dev xt-two") == [41000]
    assert ports("dev != xt-two and not autobound") == [40000]
    assert ports("dev nosuch0") == []
