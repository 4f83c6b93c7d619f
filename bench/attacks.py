#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how long honest clients wait while hostile clients attack.

  bench/attacks.py [--build DIR] [--ranks N] [--seconds S] [--strict] [ATTACK ...]

Starts the daemon of DIR (default: build) with the demo model: one process with two stages, or with
--ranks N under mpirun. For each attack it prints, as a row of a Markdown table, the longest time a
health check took and the longest gap between two tokens of a stream, before the attack and during
it. Attackers run at nice 10, in a process of their own. Needs python3-grpcio, python3-protobuf and
protobuf-compiler-grpc. The exit code is 1 when a daemon died, and with --strict also when an honest
client waited too long: MAX_HEALTH_MS for a health check, MAX_GAP_MS for a token, MAX_TURN_MS for a
turn of the loop.
"""
import argparse
import atexit
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SRCDIR = os.path.dirname(HERE)
PORT = 8291
MAX_HEALTH_MS, MAX_GAP_MS, MAX_TURN_MS = 100, 250, 50
MODEL = os.path.join(SRCDIR, "models", "demo.gguf")

# --- a client that speaks only as much HTTP/2 as it takes to misbehave ---

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 2, 3, 4, 6, 8
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def integer(value, bits, first=0):
    """RFC 7541, 5.1."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out = [first | most]
    value -= most
    while value >= 128:
        out.append(value % 128 | 128)
        value //= 128
    return bytes(out + [value])


def literal(name, value, first=0):
    """A header field with a name of its own; first 0x40: it enters the table."""
    return bytes([first]) + integer(len(name), 7) + name + integer(len(value), 7) + value


def head(method, service=b"stagecoach.v1.Stagecoach"):
    return b"".join(literal(n, v) for n, v in [
        (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"x"),
        (b":path", b"/" + service + b"/" + method), (b"content-type", b"application/grpc"),
        (b"te", b"trailers")])


def varint(value):
    out = b""
    while value >= 128:
        out += bytes([value % 128 | 128])
        value //= 128
    return out + bytes([value])


def message(payload):
    return b"\0" + struct.pack(">I", len(payload)) + payload


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def data_frames(stream, payload, size=16384):
    last = (len(payload) - 1) // size
    return b"".join(frame(DATA, END_STREAM if i == last else 0, stream,
                          payload[i * size:(i + 1) * size]) for i in range(last + 1))


def newest_job(port):
    channel = grpc.insecure_channel("127.0.0.1:%d" % port)
    jobs = pb_grpc.StagecoachStub(channel).List(pb.ListRequest(limit=1)).jobs
    channel.close()
    return jobs[0].id


class Hostile:
    """A connection that reads only to keep its windows open, if at all."""

    def __init__(self, port, window=65535, reads=True):
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.next = 1
        self.send(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, window)))
        if reads:
            threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass

    def send(self, data):
        self.sock.sendall(data)

    def call(self, method, payload, end=True):
        stream, self.next = self.next, self.next + 2
        body = data_frames(stream, message(payload)) if end else b""
        self.send(frame(HEADERS, END_HEADERS, stream, head(method)) + body)
        return stream


def forever(port, open_one, act, n=1):
    """n threads that act on a connection until it breaks, then open another."""
    def run():
        while True:
            try:
                connection = open_one(port)
                while True:
                    act(connection)
            except OSError:
                time.sleep(0.01)
    for _ in range(n):
        threading.Thread(target=run, daemon=True).start()
    while True:
        time.sleep(1)


def letters(n):
    return bytes(ord("a") + b % 26 for b in os.urandom(n))


def long_text(port, number, method, text):
    def act(connection):
        connection.call(method, field(number, text))
        time.sleep(0.5)

    def wide_open(port):
        return Hostile(port, window=(1 << 31) - 1)
    forever(port, wide_open, act)


def attack_prompt_4mb(port, _job):
    long_text(port, 1, b"Generate", letters(3900000))


def attack_tokenize_4mb(port, _job):
    long_text(port, 1, b"Tokenize", letters(3900000))


def attack_tokenize_spaces(port, _job):
    long_text(port, 1, b"Tokenize", b" " * 3900000)


def attack_tokenize_60(port, _job):
    text = field(1, letters(3900000))

    def act(connection):
        connection.call(b"Tokenize", text)
        time.sleep(2)
    forever(port, Hostile, act, 60)


def attack_get_no_window(port, job):
    def act(connection):
        for _ in range(100):
            connection.call(b"Get", field(1, job.encode()))
        time.sleep(3)
        raise OSError
    forever(port, lambda p: Hostile(p, window=0), act, 100)


def attack_get_all(port, job):
    def open_one(port):
        connection = Hostile(port, window=(1 << 31) - 1)
        connection.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", (1 << 31) - 65536)))
        return connection

    def act(connection):
        for _ in range(50):
            connection.call(b"Get", field(1, job.encode()))
        time.sleep(0.5)
    forever(port, open_one, act, 20)


