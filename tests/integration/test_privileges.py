"""The powers of root that the daemon keeps and gives up; everything works with those that are left."""

import os
import pathlib
import re
import socket
import subprocess

import pytest

from harness import netns, paths
from harness.waiting import SLOW, until

# As server/process/privilege.c has them.
KEPT = {"CAP_CHOWN": 0, "CAP_DAC_READ_SEARCH": 2, "CAP_NET_BIND_SERVICE": 10, "CAP_NET_ADMIN": 12, "CAP_SYS_PTRACE": 19,
        "CAP_SYS_ADMIN": 21}
SANITIZED = SLOW > 1  # a sanitizer traces its own process at the end: no filter by default then


def status(pid, tid=None):
    """/proc/PID/status of a process or one of its threads, as a dict."""
    path = f"/proc/{pid}/task/{tid}/status" if tid else f"/proc/{pid}/status"
    with open(path, encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def mask(names):
    return sum(1 << KEPT[n] for n in names)


def ours():
    """The kept capabilities that root has on this machine."""
    have = int(status("self")["CapPrm"], 16)
    return {n for n, bit in KEPT.items() if have >> bit & 1}


def without(*names):
    """A wrapper that takes capabilities away, as root."""
    drop = ",".join("-" + n.removeprefix("CAP_").lower() for n in names)
    return ("setpriv", f"--bounding-set={drop}")


# ---- Kept capabilities ----

def test_every_thread_keeps_the_same_few(host):
    d = host.daemon("--poll-frequency", "100ms")
    c = host.connect(d)
    with c.edges() as stream:
        stream.polls(3)
    expected = mask(ours())
    assert expected
    for tid in os.listdir(f"/proc/{d.pid}/task"):
        try:
            s = status(d.pid, tid)
        except OSError:
            continue
        assert int(s["CapEff"], 16) == int(s["CapPrm"], 16) == expected, s["Name"]
        assert int(s["CapInh"], 16) == int(s["CapAmb"], 16) == 0, s["Name"]
        assert int(s["CapBnd"], 16) & ~mask(KEPT) == 0, s["Name"]
        assert s["NoNewPrivs"] == "1", s["Name"]
        assert s["Seccomp"] == ("0" if SANITIZED else "2"), s["Name"]


def test_ambient_and_inheritable_are_dropped(host):
    """As a service manager starts a user with ambient capabilities."""
    caps = "+sys_admin,+net_admin,+kill"
    d = host.daemon("--poll-frequency", "1h",
                    wrapper=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"--inh-caps={caps}",
                             f"--ambient-caps={caps}"))
    d.allow("CAP_SYS_PTRACE", "Permission denied")
    s = status(d.pid)
    assert int(s["CapEff"], 16) == int(s["CapPrm"], 16) == mask({"CAP_SYS_ADMIN", "CAP_NET_ADMIN"})
    assert int(s["CapInh"], 16) == int(s["CapAmb"], 16) == 0
    assert {g.capability for g in host.connect(d).status().gaps} == {"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}


def test_nothing_is_kept_of_nothing(host):
    d = host.daemon("--poll-frequency", "1h", wrapper=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                                       "--inh-caps=-all", "--bounding-set=-all"))
    d.allow("CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "Permission denied")
    s = status(d.pid)
    assert {int(s[n], 16) for n in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd")} == {0}
    assert s["NoNewPrivs"] == "1"


def test_once_with_the_filter(host):
    folder = host.folder()
    out = subprocess.run([str(paths.DAEMON), "--once", "--netns-dirs", folder, "--proc-scan-interval", "0", "--sandbox",
                          "off" if SANITIZED else "required"], capture_output=True, text=True, check=True)
    assert out.stdout.startswith("{")


# ---- Why each of them ----

def mark_of(host, d):
    """The mark that the daemon sees of a socket that has one."""
    s = host.keep(socket.socket())
    s.setsockopt(socket.SOL_SOCKET, 36, 4711)  # SO_MARK
    s.bind(("127.0.0.1", 0))
    s.listen(1)
    port = s.getsockname()[1]
    row = next(r for r in host.connect(d).poll().rows if r.inet_diag_msg_socket_source_port == port)
    return row.mark


def test_net_admin_is_for_the_mark(host):
    assert mark_of(host, host.daemon("--poll-frequency", "1h")) == 4711
    d = host.daemon("--poll-frequency", "1h", wrapper=without("CAP_NET_ADMIN"))
    assert mark_of(host, d) == 0
    assert "CAP_NET_ADMIN" in {g.capability for g in host.connect(d).status().gaps}


def sees(host, d, ns):
    c = host.connect(d)
    return ns.cookie in {r.netns_cookie for r in c.poll().rows}


def listen_in(host, ns):
    with ns:
        s = host.keep(socket.socket())
    s.bind(("127.0.0.1", 0))
    s.listen(1)


def test_sys_admin_is_for_other_namespaces(host):
    ns = host.namespace()
    listen_in(host, ns)
    full = host.daemon("--poll-frequency", "1h", "--netns-dirs", "/run/netns", everywhere=True)
    until(lambda: sees(host, full, ns), 5, "the namespace is polled")
    d = host.daemon("--poll-frequency", "1h", everywhere=True, wrapper=without("CAP_SYS_ADMIN"))
    d.allow("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "Permission denied", "Operation not permitted")
    assert not sees(host, d, ns)
    assert "CAP_SYS_ADMIN" in {g.capability for g in host.connect(d).status().gaps}


@pytest.mark.skipif("CAP_SYS_PTRACE" not in ours(), reason="this machine's root has no CAP_SYS_PTRACE")
def test_sys_ptrace_is_for_namespaces_without_a_name(host):
    ns = host.anonymous()
    listen_in(host, ns)
    full = host.daemon("--poll-frequency", "1h", "--proc-scan-interval", "100ms", everywhere=True)
    until(lambda: sees(host, full, ns), 5, "the namespace is polled")
    d = host.daemon("--poll-frequency", "1h", "--proc-scan-interval", "100ms", everywhere=True,
                    wrapper=without("CAP_SYS_PTRACE"))
    d.allow("CAP_SYS_PTRACE", "Permission denied")
    assert not sees(host, d, ns)
    assert "CAP_SYS_PTRACE" in {g.capability for g in host.connect(d).status().gaps}


def test_dac_read_search_is_for_directories_of_others(host):
    """As a rootless container has them: /run/user/1000 is entered by its user alone."""
    folder = host.folder()
    os.mkdir(f"{folder}/netns")
    ns = host.anonymous()
    host.keep(netns.Folder(f"{folder}/netns")).add("theirs", ns.path)
    listen_in(host, ns)
    os.chown(folder, 65534, 65534)
    os.chmod(folder, 0o700)

    def start(*options, **how):
        return host.daemon("--poll-frequency", "1h", "--netns-dirs", f"{folder}/netns", "--proc-scan-interval", "0",
                           *options, everywhere=True, **how)
    full = start()
    until(lambda: sees(host, full, ns), 5, "the namespace is polled")
    d = start(wrapper=without("CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"))
    d.allow("Permission denied", "permission denied")
    assert not sees(host, d, ns)
    assert "CAP_DAC_READ_SEARCH" in {g.capability for g in host.connect(d).status().gaps}


def test_chown_is_for_the_group_of_a_socket(host):
    folder = host.folder()
    d = host.daemon("--poll-frequency", "1h", "--unix-socket-group", "65533", listen=[f"unix:{folder}/s"])
    s = os.stat(f"{folder}/s")
    assert (s.st_uid, s.st_gid, s.st_mode & 0o777) == (0, 65533, 0o660)
    d.stop()


def test_net_bind_service_is_for_low_ports(host):
    """In a namespace of its own, so that the port is free."""
    ns = host.namespace()
    inside = ("nsenter", f"--net={ns.path}")
    d = host.daemon("--poll-frequency", "1h", listen=["127.0.0.1:889"], wrapper=inside, serving=False)
    d.wait_log("polls every")
    assert d.port == 889
    d.stop()
    folder = host.folder()
    refused = subprocess.run([*inside, *without("CAP_NET_BIND_SERVICE"), str(paths.DAEMON), "--grpc-listen", "127.0.0.1:889",
                              "--netns-dirs", folder, "--proc-scan-interval", "0"], capture_output=True, text=True,
                             timeout=10 * SLOW)
    assert refused.returncode == 1
    assert re.search("127.0.0.1:889.*Permission denied", refused.stderr)


def test_listeners_that_come_later(host):
    """The rights that they need are still there after the daemon has given up the rest."""
    ns = host.namespace()
    folder = host.folder()
    d = host.daemon("--poll-frequency", "1h", "--unix-socket-group", "65533", listen=[f"unix:{folder}/first"],
                    wrapper=("nsenter", f"--net={ns.path}"))
    c = host.connect(d)
    options = c.get().options
    options.listeners.listen[:] = [f"unix:{folder}/first", f"unix:{folder}/second", "127.0.0.1:889"]
    c.set(options=options)
    assert os.stat(f"{folder}/second").st_gid == 65533
    with ns:
        s = host.keep(socket.socket())
    s.settimeout(5)
    s.connect(("127.0.0.1", 889))
    assert host.connect(f"unix:{folder}/second").health() == "SERVING"


def test_files_of_others_are_not_written(host):
    """CAP_DAC_OVERRIDE is not kept: a state file in somebody else's folder is an error in the log, and nothing else."""
    folder = host.folder()
    os.mkdir(f"{folder}/theirs", 0o700)
    os.chown(f"{folder}/theirs", 65534, 65534)
    d = host.daemon("--poll-frequency", "1h", "--state-file", f"{folder}/theirs/state")
    d.allow("Permission denied")
    host.connect(d).set_frequency(1800, 2)
    d.wait_log(r"state.*Permission denied", 5)
    assert os.listdir(f"{folder}/theirs") == []
    assert host.connect(d).poll().rows


# ---- The filter ----

def test_sandbox_off(host):
    d = host.daemon("--poll-frequency", "1h", "--sandbox", "off")
    s = status(d.pid)
    assert s["Seccomp"] == "0"
    assert int(s["CapEff"], 16) == mask(ours())
    assert host.connect(d).poll().rows


@pytest.mark.skipif(SANITIZED, reason="a sanitizer traces its own process")
def test_its_own_user_cannot_trace_it(host):
    d = host.daemon("--poll-frequency", "1h", "--sandbox", "required",
                    wrapper=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                             "--bounding-set=-all"))
    d.allow("CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "Permission denied")
    assert status(d.pid)["Seccomp"] == "2"
    look = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                           "cat", f"/proc/{d.pid}/environ"], capture_output=True, text=True)
    assert look.returncode != 0 and "Permission denied" in look.stderr


@pytest.mark.skipif(SANITIZED, reason="a sanitizer traces its own process")
def test_every_feature_with_the_filter(host):
    """One daemon that does all that one can do: every listener, streams, changes, namespaces, state, captures, reload."""
    folder = pathlib.Path(host.folder())
    tokens = folder / "tokens"
    tokens.write_text("control:0123456789abcdef0123\n")
    tokens.chmod(0o600)
    config = folder / "xtcp2.yaml"
    config.write_text("label: before\n")
    (folder / "captures").mkdir()
    d = host.daemon("--sandbox", "required", "--config", str(config), "--poll-frequency", "50ms", "--poll-timeout", "40ms",
                    "--token-file", str(tokens), "--state-file", str(folder / "state"), "--capture-path",
                    str(folder / "captures"), "--write-files", "2", "--populate-nsid", "true", "--unix-socket-group", "daemon",
                    "--collector-threads-max", "2", listen=["127.0.0.1:0", "[::1]:0", f"unix:{folder}/s",
                                                            "unix-abstract:xt-sandbox-" + str(os.getpid())])
    assert status(d.pid)["Seccomp"] == "2"
    names = host.names_of(d)
    spaces = [host.anonymous() for _ in range(4)]
    clients = [host.connect(t) for t in d.targets]
    for number, ns in enumerate(spaces):
        names.add(f"n{number}", ns.path)
        listen_in(host, ns)
    for c in clients:
        until(lambda c=c: {ns.cookie for ns in spaces} <= {r.netns_cookie for r in c.poll().rows}, 5, "all are polled")
        with c.edges() as stream:
            stream.polls(3)
        assert c.health() == "SERVING"
        assert c.reflect([{"list_services": ""}])
    c = clients[0]
    c.set_frequency(3600, 2)
    assert (folder / "state").exists() or until((folder / "state").exists, 5, "the state is kept")
    until(lambda: len(list((folder / "captures").iterdir())) >= 2, 5, "polls are recorded")
    config.write_text("label: after\n")
    d.send_signal(1)
    until(lambda: any(r.label == "after" for r in c.poll().rows), 5, "the file is read again")
    d.stop()
