"""The output of xtcp2client for records, and its changes of the configuration, against a real daemon."""

import csv
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import msgpack
import pytest
from google.protobuf import json_format, text_format

from harness import netns, paths
from harness.pseudo_terminal import PseudoTerminal
from harness.rpc import record_pb
from harness.waiting import bound, until

LIMIT = bound(20)


def client(target, *arguments, status=0, stdin=subprocess.DEVNULL, env=None, text=True):
    """A run that must end with |status|."""
    done = subprocess.run([paths.CLIENT, "--target", target, *arguments], stdin=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=text, timeout=LIMIT, env={**os.environ, **(env or {})})
    assert done.returncode == status, (arguments, done.stdout[-500:], done.stderr)
    assert "Sanitizer" not in (done.stderr if text else done.stderr.decode())
    return done


def delimited(data, message):
    """Messages, each behind its length."""
    messages = []
    while data:
        size = shift = 0
        for at, byte in enumerate(data):
            size |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                break
        data = data[at + 1:]
        assert size <= len(data)
        messages.append(message.FromString(data[:size]))
        data = data[size:]
    return messages


def envelopes(data):
    """The records of length-delimited Envelopes."""
    return [record for envelope in delimited(data, record_pb.Envelope) for record in envelope.row]


def unpacked(data):
    """The maps of MessagePack."""
    unpacker = msgpack.Unpacker(raw=False)
    unpacker.feed(data)
    return list(unpacker)


# ---- Formats ----

LISTEN = ["state", "listening"]
BINARY = ("protobuf-list", "protobuf-delimited", "msgpack")
FORMS = ("table", "wide", "jsonl", "json", "protojson", "protojson-envelope", "humanize", "csv", "tsv", "prototext", *BINARY,
         "proto", "null")


def test_every_format(daemon):
    port = daemon.port
    out = {form: client(daemon.target, "-q", "-o", form, "poll", *LISTEN, text=form not in (*BINARY, "proto")) for form in FORMS}
    ports = {
        "jsonl": [json.loads(x)["inet_diag_msg_socket_source_port"] for x in out["jsonl"].stdout.splitlines()],
        "json": [x["inet_diag_msg_socket_source_port"] for x in json.loads(out["json"].stdout)],
        "protojson": [json_format.Parse(x, record_pb.XtcpFlatRecord()).inet_diag_msg_socket_source_port
                      for x in out["protojson"].stdout.splitlines()],
        "csv": [int(x["inet_diag_msg_socket_source_port"]) for x in csv.DictReader(io.StringIO(out["csv"].stdout))],
        "tsv": [int(x["inet_diag_msg_socket_source_port"])
                for x in csv.DictReader(io.StringIO(out["tsv"].stdout), delimiter="\t", quoting=csv.QUOTE_NONE)],
        "protojson-envelope": [x.inet_diag_msg_socket_source_port for x in
                               json_format.Parse(out["protojson-envelope"].stdout, record_pb.Envelope()).row],
        "humanize": [json.loads(x)["inetDiagMsgSocketSourcePort"] for x in out["humanize"].stdout.splitlines()],
        "prototext": [x.inet_diag_msg_socket_source_port for x in
                      text_format.Parse(out["prototext"].stdout, record_pb.Envelope()).row],
        "proto": [x.inet_diag_msg_socket_source_port for x in envelopes(out["proto"].stdout)],
        "protobuf-list": [x.inet_diag_msg_socket_source_port for x in envelopes(out["protobuf-list"].stdout)],
        "protobuf-delimited": [x.inet_diag_msg_socket_source_port for x in
                               delimited(out["protobuf-delimited"].stdout, record_pb.XtcpFlatRecord)],
        "msgpack": [x["inet_diag_msg_socket_source_port"] for x in unpacked(out["msgpack"].stdout)],
    }
    for form, found in ports.items():
        assert port in found, form
    for form in ("table", "wide"):
        assert re.search(rf"^default +LISTEN .* 127\.0\.0\.1:{port} ", out[form].stdout, re.M), form
    assert {"TIMER", "SSTHRESH", "COOKIE"} <= set(out["wide"].stdout.split("\n")[0].split())
    assert out["null"].stdout == ""
    assert re.search(r"^\d+ records?, \S+B in \S+: \S+ records/s, \S+B/s$", out["null"].stderr, re.M)


