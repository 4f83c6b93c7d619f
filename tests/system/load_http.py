#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Loads a Stagecoach server over HTTP and gRPC at once with clients that misbehave, while honest
clients check every answer.

  load_http.py crowd ADDRESS PID CLIENT [--seconds S] [--connections N]
  load_http.py memory ADDRESS PID [--requests N] [--growth KIB]
  load_http.py drain ADDRESS PID CLIENT

crowd	 N open connections, slow readers and writers, disconnects, cancels, malformed and pipelined
	 requests. CLIENT is the program stagecoach, the honest client of gRPC. Afterwards nothing may
	 run any more, and no turn of the server's loop may have taken 50 ms of processor time. How
	 long other programs keep the loop from running is not held against the server.
memory	 N short requests; the resident memory after the first fifth is the measure of the rest.
drain	 SIGTERM while streams of both run: they end whole. Clients that ask on meanwhile are answered with
	 503, or with a connection that closes between two answers.
"""
import argparse
import http.client
import itertools
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

# Long enough on a loaded machine; a hang must not last for ever.
PATIENCE = 60
MAX_TURN_MS = 50
HOST = b"Host: localhost\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


class Failure(Exception):
    pass


def check(is_true, *what):
    if not is_true:
        raise Failure(" ".join(str(part) for part in what))


class Load:
    """What all threads share: where the server is, when to end, what was done and what failed."""

    def __init__(self, options):
        host, port = options.address.rsplit(":", 1)
        self.address = (host, int(port))
        self.pid = options.pid
        self.ending = threading.Event()
        self.counts = {}
        self.failures = []
        self.lock = threading.Lock()
        self.threads = []

    def count(self, name, n=1):
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + n

    def repeat(self, act, n=1, pause=0.0):
        """n threads that do it until the end, or until it fails."""
        def run():
            try:
                while not self.ending.is_set():
                    act(self)
                    self.count(act.__name__)
                    self.ending.wait(pause)
            except Exception as e:  # whatever it is, the test must fail
                self.failures.append("%s: %s: %s" % (act.__name__, type(e).__name__, e))
                self.ending.set()
        for _ in range(n):
            self.threads.append(threading.Thread(target=run, daemon=True))
            self.threads[-1].start()

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(PATIENCE)
            check(not thread.is_alive(), "a client hangs")
        check(not self.failures, "; ".join(self.failures[:3]))

    def connect(self, buffer=None):
        s = socket.socket()
        if buffer:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        s.settimeout(PATIENCE)
        s.connect(self.address)
        return s


def request(body, path="/v1/completions"):
    text = json.dumps(body).encode()
    return b"POST %s HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % (
        path.encode(), len(text)) + HOST + b"\r\n" + text


def body_of(n_tokens, stream=True, prompt="ROMEO:\n"):
    return {"prompt": prompt, "max_tokens": n_tokens, "stream": stream, "temperature": 0,
            "ignore_eos": True}


class Reader:
    """The answers of one connection, one after the other."""

    def __init__(self, sock):
        self.sock, self.input = sock, b""

    def fill(self):
        data = self.sock.recv(65536)
        self.input += data
        return bool(data)

    def until(self, mark):
        while mark not in self.input:
            check(self.fill(), "closed within an answer:", self.input[-200:])
        found, self.input = self.input.split(mark, 1)
        return found

    def take(self, n):
        while len(self.input) < n:
            check(self.fill(), "closed within a body")
        found, self.input = self.input[:n], self.input[n:]
        return found

    def answer(self):
        """(status, fields, body)"""
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        if fields.get("transfer-encoding") != "chunked":
            return int(lines[0].split()[1]), fields, self.take(int(fields["content-length"]))
        body = b""
        while True:
            n = int(self.until(b"\r\n"), 16)
            body += self.take(n)
            self.take(2)
            if n == 0:
                return int(lines[0].split()[1]), fields, body


def close_hard(sock):
    """With a reset instead of an end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# --- clients that misbehave: each is one round of what a thread repeats ---

