"""A ClickHouse server, of a package that was unpacked and not installed, on loopback.

ROOT is where Debian's clickhouse-server lies with all that it depends on, as `dpkg-deb -x` puts it there. Everything that the
server writes is in a folder of the caller.
"""

import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

TETHER = ("setpriv", "--pdeathsig", "KILL")  # it does not outlive the test
ROOT = pathlib.Path(__file__).resolve().parents[3] / ".deps" / "clickhouse"

# Ports other than that of HTTP are not opened. The caches are made for a large machine otherwise.
CONFIG = """<?xml version="1.0"?>
<yandex>
    <logger><level>warning</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>
    <listen_host>127.0.0.1</listen_host>
    <http_port>{port}</http_port>
    <path>{folder}/data/</path>
    <tmp_path>{folder}/tmp/</tmp_path>
    <user_files_path>{folder}/files/</user_files_path>
    <users_config>{folder}/users.xml</users_config>
    <default_profile>default</default_profile>
    <default_database>default</default_database>
    <mark_cache_size>8388608</mark_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <keep_alive_timeout>{keep_alive}</keep_alive_timeout>
    <timezone>UTC</timezone>
</yandex>
"""

USERS = """<?xml version="1.0"?>
<yandex>
    <profiles><default><max_memory_usage>1000000000</max_memory_usage></default></profiles>
    <quotas><default/></quotas>
    <users>
        <default>
            <password/>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>default</profile><quota>default</quota>
        </default>
        <writer>
            <password>{password}</password>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>default</profile><quota>default</quota>
        </writer>
    </users>
</yandex>
"""


def find(root=ROOT):
    """The program below |root|, or None."""
    program = pathlib.Path(root) / "usr/sbin/clickhouse-server"
    return program if program.exists() else None


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class ClickHouse:
    """The server, started. |folder| is the caller's, who removes it. Its users are default, without a password, and writer with
    |password|. The port stays the same when it starts again."""

    def __init__(self, folder, root=ROOT, password="secret of the writer", keep_alive=3):
        self.folder = pathlib.Path(folder)
        self.root = pathlib.Path(root)
        self.port = _free_port()
        self._process = None
        (self.folder / "config.xml").write_text(
            CONFIG.format(folder=self.folder, port=self.port, keep_alive=keep_alive))
        (self.folder / "users.xml").write_text(USERS.format(password=password))
        try:
            self.start()
        except BaseException:
            self.kill()
            raise

    def start(self):
        libraries = [f"{self.root}/{at}/x86_64-linux-gnu" for at in ("usr/lib", "lib")]
        with open(self.folder / "stderr", "ab") as out:
            self._process = subprocess.Popen(
                [*TETHER, str(find(self.root)), f"--config-file={self.folder}/config.xml"], stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, cwd=self.folder, env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)})
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, f"exit code {self._process.returncode}\n{self.errors()}"
            assert time.monotonic() < deadline, f"it does not start\n{self.errors()}"
            time.sleep(0.05)

    def _answers(self):
        try:
            return self.query("SELECT 1") == "1\n"
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def errors(self):
        """What it has complained of."""
        texts = []
        for name in ("stderr", "errors"):
            path = self.folder / name
            texts.append(path.read_text(errors="replace") if path.exists() else "")
        return "".join(texts)

    def _end(self, how, seconds):
        if self._process:
            self._process.send_signal(how)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def kill(self):
        """Ends it as a crash does. May be called twice, as stop may."""
        self._end(signal.SIGKILL, 60)

    def stop(self):
        self._end(signal.SIGTERM, 20)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    # ---- Queries ----

    def url(self, query="", **parameters):
        """The URL of a query whose text, or the rest of it, is sent as the body."""
        parameters = {"query": query, **parameters} if query else parameters
        # Spaces as %20: a plus sign is for forms.
        return f"http://127.0.0.1:{self.port}/?{urllib.parse.urlencode(parameters, quote_via=urllib.parse.quote)}"

    def query(self, text):
        """The answer to a query, as text."""
        with urllib.request.urlopen(self.url(), data=text.encode(), timeout=30) as answer:
            return answer.read().decode()

    def rows(self, text):
        """The rows of a SELECT, each a list of texts."""
        return [line.split("\t") for line in self.query(text).splitlines()]
