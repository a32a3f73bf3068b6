"""A configuration file, certificates and tokens that change are noticed without a signal."""

import os
import signal

import pytest

from harness.caller import as_user, ask
from harness.certs import NAME, Authority
from harness.refuse import refused
from harness.waiting import until
from test_access import CONTROL, SOMEBODY
from test_listeners import certificate, local, shown
from test_tls import NOT_AUTHENTICATED, token_file


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write("poll_frequency: 1h\n" + text)


def label(c, expected):
    until(lambda: c.get().label == expected, 5, f"label {expected}")


@pytest.fixture
def place(host):
    class Place:
        folder = host.folder()
        path = f"{folder}/xtcp2.yaml"
    write(Place.path, "label: first\n")
    return Place


def test_all_ways_to_change_a_file(host, place):
    d = host.daemon("--config", place.path)
    c = host.connect(d)
    label(c, "first")
    write(place.path, "label: in place\n")
    label(c, "in place")
    write(place.path + ".new", "label: renamed\n")
    os.rename(place.path + ".new", place.path)
    label(c, "renamed")
    d.allow("not reloaded, everything stays as it is: .*No such file")
    os.unlink(place.path)
    d.wait_log("not reloaded.*No such file")
    label(c, "renamed")
    write(place.path, "label: made again\n")
    label(c, "made again")


def test_a_configmap(host):
    folder = host.folder()
    for number in (1, 2):
        os.mkdir(f"{folder}/..{number}")
        write(f"{folder}/..{number}/xtcp2.yaml", f"label: number {number}\n")
    os.symlink("..1", f"{folder}/..data")
    os.symlink("..data/xtcp2.yaml", f"{folder}/xtcp2.yaml")
    c = host.connect(host.daemon("--config", f"{folder}/xtcp2.yaml"))
    label(c, "number 1")
    os.symlink("..2", f"{folder}/..data_tmp")
    os.rename(f"{folder}/..data_tmp", f"{folder}/..data")
    label(c, "number 2")


def test_garbage_is_told_once_and_changes_nothing(host, place):
    d = host.daemon("--config", place.path)
    d.allow("not reloaded")
    c = host.connect(d)
    before = c.get()
    for number, text in enumerate(("lable: x\n", "label: [\n", "poll_timeout: 2h\n", "\0\1\2"), 1):
        write(place.path, text)
        until(lambda n=number: d.log().count("not reloaded") >= n, 5, "the error")
        assert c.get() == before
    with c.edges() as stream:  # polls, which do not make it look again
        for _ in range(3):
            c.trigger()
            stream.polls(1)
    assert d.log().count("not reloaded") == 4
    write(place.path, "label: good\n")
    label(c, "good")


def test_the_state_file_is_no_trigger(host, place):
    state = f"{place.folder}/state"
    d = host.daemon("--config", place.path, "--state-file", state)
    c = host.connect(d)
    c.set(label="by Set")
    until(lambda: os.path.exists(state), 2, "it is kept")
    os.utime(state)
    write(place.path, "tag: new\n")
    until(lambda: c.get().tag == "new", 5, "the file is read")
    assert c.get().label == "by Set"
    assert d.log().count("reload") == 1, d.log()


def test_it_can_be_switched_off_and_on(host, place):
    d = host.daemon("--config", place.path, "--config-watch", "off")
    c = host.connect(d)
    assert c.get().options.process.config_watch == "off"
    write(place.path, "label: second\n")
    d.send_signal(signal.SIGHUP)
    label(c, "second")
    config = c.get()
    config.options.process.config_watch = "on"
    c.set(config)
    # The command line says off: reading the file again, which is noticed, ends it.
    write(place.path, "label: third\n")
    label(c, "third")
    until(lambda: c.get().options.process.config_watch == "off", 2, "the sources count")


@pytest.mark.parametrize("error, call, sysctl", [
    ("EMFILE", "inotify_init1", "fs.inotify.max_user_instances"),
    ("ENOSPC", "inotify_add_watch", "fs.inotify.max_user_watches"),
])
def test_without_inotify(host, place, error, call, sysctl):
    """Everything works, later: files and folders are looked at by time."""
    d = host.daemon("--config", place.path, wrapper=refused(error, call))
    d.allow(f"cannot watch .*: the sysctl {sysctl} is reached: looking at")
    c = host.connect(d)
    write(place.path, "label: second\n")
    ns = host.anonymous()
    host.names_of(d).add("blue", ns.path)
    until(lambda: "blue" in {name for n in c.list_namespaces() for name in n.names}, 5, "the namespace is found")
    label(c, "second")
    assert d.log().count(sysctl) == 2, d.log()  # files, folders


def test_config_watch_off_takes_no_inotify(host, place):
    def instances(*options):
        d = host.daemon("--config", place.path, *options)
        return [to for to in d.fds().values() if "inotify" in to]
    assert len(instances()) == 2  # for files, for folders of namespaces
    assert len(instances("--config-watch", "off")) == 1


def test_sighup_looks_at_namespaces_again(host):
    d = host.daemon("--proc-scan-interval", "1h")
    c = host.connect(d)
    ns = host.anonymous()  # which no event tells of

    def known():
        return ns.inode in {n.inode for n in c.list_namespaces()}
    assert not known()
    d.send_signal(signal.SIGHUP)
    until(known, 5, "it is found")


def test_listeners_by_a_changed_file(host, place):
    one, two = local(), local()
    write(place.path, f"grpc_listen: ['{one}']\n")
    d = host.daemon("--config", place.path, listen=())
    write(place.path, f"grpc_listen: ['{two}']\n")
    d.wait_log(f"no longer listening on {one}", 5)
    assert ask(two) == CONTROL


def test_certificates(host, place):
    """Nobody has to connect for that: a bad one is told when it comes."""
    ours = Authority(host.folder(), "ours")
    cert, key = ours.issue("server", cn="daemon", sans=[NAME])
    where = local()
    d = host.daemon("--poll-frequency", "1h", "--grpc-tls-listen", where, "--tls-cert-file", cert, "--tls-key-file", key)
    ours.issue("server", cn="daemon", sans=[NAME])
    d.wait_log("certificate read again", 5)
    assert shown(where) == certificate(ours, "server")
    d.allow("is still in use")
    good = open(key, encoding="ascii").read()
    with open(key, "w", encoding="ascii") as f:
        f.write("garbage")
    d.wait_log("tls_key_file: .*is still in use", 5)
    with open(key, "w", encoding="ascii") as f:
        f.write(good)
    until(lambda: d.log().count("certificate read again") == 2, 5, "the good one")


def test_tokens(host, place):
    path = token_file(host)
    d = host.daemon("--poll-frequency", "1h", "--token-file", path)
    with open(path, "w", encoding="ascii") as f:
        f.write("control:" + "n" * 20 + "\n")
    d.wait_log("token_file: 1 tokens", 5)
    assert ask(d.target, as_user(SOMEBODY), token="n" * 20) == CONTROL
    assert ask(d.target, as_user(SOMEBODY), token="o" * 20) == NOT_AUTHENTICATED