def attack_watch_running(port, _job):
    """Many watchers of one job that runs."""
    request = field(1, b"JULIET:\n") + varint(5 << 3) + varint(400) + \
        varint(7 << 3) + varint(1) + varint(8 << 3) + varint(64)

    def open_one(port):
        connection = Hostile(port, window=(1 << 31) - 1)
        connection.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", (1 << 31) - 65536)))
        return connection

    def act(connection):
        connection.call(b"Submit", request)
        for _ in range(90):
            connection.call(b"Watch", field(1, newest_job(port).encode()))
        time.sleep(5)
    forever(port, open_one, act, 20)


def attack_submit_flood(port, _job):
    request = field(1, b"x") + varint(5 << 3) + varint(1) + varint(8 << 3) + varint(64)
    forever(port, Hostile, lambda c: c.call(b"Submit", request), 4)


def attack_detokenize(port, _job):
    def act(connection):
        connection.call(b"Detokenize", field(1, b"\x40" * 3900000))
        time.sleep(0.5)
    forever(port, lambda p: Hostile(p, window=(1 << 31) - 1), act, 4)


def attack_tokens_prompt(port, _job):
    def act(connection):
        connection.call(b"Generate", field(3, field(1, b"\x40" * 3900000)))
        time.sleep(0.2)
    forever(port, Hostile, act, 6)


def attack_header_table(port, _job):
    def act(connection):
        stream, connection.next = connection.next, connection.next + 2
        block = head(b"Get") + literal(b"x-a", b"a" * 3900, 0x40)
        block += b"\xbe" * (16384 - len(block))
        connection.send(frame(HEADERS, END_HEADERS, stream, block))
    forever(port, Hostile, act, 4)


def attack_empty_fields(port, _job):
    """Millions of empty strings, as stop strings."""
    text = field(1, b"hi") + field(6, b"") * 1900000

    def act(connection):
        connection.call(b"Generate", text)
        time.sleep(0.1)
    forever(port, Hostile, act, 2)


def flood(make):
    def attack(port, _job):
        def open_one(port):
            connection = Hostile(port)
            connection.stream = connection.call(b"Generate", b"", end=False)
            return connection
        forever(port, open_one, lambda c: c.send(make(c)), 4)
    return attack


def rapid_reset(connection):
    out = b""
    for _ in range(100):
        stream, connection.next = connection.next, connection.next + 2
        out += frame(HEADERS, END_HEADERS, stream, head(b"Get"))
        out += frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
    return out


attack_empty_data = flood(lambda c: frame(DATA, 0, c.stream) * 1000)
attack_priority = flood(lambda c: frame(PRIORITY, 0, 1001, struct.pack(">IB", 0, 1)) * 1000)
attack_ping = flood(lambda c: frame(PING, 0, 0, b"12345678") * 1000)
attack_settings = flood(lambda c: frame(SETTINGS, 0, 0) * 1000)
attack_rapid_reset = flood(rapid_reset)


def attack_idle_connections(port, _job):
    def act(_connection):
        time.sleep(60)
    forever(port, lambda p: Hostile(p, reads=False), act, 256)


def attack_many_sequences(port, _job):
    request = field(1, b"JULIET:\n") + varint(5 << 3) + varint(500) + \
        varint(7 << 3) + varint(1) + varint(8 << 3) + varint(64)

    def act(connection):
        connection.call(b"Generate", request)
        time.sleep(5)
    forever(port, Hostile, act)


def attack_unread_log(port, _job):
    """The daemon's log goes to a pipe that nobody reads, at level debug."""
    def act(connection):
        connection.call(b"Generate", field(1, b"x") + varint(5 << 3) + varint(1))
        time.sleep(0.002)
    forever(port, Hostile, act, 2)


ATTACKS = {name[7:]: fn for name, fn in sorted(globals().items()) if name.startswith("attack_")}

# --- honest clients ---


def make_stubs(build):
    out = tempfile.mkdtemp(prefix="stubs-", dir=build)
    atexit.register(shutil.rmtree, out)
    proto = os.path.join(SRCDIR, "proto")
    subprocess.run(["protoc", "-I" + proto, "--python_out=" + out, "--grpc_out=" + out,
                    "--plugin=protoc-gen-grpc=" + shutil.which("grpc_python_plugin"),
                    os.path.join(proto, "stagecoach/v1/stagecoach.proto"),
                    os.path.join(proto, "grpc/health/v1/health.proto")], check=True)
    sys.path.insert(0, out)
    sys.path.insert(0, os.path.join(out, "grpc", "health", "v1"))


class Daemon:
    def __init__(self, options):
        command = [os.path.join(options.build, "stagecoachd"), "--config", "/dev/null", "-m",
                   MODEL, "--port", str(PORT), "-c", "30000", "--kv-positions", "120000",
                   "--log-level", options.log_level]
        if options.ranks > 1:
            command = ["mpirun", "--oversubscribe", "--bind-to", "none", "--allow-run-as-root",
                       "-n", str(options.ranks)] + command
        else:
            command += ["--stages", "2"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE if options.no_reader
                                        else open(options.log, "ab"), start_new_session=True)

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except OSError:
            pass
        self.process.wait()


