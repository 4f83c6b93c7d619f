#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the chat template vectors: what jinja2 makes of each template and conversation.

    make_chat_template_vectors.py DIR [--conversations FILE]    (tests/data/chat_templates)

DIR has *.jinja. FILE (default: DIR/conversations.json) is an object: name of a conversation ->
the template's variables. Writes DIR/expected.json: template -> conversation -> [text without
add_generation_prompt, text with it], where null stands for a refusal (raise_exception, or an
error). jinja2 is set up as transformers does it, and strftime_now says NOW.

    make_chat_template_vectors.py /tmp/templates --conversations tests/data/chat_templates/conversations.json
    CHAT_TEMPLATES=/tmp/templates tests/jinja/test_chat_templates

compares other templates; their conversations.json must stand beside them, too. Development only:
needs jinja2 (PyPI).
"""
import argparse
import datetime
import glob
import json
import os
import shutil

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2025, 7, 24, 1, 2, 3)
CONSTANTS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


class Generation(Extension):
    """The tag `generation`: in a prompt it writes what is inside."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_write")
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _write(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def render(template, variables, prompt):
    try:
        return template.render(**CONSTANTS, **variables, add_generation_prompt=prompt)
    except Exception:  # Python's own errors come through: every one is a refusal.
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory")
    parser.add_argument("--conversations")
    args = parser.parse_args()
    beside = os.path.join(args.directory, "conversations.json")
    if args.conversations:
        shutil.copyfile(args.conversations, beside)
    with open(beside, encoding="utf-8") as file:
        conversations = json.load(file)
    expected = {}
    for path in sorted(glob.glob(os.path.join(args.directory, "*.jinja"))):
        with open(path, encoding="utf-8", newline="") as file:
            template = environment().from_string(file.read())
        expected[os.path.basename(path)] = {
            name: [render(template, variables, prompt) for prompt in (False, True)]
            for name, variables in conversations.items()}
    with open(os.path.join(args.directory, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(expected, file, ensure_ascii=False, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
