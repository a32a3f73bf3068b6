"""The text of ss as the measure of records: the line that ss would print for a record, compared with its real line.

`ss -tanOiemH --tos` writes a socket on a line: state, queues, addresses, then words. Words that carry a value become
entries of a dict; for every record the same dict is made, so that a value that only one of them has is a difference
too.
"""

import functools
import ipaddress
import os
import re
import shutil

COMMAND = ("ss", "-tanOiemH", "--tos", "--inet-sockopt")

STATES = {"ESTAB": 1, "SYN-SENT": 2, "SYN-RECV": 3, "FIN-WAIT-1": 4, "FIN-WAIT-2": 5, "TIME-WAIT": 6, "UNCONN": 7,
          "CLOSE-WAIT": 8, "LAST-ACK": 9, "LISTEN": 10, "CLOSING": 11}
TIMERS = {"on": 1, "keepalive": 2, "timewait": 3, "persist": 4}
FLAGS = ("ts", "sack", "ecn", "ecnseen", "fastopen", "app_limited", "<->", "-->", "<--", "---")

# Bits of struct inet_diag_sockopt (linux/inet_diag.h) by the names of ss.
SOCKOPTS = ("recverr", "is_icsk", "freebind", "hdrincl", "mc_loop", "transparent", "mc_all", "nodefrag",
            "bind_addr_no_port", "recverr_rfc4884", "defer_connect")

# Values that change by themselves, or that ss rounds.
MOVING = ("lastsnd", "lastrcv", "lastack")

# Values that only newer versions of ss print; a recorded text may be of an older version than the installed one.
NEWER = ("rcv_wnd", "rehash")

CGROUPS = next((m.split()[1] for m in open("/proc/self/mounts", encoding="utf-8") if m.split()[2] == "cgroup2"), None)


# ---- The output of ss ----

def _address(text):
    """(address, port) of ADDRESS:PORT; `*` is any address, of either family."""
    host, port = text.rsplit(":", 1)
    host = host.strip("[]").split("%")[0]
    return host, 0 if port == "*" else int(port)


def parse_line(line):
    """One socket."""
    fields = line.split()
    found = {"state": fields[0], "recv_q": int(fields[1]), "send_q": int(fields[2]),
             "local": _address(fields[3]), "peer": _address(fields[4])}
    rest = " ".join(fields[5:])
    for name, pattern in (("sockopt", r"inet-sockopt: \((.*?)\)"), ("skmem", r"skmem:\((.*?)\)"),
                          ("timer", r"timer:\((.*?)\)"), ("bbr", r"bbr:\((.*?)\)")):
        match = re.search(pattern, rest)
        if match:
            found[name] = match[1].strip()
            rest = rest.replace(match[0], "")
    words = rest.split()
    while words:
        word = words.pop(0)
        if word in FLAGS:
            found[word] = True
        elif word in ("send", "pacing_rate", "delivery_rate"):
            found[word] = words.pop(0)
        elif ":" in word:
            name, value = word.split(":", 1)
            found[name] = value
        else:
            assert "cong" not in found, f"two unknown words in: {line}"
            found["cong"] = word
    return found


def sockets(ns):
    """All sockets of |ns| by their cookie."""
    found = [parse_line(line) for line in ns.exec(*COMMAND).splitlines()]
    by_cookie = {int(s["sk"], 16): s for s in found}
    assert len(by_cookie) == len(found)
    return by_cookie


# ---- A record as ss would show it ----

def _hex(value):
    """As printf's %#x."""
    return f"0x{value:x}" if value else "0"


def _ip(family, data):
    address = ipaddress.ip_address(data)
    return f"::ffff:{address.ipv4_mapped}" if family == 10 and address.ipv4_mapped else str(address)


def _endpoint(r, address, port):
    """ss prints `*` for the any address of IPv6 when the socket takes IPv4 too, which records do not tell."""
    return _ip(r.inet_diag_msg_family, address), port


def _skmem(r):
    return (f"r{r.sk_mem_info_rmem_alloc},rb{r.sk_mem_info_rcv_buf},t{r.sk_mem_info_wmem_alloc},"
            f"tb{r.sk_mem_info_snd_buf},f{r.sk_mem_info_fwd_alloc},w{r.sk_mem_info_wmem_queued},"
            f"o{r.sk_mem_info_optmem},bl{r.sk_mem_info_backlog},d{r.sk_mem_info_drops}")