class Honest:
    """A client that asks for health, and one that reads a stream; both note the longest wait."""

    def __init__(self):
        self.channel = grpc.insecure_channel("127.0.0.1:%d" % PORT)
        self.api = pb_grpc.StagecoachStub(self.channel)
        self.health = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString)
        self.worst = {"health": 0.0, "gap": 0.0}
        self.n_tokens = 0
        self.failures = []
        self.is_ending = False
        self.threads = [threading.Thread(target=fn) for fn in (self.ask, self.read)]

    def wait_until_ready(self):
        for _ in range(300):
            try:
                if self.health(health_pb2.HealthCheckRequest(), timeout=5).status == 1:
                    return
            except grpc.RpcError:
                pass
            time.sleep(0.1)
        sys.exit("the daemon is not ready after 30 s")

    def make_job(self):
        job = self.api.Submit(pb.GenerateRequest(text="JULIET:\n", n=64, max_tokens=300,
                                                 ignore_end=True), timeout=10)
        while self.api.Get(pb.GetRequest(id=job.id, without_outputs=True)).state < 3:
            time.sleep(0.2)
        return job.id

    def note(self, what, seconds):
        self.worst[what] = max(self.worst[what], seconds)

    def ask(self):
        while not self.is_ending:
            started = time.monotonic()
            try:
                self.health(health_pb2.HealthCheckRequest(), timeout=30)
            except grpc.RpcError as e:
                self.failures.append("health: %s" % e.details())
                time.sleep(0.5)
            self.note("health", time.monotonic() - started)
            time.sleep(0.05)

    def read(self):
        while not self.is_ending:
            try:
                last = None
                for event in self.api.Generate(pb.GenerateRequest(
                        text="ROMEO:\n", max_tokens=5000, ignore_end=True)):
                    now = time.monotonic()
                    if event.WhichOneof("event") == "token":
                        self.n_tokens += 1
                        if last:
                            self.note("gap", now - last)
                        last = now
                    if self.is_ending:
                        break
            except grpc.RpcError as e:
                self.failures.append("stream: %s" % e.details())
                time.sleep(0.5)

    def measure(self, seconds):
        self.worst = {"health": 0.0, "gap": 0.0}
        self.n_tokens = 0
        time.sleep(seconds)
        return dict(self.worst, rate=self.n_tokens / seconds)

    def end(self):
        self.is_ending = True
        for thread in self.threads:
            thread.join(20)
        self.channel.close()


def run(name, options):
    options.no_reader = name == "unread_log"
    options.log_level = "debug" if options.no_reader else "info"
    daemon = Daemon(options)
    honest = Honest()
    attacker = None
    try:
        honest.wait_until_ready()
        job = honest.make_job() if name.startswith("get_") else ""
        for thread in honest.threads:
            thread.start()
        time.sleep(1)
        before = honest.measure(3)
        attacker = subprocess.Popen(["nice", "-n", "10", sys.executable, os.path.abspath(__file__),
                                     "--attack", name, "--job", job, "--build",
                                     options.build], stderr=subprocess.DEVNULL)
        during = honest.measure(options.seconds)
        is_alive = daemon.is_alive()
        turn = 0.0
        if is_alive:
            try:
                status = honest.api.GetStatus(pb.GetStatusRequest(), timeout=10)
                turn = getattr(status, "longest_turn_seconds", 0.0)
            except grpc.RpcError as e:
                honest.failures.append("status: %s" % e.details())
    finally:
        if attacker:
            attacker.kill()
        honest.end()
        daemon.stop()
    print("| %s | %d / %d | %d / %d | %d / %d | %.0f | %s |" % (
        name, before["health"] * 1e3, during["health"] * 1e3, before["gap"] * 1e3,
        during["gap"] * 1e3, before["rate"], during["rate"], turn * 1e3,
        ("alive" if is_alive else "DIED") +
        (", %d failures, first %s" % (len(honest.failures), honest.failures[0])
         if honest.failures else "")), flush=True)
    is_quick = during["health"] * 1e3 <= MAX_HEALTH_MS and during["gap"] * 1e3 <= MAX_GAP_MS and \
        turn * 1e3 <= MAX_TURN_MS
    return is_alive and (is_quick or not options.strict)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument("--build", default=os.path.join(SRCDIR, "build"))
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--job", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    global grpc, pb, pb_grpc, health_pb2
    make_stubs(options.build)
    import grpc
    from stagecoach.v1 import stagecoach_pb2 as pb
    from stagecoach.v1 import stagecoach_pb2_grpc as pb_grpc
    import health_pb2
    if options.attack:
        ATTACKS[options.attack](PORT, options.job)
    options.log = os.path.join(options.build, "attacks.log")
    print("| attack | health, ms: before / during | gap, ms: before / during | "
          "tokens/s: before / during | longest turn, ms | daemon |")
    print("|---|---|---|---|---|---|")
    results = [run(name, options) for name in options.attacks or ATTACKS]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
