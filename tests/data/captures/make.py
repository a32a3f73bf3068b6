#!/usr/bin/python3
"""Records real inet_diag answers of the running kernel: the captures of this directory.

usage: make.py [DIRECTORY]          as root, from any directory

In a network namespace of its own it makes sockets of every state and kind that a record tells about, asks the
kernel for them in two ways, and writes what went over netlink as pcap files of link type 253 (a 16-byte cooked
header before each datagram, https://www.tcpdump.org/linktypes/LINKTYPE_NETLINK.html):

  tcpdiag.pcap    one TCPDIAG_GETSOCK dump for both families, all extensions: what the daemon asks
  sock_diag.pcap  two SOCK_DIAG_BY_FAMILY dumps, IPv4 and IPv6: what ss(8) asks
  refused.pcap    a request that the kernel refuses (NLMSG_ERROR)
  ss.txt          the same sockets as ss(8) shows them
  kernel.txt      uname
"""
import ctypes
import os
import pathlib
import platform
import socket
import struct
import subprocess
import sys
import time

NETLINK_SOCK_DIAG = 4
TCPDIAG_GETSOCK, SOCK_DIAG_BY_FAMILY = 18, 20
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
STATES = 0xFFF
SEQ = 123456
CLONE_NEWNET = 0x40000000


class Pcap:
    """A capture file; packets as nlmon would see them."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 253))

    def packet(self, data):
        now = time.time()
        cooked = struct.pack(">HH10xH", 4, 824, NETLINK_SOCK_DIAG)  # outgoing, ARPHRD_NETLINK
        n = len(cooked) + len(data)
        self.file.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6), n, n) + cooked + data)

    def close(self):
        self.file.close()


def sockid(cookie=0xFFFFFFFFFFFFFFFF):
    return bytes(40) + struct.pack("<Q", cookie)


def tcpdiag_request():
    body = struct.pack("<BBBB", 0, 0, 0, 0xFF) + sockid() + struct.pack("<II", STATES, 0)
    return TCPDIAG_GETSOCK, NLM_F_REQUEST | NLM_F_DUMP, body


def sock_diag_request(family):
    body = struct.pack("<BBBBI", family, socket.IPPROTO_TCP, 0xFF, 0, STATES) + sockid()
    return SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, body


def single_request():
    """One socket that does not exist: ENOENT."""
    body = struct.pack("<BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, STATES) + sockid()
    return SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, body


def record(path, requests):
    pcap = Pcap(path)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as s:
        s.bind((0, 0))
        for kind, flags, body in requests:
            message = struct.pack("<IHHII", 16 + len(body), kind, flags, SEQ, 0) + body
            pcap.packet(message)
            s.send(message)
            while not receive(s, pcap):
                pass
    pcap.close()


def receive(s, pcap):
    """One datagram; whether it ends the answer."""
    data = s.recv(32768)
    pcap.packet(data)
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("<IH", data, at)
        if kind in (NLMSG_DONE, NLMSG_ERROR):
            return True
        at += (length + 3) & ~3
    return False


def listener(family, address, **options):
    s = socket.socket(family, socket.SOCK_STREAM)
    for option, value in options.items():
        s.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    s.bind((address, 0))
    s.listen(16)
    return s


def pair(server, address, before=lambda s: None):
    client = socket.socket(server.family if address != "127.0.0.1" else socket.AF_INET, socket.SOCK_STREAM)
    before(client)
    client.connect((address, server.getsockname()[1]))
    return [client, server.accept()[0]]


def congestion(name):
    return lambda s: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name)


def marked(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0x1234)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 5)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x28)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50000)


def make_sockets():
    four = listener(socket.AF_INET, "127.0.0.1")
    six = listener(socket.AF_INET6, "::")
    kept = [four, six]
    kept += pair(four, "127.0.0.1")
    kept += pair(six, "127.0.0.1")  # the server's end is AF_INET6 with a mapped address
    kept += pair(six, "::1", lambda s: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0x20))
    for name in pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split():
        kept += pair(four, "127.0.0.1", congestion(name.encode()))
    kept += pair(four, "127.0.0.1", marked)
    os.seteuid(1000)
    kept += pair(four, "127.0.0.1")
    os.seteuid(0)

    unread = pair(four, "127.0.0.1")  # data that nobody reads: queues
    unread[0].send(b"x" * 3000)
    waiting = pair(four, "127.0.0.1")  # TIME_WAIT
    for s in waiting:
        s.close()
    half = pair(four, "127.0.0.1")  # FIN_WAIT2 and CLOSE_WAIT
    half[0].shutdown(socket.SHUT_WR)
    deferred = listener(socket.AF_INET, "127.0.0.1", TCP_DEFER_ACCEPT=30)
    silent = socket.socket(socket.AF_INET, socket.SOCK_STREAM)  # its peer stays in SYN_RECV
    silent.connect(deferred.getsockname())
    return kept + unread + half + [deferred, silent]


def main():
    directory = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        sys.exit("make.py: cannot make a network namespace: " + os.strerror(ctypes.get_errno()))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sockets = make_sockets()
    time.sleep(0.3)  # until delayed acknowledgements are through
    record(directory / "tcpdiag.pcap", [tcpdiag_request()])
    record(directory / "sock_diag.pcap", [sock_diag_request(socket.AF_INET), sock_diag_request(socket.AF_INET6)])
    record(directory / "refused.pcap", [single_request()])
    ss = subprocess.run(["ss", "--tcp", "--all", "--numeric", "--info", "--extended", "--memory"],
                        check=True, capture_output=True, env={"COLUMNS": "200", **os.environ})
    (directory / "ss.txt").write_bytes(ss.stdout)
    (directory / "kernel.txt").write_text(f"Linux {platform.release().split('-')[0]} {platform.machine()}\n")
    print(f"{len(sockets)} sockets held")


if __name__ == "__main__":
    main()
