#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A stock gRPC client (python3-grpcio) against a Stagecoach server.

  grpc_client.py ADDRESS [--max-message BYTES] [--drain-pid PID] [TEST ...]

ADDRESS is HOST:PORT or unix:PATH. Without TESTs all run; the drain test only with --drain-pid, the
process that SIGTERM drains, and last. Stubs are made at test time in $BUILDDIR and removed again.
Exits 77 when grpcio or protoc's gRPC plugin is not there.
"""
import argparse
import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SRCDIR = os.environ.get("SRCDIR", os.path.join(HERE, "..", ".."))
BUILDDIR = os.environ.get("BUILDDIR", ".")
# Long enough on a loaded machine; a hang must not last for ever.
PATIENCE = 60

try:
    import grpc
except ImportError:
    print("python3-grpcio is not installed: skipped")
    sys.exit(77)


def make_stubs():
    plugin = shutil.which("grpc_python_plugin")
    if not plugin or not shutil.which("protoc"):
        print("protobuf-compiler-grpc is not installed: skipped")
        sys.exit(77)
    out = tempfile.mkdtemp(prefix="stubs-", dir=BUILDDIR)
    atexit.register(shutil.rmtree, out)
    proto = os.path.join(SRCDIR, "proto")
    files = [os.path.join(proto, "stagecoach/v1/stagecoach.proto"),
             os.path.join(proto, "grpc/health/v1/health.proto"),
             os.path.join(proto, "grpc/reflection/v1/reflection.proto")]
    subprocess.run(["protoc", "-I" + proto, "--python_out=" + out, "--grpc_out=" + out,
                    "--plugin=protoc-gen-grpc=" + plugin] + files, check=True)
    # "grpc" is also grpcio's name, so these stubs must not be packages below it: they are loaded
    # by file name.
    sys.path.insert(0, out)
    sys.path.insert(0, os.path.join(out, "grpc", "health", "v1"))
    sys.path.insert(0, os.path.join(out, "grpc", "reflection", "v1"))


make_stubs()
from stagecoach.v1 import stagecoach_pb2 as pb  # noqa: E402
from stagecoach.v1 import stagecoach_pb2_grpc as pb_grpc  # noqa: E402
import health_pb2  # noqa: E402
import reflection_pb2  # noqa: E402
from google.protobuf import descriptor_pb2  # noqa: E402


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def expect_code(code, call):
    """call() must fail with code; returns the error."""
    try:
        call()
    except grpc.RpcError as error:
        check(error.code() == code, "expected %s, found %s: %s" % (code, error.code(),
                                                                    error.details()))
        return error
    raise Failure("expected %s, found success" % code)


class Client:
    def __init__(self, address):
        self.address = address
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", -1)])
        self.jobs = pb_grpc.StagecoachStub(self.channel)
        path = "/grpc.health.v1.Health/"
        self.health_check = self.channel.unary_unary(
            path + "Check", request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString)
        self.health_watch = self.channel.unary_stream(
            path + "Watch", request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString)

    def close(self):
        self.channel.close()


def request(text="Once upon a time", max_tokens=8, **fields):
    sampling = pb.Sampling(temperature=0.0, seed=7)
    fields.setdefault("ignore_end", True)
    return pb.GenerateRequest(text=text, max_tokens=max_tokens, sampling=sampling, **fields)


def endless(text="stall: a story that never ends", n=32):
    """A job that lasts: many sequences until the context is full."""
    return request(text, max_tokens=None, n=n)


def wait_for(what, condition):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if condition():
            return
        time.sleep(0.02)
    raise Failure("waited %d s for %s" % (PATIENCE, what))


def collect(stream):
    """The events of a stream, checked for their order."""
    events = list(stream)
    kinds = [event.WhichOneof("event") for event in events]
    check(kinds[0] == "started", "the first event is %s" % kinds[0])
    check(kinds[-1] == "finished", "the last event is %s" % kinds[-1])
    check(set(kinds[1:-1]) <= {"token"}, "events between are %s" % set(kinds[1:-1]))
    return events[0].started, [event.token for event in events[1:-1]], events[-1].finished


# ---- the tests -------------------------------------------------------------------------------

def unary(client, _):
    model = client.jobs.GetModel(pb.GetModelRequest(), timeout=PATIENCE)
    check(model.n_layers > 0 and model.tokenizer.n_vocab > 0, "GetModel: %s" % model)
    status = client.jobs.GetStatus(pb.GetStatusRequest(), timeout=PATIENCE)
    check(status.phase == pb.PHASE_READY, "GetStatus: phase %s" % status.phase)
    check(len(status.stages) == status.stages_wanted > 0, "GetStatus: stages")
    check(sum(stage.n_layers for stage in status.stages) == model.n_layers, "GetStatus: layers")


def tokens_and_text(client, _):
    text = "Hello, \u00e4\u6f22\U0001f600 world"
    answer = client.jobs.Tokenize(pb.TokenizeRequest(text=text, with_pieces=True),
                                  timeout=PATIENCE)
    check(len(answer.ids) > 0 and len(answer.pieces) == len(answer.ids), "Tokenize: %s" % answer)
    back = client.jobs.Detokenize(pb.DetokenizeRequest(ids=answer.ids), timeout=PATIENCE)
    check(back.text.strip() == text, "Detokenize: %r" % back.text)
    expect_code(grpc.StatusCode.INVALID_ARGUMENT,
                lambda: client.jobs.Tokenize(pb.TokenizeRequest(), timeout=PATIENCE))
    expect_code(grpc.StatusCode.INVALID_ARGUMENT, lambda: client.jobs.Detokenize(
        pb.DetokenizeRequest(ids=[2**32 - 1]), timeout=PATIENCE))


def streaming(client, _):
    started, tokens, finished = collect(client.jobs.Generate(request(), timeout=PATIENCE))
    check(started.n_prompt_tokens > 0 and started.seed == 7, "started: %s" % started)
    check(len(tokens) == 8, "expected 8 tokens, found %d" % len(tokens))
    check(finished.state == pb.JOB_STATE_DONE, "finished: %s" % finished)
    check(finished.usage.generated_tokens == 8, "usage: %s" % finished.usage)
    check(finished.sequences[0].reason == pb.FINISH_REASON_LENGTH, "reason")
    job = client.jobs.Get(pb.GetRequest(id=started.job_id), timeout=PATIENCE)
    text = "".join(token.text for token in tokens) + finished.sequences[0].rest
    check(job.outputs[0].text == text, "Get: %r, streamed: %r" % (job.outputs[0].text, text))
    check(list(job.outputs[0].tokens) == [token.id for token in tokens], "Get: other tokens")
    check(not any(token.HasField("logprob") for token in tokens), "logprobs unasked")
    check(not job.outputs[0].logprobs, "Get: logprobs unasked")


def log_probabilities(client, _):
    started, tokens, _ = collect(client.jobs.Generate(request(logprobs=True), timeout=PATIENCE))
    job = client.jobs.Get(pb.GetRequest(id=started.job_id), timeout=PATIENCE)
    check(len(tokens) == 8 and all(token.logprob < 0 for token in tokens), "logprobs")
    check(list(job.outputs[0].logprobs) == [token.logprob for token in tokens],
          "Get: other logprobs")


def sequences(client, _):
    started, tokens, finished = collect(client.jobs.Generate(request(n=3, max_tokens=5),
                                                             timeout=PATIENCE))
    check(started.n_sequences == 3 and len(finished.sequences) == 3, "three sequences")
    for sequence in range(3):
        count = sum(token.sequence == sequence for token in tokens)
        check(count == 5, "sequence %d: expected 5 tokens, found %d" % (sequence, count))


def submitted_job(client, _):
    job = client.jobs.Submit(request(max_tokens=20), timeout=PATIENCE)
    check(job.id and job.state in (pb.JOB_STATE_QUEUED, pb.JOB_STATE_RUNNING), "Submit: %s" % job)
    _, tokens, finished = collect(client.jobs.Watch(pb.WatchRequest(id=job.id), timeout=PATIENCE))
    check(len(tokens) == 20 and finished.state == pb.JOB_STATE_DONE, "Watch: %s" % finished)
    again = collect(client.jobs.Watch(pb.WatchRequest(id=job.id), timeout=PATIENCE))[1]
    check([token.id for token in again] == [token.id for token in tokens], "Watch after the end")
    ids = [one.id for one in client.jobs.List(pb.ListRequest(), timeout=PATIENCE).jobs]
    check(job.id in ids, "List: %s" % ids)
    error = expect_code(grpc.StatusCode.NOT_FOUND, lambda: client.jobs.Get(
        pb.GetRequest(id="no-such-job"), timeout=PATIENCE))
    check("no-such-job" in error.details(), "details: %r" % error.details())


def job_state(client, job_id):
    return client.jobs.Get(pb.GetRequest(id=job_id, without_outputs=True), timeout=PATIENCE).state


def cancel_by_client(client, _):
    stream = client.jobs.Generate(endless(), timeout=PATIENCE)
    job_id = next(stream).started.job_id
    stream.cancel()
    wait_for("the job's end", lambda: job_state(client, job_id) == pb.JOB_STATE_CANCELLED)


def cancel_by_disconnect(client, _):
    other = Client(client.address)
    stream = other.jobs.Generate(endless(), timeout=PATIENCE)
    job_id = next(stream).started.job_id
    other.close()
    wait_for("the job's end", lambda: job_state(client, job_id) == pb.JOB_STATE_CANCELLED)


def cancel_by_id(client, _):
    job = client.jobs.Submit(endless(), timeout=PATIENCE)
    stream = client.jobs.Watch(pb.WatchRequest(id=job.id), timeout=PATIENCE)
    next(stream)
    client.jobs.Cancel(pb.CancelRequest(id=job.id), timeout=PATIENCE)
    finished = list(stream)[-1].finished
    check(finished.state == pb.JOB_STATE_CANCELLED, "finished: %s" % finished)
    check(job_state(client, job.id) == pb.JOB_STATE_CANCELLED, "state")


def deadline(client, _):
    began = time.monotonic()
    job_id = None

    def run():
        nonlocal job_id
        for event in client.jobs.Generate(endless(n=64), timeout=0.1):
            if event.WhichOneof("event") == "started":
                job_id = event.started.job_id

    expect_code(grpc.StatusCode.DEADLINE_EXCEEDED, run)
    check(time.monotonic() - began < PATIENCE / 2, "the deadline came late")
    if job_id:
        wait_for("the job's end", lambda: job_state(client, job_id) == pb.JOB_STATE_CANCELLED)
    job = client.jobs.Submit(pb.GenerateRequest(text="stall", ignore_end=True, n=64,
                                                timeout_ms=50), timeout=PATIENCE)
    wait_for("the job's end", lambda: job_state(client, job.id) == pb.JOB_STATE_CANCELLED)
    job = client.jobs.Get(pb.GetRequest(id=job.id), timeout=PATIENCE)
    check(job.error.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0], "error: %s" % job.error)


def oversized_message(client, args):
    big = pb.TokenizeRequest(raw_text=b"x" * (args.max_message + 1))
    error = expect_code(grpc.StatusCode.RESOURCE_EXHAUSTED,
                        lambda: client.jobs.Tokenize(big, timeout=PATIENCE))
    check(str(args.max_message) in error.details(), "details: %r" % error.details())
    client.jobs.GetStatus(pb.GetStatusRequest(), timeout=PATIENCE)


def unknown_method(client, _):
    for path in ("/stagecoach.v1.Stagecoach/Teleport", "/no.such.Service/Do"):
        call = client.channel.unary_unary(path)
        expect_code(grpc.StatusCode.UNIMPLEMENTED, lambda: call(b"", timeout=PATIENCE))


def bad_requests(client, _):
    expect_code(grpc.StatusCode.INVALID_ARGUMENT,
                lambda: client.jobs.Submit(pb.GenerateRequest(), timeout=PATIENCE))
    expect_code(grpc.StatusCode.INVALID_ARGUMENT,
                lambda: client.jobs.Submit(request(n=65), timeout=PATIENCE))
    expect_code(grpc.StatusCode.INVALID_ARGUMENT, lambda: client.jobs.Submit(
        pb.GenerateRequest(text="x", sampling=pb.Sampling(temperature=-1)), timeout=PATIENCE))
    raw = client.channel.unary_unary("/stagecoach.v1.Stagecoach/Submit")
    error = expect_code(grpc.StatusCode.INVALID_ARGUMENT,
                        lambda: raw(b"\xff\xff\xff\xff", timeout=PATIENCE))
    check("GenerateRequest" in error.details(), "details: %r" % error.details())
    compressed = client.channel.unary_unary("/stagecoach.v1.Stagecoach/Submit")
    expect_code(grpc.StatusCode.UNIMPLEMENTED, lambda: compressed(
        request("x" * 10000).SerializeToString(), timeout=PATIENCE,
        compression=grpc.Compression.Gzip))


def concurrent_streams(client, _):
    results = [None] * 20

    def run(i):
        try:
            results[i] = [token.id for token in collect(client.jobs.Generate(
                request(max_tokens=30), timeout=PATIENCE))[1]]
        except Exception as error:  # told by the check below
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        check(result == results[0] and len(result) == 30, "streams differ: %r, %r" % (results[0],
                                                                                     result))


def slow_reader(client, _):
    """A client that pauses gets all the same tokens."""
    stream = client.jobs.Generate(request("burst of words", max_tokens=200), timeout=PATIENCE)
    events = [next(stream)]
    time.sleep(0.5)
    events += list(stream)
    check(sum(event.WhichOneof("event") == "token" for event in events) == 200, "tokens are lost")


def health(client, _):
    serving = health_pb2.HealthCheckResponse.SERVING
    for name in ("", "stagecoach.v1.Stagecoach", "liveness"):
        answer = client.health_check(health_pb2.HealthCheckRequest(service=name),
                                     timeout=PATIENCE)
        check(answer.status == serving, "%r: %s" % (name, answer))
    expect_code(grpc.StatusCode.NOT_FOUND, lambda: client.health_check(
        health_pb2.HealthCheckRequest(service="nobody"), timeout=PATIENCE))
    watch = client.health_watch(health_pb2.HealthCheckRequest(service="nobody"), timeout=PATIENCE)
    check(next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN, "watch nobody")
    watch.cancel()
    watch = client.health_watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    check(next(watch).status == serving, "watch")
    watch.cancel()


def ask_reflection(client, version, requests):
    call = client.channel.stream_stream(
        "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo" % version,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
    return call(iter(requests), timeout=PATIENCE)


def declared_methods(file):
    return {"/%s.%s/%s" % (file.package, service.name, method.name)
            for service in file.service for method in service.method}


def reflection(client, _):
    """What `grpcurl list` and `describe` ask for, one after the other over one stream."""
    ask = reflection_pb2.ServerReflectionRequest
    for version in ("v1", "v1alpha"):
        answer, = ask_reflection(client, version, [ask(list_services="*")])
        names = [service.name for service in answer.list_services_response.service]
        check(names == ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                        "grpc.reflection.v1alpha.ServerReflection", "stagecoach.v1.Stagecoach"],
              "services: %s" % names)
        methods = set()
        for answer in ask_reflection(client, version,
                                     [ask(file_containing_symbol=name) for name in names]):
            bytes_of_file, = answer.file_descriptor_response.file_descriptor_proto
            file = descriptor_pb2.FileDescriptorProto.FromString(bytes_of_file)
            methods |= declared_methods(file)
        check("/stagecoach.v1.Stagecoach/Generate" in methods, "methods: %s" % methods)
        for method in methods:
            # Any answer but "no such method".
            call = client.channel.unary_stream(method)
            try:
                next(call(b"", timeout=PATIENCE))
            except StopIteration:
                pass
            except grpc.RpcError as error:
                check(error.code() != grpc.StatusCode.UNIMPLEMENTED, "%s is missing" % method)
        good = ["stagecoach.v1.Stagecoach.Watch", "stagecoach.v1.Token", "stagecoach.v1.Token.text",
                "stagecoach.v1.JobState", "stagecoach.v1.JOB_STATE_DONE",
                "grpc.health.v1.HealthCheckResponse.ServingStatus",
                "grpc.health.v1.HealthCheckResponse.SERVING"]
        bad = ["", "stagecoach", "stagecoach.v1", "stagecoach.v1.Nobody", "stagecoach.v1.Token.nope",
               "stagecoach.v1.Stagecoach.Generate.text", "stagecoach.v1.JobState.JOB_STATE_DONE",
               "stagecoach.v1.Toke", "tagecoach.v1.Token"]
        answers = list(ask_reflection(client, version, [ask(file_containing_symbol=name)
                                                        for name in good + bad]))
        kinds = [answer.WhichOneof("message_response") for answer in answers]
        check(kinds == ["file_descriptor_response"] * len(good) + ["error_response"] * len(bad),
              "symbols: %s" % kinds)
        check(answers[-1].error_response.error_code == 5, "code of a symbol that is not there")
        check(answers[-1].original_request.file_containing_symbol == bad[-1], "original request")
        kinds = [answer.WhichOneof("message_response") for answer in ask_reflection(
            client, version, [ask(file_by_filename="stagecoach/v1/stagecoach.proto"),
                              ask(file_by_filename="nope.proto"), ask(),
                              ask(all_extension_numbers_of_type="stagecoach.v1.Token"),
                              ask(all_extension_numbers_of_type="stagecoach.v1.JobState")])]
        check(kinds == ["file_descriptor_response", "error_response", "error_response",
                        "all_extension_numbers_response", "error_response"], "others: %s" % kinds)
        check(list(ask_reflection(client, version, [])) == [], "no request")
        expect_code(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: list(ask_reflection(
            client, version, [ask(file_by_filename="x" * 2000)])))


def chat(client, _):
    """The format is fake_chat.c's."""
    message = pb.Chat(messages=[pb.ChatMessage(role="user", content="hello")],
                      tools=['{"type": "function", "function": {"name": "look"}}'],
                      reasoning_effort="low")
    job = client.jobs.Submit(pb.GenerateRequest(chat=message, max_tokens=3), timeout=PATIENCE)
    events = list(client.jobs.Watch(pb.WatchRequest(id=job.id), timeout=PATIENCE))
    kinds = [event.WhichOneof("event") for event in events]
    check(kinds == ["started", "token", "chat_delta", "token", "chat_delta", "chat_delta", "token",
                    "chat_delta", "finished"], "events are %s" % kinds)
    deltas = [event.chat_delta for event in events if event.WhichOneof("event") == "chat_delta"]
    check(deltas[0].reasoning == "w0 ", "reasoning: %s" % deltas[0])
    check(deltas[1].tool_call.name == "look" and deltas[1].tool_call.id, "call: %s" % deltas[1])
    check(deltas[2].tool_call.arguments + deltas[3].tool_call.arguments == "w1 w2 ", "arguments")
    answer = client.jobs.Get(pb.GetRequest(id=job.id), timeout=PATIENCE).outputs[0].message
    check(answer.role == "assistant" and answer.reasoning_content == "w0 " and
          answer.tool_calls[0].name == "look" and answer.tool_calls[0].arguments == "w1 w2 ",
          "Get: %s" % answer)
    bad = pb.Chat(messages=[pb.ChatMessage(role="bad", content="hello")])
    error = expect_code(grpc.StatusCode.INVALID_ARGUMENT, lambda: client.jobs.Submit(
        pb.GenerateRequest(chat=bad), timeout=PATIENCE))
    check("chat" in error.details(), "details: %r" % error.details())
    # Long enough for a helper thread.
    long = pb.Chat(messages=[pb.ChatMessage(role="user", content="x" * 3000) for _ in range(2)])
    error = expect_code(grpc.StatusCode.INVALID_ARGUMENT, lambda: client.jobs.Submit(
        pb.GenerateRequest(chat=long), timeout=PATIENCE))
    check("6000" in error.details(), "details: %r" % error.details())


