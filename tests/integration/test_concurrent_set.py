"""Many changes at once: every answer is correct, no configuration is torn, and a stream loses no poll over it."""

import os
import random
import stat
import threading

import grpc

from harness.rpc import Code, config_pb
from harness.waiting import bound

CLIENTS = 4
REQUESTS = 250  # of each client

GROUPS = ("meminfo", "info", "vegas", "cong", "tos", "tc", "skmem", "shut", "dctcp", "bbr", "classid", "cgroup", "sockopt")


def text(chance, longest):
    return "".join(chance.choice("abc ü☃") for _ in range(chance.randint(1, longest)))


def draw(chance, generation, place):
    """A request with some fields, a part of them out of bounds, and what must be in force when it is accepted."""
    request = config_pb.SetRequest()
    c = request.config
    for field in chance.sample(("label", "tag", "location", "times", "groups", "jitter", "debug_level", "limits", "dirs",
                                "selection", "listeners", "mode"), chance.randint(1, 4)):
        if field in ("label", "tag"):
            setattr(c, field, text(chance, 44))  # some are too long
        elif field == "location":
            c.location = text(chance, 60)
        elif field == "times":
            c.poll_frequency.FromMilliseconds(chance.randint(10, 40))
            c.poll_timeout.FromMilliseconds(chance.randint(1, 15))  # sometimes not less
        elif field == "groups":
            for name in chance.sample(GROUPS, chance.randint(0, len(GROUPS))):
                c.enabled_deserializers.enabled[name] = True
            c.enabled_deserializers.SetInParent()
        elif field == "jitter":
            c.poll_jitter_pct = chance.choice((1, 50, 100, 101))
        elif field == "debug_level":
            c.debug_level = chance.choice((1, 5, 10, 42, 99))  # nothing below a warning, or the log is long
        elif field == "limits":
            c.options.limits.queue_rows = chance.choice((1023, 1024, 500000))
        elif field == "dirs":
            c.options.namespaces.directories.path.extend(chance.sample(("/run/a", "/run/b", "/run/c", "relative"), 2))
        elif field == "selection":
            c.options.namespaces.include.item.extend(chance.sample(("default", "kind:own", "*"), chance.randint(0, 2)))
            c.options.namespaces.include.SetInParent()
            c.options.namespaces.exclude.item.extend(chance.sample(("web-*", "default", "cookie:7", "kind:wrong"), 1))
        elif field == "listeners":
            # 127.0.0.1:0 is that of the start, which all are connected to; nobody can have the last one.
            c.options.listeners.listen.extend(["127.0.0.1:0", *chance.sample(
                [f"unix-abstract:{place}-1", f"unix-abstract:{place}-2", f"unix:{place}/s", "unix:/proc/s"], 2)])
        elif field == "mode":
            c.options.access.unix_socket_mode = chance.choice(("0600", "0660", "0666", "0644"))
    how = chance.random()
    if how < 0.2:
        request.dry_run = True
    elif how < 0.4:
        c.generation = generation
    elif how < 0.5:
        request.reset.extend(chance.sample(("label", "location", "poll_jitter_pct", "debug_level", "nonsense"), 1))
    return request


def check_in_force(request, answer):
    """The answer has the values that were asked for."""
    asked, now = request.config, answer.config
    for field in ("label", "tag", "location", "poll_jitter_pct", "debug_level"):
        if getattr(asked, field):
            assert getattr(now, field) == getattr(asked, field), (request, answer)
    for field in ("poll_frequency", "poll_timeout"):
        if asked.HasField(field):
            assert getattr(now, field) == getattr(asked, field), (request, answer)
    if asked.HasField("enabled_deserializers"):
        on = {name for name, value in now.enabled_deserializers.enabled.items() if value}
        assert on == set(asked.enabled_deserializers.enabled), (request, answer)
    if asked.options.limits.queue_rows:
        assert now.options.limits.queue_rows == asked.options.limits.queue_rows
    if asked.options.namespaces.HasField("directories"):
        assert now.options.namespaces.directories == asked.options.namespaces.directories
    for field in ("include", "exclude"):
        if asked.options.namespaces.HasField(field):
            assert getattr(now.options.namespaces, field) == getattr(asked.options.namespaces, field)
    if asked.options.HasField("listeners"):
        assert now.options.listeners == asked.options.listeners
    if asked.options.access.unix_socket_mode:
        assert now.options.access.unix_socket_mode == asked.options.access.unix_socket_mode
    assert now.poll_timeout.ToNanoseconds() < now.poll_frequency.ToNanoseconds()