def _bbr(r):
    bandwidth = (r.bbr_info_bw_hi << 32 | r.bbr_info_bw_lo) * 8
    text = f"bw:{bandwidth}bps,mrtt:{r.bbr_info_min_rtt / 1000:g}"
    if r.bbr_info_pacing_gain:
        text += f",pacing_gain:{r.bbr_info_pacing_gain / 256:g}"
    if r.bbr_info_cwnd_gain:
        text += f",cwnd_gain:{r.bbr_info_cwnd_gain / 256:g}"
    return text


def _times(r):
    """Times: ms in ss, us in records."""
    found = {}
    if r.tcp_info_rto and r.tcp_info_rto != 3000000:
        found["rto"] = f"{r.tcp_info_rto / 1000:g}"
    if r.tcp_info_rtt:
        found["rtt"] = f"{r.tcp_info_rtt / 1000:g}/{r.tcp_info_rtt_var / 1000:g}"
    for name, value in (("ato", r.tcp_info_ato), ("rcv_rtt", r.tcp_info_rcv_rtt), ("minrtt", r.tcp_info_min_rtt)):
        if value and value != 2**32 - 1:
            found[name] = f"{value / 1000:g}"
    return found


def _rates(r):
    """Rates: bits per second in ss, bytes per second in records."""
    found = {}
    if r.tcp_info_rtt and r.tcp_info_snd_mss and r.tcp_info_snd_cwnd:
        found["send"] = f"{r.tcp_info_snd_cwnd * r.tcp_info_snd_mss * 8 * 1e6 / r.tcp_info_rtt:.0f}bps"
    if r.tcp_info_pacing_rate != 2**64 - 1 and r.tcp_info_pacing_rate:
        found["pacing_rate"] = f"{r.tcp_info_pacing_rate * 8}bps"
        if r.tcp_info_max_pacing_rate != 2**64 - 1:
            found["pacing_rate"] += f"/{r.tcp_info_max_pacing_rate * 8}bps"
    if r.tcp_info_delivery_rate:
        found["delivery_rate"] = f"{r.tcp_info_delivery_rate * 8}bps"
    return found


def _busy(r):
    """Milliseconds, and what share of them the window or the buffer was to blame."""
    found = {}
    if r.tcp_info_busy_time:
        found["busy"] = f"{r.tcp_info_busy_time // 1000}ms"
        for name, part in (("rwnd_limited", r.tcp_info_rwnd_limited), ("sndbuf_limited", r.tcp_info_sndbuf_limited)):
            if part:
                found[name] = f"{part // 1000}ms({100 * part / r.tcp_info_busy_time:.1f}%)"
    return found


# Names of ss for fields that both print as they are, when they are not zero.
PLAIN = {
    "backoff": "tcp_info_backoff", "mss": "tcp_info_snd_mss", "pmtu": "tcp_info_pmtu", "rcvmss": "tcp_info_rcv_mss",
    "advmss": "tcp_info_adv_mss", "cwnd": "tcp_info_snd_cwnd", "bytes_sent": "tcp_info_bytes_sent",
    "bytes_retrans": "tcp_info_bytes_retrans", "bytes_acked": "tcp_info_bytes_acked",
    "bytes_received": "tcp_info_bytes_received", "segs_out": "tcp_info_segs_out", "segs_in": "tcp_info_segs_in",
    "data_segs_out": "tcp_info_data_segs_out", "data_segs_in": "tcp_info_data_segs_in",
    "lastsnd": "tcp_info_last_data_sent", "lastrcv": "tcp_info_last_data_recv", "lastack": "tcp_info_last_ack_recv",
    "delivered": "tcp_info_delivered", "delivered_ce": "tcp_info_delivered_ce", "unacked": "tcp_info_unacked",
    "lost": "tcp_info_lost", "dsack_dups": "tcp_info_dsack_dups", "reord_seen": "tcp_info_reord_seen",
    "fackets": "tcp_info_fackets",
    "rcv_space": "tcp_info_rcv_space", "rcv_ssthresh": "tcp_info_rcv_ssthresh", "notsent": "tcp_info_not_sent_bytes",
    "rcv_ooopack": "tcp_info_rcv_ooopack", "snd_wnd": "tcp_info_snd_wnd", "rcv_wnd": "tcp_info_rcv_wnd",
    "rehash": "tcp_info_rehash", "uid": "inet_diag_msg_uid",
}
OPTIONS = {"ts": 1, "sack": 2, "ecn": 8, "ecnseen": 16, "fastopen": 32}