def recovery(client, args):
    """A stage is lost: health and streams say so, new jobs wait, and all go on."""
    states = health_pb2.HealthCheckResponse
    ready = client.health_watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    check(next(ready).status == states.SERVING, "watch")
    stream = client.jobs.Generate(request("lose", max_tokens=5), timeout=PATIENCE)
    events = [next(stream) for _ in range(5)]   # started, three tokens, recovering
    check(events[4].recovering.reason == "stage 2 (worker b): it hung up",
          "expected recovering, found %s" % events[4])
    check(events[4].recovering.epoch == 1, "epoch %d" % events[4].recovering.epoch)
    check(next(ready).status == states.NOT_SERVING, "watch: recovering")
    live = client.health_check(health_pb2.HealthCheckRequest(service="liveness"), timeout=PATIENCE)
    check(live.status == states.SERVING, "liveness: recovering")
    status = client.jobs.GetStatus(pb.GetStatusRequest(), timeout=PATIENCE)
    check(status.phase == pb.PHASE_RECOVERING and status.epoch == 1 and status.recoveries == 1 and
          status.last_loss == "stage 2 (worker b): it hung up" and
          status.last_loss_seconds_ago > 0, "GetStatus: %s" % status)
    late = client.jobs.Generate(request(max_tokens=2), timeout=PATIENCE)
    check([next(late).WhichOneof("event") for _ in range(2)] == ["started", "recovering"],
          "a job that comes during the recovery")
    os.kill(args.drain_pid, signal.SIGUSR2)
    check(next(ready).status == states.SERVING, "watch: recovered")
    ready.cancel()
    events += list(stream)
    kinds = [event.WhichOneof("event") for event in events]
    check(kinds == ["started"] + ["token"] * 3 + ["recovering", "recovered"] + ["token"] * 2 +
          ["finished"], "events are %s" % kinds)
    check(events[5].recovered.epoch == 2 and events[5].recovered.seconds > 0,
          "recovered: %s" % events[5])
    check(events[-1].finished.state == pb.JOB_STATE_DONE, "the end is %s" % events[-1])
    kinds = [event.WhichOneof("event") for event in late]
    check(kinds == ["recovered", "token", "token", "finished"], "the late job: %s" % kinds)


