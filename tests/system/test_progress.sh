#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a person who waits is told: one line on a terminal, lines elsewhere, nothing with --quiet;
# and that standard output has nothing of it.
. "$(dirname "$0")/daemon.sh"

cat >"$dir/terminal.py" <<'PYTHON'
# terminal.py LOG COMMAND...: standard error is a terminal and is copied to LOG.
import os, pty, subprocess, sys

master, slave = pty.openpty()
child = subprocess.Popen(sys.argv[2:], stderr=slave, stdin=subprocess.DEVNULL)
os.close(slave)
with open(sys.argv[1], "wb") as log:
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:	# the other end is closed
            break
        if not data:
            break
        log.write(data)
        log.flush()
sys.exit(child.wait())
PYTHON
on_terminal() { /usr/bin/python3 "$dir/terminal.py" "$@"; }
erase=$(printf '\r\033[K')
has_return() { tr -d '\n' <"$1" | grep -q "$(printf '\r')"; }

# A pool that takes long enough to be told of.
slow="--kv-positions 100000"
run="$BUILDDIR/stagecoach run -m $MODEL -p x -n 4 -s 1 --temp 0 $slow"
$run >"$dir/piped" 2>"$dir/piped.log" || fail "run: exit code $?"
has_return "$dir/piped.log" && fail "run: \\r in a pipe"
on_terminal "$dir/shown.log" $run >"$dir/shown" || fail "run on a terminal: exit code $?"
grep -q "^.*$(printf '\r')loading [0-9]* %: [0-9]* of [0-9]* MiB" "$dir/shown.log" ||
	fail "a terminal is not told of loading"
grep -qF "$erase" "$dir/shown.log" || fail "the line is not taken away"
for option in "" --quiet; do
	on_terminal "$dir/quiet.log" $run $option >"$dir/quiet" || fail "run $option: exit code $?"
	cmp "$dir/piped" "$dir/quiet" || fail "run $option: another text on standard output"
done
cmp "$dir/piped" "$dir/shown" || fail "another text on a terminal"
[ -s "$dir/quiet.log" ] && fail "run --quiet is not quiet"
echo "run: told on a terminal"

text=$SRCDIR/tests/data/perplexity.txt
for verb in "perplexity -m $MODEL -f $text -c 64 --chunks 2" \
	"bench -m $MODEL --tests decode -n 2 -r 1 -t 1" \
	"quantize --allow-requantize $MODEL $dir/out.gguf Q4_0"; do
	stagecoach $verb >"$dir/out" 2>"$dir/err" || fail "$verb: exit code $?"
	has_return "$dir/err" && fail "$verb: \\r in a pipe"
	stagecoach $verb --quiet >"$dir/out" 2>"$dir/err" || fail "$verb --quiet: exit code $?"
	[ -s "$dir/err" ] && fail "$verb --quiet is not quiet"
	[ -s "$dir/out" ] || fail "$verb --quiet: no answer"
done
on_terminal "$dir/bench.log" "$BUILDDIR/stagecoach" bench -m "$MODEL" --tests decode -n 2 -r 1 \
	-t 1 >"$dir/out" || fail "bench on a terminal: exit code $?"
grep -q 'measuring what 1 thread can do' "$dir/bench.log" || fail "bench: not told of measuring"
grep -q 'tg2: test 1 of 1, [0-9]* %' "$dir/bench.log" || fail "bench: not told of the test"
echo "other verbs: told, and quiet"

# mpirun passes on to its terminal what ranks write to a pipe.
serve="$MPIRUN $MPIRUN_FLAGS -n 3 $BUILDDIR/stagecoachd -m $MODEL $slow"
on_terminal "$dir/mpirun.log" $serve -p x -n 4 -s 1 --temp 0 >"$dir/mpirun" ||
	fail "mpirun on a terminal: exit code $?"
grep -q "$(printf '\r')loading [0-9]* %" "$dir/mpirun.log" || fail "mpirun: not told of loading"
cmp "$dir/piped" "$dir/mpirun" || fail "mpirun: another text"
on_terminal "$dir/tagged.log" "$MPIRUN" --tag-output $MPIRUN_FLAGS -n 2 "$BUILDDIR/stagecoachd" \
	-m "$MODEL" $slow -p x -n 1 >/dev/null || fail "mpirun --tag-output: exit code $?"
grep -q 'loading [0-9]* %' "$dir/tagged.log" && fail "mpirun --tag-output: a line is rewritten"
$serve -p x -n 1 >/dev/null 2>"$dir/piped.log" || fail "mpirun: exit code $?"
has_return "$dir/piped.log" && fail "mpirun: \\r in a pipe"
echo "mpirun: told on a terminal"

# A stage that is held up while it loads. Its KV takes long enough to catch it at that.
stage=
catch_stage() {
	stage=$(sed -n 's/^2  *[^ ]*:\([0-9]*\) .*/\1/p' "$dir/log")
	[ -n "$stage" ] && kill -STOP "$stage"
}
"$MPIRUN" $MPIRUN_FLAGS -n 3 "$BUILDDIR/stagecoachd" -m "$MODEL" --listen none \
	--socket "$socket" --kv-positions 400000 >"$dir/out" 2>"$dir/log" &
launcher=$!
end=$(($(date +%s) + PATIENCE))
until catch_stage; do
	[ "$(date +%s)" -lt "$end" ] || fail "no plan"
done
wait_for stagecoach status --socket "$socket" || fail "no status while loading"
stagecoach status --socket "$socket" >"$dir/status" || fail "status while loading: exit code $?"
if grep -q ': loading' "$dir/status"; then
	grep -q ': loading [0-9]* %: [0-9]* of [0-9]* MiB, up' "$dir/status" ||
		fail "status: not told how far: $(cat "$dir/status")"
	sleep 2.2	# the log reports only waits of more than two seconds
	kill -CONT "$stage"
	wait_for is_started || fail "does not start"
	grep -q ' info: loading [0-9]* %: [0-9]* of [0-9]* MiB$' "$dir/log" ||
		fail "the log is not told of loading"
else
	kill -CONT "$stage"
	echo "too fast to be caught loading"
fi
has_return "$dir/log" && fail "the daemon: \\r in a pipe"

# Several sequences; and all counters right behind a job.
stagecoach generate --socket "$socket" -p x -n 40 --sequences 3 --quiet >"$dir/text" ||
	fail "generate: exit code $?"
stagecoach status --socket "$socket" --json >"$dir/status"
grep -v '^\[[012]\] ' "$dir/text" && fail "a line without its sequence"
/usr/bin/python3 - "$dir/status" <<'PYTHON' || fail "old counters: $(cat "$dir/status")"
import json, sys
with open(sys.argv[1]) as file:
    status = json.load(file)
answered = int(status["steps"]) - int(status.get("steps_in_flight", 0))
assert answered > 40 and len(status["stages"]) == 2
assert all(int(stage["steps"]) >= answered for stage in status["stages"])
assert "predicted" not in json.dumps(status)
PYTHON
stop_daemon
[ $code = 0 ] || fail "the daemon: exit code $code"
expect_none_left