def _tcp(r):
    """The words that come from struct tcp_info."""
    found = {name: str(getattr(r, field)) for name, field in PLAIN.items() if getattr(r, field)}
    found.update({name: True for name, bit in OPTIONS.items() if r.tcp_info_options & bit})
    if r.tcp_info_options & 4:
        found["wscale"] = f"{r.tcp_info_send_scale},{r.tcp_info_rcv_scale}"
    if 0 < r.tcp_info_snd_ssthresh < 0xFFFF:
        found["ssthresh"] = str(r.tcp_info_snd_ssthresh)
    if r.tcp_info_delivery_rate_app_limited:
        found["app_limited"] = True
    if r.tcp_info_retrans or r.tcp_info_total_retrans:
        found["retrans"] = f"{r.tcp_info_retrans}/{r.tcp_info_total_retrans}"
    if r.tcp_info_sacked and r.inet_diag_msg_state != STATES["LISTEN"]:
        found["sacked"] = str(r.tcp_info_sacked)
    if r.tcp_info_reordering != 3:
        found["reordering"] = str(r.tcp_info_reordering)
    found.update(_times(r))
    found.update(_rates(r))
    found.update(_busy(r))
    return found


def expect(r):
    """The dict that parse_line makes of what ss prints of the socket of record |r|."""
    state = next(name for name, number in STATES.items() if number == r.inet_diag_msg_state)
    found = {
        "state": state, "recv_q": r.inet_diag_msg_rqueue, "send_q": r.inet_diag_msg_wqueue,
        "local": _endpoint(r, r.inet_diag_msg_socket_source, r.inet_diag_msg_socket_source_port),
        "peer": _endpoint(r, r.inet_diag_msg_socket_destination, r.inet_diag_msg_socket_destination_port),
        "ino": str(r.inet_diag_msg_inode), "sk": f"{r.inet_diag_msg_socket_cookie:x}",
    }
    if r.inet_diag_msg_timer:
        name = next(name for name, number in TIMERS.items() if number == r.inet_diag_msg_timer)
        found["timer"] = (name, str(r.inet_diag_msg_retrans))
    if r.mark:
        found["fwmark"] = f"0x{r.mark:x}"
    if state in ("TIME-WAIT", "SYN-RECV"):
        if r.inet_diag_msg_uid:
            found["uid"] = str(r.inet_diag_msg_uid)
        return found
    found["cgroup"] = str(r.c_group)
    found["<-"[r.shutdown_state & 1] + "-" + ">-"[r.shutdown_state >> 1 & 1]] = True
    found["tos"] = _hex(r.type_of_service)
    if r.inet_diag_msg_family == 10:
        found["tclass"] = _hex(r.traffic_class)
    found["class_id"] = _hex(r.class_id)
    found["sockopt"] = " ".join(name for bit, name in enumerate(SOCKOPTS) if r.sock_opt >> bit & 1)
    found["skmem"] = _skmem(r)
    if r.congestion_algorithm_string:
        found["cong"] = r.congestion_algorithm_string
    found.update(_tcp(r))
    if r.bbr_info_min_rtt or r.bbr_info_pacing_gain:
        found["bbr"] = _bbr(r)
    return found


def settle(found, record):
    """|found| (of parse_line) in the form of expect(), without what ss alone knows."""
    found = dict(found)
    for side in ("local", "peer"):
        host, port = found[side]
        if host == "*":  # of a dual-stack IPv6 socket
            found[side] = ("::", port)
    found.pop("v6only", None)
    if "timer" in found:
        name, _, retrans = found["timer"].split(",")
        found["timer"] = (name, retrans)
    if "cgroup" in found:
        path = found["cgroup"]
        reachable = CGROUPS and path.startswith("/") and os.path.exists(CGROUPS + path)
        found["cgroup"] = str(os.stat(CGROUPS + path).st_ino if reachable else record.c_group)
    return found


