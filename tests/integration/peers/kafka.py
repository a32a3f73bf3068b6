"""A Kafka cluster on loopback: librdkafka's mock cluster by peers/kafka_mock.c. And a reader of its topics: kcat."""

import collections
import subprocess

from harness import paths
from harness.waiting import bound

TETHER = ("setpriv", "--pdeathsig", "KILL")  # it does not outlive the test
MOCK = paths.BUILD / "tests" / "kafka_mock"
KCAT = "kcat"  # of Debian's package of that name

# A record of a topic: |key| and |value| are bytes (None: there is none), |headers| a dict of texts.
Record = collections.namedtuple("Record", "partition key headers value")

# What kcat prints of a record: a line, and behind it the bytes of key and value, whose lengths are in the line.
FORMAT = r"%p %K %S %h\n%k%s"


class Cluster:
    """A cluster of so many |brokers|, started. `bootstrap` is for clients. `with` ends it."""

    def __init__(self, brokers=3):
        self._process = subprocess.Popen([*TETHER, str(MOCK), str(brokers)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, bufsize=1)
        word, _, self.bootstrap = self._process.stdout.readline().rstrip("\n").partition(" ")
        if word != "bootstrap":
            self.close()
        assert word == "bootstrap", f"kafka_mock ended with {self._process.returncode}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends it; once more does nothing."""
        if self._process.stdin.closed:
            return
        self._process.kill()
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    # ---- Faults ----

    def tell(self, *words):
        """Has it obey a line of |words| (peers/kafka_mock.c has the list)."""
        line = " ".join(map(str, words))
        self._process.stdin.write(line + "\n")
        answer = self._process.stdout.readline()
        assert answer == "ok\n", f"{line}: {answer}"

    def topic(self, name, partitions):
        self.tell("topic", name, partitions)

    def down(self, broker=0):
        """Takes the |broker| away, 1, 2, …, or all."""
        self.tell("down", broker)

    def up(self, broker=0):
        self.tell("up", broker)

    def fail(self, error, count=1, request="produce"):
        """The next |count| of these requests get the |error|."""
        self.tell("error", request, error, count)

    # ---- Records ----

    def records(self, topic):
        """All records of |topic|, partition by partition."""
        return consume(self.bootstrap, topic)


def consume(bootstrap, topic):
    """All records that are in |topic| now, partition by partition."""
    done = subprocess.run([KCAT, "-C", "-q", "-e", "-b", bootstrap, "-t", topic, "-o", "beginning", "-f", FORMAT],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=bound(60))
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return list(_parse(done.stdout))


def _parse(data):
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        partition, key_len, value_len, headers = data[at:end].decode().split(" ", 3)
        at = end + 1
        key, at = _take(data, at, int(key_len))
        value, at = _take(data, at, int(value_len))
        yield Record(int(partition), key, dict(h.split("=", 1) for h in headers.split(",") if h), value)


def _take(data, at, length):
    """The |length| bytes at |at| (negative: None), and where they end."""
    if length < 0:
        return None, at
    assert at + length <= len(data)
    return data[at:at + length], at + length