def drain(client, args):
    """SIGTERM: health says so, the stream under way ends well, new clients are refused."""
    watch = client.health_watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    check(next(watch).status == health_pb2.HealthCheckResponse.SERVING, "watch")
    stream = client.jobs.Generate(request(max_tokens=60), timeout=PATIENCE)
    events = [next(stream)]
    os.kill(args.drain_pid, signal.SIGTERM)
    check(next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING, "watch: draining")
    other = Client(client.address)
    expect_code(grpc.StatusCode.UNAVAILABLE,
                lambda: other.jobs.Submit(request(), timeout=PATIENCE))
    other.close()
    watch.cancel()
    events += list(stream)
    check(events[-1].finished.state == pb.JOB_STATE_DONE, "the stream was cut: %s" % events[-1])
    check(len(events) == 62, "expected 62 events, found %d" % len(events))


TESTS = [unary, tokens_and_text, streaming, log_probabilities, sequences, submitted_job,
         cancel_by_client, cancel_by_disconnect, cancel_by_id, deadline, oversized_message,
         unknown_method, bad_requests, concurrent_streams, slow_reader, health, reflection]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--max-message", type=int, default=4 << 20)
    parser.add_argument("--drain-pid", type=int)
    parser.add_argument("--can-lose", action="store_true")   # it is serve_fake
    parser.add_argument("tests", nargs="*")
    args = parser.parse_args()
    tests = TESTS + ([chat, recovery] if args.can_lose else []) + ([drain] if args.drain_pid else [])
    if args.tests:
        tests = [test for test in tests if test.__name__ in args.tests]
    n_failed = 0
    client = Client(args.address)
    for test in tests:
        began = time.monotonic()
        try:
            test(client, args)
            print("ok      %-22s %.2f s" % (test.__name__, time.monotonic() - began))
        except (Failure, grpc.RpcError) as error:
            n_failed += 1
            print("FAILED  %-22s %s" % (test.__name__, error))
        sys.stdout.flush()
    client.close()
    print("%d of %d passed" % (len(tests) - n_failed, len(tests)))
    return 1 if n_failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
