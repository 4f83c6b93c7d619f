#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Somebody on the network who has no key of the cluster, for tests.

    stranger.py record PORT HOST:PORT FILE    passes one connection on, and writes what the caller
                                              says to FILE; prints "listening" when it can be called
    stranger.py replay HOST:PORT FILE         says it again; prints how many bytes were answered
                                              until the other side hung up
    stranger.py junk HOST:PORT N_BYTES        the same with random bytes
    stranger.py silent HOST:PORT N SECONDS    holds N connections, opens each again when it is
                                              dropped; prints "open" once, and at the end how many
                                              were dropped
"""
import os
import selectors
import socket
import sys
import time

PATIENCE = 20


def connect(address):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), PATIENCE)


def record(port, address, path):
    listener = socket.create_server(("0.0.0.0", int(port)))
    print("listening", flush=True)
    caller, _ = listener.accept()
    callee = connect(address)
    selector = selectors.DefaultSelector()
    for end in (caller, callee):
        selector.register(end, selectors.EVENT_READ)
    with open(path, "wb", buffering=0) as file:
        while True:
            for key, _ in selector.select():
                data = key.fileobj.recv(65536)
                if not data:
                    return
                if key.fileobj is caller:
                    file.write(data)
                (callee if key.fileobj is caller else caller).sendall(data)


def say(address, first, rest=b""):
    """Says first, and after an answer the rest."""
    end = connect(address)
    n_answered = 0
    try:
        end.sendall(first)
        if rest:
            n_answered = len(end.recv(65536))
            end.sendall(rest)
        while answer := end.recv(65536):
            n_answered += len(answer)
    except socket.timeout:
        sys.exit("the other side does not hang up")
    except OSError:
        pass    # it hung up while bytes were on their way
    print(n_answered)


def try_connect(address):
    try:
        end = connect(address)
        end.setblocking(False)
        return end
    except OSError:
        return None


def is_dropped(end):
    try:
        return end is None or not end.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


def silent(address, n, seconds):
    ends = [try_connect(address) for _ in range(int(n))]
    print("open", flush=True)
    until = time.monotonic() + float(seconds)
    n_dropped = 0
    while time.monotonic() < until:
        for i, end in enumerate(ends):
            if is_dropped(end):
                n_dropped += 1
                ends[i] = try_connect(address)
        time.sleep(0.02)
    print(n_dropped)


def main():
    kind, *words = sys.argv[1:]
    if kind == "record":
        record(*words)
    elif kind == "replay":
        data = open(words[1], "rb").read()
        n_hello = 5 + int.from_bytes(data[3:5], "big")     # the first record of TLS
        say(words[0], data[:n_hello], data[n_hello:])
    elif kind == "junk":
        say(words[0], os.urandom(int(words[1])))
    else:
        silent(*words)


main()
