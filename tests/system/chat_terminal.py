#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal who runs `stagecoach chat`: types, interrupts, saves and loads.

chat_terminal.py DIRECTORY MODE PROGRAM [ARGUMENT...]
MODE is "all", "gone" (the server ends while the person talks; its pid is in DIRECTORY/pid), or
"plain" (a build or a terminal without editing)."""
import json
import os
import pty
import re
import select
import signal
import sys
import time

PATIENCE = 60
INTERRUPT, END = b"\x03", b"\x04"


class Terminal:
    def __init__(self, arguments, **environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(environment)
            os.execv(arguments[0], arguments)
        self.seen = b""     # everything that was shown
        self.at = 0         # what was looked at

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            more = os.read(self.fd, 65536)
        except OSError:     # the other end is closed
            more = b""
        self.seen += more
        return bool(more)

    def expect(self, pattern):
        """Waits until pattern is shown behind what was looked at, and returns the match."""
        end = time.monotonic() + PATIENCE
        while True:
            match = re.compile(pattern, re.S).search(self.seen, self.at)
            if match:
                self.at = match.end()
                return match
            if time.monotonic() > end or not self.read(max(0, end - time.monotonic())):
                raise SystemExit("expected %r, found %r" % (pattern, self.seen[self.at:]))

    def type(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def say(self, text):
        self.type(text + "\r")

    def prompt(self):
        self.expect(rb"> ")

    def end(self):
        """The exit code, once the program has ended by itself."""
        end = time.monotonic() + PATIENCE
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                raise SystemExit("the program does not end; shown: %r" % self.seen)
            self.read(0.05)


def expect(condition, text, terminal):
    if not condition:
        raise SystemExit("%s; shown: %r" % (text, terminal.seen))


def saved(terminal, path):
    terminal.say("/save " + path)
    terminal.expect(rb"saved \d+ messages")
    terminal.prompt()
    with open(path) as file:
        return json.load(file)


def answers(messages):
    return [m["content"] for m in messages if m["role"] == "assistant"]


def talk(t, directory):
    """Turns, commands, and an answer that is had again."""
    t.prompt()
    t.say("/help")
    t.expect(rb"/regen")
    t.prompt()
    t.say("/set seed 5")
    t.prompt()
    t.say("/set n_predict 12")
    t.prompt()
    t.say("to be, or not to be")
    t.expect(rb"\[cut at 12 tokens")
    t.prompt()
    first = saved(t, directory + "/one.json")
    expect([m["role"] for m in first] == ["user", "assistant"], "not one turn", t)
    t.say("/set seed 6")
    t.prompt()
    t.say("/regen")
    t.expect(rb"\[cut at 12 tokens")
    t.prompt()
    again = saved(t, directory + "/two.json")
    expect(first[0] == again[0], "/regen changed the message", t)
    expect(first[1] != again[1], "/regen with another seed gave the same answer", t)
    t.say("/load %s/one.json" % directory)
    t.expect(rb"loaded 2 messages")
    t.prompt()
    expect(saved(t, directory + "/three.json") == first, "/load read something else", t)
    t.say("/regenerate")
    t.expect(rb"no such command")
    t.prompt()
    t.say("/load %s/none.json" % directory)
    t.expect(rb"No such file")
    t.prompt()
    t.say("/stats")
    t.expect(rb"2 turns")
    t.prompt()


def interrupt(t, directory):
    """Ctrl-C ends an answer, and the program goes on."""
    t.say("/clear")
    t.prompt()
    t.say("/set n-predict -1")
    t.prompt()
    t.say("/set ignore-eos on")
    t.prompt()
    t.say("speak at length")
    t.expect(rb"speak at length.*?[A-Za-z ,.]{40}")
    t.type(INTERRUPT)
    t.expect(rb"\[stopped\]")
    t.prompt()
    messages = saved(t, directory + "/stopped.json")
    expect(len(messages) == 2 and messages[1]["content"], "the answer that was stopped is lost", t)
    t.say("/set ignore-eos off")
    t.prompt()
    t.say("/set n-predict 3")
    t.prompt()
    t.say("and now?")
    t.expect(rb"\[cut at 3 tokens")
    t.prompt()


def edit(t, directory):
    """Keys of the editor, earlier lines, a text of several lines, and a paste."""
    t.say("/clear")
    t.prompt()
    t.type("c\xf6me\x01wel\x05\x02\x02\x0b\r")  # home, "wel", end, left twice, delete the rest
    t.expect(rb"\[cut at 3 tokens")
    t.prompt()
    t.type("\x1b[A\r")                          # arrow up
    t.expect(rb"\[cut at 3 tokens")
    t.prompt()
    t.type("\x1b[200~first\rsecond /quit\r\x1b[201~third\r")
    t.expect(rb"\[cut at 3 tokens")
    t.prompt()
    said = [m["content"] for m in saved(t, directory + "/edited.json") if m["role"] == "user"]
    expect(said == ["welc\xf6", "welc\xf6", "first\nsecond /quit\nthird"], "said: %r" % said, t)


def lines(t, directory):
    t.say("/clear")
    t.prompt()
    t.say("one\\")
    t.expect(rb"\. ")
    t.say("two")
    t.expect(rb"\[cut at 3 tokens")
    t.prompt()
    t.say('"""three')
    t.expect(rb"\. ")
    t.say("/quit")
    t.expect(rb"\. ")
    t.say('four"""')
    t.expect(rb"\[cut at 3 tokens")
    t.prompt()
    said = [m["content"] for m in saved(t, directory + "/lines.json") if m["role"] == "user"]
    expect(said == ["one\ntwo", "three\n/quit\nfour"], "said: %r" % said, t)


