#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Answers POST /completion as llama-server does, without a model: for tests of the load client.

    fake_llama_server.py PORT_FILE MODE

writes its port into PORT_FILE. MODE: "keep": connections stay open; "close": each is closed without
a word after its first response; "short": two tokens are missing; "more": two tokens too many, and
no end; "refuse": status 503, with bytes that would turn a terminal red.
"""
import json
import socketserver
import sys
import threading

MODE = sys.argv[2]
HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\n\r\n\x1b[31mloading"


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def read_request(self):
        """The body, or None at the end of the connection."""
        if not self.rfile.readline():
            return None
        n_bytes = 0
        while (line := self.rfile.readline().strip()):
            name, value = line.split(b":", 1)
            if name.lower() == b"content-length":
                n_bytes = int(value)
        return json.loads(self.rfile.read(n_bytes) or "{}")

    def send(self, event):
        data = b"data: " + json.dumps(event).encode() + b"\n\n"
        # A chunk that ends in the middle of an event.
        for part in (data[:9], data[9:]):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))

    def answer(self, request):
        assert request["stream"] and not request["cache_prompt"] and request["ignore_eos"]
        n_prompt = len(request["prompt"])
        n_tokens = request["n_predict"] + {"short": -2, "more": 2}.get(MODE, 0)
        self.wfile.write(HEAD)
        # As when a character is not complete: every third token comes with the next one.
        for n in range(1, n_tokens):
            if n % 3:
                self.send({"content": "x", "stop": False, "tokens_predicted": n,
                           "tokens_evaluated": n_prompt})
        if MODE == "more":
            self.rfile.read(1)  # waits for the client's end
            return
        self.send({"content": "", "stop": True, "tokens_predicted": n_tokens,
                   "tokens_evaluated": n_prompt, "generation_settings": {"stop": []}})
        self.wfile.write(b"0\r\n\r\n")

    def handle(self):
        while (request := self.read_request()) is not None:
            if MODE == "refuse":
                self.wfile.write(REFUSAL)
            else:
                self.answer(request)
            if MODE == "close":
                return


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


with Server(("127.0.0.1", 0), Handler) as server:
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write(f"{server.server_address[1]}\n")
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
    server.serve_forever()