@functools.cache
def has(text):
    """Whether the installed ss has this among its texts."""
    with open(shutil.which(COMMAND[0]), "rb") as f:
        return text.encode() in f.read()


# Values that the installed ss does not print.
UNTOLD = tuple(name for name in NEWER if not has(f" {name}:%"))


def without(found, names):
    return {name: value for name, value in found.items() if name not in names}


def differences(found, record, leave_out=MOVING):
    """The differences between the line of ss and |record|, as {name: (ss, record)}."""
    leave_out = (*leave_out, *UNTOLD)
    theirs = without(settle(found, record), leave_out)
    ours = without(expect(record), leave_out)
    return {name: (theirs.get(name), ours.get(name)) for name in {*theirs, *ours} if theirs.get(name) != ours.get(name)}


# ---- The output of ss as numbers ----

# Columns of a table of records that ss prints as well, by the word that has them. All that a word has is there when the
# kernel sent the attribute that it is of; a word that ss does not print then is a zero.
SKMEM = {"r": "rmem_alloc", "rb": "rcv_buf", "t": "wmem_alloc", "tb": "snd_buf", "f": "fwd_alloc", "w": "wmem_queued",
         "o": "optmem", "bl": "backlog", "d": "drops"}
IN_MS = {"ato": "tcp_info_ato", "rcv_rtt": "tcp_info_rcv_rtt"}
NOT_OF_INFO = {"uid"}


def _us(text):
    return round(float(text) * 1000)


def _info_numbers(found):
    retrans, total = found.get("retrans", "0/0").split("/")
    send_scale, receive_scale = found.get("wscale", "0,0").split(",")
    numbers = {field: int(found.get(word, 0)) for word, field in PLAIN.items() if word not in NOT_OF_INFO}
    numbers.update({field: _us(found.get(word, "0")) for word, field in IN_MS.items()})
    numbers.update(tcp_info_retrans=int(retrans), tcp_info_total_retrans=int(total),
                   tcp_info_rtt=_us(found.get("rtt", "0/0").split("/")[0]),
                   tcp_info_send_scale=int(send_scale), tcp_info_rcv_scale=int(receive_scale),
                   tcp_info_delivery_rate=int(found.get("delivery_rate", "0bps")[:-3]) // 8,
                   tcp_info_delivery_rate_app_limited=int("app_limited" in found),
                   tcp_info_reordering=int(found.get("reordering", 3)),
                   tcp_info_options=sum(bit for word, bit in {**OPTIONS, "wscale": 4}.items() if word in found))
    return numbers


def numbers(found):
    """{name of a field: its number, or None where the kernel sent none} of a line of parse_line, for the fields of which
    ss says exactly that."""
    whole = "skmem" in found  # neither TIME-WAIT nor SYN-RECV
    wanted = {
        "inet_diag_msg_rqueue": found["recv_q"], "inet_diag_msg_wqueue": found["send_q"],
        "inet_diag_msg_socket_source_port": found["local"][1], "inet_diag_msg_socket_destination_port": found["peer"][1],
        "inet_diag_msg_inode": int(found["ino"]), "inet_diag_msg_uid": int(found.get("uid", 0)),
        "inet_diag_msg_retrans": int(found["timer"].split(",")[2]) if "timer" in found else 0,
        "type_of_service": int(found["tos"], 0) if "tos" in found else None,
        "traffic_class": int(found["tclass"], 0) if "tclass" in found else None,
        "class_id": int(found["class_id"], 0) if "class_id" in found else None,
        "shutdown_state": None,
        "sock_opt": sum(1 << SOCKOPTS.index(name) for name in found["sockopt"].split()) if "sockopt" in found else None,
    }
    if whole:
        wanted["shutdown_state"] = {"<->": 0, "-->": 1, "<--": 2, "---": 3}[
            next(word for word in found if word in ("<->", "-->", "<--", "---"))]
    memory = dict(re.findall(r"([a-z]+)(\d+)", found.get("skmem", "")))
    wanted.update({f"sk_mem_info_{name}": int(memory[word]) if whole else None for word, name in SKMEM.items()})
    info = _info_numbers(found)
    wanted.update({name: value if whole else None for name, value in info.items()})
    return without(wanted, [PLAIN[name] for name in UNTOLD])
