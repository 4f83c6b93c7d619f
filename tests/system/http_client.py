#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Raw HTTP/1.1 over real sockets against a Stagecoach server.

  http_client.py HOST:PORT SOCKET_PATH

Runs each test over TCP and over the Unix socket, and many connections at once.
"""
import socket
import sys

HOST = b"Host: localhost\r\n"
PATIENCE = 60


class Client:
    """One connection. Reads answers one after the other."""

    def __init__(self, where):
        if isinstance(where, tuple):
            self.socket = socket.create_connection(where, PATIENCE)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            self.socket.connect(where)
        self.input = b""

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        data = self.socket.recv(65536)
        self.input += data
        return bool(data)

    def read(self):
        """Returns (status, fields, body), or None when the server has closed."""
        while b"\r\n\r\n" not in self.input:
            if not self.fill():
                assert not self.input, self.input
                return None
        head, self.input = self.input.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = int(fields.get("content-length", 0))
        while len(self.input) < length:
            assert self.fill()
        body, self.input = self.input[:length], self.input[length:]
        return int(lines[0].split()[1]), fields, body

    def is_closed(self):
        try:
            return not self.input and not self.socket.recv(1)
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()


def ask(where, data):
    client = Client(where)
    client.send(data)
    return client, client.read()


def expect(condition, what):
    if not condition:
        print("FAIL:", what)
        sys.exit(1)


def test_keep_alive(where):
    client, (status, _, body) = ask(where, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    expect(status == 200 and b"Stagecoach" in body, body)
    for i in range(3):
        client.send(b"GET / HTTP/1.1\r\nX-Request-Id: id%d\r\n" % i + HOST + b"\r\n")
        status, fields, body = client.read()
        expect(status == 200 and fields["x-request-id"] == "id%d" % i, fields)
    client.close()


def test_pipeline(where):
    one = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
    other = (b"POST /nothing/here HTTP/1.1\r\nContent-Length: 5\r\n" + HOST + b"\r\nhello")
    client = Client(where)
    client.send((one + other) * 100)
    for _ in range(100):
        expect(client.read()[0] == 200, "the first of a pair")
        expect(client.read()[0] == 404, "the second of a pair")
    client.close()


def test_byte_by_byte(where):
    client = Client(where)
    for byte in b"POST /nothing HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + \
            b"\r\n3\r\nabc\r\n0\r\n\r\n":
        client.send(bytes([byte]))
    expect(client.read()[0] == 404, "byte by byte")
    client.close()


def test_half_closed(where):
    client = Client(where)
    client.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    client.socket.shutdown(socket.SHUT_WR)
    expect(client.read()[0] == 200, "a client that has closed its sending end")
    expect(client.is_closed(), "not closed")
    client.close()


MALFORMED = [
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\n\n"),
    (400, b"GET /\r\n\r\n"),
    (400, b"hello world\r\n\r\n"),
    (400, b"\r\n\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b" folded\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: \0\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n"
          b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    (501, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n"),
    (505, b"GET / HTTP/3.0\r\n" + HOST + b"\r\n"),
    (414, b"GET /" + b"x" * 9000),
    (431, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101),
    (431, b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 20000),
    (413, b"POST /nothing HTTP/1.1\r\n" + HOST + b"Content-Length: 999999999999999\r\n\r\n"),
]


def test_malformed(where):
    for status, data in MALFORMED:
        client, answer = ask(where, data)
        if status == 413:   # an unknown path is found first
            expect(answer[0] in (404, 413), answer)
        else:
            expect(answer and answer[0] == status, (status, data, answer))
        expect(answer[1].get("connection") == "close", (data, answer))
        expect(b'{"error":{"message":' in answer[2], answer)
        client.close()


def test_refused_body_is_read(where):
    """Many clients send all of a body before they read the answer."""
    body = b"x" * 1000000
    client = Client(where)
    client.send(b"POST /nothing HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(body))
    client.send(body)
    expect(client.read()[0] == 404, "a refused body")
    client.close()


def test_crowd(where):
    """More connections than most clients open; each is served, and then leaves or stays."""
    clients = [Client(where) for _ in range(40)]
    for i, client in enumerate(clients):
        client.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        if i % 3 == 0:
            client.close()
    for i, client in enumerate(clients):
        if i % 3:
            expect(client.read()[0] == 200, "one of a crowd")
            client.close()


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    tests = [test for name, test in sorted(globals().items()) if name.startswith("test_")]
    for where in (host, int(port)), sys.argv[2]:
        for test in tests:
            print(test.__name__, where)
            test(where)


main()
