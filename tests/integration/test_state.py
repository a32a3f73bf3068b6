"""state_file: keeps changes made over gRPC for the next start."""

import os
import pathlib
import random
import signal
import socket
import subprocess
import threading

import grpc

from harness import paths
from harness.rpc import Client, config_pb
from harness.waiting import bound, until

FIRST = "# xtcp2 state 1: "
LAST = "# end\n"


def state_of(path):
    return pathlib.Path(path).read_text(encoding="utf-8")


def kept(path, *words):
    """Waits until all |words| are in the state file."""
    until(lambda: os.path.exists(path) and all(w in state_of(path) for w in words), 5, f"{words} in the state file")


def test_changes_survive_a_restart(host):
    folder = host.folder()
    path = f"{folder}/state"
    options = ("--poll-frequency", "1h", "--state-file", path, "--tag", "line")
    d = host.daemon(*options, folder=folder)
    assert not os.path.exists(path)
    c = host.connect(d)
    c.set(label="kept", tag="changed", poll_jitter_pct=7)
    kept(path, "label", "poll_jitter_pct: 7", LAST)
    assert os.stat(path).st_mode & 0o777 == 0o600
    d.stop()

    d = host.daemon(*options, folder=folder)
    c = host.connect(d)
    now = c.get()
    assert (now.label, now.tag, now.poll_jitter_pct, now.generation) == ("kept", "line", 7, 1)
    assert now.options.state.file == path
    # SIGHUP reads the state too, and without the file it is forgotten.
    d.send_signal(signal.SIGHUP)
    d.wait_log("reloaded: nothing has changed")
    os.unlink(path)
    d.send_signal(signal.SIGHUP)
    until(lambda: c.get().label == "", 5, "label from the sources")
    # An option that goes back to the value of the sources leaves the state.
    c.set(label="again", location="x")
    kept(path, "again")
    c.config.Set(config_pb.SetRequest(reset=["label"]), timeout=bound(5))
    until(lambda: "again" not in state_of(path), 5, "label gone from the state")
    assert "location" in state_of(path)


def test_what_a_refused_file_does_not_change_is_not_kept(host):
    folder = host.folder()
    path, state = f"{folder}/xtcp2.yaml", f"{folder}/state"

    def write(*listeners):
        with open(path, "w", encoding="ascii") as f:
            f.write(f"poll_frequency: 1h\nstate_file: {state}\ngrpc_listen: {list(listeners)}\n")

    first = f"unix:{folder}/first"
    write(first)
    d = host.daemon("--config", path, "--config-watch", "off", listen=())
    d.allow("not reloaded")
    c = host.connect(first)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        second = f"127.0.0.1:{taken.getsockname()[1]}"
        write(first, second)
        d.send_signal(signal.SIGHUP)
        d.wait_log("not reloaded")
        c.set(label="kept")
        kept(state, "label", LAST)
        assert "grpc_listen" not in state_of(state)
    # Now that it can be had, the file is followed.
    d.send_signal(signal.SIGHUP)
    d.wait_log(f"listening on {second}")
    assert c.get().label == "kept"


def test_print_config_tells_it(host):
    folder = host.folder()
    path = f"{folder}/state"
    c = host.connect(host.daemon("--poll-frequency", "1h", "--state-file", path))
    c.set(label="kept")
    kept(path, "kept")
    done = subprocess.run([paths.DAEMON, "--print-config", "--state-file", path], capture_output=True, text=True,
                          timeout=bound(10))
    assert f'label: "kept"  # {path}:2\n' in done.stdout, done.stdout + done.stderr


def test_bad_files_never_prevent_a_start(host):
    folder = host.folder()
    good = FIRST + "what was changed over gRPC. Written by the daemon; remove the file to forget it.\nlabel: x\n" + LAST
    path = f"{folder}/state"
    for text, words, replaced in [("root:x:0:0:root:/root:/bin/bash\n", "is no state file", False),
                                  (good[:-3], "ends too early", True),
                                  (good.replace("label", "labl"), "did you mean label", True),
                                  (good.replace("label: x", "poll_timeout: 2h"), "must be less than", True)]:
        pathlib.Path(path).write_text(text, encoding="utf-8")
        d = host.daemon("--poll-frequency", "1h", "--state-file", path)
        d.allow(r"state_file: what was kept is not used: .*state", r"is not kept for the next start: .*left alone")
        d.wait_log(words)
        c = host.connect(d)
        assert c.get().label == ""
        c.set(label="new")
        if replaced:
            kept(path, "new", LAST)
        else:
            d.wait_log("is not kept for the next start")
            assert state_of(path) == text
        d.stop()


def test_a_directory_that_is_not_there(host):
    d = host.daemon("--poll-frequency", "1h", "--state-file", "/does/not/exist/state")
    d.allow(r"is not kept for the next start: /does/not/exist/state: cannot write")
    host.connect(d).set(label="x")
    d.wait_log("is not kept for the next start")


def answers(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


def test_killed_at_random_moments(host):
    """A hundred times kill -9 amid changes: the state file is always whole, never older than it was, and nothing that was
    left behind prevents the next start."""
    folder = host.folder()
    os.mkdir(f"{folder}/netns")
    path = f"{folder}/state"
    listener = f"{folder}/socket"
    chance = random.Random(4)
    command = [str(paths.DAEMON), "--grpc-listen", f"unix:{listener}", "--netns-dirs", f"{folder}/netns",
               "--proc-scan-interval", "0", "--poll-frequency", "1h", "--state-file", path]
    number = 0
    safe = 0
    for run in range(100):
        with open(f"{folder}/log", "wb") as log:
            p = host.process(*command, stdout=subprocess.DEVNULL, stderr=log)
        until(lambda: answers(path=listener), 10, "the start after a kill")
        c = Client(f"unix:{listener}")
        try:
            seen = int(c.get().label or 0)
            assert safe <= seen <= number, (safe, seen, number)
            if run % 5 == 0:  # what was once in the file is not lost any more
                number += 1
                c.set(label=str(number))
                kept(path, f'"{number}"')
                safe = number
            killer = threading.Timer(chance.uniform(0.005, 0.05), p.kill)
            killer.start()
            try:
                while True:
                    number += 1
                    c.set(label=str(number))
            except grpc.RpcError:
                pass
            killer.join()
            p.wait()
        finally:
            c.close()
        if os.path.exists(path):
            text = state_of(path)
            assert text.startswith(FIRST) and text.endswith(LAST), text
        assert b"is not used" not in pathlib.Path(f"{folder}/log").read_bytes()
    assert number > 200
