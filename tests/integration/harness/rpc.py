"""A stock gRPC client: python3-grpcio with the code that protoc makes of our protos."""

import collections
import queue
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from . import paths
from .waiting import bound

from xtcp_config.v1 import xtcp_config_pb2 as config_pb
from xtcp_config.v1 import xtcp_config_pb2_grpc as config_grpc
from xtcp_flat_record.v1 import xtcp_flat_record_pb2 as record_pb
from xtcp_flat_record.v1 import xtcp_flat_record_pb2_grpc as record_grpc
from xtcp_focus.v1 import xtcp_focus_pb2 as focus_pb
from xtcp_focus.v1 import xtcp_focus_pb2_grpc as focus_grpc
from xtcp_namespace.v1 import xtcp_namespace_pb2 as namespace_pb
from xtcp_namespace.v1 import xtcp_namespace_pb2_grpc as namespace_grpc
from xtcp_output.v1 import xtcp_output_pb2 as output_pb
from xtcp_output.v1 import xtcp_output_pb2_grpc as output_grpc
from xtcp_status.v1 import xtcp_status_pb2 as status_pb
from xtcp_status.v1 import xtcp_status_pb2_grpc as status_grpc

CALL_SECONDS = 10

Code = grpc.StatusCode


def _load_protoset():
    """Health and reflection, of which Debian has no python package, from the descriptors of the build."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(paths.PROTOSET.read_bytes()).file:
        pool.Add(file)
    return pool


POOL = _load_protoset()
_factory = message_factory.MessageFactory(POOL)


def message(name):
    """The class of message |name| (full name)."""
    return _factory.GetPrototype(POOL.FindMessageTypeByName(name))


Poll = collections.namedtuple("Poll", "begin rows end messages")


class Client:
    """A connection of its own to |target|, with a stub for each service."""

    def __init__(self, target, *options):
        self.target = target
        self.channel = grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1),
                                                              ("grpc.max_receive_message_length", -1), *options])
        self.records = record_grpc.XTCPFlatRecordServiceStub(self.channel)
        self.config = config_grpc.ConfigServiceStub(self.channel)
        self.namespaces = namespace_grpc.NamespaceServiceStub(self.channel)
        self.outputs = output_grpc.OutputServiceStub(self.channel)
        self._status = status_grpc.StatusServiceStub(self.channel)

    def close(self):
        self.channel.close()

    # ---- Unary ----

    def get(self):
        return self.config.Get(config_pb.GetRequest(), timeout=bound(CALL_SECONDS)).config

    def set(self, config=None, dry_run=False, **fields):
        request = config_pb.SetRequest(config=config or config_pb.XtcpConfig(**fields), dry_run=dry_run)
        return self.config.Set(request, timeout=bound(CALL_SECONDS))

    def set_frequency(self, frequency_s, timeout_s):
        request = config_pb.SetPollFrequencyRequest()
        request.poll_frequency.FromNanoseconds(round(frequency_s * 1e9))
        request.poll_timeout.FromNanoseconds(round(timeout_s * 1e9))
        return self.config.SetPollFrequency(request, timeout=bound(CALL_SECONDS)).config

    def trigger(self):
        return self.config.TriggerPoll(config_pb.TriggerPollRequest(), timeout=bound(CALL_SECONDS))

    def burst(self, count, interval_s, replace=False):
        request = config_pb.TriggerPollBurstRequest(count=count, replace=replace)
        request.interval.FromNanoseconds(round(interval_s * 1e9))
        return self.config.TriggerPollBurst(request, timeout=bound(CALL_SECONDS))

    def cancel_burst(self):
        return self.config.CancelBurst(config_pb.CancelBurstRequest(), timeout=bound(CALL_SECONDS)).cancelled

    def status(self):
        return self._status.Get(status_pb.GetRequest(), timeout=bound(CALL_SECONDS))

    def list_namespaces(self):
        return self.namespaces.List(namespace_pb.ListRequest(), timeout=bound(CALL_SECONDS)).namespaces

    def list_outputs(self):
        return self.outputs.List(output_pb.ListRequest(), timeout=bound(CALL_SECONDS)).outputs

    def pause_output(self, name):
        return self.outputs.Pause(output_pb.PauseRequest(name=name), timeout=bound(CALL_SECONDS)).output

    def resume_output(self, name):
        return self.outputs.Resume(output_pb.ResumeRequest(name=name), timeout=bound(CALL_SECONDS)).output

    def flush_output(self, name):
        return self.outputs.Flush(output_pb.FlushRequest(name=name), timeout=bound(CALL_SECONDS)).output

    def test_output(self, name, seconds=15):
        return self.outputs.Test(output_pb.TestRequest(name=name), timeout=bound(seconds)).test

    def raw(self, method, data, timeout=CALL_SECONDS):
        """The bytes that |method| answers to the bytes |data|."""
        return self.channel.unary_unary(method)(data, timeout=bound(timeout))

    # ---- Health, reflection ----

    def health(self, service=""):
        """The name of the status of |service|."""
        reply = message("grpc.health.v1.HealthCheckResponse")
        call = self.channel.unary_unary("/grpc.health.v1.Health/Check",
                                        request_serializer=lambda m: m.SerializeToString(),
                                        response_deserializer=reply.FromString)
        answer = call(message("grpc.health.v1.HealthCheckRequest")(service=service), timeout=bound(CALL_SECONDS))
        return reply.ServingStatus.Name(answer.status)

    def watch_health(self, service=""):
        """The names of the statuses of |service| as they come."""
        reply = message("grpc.health.v1.HealthCheckResponse")
        call = self.channel.unary_stream("/grpc.health.v1.Health/Watch",
                                         request_serializer=lambda m: m.SerializeToString(),
                                         response_deserializer=reply.FromString)
        return Stream(call(message("grpc.health.v1.HealthCheckRequest")(service=service)),
                      lambda m: reply.ServingStatus.Name(m.status))

    def reflect(self, requests, version="v1"):
        """The answers to |requests| (dicts of fields)."""
        package = f"grpc.reflection.{version}"
        request = message(f"{package}.ServerReflectionRequest")
        response = message(f"{package}.ServerReflectionResponse")
        call = self.channel.stream_stream(f"/{package}.ServerReflection/ServerReflectionInfo",
                                          request_serializer=lambda m: m.SerializeToString(),
                                          response_deserializer=response.FromString)
        return list(call(iter([request(**r) for r in requests]), timeout=bound(CALL_SECONDS)))

    # ---- Streams ----

    def stream(self, **fields):
        return OpenStream(self.records.FlatRecords(record_pb.FlatRecordsRequest(**fields)))

    def edges(self):
        """A stream whose polls are told apart: markers, rows in batches."""
        return self.stream(markers=True, batch_rows=10000)

    def poll_stream(self):
        return PollStream(self.records.PollFlatRecords)

    def poll(self, **fields):
        """One poll, with its markers and in batches unless |fields| say else."""
        options = {"markers": True, "batch_rows": 1000, **fields}
        with self.poll_stream() as stream:
            stream.request(**options)
            stream.half_close()
            found = stream.polls()
        assert len(found) == 1
        return found[0]

    def watch_namespaces(self):
        return Stream(self.namespaces.Watch(namespace_pb.WatchRequest()))

    def watch_outputs(self):
        return Stream(self.outputs.Watch(output_pb.WatchRequest()))


class Stream:
    """The answers of a streaming call, read by a thread of its own so that every wait has a bound."""

    def __init__(self, call, convert=lambda m: m):
        self.call = call
        self.answers = queue.Queue()
        self._thread = threading.Thread(target=self._read, args=(convert,), daemon=True)
        self._thread.start()

    def _read(self, convert):
        try:
            for m in self.call:
                self.answers.put(convert(m))
        except grpc.RpcError:
            pass
        self.answers.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cancel()

    def cancel(self):
        self.call.cancel()
        self._thread.join(bound(CALL_SECONDS))

    def next(self, seconds=CALL_SECONDS):
        """The next answer, None at the end of the stream; fails when it takes longer than |seconds| (scaled)."""
        try:
            return self.answers.get(timeout=bound(seconds))
        except queue.Empty:
            raise AssertionError(f"no message within {bound(seconds):g} s") from None

    def next_that(self, condition, seconds=CALL_SECONDS):
        """The first answer that |condition| holds for; the others are left out."""
        for m in self:
            if condition(m):
                return m
        raise AssertionError(f"the stream has ended: {self.status()}")

    def __iter__(self):
        return iter(self.next, None)

    def status(self):
        """Code and text that the call ended with."""
        return self.call.code(), self.call.details()

    def polls(self, count=None):
        """|count| complete polls of a stream with markers, all up to its end without |count|."""
        found = []
        for begin in self:
            assert begin.HasField("poll_begin"), begin
            rows, messages = [], []
            for m in self:
                if m.HasField("poll_end"):
                    found.append(Poll(begin.poll_begin, rows, m.poll_end, messages))
                    break
                messages.append(m)
                rows += m.envelope.row if m.HasField("envelope") else [m.xtcp_flat_record]
            else:
                raise AssertionError(f"the stream has ended within a poll: {self.status()}")
            if len(found) == count:
                return found
        assert count is None, f"the stream has ended: {self.status()}"
        return found


class OpenStream(Stream):
    """A stream that is known to the daemon once it has been made: every poll from then on is in it."""

    def __init__(self, call):
        super().__init__(call)
        call.initial_metadata()


class PollStream(Stream):
    """A PollFlatRecords call: requests as the test sends them."""

    def __init__(self, method):
        self._requests = queue.Queue()
        super().__init__(method(iter(self._requests.get, None)))

    def request(self, **fields):
        self._requests.put(record_pb.PollFlatRecordsRequest(**fields))

    def half_close(self):
        self._requests.put(None)

    def cancel(self):
        self.half_close()
        super().cancel()

