"""A caller's view of its rights: a process of its own, as any user, that tries one call for each role.

As a program: caller.py REQUEST, a JSON object; prints a JSON object {role: status}. The calls carry no message, so nothing
but python3-grpcio is needed, whoever runs it.
"""

import json
import subprocess
import sys

if __package__:
    from . import paths

CALLS = {
    "health": "/grpc.health.v1.Health/Check",
    "read": "/xtcp_config.v1.ConfigService/Get",
    "control": "/xtcp_config.v1.ConfigService/TriggerPoll",
}


def python(file):
    """A command that runs the Python program |file|. Its text goes along: another user may not enter the folder that we are
    in, such as root's home.
    """
    library = paths.prctl()
    with open(file, encoding="utf-8") as f:
        return ("env", *([f"LD_PRELOAD={library}"] if library else []), "/usr/bin/python3", "-c", f.read())


def ask(target, wrapper=(), **request):
    """{role: status} of a caller at |target|: "OK", "PERMISSION_DENIED", …; |wrapper| says as whom."""
    request["target"] = target
    done = subprocess.run([*wrapper, *python(__file__), json.dumps(request)], cwd="/", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def as_user(uid, gid=None, groups=()):
    """A wrapper: the command runs as |uid| without any capability."""
    gid = uid if gid is None else gid
    extra = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
    return ("setpriv", f"--reuid={uid}", f"--regid={gid}", *extra, "--inh-caps=-all")


def _channel(request):
    import grpc

    def read(name):
        if name not in request:
            return None
        with open(request[name], "rb") as f:
            return f.read()

    if "ca" not in request:
        return grpc.insecure_channel(request["target"])
    credentials = grpc.ssl_channel_credentials(read("ca"), read("key"), read("cert"))
    return grpc.secure_channel(request["target"], credentials, options=[("grpc.ssl_target_name_override", "xtcp2.test")])


def main(request):
    import grpc
    metadata = [("authorization", f"Bearer {request['token']}")] if "token" in request else []
    answers = {}
    for role, method in CALLS.items():
        with _channel(request) as channel:
            try:
                channel.unary_unary(method)(b"", timeout=request.get("timeout", 20), metadata=metadata)
                answers[role] = "OK"
            except grpc.RpcError as e:
                answers[role] = e.code().name
                if request.get("texts"):
                    answers[role + "_text"] = e.details()
    print(json.dumps(answers))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
