#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Seconds from the start of the daemon until it serves, on this machine.
#
#	bench/ready.sh [OPTION...] MODEL.gguf
#
#	-t N	threads (2)			-r N	rounds (5)
#	-s N	sequences at once (4)		-c N	positions of each (2048)
#	-w N	seconds of rest before a start (4)
#	-p N	first of two free TCP ports (21100)
#	-o	drop the model from the page cache before each start
#	-k	count the second of two starts in a row
#
# Two settings are measured, or one that SETTINGS names: "same", where every program has room for
# the keys and values of -s sequences of -c positions, and "default", with the defaults of each.
#
# llama-server is started too when LLAMA_SERVER names one: as it is, and with each set of flags of
# LLAMA_SETS (separated by semicolons; by default one that maps no file). Its warm-up stays on. BASE
# names another stagecoachd to compare with. STAGECOACHD is ours (build/stagecoachd).
#
# Ours serves when it logs "ready:"; llama-server when GET /health answers 200, asked every 10 ms.
# In each round every program is started, in an order that is drawn by chance: what a start costs
# depends on the memory that the program before it has freed. The kernel of a virtual machine may
# hand free huge pages back to its host after some seconds; then their next use is several times as
# slow. With a rest, that is what is measured. -k -w 0 measures programs by themselves, with the
# memory that each of them has freed just before.
# Prints a Markdown table: medians (least - most), processor time, resident memory once it serves.
set -eu
SRCDIR=$(cd "$(dirname "$0")/.." && pwd)
. "$SRCDIR/bench/checks.sh"
STAGECOACHD=${STAGECOACHD:-$SRCDIR/build/stagecoachd}
LLAMA_SERVER=${LLAMA_SERVER:-}
BASE=${BASE:-}
SETTINGS=${SETTINGS:-same default}
LIMIT_S=120	# of one start
threads=2 rounds=5 sequences=4 context=2048 rest=4 port=21100 cold= is_twice=

usage() {
	sed -n '3,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
	exit "$1"
}

while getopts t:r:s:c:w:p:okh option; do
	case $option in
	t) threads=$OPTARG ;;
	r) rounds=$OPTARG ;;
	s) sequences=$OPTARG ;;
	c) context=$OPTARG ;;
	w) rest=$OPTARG ;;
	p) port=$OPTARG ;;
	o) cold=1 ;;
	k) is_twice=1 ;;
	h) usage 0 ;;
	*) usage 64 >&2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -eq 1 ] || usage 64 >&2
need_whole -t "$threads" 1
need_whole -r "$rounds" 1
need_whole -s "$sequences" 1
need_whole -c "$context" 1
need_whole -p "$port" 1
[[ $rest =~ ^[0-9]+(\.[0-9]+)?$ ]] || die 64 "-w: expected a number of seconds, found '$rest'"
for setting in $SETTINGS; do
	case $setting in
	same | default) ;;
	*) die 64 "SETTINGS: expected same or default, found '$setting'" ;;
	esac
done
model=$(realpath "$1")
for file in "$STAGECOACHD" ${LLAMA_SERVER:+"$LLAMA_SERVER"} ${BASE:+"$BASE"} "$model"; do
	[ -f "$file" ] || die 66 "$file is not there"
done

work=$(mktemp -d)
pid=
end() {
	[ -z "$pid" ] || { kill -TERM "$pid" && wait "$pid"; } 2>/dev/null || true
	pid=
}
trap 'end; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkfifo "$work/never"
exec 9<>"$work/never"

now_us() { echo "${EPOCHREALTIME/./}"; }
# Sleeps without a process of its own.
nap() { read -r -t "$1" -u 9 || true; }