def slow_reader(load):
    """Reads a long answer in bytes, then lets it be."""
    s = load.connect(buffer=2048)
    s.sendall(request(dict(body_of(300), logprobs=5, n=4)))
    for _ in range(20):
        s.recv(1)
        load.ending.wait(0.05)
    s.close()


def slow_writer(load):
    s = load.connect()
    for byte in request(body_of(2, stream=False))[:60]:
        s.sendall(bytes([byte]))
        load.ending.wait(0.005)
    s.close()


def disconnect(load):
    s = load.connect()
    s.sendall(request(body_of(400)))
    Reader(s).until(b"\n\n")
    close_hard(s) if load.counts.get("disconnect", 0) % 2 else s.close()


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def call(stream, method, payload):
    """The frames of a call, without an end of its input if it has no payload."""
    head = b"".join(b"\0" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in [
        (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"x"),
        (b":path", b"/stagecoach.v1.Stagecoach/" + method), (b"te", b"trailers"),
        (b"content-type", b"application/grpc")])
    message = b"\0" + struct.pack(">I", len(payload)) + payload
    return frame(1, 4, stream, head) + frame(0, 1, stream, message)


# text, 400 tokens at most, no end before
GENERATE = b"\x0a\7ROMEO:\n" + b"\x28\x90\3" + b"\x38\1"


def grpc_cancels(load):
    """Cancels five calls of gRPC when the first of them has begun."""
    s = load.connect()
    s.sendall(PREFACE + b"".join(call(i, b"Generate", GENERATE) for i in range(1, 11, 2)))
    reader = Reader(s)
    while True:
        head = reader.take(9)
        reader.take(int.from_bytes(head[:3], "big"))
        if head[3] == 0:
            break
    s.sendall(b"".join(frame(3, 0, i, struct.pack(">I", 8)) for i in range(1, 11, 2)))
    s.sendall(frame(6, 0, 0, b"12345678"))
    while True:     # until the answer to this ping: the connection has survived
        head = reader.take(9)
        reader.take(int.from_bytes(head[:3], "big"))
        if head[3:5] == b"\6\1":
            break
    s.close()


