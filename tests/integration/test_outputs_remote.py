"""What callers may do to outputs over gRPC: outputs_remote, by a token, a certificate, a user, and the owner."""

import json
import subprocess

from harness.caller import as_user, python
from harness.certs import NAME, Authority
from test_tls import CONTROL_TOKEN, token_file

SOMEBODY = 64002

NETWORK = {"name": "n", "to": "tcp:127.0.0.1:9"}


def asked(folder, how, wrapper=()):
    """What a caller is told who sets the outputs of |how|: the code, and the text."""
    program = f"{folder}/set.py"
    with open(program, "w", encoding="utf-8") as f:
        f.write(SET)
    done = subprocess.run([*wrapper, *python(program), json.dumps(how)], cwd="/",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    code, _, text = done.stdout.partition(" ")
    return code, text


# A caller in a process of its own. It sends an XtcpConfig that it writes by hand: options (1001) { outputs (8) { output (1)
# { name, to, on_full, options } } }.
SET = """
import json, sys
import grpc
request = json.loads(sys.argv[1])

def field(number, data):
    def varint(v):
        out = b""
        while v >= 0x80:
            out += bytes([v & 0x7f | 0x80]); v >>= 7
        return out + bytes([v])
    return varint(number << 3 | 2) + varint(len(data)) + data

body = b""
for o in request["outputs"]:
    output = field(1, o["name"].encode()) + field(2, o["to"].encode())
    if "on_full" in o:
        output += field(10, o["on_full"].encode())
    for key, value in o.get("options", {}).items():
        output += field(13, field(1, key.encode()) + field(2, value.encode()))
    body += field(1, output)
message = field(1, field(1001, field(8, body)))
if "ca" in request:
    read = lambda name: open(request[name], "rb").read() if name in request else None
    channel = grpc.secure_channel(request["target"], grpc.ssl_channel_credentials(read("ca"), read("key"), read("cert")),
                                  options=[("grpc.ssl_target_name_override", "xtcp2.test")])
else:
    channel = grpc.insecure_channel(request["target"])
metadata = [("authorization", "Bearer " + request["token"])] if "token" in request else []
try:
    channel.unary_unary("/xtcp_config.v1.ConfigService/Set")(message, timeout=20, metadata=metadata)
    print("OK ")
except grpc.RpcError as e:
    print(e.code().name, e.details())
"""


class Place:
    """A daemon with outputs_remote, and its callers with the role control."""

    def __init__(self, host, remote):
        self.folder = host.folder()
        ours = Authority(self.folder, "ours")
        cert, key = ours.issue("server", sans=[NAME])
        client = ours.issue("client", sans=["ops.xtcp2.test"])
        self.daemon = host.daemon(
            "--poll-frequency", "1h", "--outputs-remote", remote, "--output-dirs", f"{self.folder}/out",
            "--spool-dir", f"{self.folder}/spool", "--unix-socket-mode", "0666", "--access-control-uids", str(SOMEBODY),
            "--grpc-tls-listen", "127.0.0.1:0", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-client-ca-file", ours.path,
            "--access-control-names", "ops.*", "--token-file", token_file(host), listen=[f"unix:{self.folder}/s", "127.0.0.1:0"])
        self.daemon.allow(r" output: ")
        unix, tcp, tls = (next(t for t in self.daemon.targets if condition(t)) for condition in
                          (lambda t: t.startswith("unix:"), lambda t: t == self.daemon.targets[1],
                           lambda t: t == self.daemon.targets[-1]))
        self.owner = {"target": unix}
        self.callers = [
            ({"target": unix}, as_user(SOMEBODY)),
            ({"target": tcp, "token": CONTROL_TOKEN}, as_user(64003)),
            ({"target": tls, "ca": ours.path, "cert": client[0], "key": client[1]}, ()),
        ]

    def ask(self, caller, *outputs):
        how, wrapper = caller
        return asked(self.folder, {**how, "outputs": outputs}, wrapper)

    def names(self, host):
        return [o.name for o in host.connect(self.daemon.targets[1]).list_outputs()]

    def file(self, name="f"):
        return {"name": name, "to": f"file:{self.folder}/out/{name}"}


def refused(answer, *parts):
    code, text = answer
    assert code == "PERMISSION_DENIED", answer
    for part in parts:
        assert part in text, answer


def test_off(host):
    """Nobody but the owner changes anything; the owner stays within the folders."""
    place = Place(host, "off")
    for caller in place.callers:
        refused(place.ask(caller, NETWORK), "options.outputs: outputs_remote (off)")
    owner = place.owner, ()
    assert place.ask(owner, NETWORK, place.file())[0] == "OK"
    refused(place.ask(owner, {"name": "x", "to": f"file:{place.folder}/elsewhere"}), "outputs: x: to: is in none of the directories")
    refused(place.ask(owner, {"name": "x", "to": f"file:{place.folder}/out/../x"}), 'outputs: x: to: has ".." in its path')
    for caller in place.callers:
        refused(place.ask(caller), "outputs_remote (off)")  # nor removes
    assert place.names(host) == ["n", "f"]


def test_network(host):
    """No files, no spool, no secrets from files, nothing of a library that reads or runs something."""
    place = Place(host, "network")
    for caller in place.callers:
        assert place.ask(caller, NETWORK)[0] == "OK"
        refused(place.ask(caller, NETWORK, place.file()), "outputs: f: to: names a file, which outputs_remote (network)")
        refused(place.ask(caller, {"name": "s", "to": "stdout"}), "outputs: s: to: ", "does not allow stdout")
        refused(place.ask(caller, {**NETWORK, "on_full": "spool"}), "outputs: n: on_full: ", "does not allow a spool")
        refused(place.ask(caller, {"name": "u", "to": "unix:/run/x"}), "outputs: u: to: names a file")
        refused(place.ask(caller, {"name": "h", "to": "http://127.0.0.1:9/", "options": {"token_file": "/etc/shadow"}}),
                "outputs: h: options: token_file: names a file")
        refused(place.ask(caller, {"name": "k", "to": "kafka:127.0.0.1:9", "options": {"kafka.ssl.ca.location": "/etc/shadow"}}),
                "outputs: k: options: kafka.ssl.ca.location: is for the configuration file and the owner")
        assert place.names(host) == ["n"]
    assert place.ask((place.owner, ()), place.file())[0] == "OK"
    for caller in place.callers:
        refused(place.ask(caller), "outputs: f: to: names a file")  # nor removes one that is a file


def test_all(host):
    """Files within the folders."""
    place = Place(host, "all")
    for caller in place.callers:
        assert place.ask(caller, NETWORK, place.file())[0] == "OK"
        refused(place.ask(caller, {"name": "x", "to": "file:/etc/cron.d/x"}), "outputs: x: to: is in none of the directories")
        refused(place.ask(caller, {"name": "k", "to": "kafka:127.0.0.1:9",
                                   "options": {"kafka.plugin.library.paths": "/tmp/x.so"}}), "outputs: k: options: kafka.plugin")
        assert place.names(host) == ["n", "f"]
