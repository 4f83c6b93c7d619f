# SPDX-License-Identifier: Apache-2.0
# Sourced after cluster.sh and hosts.sh by tests that cut hosts off while a text is generated.
#
#	do_cut FROM TO, do_join FROM TO	the commands of the switch as text for a shell, for
#					text_and_kill
#	disturb COMMAND			asks for $N_TOKENS tokens and runs COMMAND in the middle; the
#					text must be the undisturbed one. Sets $found (ms) and $why
#	print_row WHO			a row of the table, for the case $what
#	n_admitted ID			how often the worker was admitted

AT=2000			# bytes of the text after which something is done
# The loss is found within the deadline, which is counted from the last word of the lost one, and is
# looked at with each heartbeat. A loaded machine gets two more seconds.
DEADLINE_MS=3000
MOST_MS=$((DEADLINE_MS + 2 * 200 + 2000))

row() { printf '%-30s %-14s %9s %7s  %s\n' "$@"; }

do_cut() { printf 'echo "cut %s %s" >&7; read -r answer <&8; ' "$1" "$2"; }
do_join() { printf 'echo "join %s %s" >&7; read -r answer <&8; ' "$1" "$2"; }

# The time in ms of the first line of the coordinator's log that tells of a loss after $cut_ms.
found_ms() {
	grep ' warning: \| error: ' "$dir/log" | grep 'stage [0-9]\|worker ' |
	while read -r when rest; do
		ms=$(date -d "$when" +%s%3N)
		if [ "$ms" -ge "$1" ]; then
			echo "$ms $rest"
			return
		fi
	done
}

seconds() { echo "$1" | awk '{ printf "%.2f", $1 / 1000 }'; }

disturb() {
	text_and_kill $N_TOKENS $AT "date +%s%3N >$dir/cut_ms; $1"
	cut_ms=$(cat "$dir/cut_ms")
	found=$(found_ms "$cut_ms")
	why=${found#* }
	[ -n "$found" ] || fail "$what: nobody was lost"
	found=$((${found%% *} - cut_ms))
	[ "$client_code" = 0 ] ||
		fail "$what: the client ended with $client_code: $(cat "$dir/client.log")"
	same_text
	[ "$found" -le $MOST_MS ] || fail "$what: found after $found ms, at most $MOST_MS"
}
print_row() {
	row "$what" "$1" "$(seconds $found)" "$(seconds "$(cat "$dir/gap")")" "same tokens; $why"
}

n_admitted() { grep -c "worker $1 .*is here" "$dir/log"; }
is_admitted() { [ "$(n_admitted "$1")" -ge "$2" ]; }