def test_columns_of_every_format(daemon):
    chosen = ["-c", "sport,state,local", *LISTEN]
    fields = ["inet_diag_msg_socket_source_port", "inet_diag_msg_state", "inet_diag_msg_socket_source",
              "inet_diag_msg_family"]
    for form in ("jsonl", "json"):
        text = client(daemon.target, "-q", "-o", form, "snapshot", *chosen).stdout
        rows = json.loads(text) if form == "json" else [json.loads(x) for x in text.splitlines()]
        assert rows and all(list(x) == fields for x in rows)
    assert client(daemon.target, "-q", "-o", "csv", "snapshot", *chosen).stdout.split("\n")[0] == ",".join(fields)
    assert "\t".join(fields) not in client(daemon.target, "-o", "tsv", "snapshot", "-H", *chosen).stdout
    assert client(daemon.target, "-q", "snapshot", *chosen).stdout.split("\n")[0].split() == ["SPORT", "STATE", "LOCAL"]
    for record in envelopes(client(daemon.target, "-o", "proto", "snapshot", *chosen, text=False).stdout):
        assert {f.name for f, _ in record.ListFields()} <= {*fields, "diag_attributes"}  # what tells zeros, too
    assert "did you mean" in client(daemon.target, "snapshot", "-c", "tcp_info_rt", status=2).stderr


@pytest.mark.parametrize("arguments, said", [
    (["-N", "defalt"], "no namespace that is polled is called defalt; did you mean default?"),
    (["netns = web*"], "no namespace that is polled is called web*"),
    (["state listening and cong = cubci"], "no congestion control algorithm of this host is called cubci; there are: "),
    (["dev = nosuch0 or dev = nosuch1"], "no namespace that was polled has a device called nosuch1"),
    (["cgroup = /no/such"], "there is no control group /no/such"),
])
def test_names_of_nothing(daemon, arguments, said):
    """An empty answer comes with what nothing is called; one that is not, or is empty for another reason, does not."""
    for command in ("snapshot", "poll"):
        done = client(daemon.target, "-q", "-o", "csv", command, "-H", *arguments)
        assert not done.stdout and said in done.stderr, done
    assert not client(daemon.target, "-q", "-o", "csv", "snapshot", "uid = 4000000000 and netns = def*").stderr
    alternatives = [*arguments[:2], "-N", "default"] if arguments[0] == "-N" else [f"({arguments[0]}) or state listening"]
    done = client(daemon.target, "-q", "-o", "csv", "snapshot", "-H", *alternatives)
    assert done.stdout and not done.stderr


def test_names_of_something(daemon):
    for words in (["-N", "default"], ["dev = lo"], ["not netns = nosuch and uid = 4000000000"], ["cong != nosuch and uid = 4000000000"],
                  ["netns = default and uid = 4000000000"]):
        assert not client(daemon.target, "-q", "-o", "csv", "snapshot", "-H", *words).stderr, words


def test_titles_are_names(daemon):
    """The titles of columns can be typed: to sort, to filter, to choose."""
    table = client(daemon.target, "-q", "-o", "wide", "snapshot", *LISTEN).stdout
    titles = table.split("\n")[0].split()
    assert "RETRANS" in titles and "RECV-Q" in titles
    again = client(daemon.target, "-q", "-o", "table", "snapshot", "-s", "-RETRANS,rtt,State", "-c", ",".join(titles),
                   "STATE = Listening AND NOT RECV-Q > 100 AND retrans = 0").stdout
    assert again.split("\n")[0].split() == titles and "LISTEN" in again
    titles = [title for title in titles if title not in ("LIMIT", "STATE")]
    for some in (titles[i:i + 8] for i in range(0, len(titles), 8)):
        client(daemon.target, "-q", "snapshot", "-s", ",".join(some), " or ".join(f"{title} = 1" for title in some))


def test_sorted(daemon):
    def ports(key):
        text = client(daemon.target, "-q", "-o", "jsonl", "snapshot", "-c", "netns", "--sort-by", key).stdout
        assert all(list(json.loads(x)) == ["netns"] for x in text.splitlines())
        text = client(daemon.target, "-q", "-o", "jsonl", "snapshot", "-c", "sport", "--sort-by", key).stdout
        return [json.loads(x).get("inet_diag_msg_socket_source_port", 0) for x in text.splitlines()]
    found = ports("sport")
    assert found == sorted(found)
    for key in ("-sport", "sport:desc", "-inet_diag_msg_socket_source_port"):
        found = ports(key)
        assert found == sorted(found, reverse=True)