is_ready_stagecoach() {
	local text=
	read -r -d '' text <"$work/log" || true
	[[ $text == *'ready: '* ]]
}
is_ready_llama() {
	local line=
	{ exec 8<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || return 1
	printf 'GET /health HTTP/1.0\r\n\r\n' >&8
	read -r -t 1 line <&8 || true
	exec 8>&-
	[[ $line == *' 200 '* ]]
}

# start NAME KIND COMMAND...: one start, or two; adds "microseconds processor-seconds MiB" to the
# file NAME.
start() {
	[ -z "$is_twice" ] || start_once uncounted "${@:2}"
	start_once "$@"
}

start_once() {
	local name=$1 kind=$2 begin limit us cpu rss
	shift 2
	[ -z "$cold" ] || dd if="$model" iflag=nocache count=0 2>/dev/null
	sleep "$rest"
	: >"$work/log"
	need_free_port -p "$port"
	need_free_port -p $((port + 1))
	begin=$(now_us)
	limit=$((begin + LIMIT_S * 1000000))
	"$@" >"$work/out" 2>"$work/log" </dev/null 9>&- &
	pid=$!
	until "is_ready_$kind"; do
		if [ "$(now_us)" -gt "$limit" ] || ! kill -0 "$pid" 2>/dev/null; then
			echo "ready.sh: not ready: $* ($(tail -n 1 "$work/log"))" >&2
			end
			return
		fi
		nap 0.01
	done
	us=$(($(now_us) - begin))
	cpu=$(awk -v tick="$(getconf CLK_TCK)" '{ print ($14 + $15) / tick }' "/proc/$pid/stat")
	rss=$(awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$pid/status")
	end
	echo "$us $cpu $rss" >>"$work/$name"
}

# row NAME PROGRAM FLAGS
row() {
	[ -s "$work/$1" ] || return 0
	sort -n "$work/$1" | awk -v program="$2" -v flags="$3" '
		{ us[NR] = $1; cpu += $2; if ($3 > rss) rss = $3 }
		END { printf "| %s | `%s` | %.3f (%.3f - %.3f) | %.2f | %d |\n", program, flags,
		      (us[int((NR + 1) / 2)] + us[int(NR / 2) + 1]) / 2e6, us[1] / 1e6,
		      us[NR] / 1e6, cpu / NR, rss }'
}

stagecoach_flags() {
	echo "-t $threads"
	[ "$1" = default ] || echo "--parallel $sequences --ctx-size $context" \
		"--kv-positions $((sequences * context))"
}
llama_flags() {
	echo "-t $threads"
	[ "$1" = default ] || echo "-np $sequences -c $((sequences * context))"
}

# Newer ones have -lm.
if [ -n "$LLAMA_SERVER" ] && [ -z "${LLAMA_SETS+set}" ]; then
	LLAMA_SETS=--no-mmap
	! "$LLAMA_SERVER" --help 2>&1 | grep -q -e --load-mode || LLAMA_SETS='-lm none'
fi
# The page cache first: the first start would otherwise read the file.
cat "$model" >/dev/null
IFS=';' read -ra sets <<<"${LLAMA_SETS-}"
programs=(ours ${BASE:+base})
[ -z "$LLAMA_SERVER" ] || for i in -1 "${!sets[@]}"; do programs+=("llama$i"); done

# start_program PROGRAM SETTING
start_program() {
	local i=${1#llama}
	# shellcheck disable=SC2046,SC2086
	case $1 in
	ours) start "$1.$2" stagecoach "$STAGECOACHD" -m "$model" --port $((port + 1)) \
		$(stagecoach_flags "$2") ;;
	base) start "$1.$2" stagecoach "$BASE" -m "$model" --port $((port + 1)) \
		$(stagecoach_flags "$2") ;;
	*) start "$1.$2" llama "$LLAMA_SERVER" -m "$model" --port "$port" \
		$(llama_flags "$2") $([ "$i" -lt 0 ] || echo ${sets[$i]}) ;;
	esac
}

for setting in $SETTINGS; do
	for _ in $(seq "$rounds"); do
		for program in $(shuf -e -- "${programs[@]}"); do
			start_program "$program" "$setting"
		done
	done
done

compgen -G "$work/*.same" >/dev/null || compgen -G "$work/*.default" >/dev/null ||
	die 1 "nothing was measured"
echo "$(basename "$model"), $([ -n "$cold" ] && echo cold || echo warm) file, $rounds rounds," \
	"$rest s of rest${is_twice:+, second of two starts}"
echo
echo '| program | flags | s until ready: median (range) | processor s | MiB then |'
echo '|---|---|---|---|---|'
for setting in $SETTINGS; do
	row "ours.$setting" stagecoachd "$(echo $(stagecoach_flags $setting))"
	row "base.$setting" 'stagecoachd, base' "$(echo $(stagecoach_flags $setting))"
	row "llama-1.$setting" llama-server "$(echo $(llama_flags $setting))"
	for i in "${!sets[@]}"; do
		row "llama$i.$setting" llama-server "$(echo $(llama_flags $setting) ${sets[$i]})"
	done
done
