#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The switch that other tests rely on does what it says: hosts reach each other, a cut is silent and
# may be one-way, delay and loss are real.
. "$(dirname "$0")/daemon.sh"
. "$(dirname "$0")/hosts.sh"

make_hosts a b c

cat >"$dir/listen.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 9999))
open(sys.argv[1] + "/listening", "w").close()
s.settimeout(5)
s.recv(10)
open(sys.argv[1] + "/heard", "w").close()
END
cat >"$dir/say.py" <<'END'
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", (sys.argv[1], 9999))
END

# heard FROM TO: a datagram of FROM reaches TO. An answer would need the other direction.
heard() {
	rm -f "$dir/heard" "$dir/listening"
	on "$2" /usr/bin/python3 "$dir/listen.py" "$dir" 2>/dev/null &
	listener=$!
	wait_for test -e "$dir/listening" || fail "no listener on $2"
	(on "$1" /usr/bin/python3 "$dir/say.py" "$(address_of "$2")")
	for i in 1 2 3 4 5 6 7 8 9 10; do
		[ -e "$dir/heard" ] && break
		sleep 0.05
	done
	kill "$listener" 2>/dev/null
	wait "$listener" 2>/dev/null
	[ -e "$dir/heard" ]
}

# Each host learns the hardware addresses of the others once, so that one-way cuts cut no questions.
for from in a b c; do
	for to in a b c; do
		[ $from = $to ] || heard $from $to || fail "$from does not reach $to"
	done
done

cut b
heard a b && fail "b is cut off and hears a"
heard b c && fail "b is cut off and c hears it"
heard a c || fail "a cut of b has cut a from c"
join b
heard a b && heard b a || fail "b was joined again and does not talk to a"

tell_switch cut a c
heard a c && fail "a cut in one direction did nothing"
heard c a || fail "a cut in one direction has cut the other"
tell_switch join a c

tell_switch loss 1000
heard a b && fail "all frames are lost and b hears a"
tell_switch loss 0
tell_switch delay 20000
# Two delays there and back.
rtt=$(on a ping -c 3 -i 0.2 -q "$(address_of b)" 2>/dev/null |
      sed -n 's|.*= [0-9.]*/\([0-9]*\).*|\1|p')
if [ -n "$rtt" ]; then
	[ "$rtt" -ge 40 ] || fail "a delay of 20 ms each way makes a round trip of $rtt ms"
fi
tell_switch delay 0
tell_switch frames
[ "$answer" -gt 20 ] || fail "the switch says it has delivered $answer frames"
echo "hosts talk; cuts, loss and delay work"