def test_time_in_front(daemon):
    line = client(daemon.target, "-q", "-o", "csv", "snapshot", "-T", "-c", "sport", *LISTEN).stdout.splitlines()
    assert line[0].startswith("time,")
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z,\d+$", line[1])
    table = client(daemon.target, "-q", "snapshot", "-T", *LISTEN).stdout.splitlines()
    assert table[0].startswith("TIME ") and re.match(r"\d{4}-\d\d-\d\dT\S+Z ", table[1])


def test_numeric(daemon):
    def cells(*extra):
        text = client(daemon.target, "-q", "snapshot", "-H", "-c", "inode,rcv_space", *extra, *LISTEN).stdout
        return {x.split()[0] for x in text.splitlines()}
    assert cells() == cells("-n")  # what has no unit stays exact


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_json_is_a_list_also_when_interrupted(host, sig):
    d = host.daemon("--poll-frequency", "50ms")
    folder = host.folder()
    with open(f"{folder}/out", "w+", encoding="utf-8") as out:
        p = host.process(paths.CLIENT, "--target", d.target, "-o", "json", "stream", stdout=out,
                         stderr=subprocess.DEVNULL)
        until(lambda: os.path.getsize(f"{folder}/out") > 1000, 5, "records")
        p.send_signal(sig)
        assert p.wait(LIMIT) == 0
        out.seek(0)
        rows = json.load(out)
    assert rows and all(x["netns"] == "default" for x in rows)


def test_addresses_as_ss_writes_them(daemon):
    """Both families or IPv6 alone, and the device that a socket is bound to; formats for programs have these as fields."""
    with socket.socket(socket.AF_INET6) as dual, socket.socket(socket.AF_INET6) as alone, socket.socket() as bound:
        dual.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        alone.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        ports = []
        for s in (dual, alone, bound):
            s.bind(("", 0))
            s.listen()
            ports.append(s.getsockname()[1])
        want = [[f"*:{ports[0]}", "*:*"], [f"[::]:{ports[1]}", "[::]:*"], [f"0.0.0.0%lo:{ports[2]}", "0.0.0.0:*"]]
        words = " or ".join(f"sport = {port}" for port in ports)
        for options in (["-o", "table"], ["-o", "wide"], ["-o", "table", "-c", "local,peer"]):
            lines = client(daemon.target, "-q", "poll", *options, words).stdout.splitlines()[1:]
            found = [[x for x in line.split() if ":" in x][:2] for line in lines]
            assert sorted(found) == sorted(want), options
        fields = ["inet_diag_msg_socket_source", "inet_diag_msg_socket_interface", "socket_interface_name", "v6only"]
        rows = {x["inet_diag_msg_socket_source_port"]: [x.get(f) for f in fields] for x in
                map(json.loads, client(daemon.target, "-q", "-o", "jsonl", "poll", words).stdout.splitlines())}
        assert rows == {ports[0]: ["::", 0, None, 0], ports[1]: ["::", 0, None, 1], ports[2]: ["0.0.0.0", 1, "lo", None]}
        text = client(daemon.target, "-q", "-o", "csv", "poll", "-c", "local", f"sport = {ports[0]}").stdout
        assert text.splitlines()[1] == f"::,{ports[0]},10"


def test_devices_of_other_namespaces(host, daemon):
    """An index means something in its own namespace alone: there the device 1 is called otherwise."""
    ns = host.namespace()
    for change in (["down"], ["name", "hoop"], ["up"]):
        netns.run("ip", "-n", ns.name, "link", "set", "hoop" if change == ["up"] else "lo", *change)
    with ns:
        listener = host.keep(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"hoop")
        listener.bind(("", 0))
        listener.listen()
    host.names_of(daemon).add("other", ns.path)
    port = listener.getsockname()[1]
    words = ["poll", "-H", "-c", "netns,local", "socket_interface_name", "=", "hoop", "and", "sport", "=", str(port)]
    until(lambda: client(daemon.target, "-q", "-o", "table", *words).stdout.split() == ["other", f"0.0.0.0%hoop:{port}"], 5,
          "the name of the device")


# ---- Locales ----