class Changer:
    """A client that sends random requests on a thread of its own."""

    def __init__(self, client, seed, place):
        self.client = client
        self.place = place
        self.chance = random.Random(seed)
        self.applied = {}  # generation: configuration
        self.codes = dict.fromkeys((Code.OK, Code.ABORTED, Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION), 0)
        self.failure = None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            for _ in range(REQUESTS):
                self._step()
        except BaseException as e:  # pylint: disable=broad-except
            self.failure = e

    def _step(self):
        request = draw(self.chance, self.client.get().generation, self.place)
        try:
            answer = self.client.config.Set(request, timeout=bound(10))
        except grpc.RpcError as e:
            assert e.code() in self.codes, e
            assert (e.code() == Code.FAILED_PRECONDITION) == ("unix:/proc/s" in e.details()), e
            assert (e.code() == Code.ABORTED) == ("generation" in e.details()), e
            assert e.details()
            self.codes[e.code()] += 1
            return
        self.codes[Code.OK] += 1
        check_in_force(request, answer)
        if answer.changed and not request.dry_run:
            assert answer.config.generation not in self.applied
            self.applied[answer.config.generation] = answer.config


def test_a_thousand_changes_during_a_stream(host):
    place = host.folder()  # of sockets: it stays until the daemon has ended
    d = host.daemon("--poll-frequency", "20ms", "--poll-timeout", "15ms")
    watcher = host.connect(d)
    changers = [Changer(host.connect(d), seed, place) for seed in range(CLIENTS)]
    with watcher.edges() as stream:
        for c in changers:
            c.thread.start()
        for c in changers:
            c.thread.join(bound(120))
            assert not c.thread.is_alive()
        for c in changers:
            if c.failure:
                raise c.failure
        watcher.set_frequency(0.05, 0.04)
        polls = stream.polls(5)
        while polls[-1].begin.poll_id < watcher.status().polls:
            polls += stream.polls(1)

    # Not one poll is missing, none lost a row, each is one whole.
    ids = [p.begin.poll_id for p in polls]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    for p in polls:
        assert p.end.rows_lost == 0
        assert p.end.rows_sent == len(p.rows)
        assert len({(r.label, r.tag, r.location) for r in p.rows}) <= 1, "a torn poll"

    # Each generation was made by exactly one of them, and they are without gaps.
    applied = {}
    for c in changers:
        assert not applied.keys() & c.applied.keys()
        applied |= c.applied
    assert sorted(applied) == list(range(2, 2 + len(applied)))
    last = watcher.get()
    assert last.generation == len(applied) + 2  # and the one by SetPollFrequency
    for field in ("label", "tag", "location", "debug_level", "poll_jitter_pct", "enabled_deserializers"):
        assert getattr(last, field) == getattr(applied[max(applied)], field), field

    # Every record says what some configuration said.
    known = {(c.label, c.tag, c.location) for c in applied.values()} | {("", "", "")}
    assert {(r.label, r.tag, r.location) for p in polls for r in p.rows} <= known

    # The listeners are those that were asked for last.
    listen = list(last.options.listeners.listen)
    assert host.connect(d).get().options.listeners.listen == listen
    assert os.path.exists(f"{place}/s") == (f"unix:{place}/s" in listen)
    if f"unix:{place}/s" in listen:
        assert stat.S_IMODE(os.stat(f"{place}/s").st_mode) == int(last.options.access.unix_socket_mode, 8)

    # All answers came up; else nothing was tested.
    codes = {code: sum(c.codes[code] for c in changers) for code in changers[0].codes}
    assert sum(codes.values()) == CLIENTS * REQUESTS
    assert min(codes.values()) > 20, codes

    changes = watcher.status().changes
    assert [x.generation for x in changes] == list(range(last.generation - len(changes) + 1, last.generation + 1))
