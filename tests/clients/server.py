# SPDX-License-Identifier: Apache-2.0
"""What the scripts share: a daemon of their own, its jobs, and checks that name what was seen.

The program is taken from $BUILDDIR, or from build/ of this repository.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILDDIR", os.path.join(ROOT, "build"))
DEMO = os.path.join(ROOT, "models", "demo.gguf")
PATIENCE = 60

sys.path.append(os.path.join(ROOT, "tests", "system"))
import scripted_model  # noqa: E402

CHATML = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                   "required": ["city"]}}}
SAID = "".join(scripted_model.SAY)
REPORTED = "".join(scripted_model.REPORT)


class Server:
    """A daemon with OPTIONS. The model is "demo", which has learnt Shakespeare and has a ChatML
    template here, or "scripted": see scripted_model.py."""

    def __init__(self, model, *options):
        self.dir = tempfile.TemporaryDirectory(prefix="stagecoach-clients.")
        self.socket = self.path("socket")
        if model == "scripted":
            scripted_model.write(self.path("scripted.gguf"))
            options = ("-m", self.path("scripted.gguf"), *options)
        else:
            options = ("-m", DEMO, "--chat-template", CHATML, *options)
        self.log = open(self.path("log"), "w+")
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "stagecoachd"), "--listen", "127.0.0.1:0", "--socket",
             self.socket, "--alias", model, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)
        try:
            self.address = wait_for(self.find_address, "the daemon to be ready")
        except BaseException:
            self.process.kill()
            raise
        self.root = "http://" + self.address
        self.url = self.root + "/v1"

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def log_text(self):
        with open(self.path("log")) as file:
            return file.read()

    def find_address(self):
        text = self.log_text()
        if self.process.poll() is not None:
            raise SystemExit("the daemon ended:\n" + text)
        found = re.search(r"ready: gRPC and HTTP on (127\.0\.0\.1:\d+)", text)
        return found and "ready: gRPC and HTTP on unix" in text and found.group(1)

    def jobs(self, *states):
        """What `stagecoach jobs` lists, newest first."""
        flags = [flag for state in states for flag in ("--state", state)]
        text = subprocess.run(
            [os.path.join(BUILD, "stagecoach"), "jobs", "--json", "--socket", self.socket, *flags],
            stdout=subprocess.PIPE, check=True).stdout
        return [json.loads(line) for line in text.splitlines()]

    def wait_cancelled(self):
        """The newest job was cancelled, and nothing runs or waits."""
        wait_for(lambda: not self.jobs("running", "queued"), "jobs to end")
        job = self.jobs()[0]
        check(job["state"] == "cancelled", "the newest job is", job)
        return job

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(PATIENCE)
        self.log.close()
        text = self.log_text()
        self.dir.cleanup()
        for line in text.splitlines():
            if re.search(r"\b(warning|error)\b", line) and "trained for" not in line:
                print("  log:", line)
        check(code == 0, "the daemon's exit code is", code)


def check(is_true, *what):
    if not is_true:
        raise AssertionError(" ".join(str(part) for part in what))


def wait_for(is_done, what):
    end = time.monotonic() + PATIENCE
    while not (result := is_done()):
        check(time.monotonic() < end, "waited in vain for", what)
        time.sleep(0.02)
    return result


def expect(kind, call):
    """CALL raises KIND; returns the exception."""
    try:
        result = call()
    except kind as e:
        return e
    raise AssertionError("no %s, but %r" % (kind.__name__, result))


def run(module, *packages):
    """Calls each function test_* of MODULE, and tells the versions of PACKAGES."""
    from importlib.metadata import version
    print(", ".join("%s %s" % (name, version(name)) for name in packages))
    tests = [(name[5:], function) for name, function in module.items()
             if name.startswith("test_") and (len(sys.argv) < 2 or name[5:] in sys.argv[1:])]
    n_failed = 0
    for name, function in tests:
        try:
            seen = function()
            print("ok    ", name, "" if seen is None else "(%s)" % seen, flush=True)
        except Exception:
            n_failed += 1
            print("FAILED", name)
            traceback.print_exc(limit=-3)
    sys.exit(n_failed != 0)