@pytest.fixture
def turkish(host):
    """The environment of a Turkish locale: there i and I are not the same letter."""
    folder = host.folder()
    with open(f"{folder}/source", "w", encoding="ascii") as f:
        f.write('LC_CTYPE\ncopy "tr_TR"\nEND LC_CTYPE\n')
    made = subprocess.run(["localedef", "-c", "-i", f"{folder}/source", "-f", "UTF-8", f"{folder}/tr_TR.UTF-8"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    if not os.path.exists(f"{folder}/tr_TR.UTF-8/LC_CTYPE"):
        pytest.skip(f"no Turkish locale (package locales): {made.stderr[-200:]}")
    return {"LOCPATH": folder, "LC_CTYPE": "tr_TR.UTF-8", "LC_ALL": ""}


def test_the_locale_changes_no_protocol(daemon, turkish):
    plain = {"LC_ALL": "C.UTF-8"}
    texts = [client(daemon.target, "get", env=env).stdout for env in (turkish, plain)]
    assert "procScanInterval" in texts[0] and texts[0] == texts[1]
    names = [json.loads(client(daemon.target, "-o", "protojson", "status", env=env).stdout) for env in (turkish, plain)]
    assert names[0].keys() == names[1].keys()
    for words in (["state", "LISTEN"], ["family", "=", "INET"]):
        assert str(daemon.port) in client(daemon.target, "-q", "-o", "csv", "poll", *words, env=turkish).stdout
    client(daemon.target, "--header", "X-ID: 1", "status", env=turkish)
    done = client(daemon.target, "-q", "-o", "table", "poll", "-c", "inode", *LISTEN, env=turkish)
    assert done.stdout.lstrip().startswith("INODE\n")


# ---- Filters ----

def test_filters(host):
    ns = host.namespace()
    d = host.daemon("--poll-frequency", "1h", everywhere=True)

    def names(*arguments):
        text = client(d.target, "-q", "-o", "jsonl", "snapshot", *arguments).stdout
        return {json.loads(x)["netns"] for x in text.splitlines()}

    with ns:
        sock = socket.create_server(("127.0.0.1", 0))
    with sock:
        port = sock.getsockname()[1]
        assert names("--netns", ns.name, f"sport = :{port}") == {ns.name}
        assert names("-N", ns.name[:-1] + "*", "-N", "nothing", "sport", "=", f":{port}") == {ns.name}
        assert names("-N", str(ns.inode)) == {ns.name}
        assert names(f"netns = {ns.name} and state listening") == {ns.name}
        assert ns.name not in names(f"sport = :{port} and netns != {ns.name}")
    done = client(d.target, "snapshot", "sport = = 3", status=2)
    assert "column 9" in done.stderr and done.stdout == ""


# ---- On a terminal ----

@pytest.fixture
def terminal():
    """Makes PseudoTerminals; what runs on one of them at the end of the test is ended."""
    made = []

    def make(*arguments, **how):
        made.append(PseudoTerminal(*arguments, **how))
        return made[-1]

    yield make
    for it in made:
        it.kill()
        it.process.wait()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_width(daemon, terminal, width):
    it = terminal([paths.CLIENT, "--target", daemon.target, "-q", "snapshot", "state", "listening"], width,
                  errors=subprocess.DEVNULL)
    assert it.end() == 0
    lines = it.text.split("\r\n")
    titles = lines[0].split()
    assert {"STATE", "LOCAL", "PEER"} <= set(titles)
    assert any(f":{daemon.port} " in x for x in lines[1:])
    assert all(len(x) <= width for x in lines), lines
    assert ("MIN-RTT" in titles) == (width == 200)


@pytest.mark.parametrize("form", [*BINARY, "proto"])
def test_binary_forms_are_not_for_a_terminal(daemon, terminal, form):
    it = terminal([paths.CLIENT, "--target", daemon.target, "-o", form, "snapshot"], 80)
    assert it.end() == 2
    assert "not for a terminal" in it.text


def test_progress(host, terminal):
    """A wait is told on a terminal, and what told it is erased; without a terminal there is no word of it."""
    d = host.daemon("--poll-frequency", "6s")
    command = [paths.CLIENT, "--target", d.target, "stream", "--polls", "1", "-o", "null"]
    it = terminal(command, 60)
    it.read_until("waiting for what")
    it.read_until("poll ")
    assert it.end() == 0
    assert re.search(r"waiting for what \S+ sends first: \d+s", it.text)
    last = it.text.rindex("waiting for what")
    assert "\r\x1b[K" in it.text[last:it.text.index("poll ", last)]
    assert "waiting" not in client(d.target, "stream", "--polls", "1", "-o", "null").stderr


# ---- The configuration ----

def test_set_and_reset(host, daemon):
    connection = host.connect(daemon)
    done = client(daemon.target, "set", "label=rack 7", "log.level=debug", "queue_rows=5000")
    assert 'label: "" -> "rack 7"' in done.stdout and 'options.log.level: "info" -> "debug"' in done.stdout
    now = connection.get()
    assert (now.label, now.options.log.level, now.options.limits.queue_rows) == ("rack 7", "debug", 5000)
    done = client(daemon.target, "set", "--dry-run", "label=x")
    assert 'label: "rack 7" -> "x"' in done.stdout and "nothing was changed" in done.stdout
    assert connection.get().label == "rack 7"
    client(daemon.target, "set", "label=")
    assert connection.get().label == ""
    assert "nothing changed" in client(daemon.target, "set", "label=").stdout
    client(daemon.target, "reset", "queue_rows", "log_level")
    now = connection.get()
    assert now.options.limits.queue_rows != 5000 and now.options.log.level == "info"
    listen = list(now.options.listeners.listen)
    client(daemon.target, "reset", "--all")
    assert list(connection.get().options.listeners.listen) == listen


@pytest.mark.parametrize("arguments, status, words", [
    (["set", "labell=x"], 2, 'did you mean "label"'), (["set", "label"], 2, "KEY=VALUE"), (["set"], 2, "KEY=VALUE"),
    (["set", "poll_frequency=soon"], 2, "duration"), (["set", "label=" + "x" * 41], 1, "label"),
    (["set", "modulus=0"], 1, "modulus"), (["set", "label=x", "label=y"], 2, "given twice"),
    (["set", "label=x", "netlinkers=2"], 1, "netlinkers"), (["reset"], 2, "--all"),
    (["reset", "nothing"], 2, "nothing"), (["reset", "--all", "label"], 2, "--all")])
def test_set_what_is_wrong(host, daemon, arguments, status, words):
    before = host.connect(daemon).get()
    done = client(daemon.target, *arguments, status=status)
    assert words in done.stderr and done.stdout == ""
    assert host.connect(daemon).get() == before


def test_changes(daemon):
    assert "as it was at the start" in client(daemon.target, "changes").stderr
    client(daemon.target, "set", "label=ab")
    client(daemon.target, "set", "tag=c")
    rows = [json.loads(x) for x in client(daemon.target, "-o", "jsonl", "changes").stdout.splitlines()]
    assert [x["options"][0]["after"] for x in rows] == ["ab", "c"]
    assert rows[1]["generation"] == rows[0]["generation"] + 1 and rows[0]["origin"] == "Set"
    table = client(daemon.target, "-o", "table", "changes").stdout.splitlines()
    assert table[0].split()[0] == "WHEN" and table[1].split()[-1] == "ab"


def editor(folder, body):
    """A program that edits: python with |d| as the configuration."""
    path = f"{folder}/editor"
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/usr/bin/python3\nimport json, subprocess, sys\nname = sys.argv[1]\nd = json.load(open(name))\n"
                f"{body}\njson.dump(d, open(name, 'w'), indent=2)\n")
    os.chmod(path, 0o755)
    return {"VISUAL": path, "TMPDIR": folder}


def kept(folder):
    return [x for x in os.listdir(folder) if x.startswith("xtcp2-")]


def test_edit(host, daemon):
    folder = host.folder()
    connection = host.connect(daemon)
    client(daemon.target, "set", "tag=gone", "queue_rows=5000")
    body = "d['label'] = 'blue'; del d['tag']; del d['options']['limits']['queueRows']"
    done = client(daemon.target, "edit", "--dry-run", env=editor(folder, body))
    assert 'label: "" -> "blue"' in done.stdout and connection.get().label == ""
    done = client(daemon.target, "edit", env=editor(folder, body))
    assert 'tag: "gone" -> ""' in done.stdout
    now = connection.get()
    assert (now.label, now.tag) == ("blue", "") and now.options.limits.queue_rows != 5000
    assert "nothing changed" in client(daemon.target, "edit", env={"VISUAL": "true", "TMPDIR": folder}).stdout
    assert kept(folder) == []


def test_edit_that_fails_keeps_the_text(host, daemon):
    folder = host.folder()
    for body, words in (("d['labell'] = 'x'", ":"), ("d['label'] = 7", "label: must be a string"),
                        ("d['label'] = 'x' * 41", "label")):
        done = client(daemon.target, "edit", env=editor(folder, body), status=1)
        (name,) = kept(folder)
        assert words in done.stderr and f"{folder}/{name}" in done.stderr
        os.unlink(f"{folder}/{name}")
    assert "ended with 1" in client(daemon.target, "edit", env={"VISUAL": "false", "TMPDIR": folder}, status=1).stderr
    assert kept(folder) == []


def test_edit_while_somebody_else_does(host, daemon):
    folder = host.folder()
    other = f"subprocess.run(['{paths.CLIENT}', '--target', '{daemon.target}', 'set', 'tag=other'], check=True)"
    done = client(daemon.target, "edit", env=editor(folder, f"d['label'] = 'mine'; {other}"), status=1)
    assert "generation" in done.stderr and len(kept(folder)) == 1
    now = host.connect(daemon).get()
    assert (now.label, now.tag) == ("", "other")


@pytest.mark.parametrize("answers, label", [("y\n", "blue"), ("\n", ""), ("e\ny\n", "blue"), ("n\n", "")])
def test_edit_asks(host, daemon, terminal, answers, label):
    folder = host.folder()
    it = terminal([paths.CLIENT, "--target", daemon.target, "edit"], 100, env=editor(folder, "d['label'] = 'blue'"))
    for answer in answers.splitlines(keepends=True):
        it.read_until("apply? [y/N/e: edit again] ")
        it.text = ""
        it.write(answer)
    assert it.end() == (0 if label else 1)
    assert host.connect(daemon).get().label == label
    assert len(kept(folder)) == (0 if label else 1)


# ---- Completion ----

def complete(script, *words):
    """The words that bash offers for the last of |words|."""
    program = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _xtcp2client; '
               'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", program, "bash", script, "xtcp2client", *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return [x for x in done.stdout.split("\n") if x]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        done = subprocess.run([paths.CLIENT, "completion", shell], stdout=subprocess.PIPE, check=True, timeout=LIMIT)
        (folder / shell).write_bytes(done.stdout)
    return folder


def test_bash(scripts):
    script = str(scripts / "bash")
    assert complete(script, "sna") == ["snapshot"]
    assert {"stream", "poll", "completion", "set"} <= set(complete(script, ""))
    assert complete(script, "snapshot", "--sort") == ["--sort-by"]
    assert "--target" in complete(script, "--t") and "--count" not in complete(script, "--c")
    assert {"json", "jsonl"} == set(complete(script, "snapshot", "-o", "json"))
    assert complete(script, "status", "-o", "c") == []  # status has no csv
    assert complete(script, "stream", "--output", "=", "ts") == ["tsv"]
    assert complete(script, "-t", "host", "str") == ["stream"]
    assert complete(script, "--target", "=", "host", "str") == ["stream"]
    assert complete(script, "snapshot", "-c", "local,congestion_algorithm_s") == []
    assert complete(script, "snapshot", "-c", "local,pee") == ["local,peer"]
    assert complete(script, "snapshot", "--sort-by", "-ino") == ["-inode"]
    assert complete(script, "completion", "b") == ["bash"]
    assert complete(script, "outputs", "re") == ["remove", "resume"]
    assert str(scripts / "zsh") in complete(script, "apply", str(scripts / "z"))
    assert complete(script, "burst", "-n", "") == []
    assert complete(script, "stream", "-H", "--col") == ["--columns"]  # no value
    assert complete(script, "status", "-H", "--out") == []


@pytest.mark.parametrize("shell, check", [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])])
def test_scripts_are_read(scripts, shell, check):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([*check, str(scripts / shell)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=LIMIT)
    assert done.returncode == 0 and done.stdout == "", done.stdout


def test_fish(scripts):
    """Its word for -H is the one of the command, where the command has one."""
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")

    def complete_fish(line):
        done = subprocess.run(["fish", "-c", f"source {scripts / 'fish'}; complete -C '{line}'"], stdout=subprocess.PIPE,
                              check=True, text=True, timeout=LIMIT)
        return dict(x.split("\t", 1) for x in done.stdout.splitlines())

    assert "snapshot" in complete_fish("xtcp2client sna")
    stream = complete_fish("xtcp2client stream -")
    assert "titles" in stream["-H"] and "NAME: VALUE" in stream["--header"]
    assert "NAME: VALUE" in complete_fish("xtcp2client status -")["-H"]
    assert complete_fish("xtcp2client watch --time").keys() == {"--time", "--timeout"}
    assert {"table", "csv"} <= complete_fish("xtcp2client stream -o ").keys()


def test_an_unknown_shell():
    done = subprocess.run([paths.CLIENT, "completion", "csh"], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 2 and "bash, zsh or fish" in done.stderr