def fill(t, directory):
    """A conversation that has no room says so, and /clear makes room."""
    t.say("/set n-predict 3")
    t.prompt()
    t.say('"""')
    for _ in range(40):
        t.expect(rb"\. ")
        t.say("all the world is a stage, and all the men and women merely players")
    t.expect(rb"\. ")
    t.say('"""')
    t.expect(rb"The context is full: /clear")
    t.prompt()
    t.say("/clear")
    t.prompt()
    t.say("short")
    t.expect(rb"\[cut at 3 tokens")
    t.prompt()


def leave(t):
    """Ctrl-C at the prompt clears the line, twice leaves."""
    t.type("half a line")
    t.expect(rb"half a line")
    t.type(INTERRUPT)
    t.expect(rb"leaves\]")
    t.prompt()
    t.say("whole")
    t.expect(rb"\[cut at 3 tokens")
    t.prompt()
    t.type(INTERRUPT)
    t.expect(rb"leaves\]")
    t.prompt()
    t.type(INTERRUPT)
    code = t.end()
    expect(code == 130, "Ctrl-C twice: exit code %d" % code, t)


def run_all(arguments, directory):
    state = directory + "/state"
    t = Terminal(arguments, TERM="xterm", LC_ALL="C.UTF-8", XDG_STATE_HOME=state)
    talk(t, directory)
    interrupt(t, directory)
    edit(t, directory)
    lines(t, directory)
    fill(t, directory)
    t.type(END)
    code = t.end()
    expect(code == 0, "Ctrl-D: exit code %d" % code, t)
    history = state + "/stagecoach/chat_history"
    expect(os.stat(history).st_mode & 0o077 == 0, "others may read the history", t)
    t = Terminal(arguments + ["-n", "3"], TERM="xterm", LC_ALL="C.UTF-8", XDG_STATE_HOME=state)
    t.prompt()
    t.type("\x1b[A\r")      # the last line of the time before: "short"
    t.expect(rb"\[cut at 3 tokens")
    t.prompt()
    said = saved(t, directory + "/history.json")
    expect(said[0]["content"] == "short", "the history is lost", t)
    leave(t)


def run_plain(arguments, directory):
    t = Terminal(arguments, TERM="dumb", XDG_STATE_HOME=directory + "/state")
    t.prompt()
    t.say("/set n-predict 3")
    t.prompt()
    lines(t, directory)
    leave(t)


def run_gone(arguments, directory):
    t = Terminal(arguments + ["-n", "3"], TERM="xterm", XDG_STATE_HOME=directory + "/state")
    t.prompt()
    t.say("hello")
    t.expect(rb"\[cut at 3 tokens")
    t.prompt()
    with open(directory + "/pid") as file:
        pid = int(file.read())
    os.kill(pid, signal.SIGTERM)
    with open(directory + "/killed", "w"):
        pass
    while not os.path.exists(directory + "/ended"):     # the script waits for the server
        time.sleep(0.02)
    t.say("are you there?")
    t.expect(rb"no server.*tries again")
    t.prompt()
    with open(directory + "/told", "w"):
        pass
    while not os.path.exists(directory + "/back"):      # the script starts another one
        time.sleep(0.02)
    t.say("/regen")
    t.expect(rb"\[cut at 3 tokens")
    t.prompt()
    said = [m["content"] for m in saved(t, directory + "/gone.json") if m["role"] == "user"]
    expect(said == ["hello", "are you there?"], "said: %r" % said, t)
    t.say("/quit")
    code = t.end()
    expect(code == 0, "/quit: exit code %d" % code, t)


if __name__ == "__main__":
    {"all": run_all, "plain": run_plain, "gone": run_gone}[sys.argv[2]](sys.argv[3:], sys.argv[1])
