#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A model file that is cut, or written over, under a running daemon: the same text as before.
. "$(dirname "$0")/daemon.sh"

text_of() { stagecoach generate --socket "$socket" -p 'the thé het' -n 12 --temp 0 --ignore-eos; }

for kind in spm good; do
	"$BUILDDIR/tests/system/write_model" $kind "$dir/$kind.gguf" || fail "write_model $kind"
	for ranks in 1 3; do
		for how in cut over; do
			MODEL=$dir/live.gguf
			cp "$dir/$kind.gguf" "$MODEL"
			start_daemon $ranks
			text_of >"$dir/before" 2>"$dir/client.log" || fail "$kind: no text before"
			[ -s "$dir/before" ] || fail "$kind: the text before is empty"
			if [ $how = cut ]; then
				: >"$MODEL"
			else
				tr '\0-\377' x <"$dir/$kind.gguf" >"$dir/junk"
				cat "$dir/junk" >"$MODEL"
			fi
			text_of >"$dir/after" 2>"$dir/client.log" ||
				fail "$kind, $ranks ranks, $how: no text"
			cmp "$dir/before" "$dir/after" || fail "$kind, $ranks ranks, $how: other text"
			stagecoach status --socket "$socket" >"$dir/status" ||
				fail "$kind, $ranks ranks, $how: no status"
			stop_daemon
			[ $code = 0 ] || fail "$kind, $ranks ranks, $how: exit code $code"
			expect_none_left
			rm -f "$MODEL"
			echo "$kind, $ranks ranks, $how: the same text"
		done
	done
done