MALFORMED = [
    (400, b"GET / HTTP/1.1\n\n"),
    (400, b"GET /\r\n\r\n"),
    (400, b"GET /\0\1\2\3 HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b" folded\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n" + HOST +
     b"\r\n"),
    (400, b"POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + b"\r\nxyz\r\n"),
    (431, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 200 + b"\r\n"),
    (413, b"POST /v1/completions HTTP/1.1\r\nContent-Length: 99999999999\r\n" + HOST + b"\r\n"),
    (505, b"GET / HTTP/7.0\r\n" + HOST + b"\r\n"),
    (400, request({"prompt": 5})),
    (400, request({"prompt": "a", "logit_bias": [1]})),
    (400, request({"prompt": "x" * 100000})),
    (413, b"POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
     b"Content-Length: 4000\r\n" + HOST + b"\r\n" + b"[" * 4000),
    (404, b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n"),
]
turns = itertools.count()


def malformed(load):
    status, data = MALFORMED[next(turns) % len(MALFORMED)]
    s = load.connect()
    s.sendall(data)
    found = Reader(s).answer()
    check(found[0] == status, data[:60], "gave", found[0], "instead of", status)
    s.close()


def malformed_grpc(load):
    s = load.connect()
    s.sendall(PREFACE + call(1, b"Generate", b"\xff" * 50) + frame(9, 0, 7, b"\xff" * 40))
    while s.recv(65536):
        pass
    s.close()


def pipelined(load):
    s = load.connect()
    s.sendall(b"".join(
        b"GET /health HTTP/1.1\r\n" + HOST + b"X-Request-Id: p%d\r\n\r\n" % i +
        request({"prompt": "R" * (i + 1), "count": True}, "/tokenize") for i in range(20)))
    reader = Reader(s)
    for i in range(20):
        status, fields, _ = reader.answer()
        check(status == 200 and fields["x-request-id"] == "p%d" % i, "pipelined:", fields)
        status, _, body = reader.answer()
        check(status == 200 and b"".join(body.split()).find(b'"count":') >= 0, body)
    s.close()


def scrape(load):
    status, _, body = one(load, b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n")
    check(status == 200 and b"stagecoach_loop_turn_seconds_max" in body, "no metrics")
    return body.decode()


def large_body(load):
    """Four times what one looks at in a turn; refused, since it is longer than the context."""
    status, _, body = one(load, request({"prompt": "word " * 150000}))
    check(status == 400 and b"context" in body, "a long prompt:", status, body[:200])


# --- honest clients ---

def one(load, data):
    s = load.connect()
    s.sendall(data)
    answer = Reader(s).answer()
    s.close()
    return answer


def text_of(body):
    events = [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]
    check(events and events[-1] == "[DONE]", "a stream without its end:", body[-200:])
    choices = [c for e in events[:-1] for c in json.loads(e)["choices"]]
    return "".join(choice["text"] for choice in choices)


def honest_http(load):
    prompt = "Line %d of" % (next(turns) % 4)
    status, _, body = one(load, request(body_of(24, prompt=prompt)))
    check(status == 200, "refused with", status, body)
    expected = load.expected.setdefault(prompt, text_of(body))
    check(text_of(body) == expected, "the text is", text_of(body), "instead of", expected)


def honest_grpc(load):
    prompt = "Line %d of" % (next(turns) % 4)
    run = subprocess.run([load.client, "generate", "--listen", "%s:%d" % load.address, "-p",
                          prompt, "-n", "24", "--temp", "0", "--ignore-eos", "-q"],
                         capture_output=True, timeout=PATIENCE, check=False)
    check(run.returncode == 0, "the client of gRPC:", run.stderr.decode())
    text = run.stdout.decode()
    check(load.expected[prompt].strip() in text, "gRPC:", text, "without", load.expected[prompt])


# --- measures ---

def resident_kib(pid):
    with open("/proc/%d/status" % pid, encoding="utf-8") as file:
        return int(re.search(r"VmRSS:\s*(\d+)", file.read()).group(1))


def metric(text, name):
    return float(re.search(r"^%s(?:\{[^}]*\})? (\S+)$" % re.escape(name), text, re.M).group(1))


# --- the tests ---

def crowd(load, options):
    load.client = options.client
    load.expected = {}
    for _ in range(4):
        honest_http(load)
    held = []
    for i in range(options.connections):
        held.append(load.connect())
        held[-1].sendall(PREFACE if i % 2 else b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
    print("%d connections are open" % len(held))
    load.repeat(honest_http, 2)
    load.repeat(honest_grpc, 1, 0.05)
    load.repeat(slow_reader, 4)
    load.repeat(slow_writer, 2)
    load.repeat(disconnect, 2, 0.02)
    load.repeat(grpc_cancels, 2, 0.02)
    load.repeat(malformed, 2, 0.01)
    load.repeat(malformed_grpc, 1, 0.02)
    load.repeat(pipelined, 2, 0.05)
    load.repeat(large_body, 1, 0.2)
    load.repeat(scrape, 1, 0.2)
    load.ending.wait(options.seconds)
    load.end()
    for s in held[::2]:
        check(Reader(s).answer()[0] == 200, "a connection that was held")
    # What was given up ends at the next step.
    end = time.monotonic() + PATIENCE
    while metric(scrape(load), "vllm:num_requests_running") or \
            metric(scrape(load), "vllm:num_requests_waiting"):
        check(time.monotonic() < end, "jobs of clients that are gone still run")
        time.sleep(0.05)
    turn_ms = 1000 * metric(scrape(load), "stagecoach_loop_turn_seconds_max")
    work_ms = 1000 * metric(scrape(load), "stagecoach_loop_turn_cpu_seconds_max")
    print("rounds:", ", ".join("%s %d" % item for item in sorted(load.counts.items())))
    print("longest turn %.1f ms; most work in one %.1f ms" % (turn_ms, work_ms))
    check(work_ms < MAX_TURN_MS, "a turn of the loop worked for %.1f ms" % work_ms)
    for s in held:
        s.close()


def memory(load, options):
    """Eight clients over kept connections; each tenth request leaves before its answer is whole."""
    n = options.requests
    done = itertools.count(1)
    points = []

    def short_requests(load):
        s = load.connect()
        reader = Reader(s)
        for i in range(40):
            kind = i % 10
            if kind == 9:
                s.sendall(request(body_of(100)))
                reader.until(b"\n\n")
                s.close()
                s = load.connect()
                reader = Reader(s)
            else:
                s.sendall(request(body_of(1 + kind % 3, stream=kind % 2 == 0)))
                check(reader.answer()[0] == 200, "a short request")
            number = next(done)
            if number % max(n // 50, 1) == 0:
                points.append((number, resident_kib(load.pid)))
            if number >= n:
                load.ending.set()
                break
        s.close()

    load.repeat(short_requests, 8)
    load.ending.wait()
    load.end()
    points.sort()
    base = max(kib for number, kib in points if number <= max(n // 5, points[0][0]))
    most = max(kib for _, kib in points)
    print("resident KiB: " + ", ".join("%d: %d" % point for point in points))
    print("%d KiB after a fifth, %d at most" % (base, most))
    check(most - base <= options.growth, "memory grows by", most - base, "KiB in", n, "requests")


def drain(load, options):
    calls = [subprocess.Popen([options.client, "generate", "--listen", options.address, "-p", "A",
                               "-n", "400", "--temp", "0", "--ignore-eos", "-q"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
             for _ in range(2)]
    begun = [call.stdout.read(1) for call in calls]
    readers = []
    for _ in range(8):
        s = load.connect()
        s.sendall(request(body_of(300)))
        readers.append(Reader(s))
    for reader in readers:
        while b"data: " not in reader.input:
            check(reader.fill(), "a stream does not begin")
    asking = []
    for _ in range(4):
        s = load.connect()
        s.sendall(request(body_of(1, stream=False)))
        asking.append(Reader(s))
        check(asking[-1].answer()[0] == 200, "before the drain")
    os.kill(load.pid, signal.SIGTERM)

    def read_whole(reader):
        status, _, body = reader.answer()
        check(status == 200, status)
        text_of(body)
        load.count("whole")

    def ask_on(reader):
        """Until it is refused. A reset shows as ConnectionResetError."""
        while True:
            reader.sock.sendall(request(body_of(1, stream=False)))
            select.select([reader.sock], [], [], PATIENCE)
            if not reader.input and not reader.fill():
                load.count("closed")
                return
            status, fields, body = reader.answer()
            if fields.get("connection") == "close" or status != 200:
                check(status in (200, 503), status, body)
                check(status == 200 or "retry-after" in fields, "503 without Retry-After")
                load.count("told")
                return

    def run(act, arg):
        try:
            act(arg)
        except Exception as e:  # whatever it is, the test must fail
            load.failures.append("%s: %s: %s" % (act.__name__, type(e).__name__, e))

    for act, args in ((read_whole, readers), (ask_on, asking)):
        for arg in args:
            load.threads.append(threading.Thread(target=run, args=(act, arg), daemon=True))
            load.threads[-1].start()
    load.end()
    check(load.counts.get("whole") == len(readers), "streams were cut:", load.counts)
    texts = [first + call.communicate(timeout=PATIENCE)[0] for first, call in zip(begun, calls)]
    check([call.returncode for call in calls] == [0, 0] and texts[0] == texts[1] and
          len(texts[0]) > 400, "calls of gRPC:", texts)
    print("while draining:", load.counts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("test", choices=("crowd", "memory", "drain"))
    parser.add_argument("address")
    parser.add_argument("pid", type=int)
    parser.add_argument("client", nargs="?")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--growth", type=int, default=8192)
    options = parser.parse_args()
    try:
        {"crowd": crowd, "memory": memory, "drain": drain}[options.test](Load(options), options)
    except Failure as e:
        print("FAIL:", e)
        sys.exit(1)


main()
