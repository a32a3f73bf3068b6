"""Without capabilities: the daemon shows the sockets that it may see, and tells of the others."""

import errno
import re
import subprocess

from harness import netns, paths
from harness.waiting import bound, until

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")


def daemon(host, *options):
    d = host.daemon("--poll-frequency", "1h", *options, wrapper=NOBODY, everywhere=True)
    d.allow("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "Operation not permitted", "Permission denied")
    return d


def test_own_namespace_is_polled(host):
    d = daemon(host)
    poll = host.connect(d).poll()
    assert poll.end.namespaces >= 1
    own = netns.own()
    mine = [r for r in poll.rows if r.netns == "default"]
    assert {r.netns_cookie for r in mine} == {own.cookie}
    assert d.port in {r.inet_diag_msg_socket_source_port for r in mine if r.inet_diag_msg_state == 10}
    assert all(r.congestion_algorithm_string and r.sk_mem_info_rcv_buf for r in mine if r.inet_diag_msg_state == 10)


def test_gaps_are_told(host):
    c = host.connect(daemon(host))
    gaps = {g.capability: g.effect for g in c.status().gaps}
    assert {"CAP_SYS_ADMIN", "CAP_SYS_PTRACE"} <= set(gaps)
    assert all(gaps.values())


def test_no_gap_with_all_capabilities(host):
    c = host.connect(host.daemon("--poll-frequency", "1h"))
    assert {g.capability for g in c.status().gaps} <= {"CAP_SYS_PTRACE"}


def test_unseen_namespaces_are_told(host):
    """In the edges of a poll, in the status, and by the client: how many, and why."""
    d = host.daemon("--poll-frequency", "300ms", "--poll-timeout", "200ms", wrapper=NOBODY)
    d.allow("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "ns=plain: has not become a namespace")
    c = host.connect(d)
    names = host.names_of(d)
    for name in ("blue", "green"):
        names.add(name, host.anonymous().path)
    # A file that is no namespace does not count as an unseen one.
    with open(f"{d.folder}/netns/plain", "wb"):
        pass
    until(lambda: len([n for n in c.list_namespaces() if n.inode]) == 3, 5, "they are known")
    end = c.poll().end
    assert (end.namespaces, end.namespaces_failed, end.namespaces_unseen) == (1, 0, 2)
    assert {(e.name, e.code) for e in end.errors} == {("blue", -errno.EPERM), ("green", -errno.EPERM)}
    last = c.status().last_poll
    assert last.namespaces_unseen == 2 and len(last.errors) == 2

    def line(*options):
        done = subprocess.run([paths.CLIENT, "--target", d.target, *options], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=bound(15))
        assert done.returncode == 0
        return done.stderr
    why = "cannot be entered: CAP_SYS_ADMIN is missing"
    for command in (["poll"], ["snapshot"], ["stream", "--polls", "1"]):
        assert f"; 2 namespaces not seen ({why})\n" in line(*command), command
    told = line("-v", "snapshot")
    assert re.search(rf"namespace blue \(inode \d+\): {why}", told) and "namespace green" in told
    assert "not seen" not in line("snapshot", "-N", "default")
    assert f"; 1 namespace not seen ({why})" in line("snapshot", "-N", "b*")
    config = c.get()
    config.options.namespaces.exclude.item.append("green")
    c.set(config)
    assert c.poll().end.namespaces_unseen == 1


def test_other_namespaces_are_failed_not_forgotten(host):
    ns = host.namespace()
    d = daemon(host)
    c = host.connect(d)

    def listed():
        return next((n for n in c.list_namespaces() if ns.name in n.names), None)
    found = until(listed, 2, "the namespace is listed")
    poll = c.poll()
    assert ns.cookie not in {r.netns_cookie for r in poll.rows}
    found = listed()
    assert found.last_error == "cannot be entered: CAP_SYS_ADMIN is missing"
    assert [e.code for e in poll.end.errors if e.name == ns.name] == [-errno.EPERM]
    netns.delete(ns.name)
    until(lambda: listed() is None, 2, "the namespace is forgotten")


def test_stop_without_capabilities(host):
    d = daemon(host)
    with host.connect(d).edges() as stream:
        host.connect(d).trigger()
        stream.polls(1)
        d.stop()
