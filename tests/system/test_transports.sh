#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same text from one process, and from 1 and 3 stages in processes of their own, over UCX and
# MPI.
. "$(dirname "$0")/daemon.sh"

generate="-p MENENIUS: -n 60 --temp 0.8 --seed 5"
stagecoach run -m "$MODEL" $generate >"$dir/expected" 2>"$dir/run.log" || fail "run"
[ "$(wc -c <"$dir/expected")" -gt 60 ] || fail "run printed too little"

for transport in ucx mpi; do
	for ranks in 2 4; do
		launch $ranks "$BUILDDIR/stagecoachd" -m "$MODEL" $generate --transport $transport \
			--config /dev/null >"$dir/text" 2>"$dir/log" ||
			fail "$transport, $ranks ranks: exit code $?"
		cmp -s "$dir/expected" "$dir/text" || fail "$transport, $ranks ranks: another text"
		grep -q 'tokens/s$' "$dir/log" || fail "$transport, $ranks ranks: no speed told"
		expect_none_left
		echo "$transport with $ranks ranks: the same text"
	done
done
