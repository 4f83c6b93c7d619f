#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a server says on /metrics.

  scrape.py get ADDRESS PATH [HEADER:VALUE ...]	prints status, content type, an empty line, the body
  scrape.py post ADDRESS PATH JSON [HEADER:VALUE ...]	likewise
  scrape.py grpc ADDRESS PATH [NAME:VALUE ...]	calls a method with an empty message and metadata;
			exits 77 without python3-grpcio
  scrape.py check FILE NAME[,LABEL=VALUE ...]=NUMBER ...
			the samples of NAME with these labels, added up, make NUMBER; ">N": more than N
  scrape.py read FILE	reads all of it with python3-prometheus-client; exits 77 without that

ADDRESS is HOST:PORT.
"""
import http.client
import re
import sys


def ask(method, address, path, body, headers):
    connection = http.client.HTTPConnection(address, timeout=60)
    fields = dict(h.split(":", 1) for h in headers)
    if body:
        fields["Content-Type"] = "application/json"
    connection.request(method, path, body=body, headers=fields)
    answer = connection.getresponse()
    body = answer.read().decode()
    print(answer.status)
    print(answer.getheader("Content-Type"))
    print()
    sys.stdout.write(body)


def get(address, path, *headers):
    ask("GET", address, path, None, headers)


def post(address, path, body, *headers):
    ask("POST", address, path, body, headers)


def call(address, path, *metadata):
    try:
        import grpc
    except ImportError:
        sys.exit(77)
    with grpc.insecure_channel(address) as channel:
        channel.unary_unary(path)(b"", timeout=60,
                                  metadata=[tuple(m.split(":", 1)) for m in metadata])


LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def samples(path):
    with open(path) as lines:
        for line in lines:
            if line.startswith("#"):
                continue
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            yield name, dict(LABEL.findall(labels)), float(value)


def check(path, *wishes):
    known = list(samples(path))
    for wish in wishes:
        selector, _, number = wish.rpartition("=")
        name, *labels = selector.split(",")
        wanted = dict(label.split("=", 1) for label in labels)
        found = [value for its_name, its_labels, value in known
                 if its_name == name and wanted.items() <= its_labels.items()]
        if not found:
            sys.exit("no sample of " + selector)
        if number.startswith(">"):
            is_met = sum(found) > float(number[1:])
        else:
            is_met = sum(found) == float(number)
        if not is_met:
            sys.exit("%s: %s, expected %s" % (selector, sum(found), number))


def read(path):
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        sys.exit(77)
    with open(path) as text:
        families = list(text_string_to_metric_families(text.read()))
    for family in families:
        if not family.documentation or family.type == "unknown":
            sys.exit("%s: no help or no type" % family.name)
    n = sum(len(family.samples) for family in families)
    if n != len(list(samples(path))):
        sys.exit("%d samples, expected %d" % (n, len(list(samples(path)))))
    print("python3-prometheus-client: %d families, %d samples" % (len(families), n))


if __name__ == "__main__":
    {"get": get, "post": post, "grpc": call, "check": check, "read": read}[sys.argv[1]](*sys.argv[2:])
