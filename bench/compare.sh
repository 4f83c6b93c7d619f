#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tokens per second beside other engines, on this machine, one after the other.
#
#	bench/compare.sh [OPTION...] MODEL.gguf...
#
#	-p LIST  tokens of a prompt (512)	-n N	 tokens that are generated (64)
#	-b LIST  sequences together (4,16,64)	-d LIST  depths (none)
#	-t LIST  threads (1,2)			-r N	 rounds (5)
#
# Others are compared when they are there: llama-bench as LLAMA_BENCH says or on PATH, another one
# as IK_BENCH says; llama-batched-bench is looked for beside each. LLAMA_FLAGS and IK_FLAGS are
# added to their arguments, STAGECOACH_FLAGS to ours. STAGECOACH is our program (build/stagecoach).
#
# In each round every engine does every test once, after warming up, so that a noisy moment hits all
# of them; medians of the rounds are printed as a Markdown table. "ratio" is ours to the fastest
# other one, "of limit" is what `stagecoach bench` says.
set -eu
SRCDIR=$(cd "$(dirname "$0")/.." && pwd)
STAGECOACH=${STAGECOACH:-$SRCDIR/build/stagecoach}
LLAMA_BENCH=${LLAMA_BENCH:-$(command -v llama-bench || true)}
IK_BENCH=${IK_BENCH:-}
prompts=512 generated=64 sequences=4,16,64 depths='' threads=1,2 rounds=5

usage() {
	sed -n '3,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
	exit "$1"
}

while getopts p:n:b:d:t:r:h option; do
	case $option in
	p) prompts=$OPTARG ;;
	n) generated=$OPTARG ;;
	b) sequences=$OPTARG ;;
	d) depths=$OPTARG ;;
	t) threads=$OPTARG ;;
	r) rounds=$OPTARG ;;
	h) usage 0 ;;
	*) usage 64 >&2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage 64 >&2
for file in "$STAGECOACH" ${LLAMA_BENCH:+"$LLAMA_BENCH"} ${IK_BENCH:+"$IK_BENCH"} "$@"; do
	[ -e "$file" ] || { echo "compare.sh: $file is not there" >&2; exit 66; }
done

STAGECOACH=$(realpath "$STAGECOACH")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# save NAME COMMAND...: its output in a file of its own; a failure is told, and the test left out.
save() {
	local name=$1
	shift
	(cd "$work" && "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null) ||
		echo "compare.sh: failed: $* ($(tail -n 1 "$work/$name.err"))" >&2
}

# ours NAME MODEL
ours() {
	local tests=prompt,decode
	[ -z "$sequences" ] || tests=$tests,batch
	[ -z "$depths" ] || tests=$tests,depth
	# shellcheck disable=SC2086
	save "$1.stagecoach" "$STAGECOACH" bench -m "$2" -o json -r 1 --tests "$tests" \
		-t "$threads" -p "$prompts" -n "$generated" -b "${sequences:-1}" \
		${depths:+-d "$depths"} ${STAGECOACH_FLAGS:-}
}

# theirs NAME MODEL ENGINE BENCH FLAGS
theirs() {
	local name=$1 model=$2 engine=$3 bench=$4 flags=$5 batched context each
	[ -n "$bench" ] || return 0
	# shellcheck disable=SC2086
	save "$name.$engine.bench" "$bench" -m "$model" -o json -r 1 -t "$threads" -p "$prompts" \
		-n "$generated" $flags
	# shellcheck disable=SC2086
	if [ -n "$depths" ] && "$bench" --help 2>&1 | grep -q -- --n-depth; then
		save "$name.$engine.depth" "$bench" -m "$model" -o json -r 1 -t "$threads" \
			-p "$prompts" -n "$generated" -d "$depths" $flags
	fi
	batched=$(dirname "$bench")/llama-batched-bench
	[ -n "$sequences" ] && [ -x "$batched" ] || return 0
	context=$(((generated + 8) * $(echo "$sequences" | tr , '\n' | sort -n | tail -n 1)))
	for each in ${threads//,/ }; do
		# shellcheck disable=SC2086
		save "$name.$engine.batch.$each" "$batched" -m "$model" -c "$context" -npp 1 \
			-ntg "$generated" -npl "$sequences" -t "$each" $flags
	done
}

number=0
for model in "$@"; do
	model=$(realpath "$model")
	for round in $(seq "$rounds"); do
		echo "$(basename "$model"): round $round of $rounds" >&2
		ours "$number.$round" "$model"
		theirs "$number.$round" "$model" llama.cpp "$LLAMA_BENCH" "${LLAMA_FLAGS:-}"
		theirs "$number.$round" "$model" ik_llama.cpp "$IK_BENCH" "${IK_FLAGS:-}"
	done
	number=$((number + 1))
done

python3 - "$work" "$@" <<'PYTHON'
import collections, json, os, statistics, sys

work, models = sys.argv[1], [os.path.basename(p).removesuffix(".gguf") for p in sys.argv[2:]]
rates = collections.defaultdict(list)	# of (model, test, threads, engine)
shares = collections.defaultdict(list)	# of their limit, of (model, test, threads)


def name_of(n_prompt, n_gen, depth):
    return (f"pp{n_prompt}" if n_prompt else f"tg{n_gen}") + (f" @ d{depth}" if depth else "")


def read_ours(text, model):
    for line in text.splitlines():
        row = json.loads(line)
        rates[model, row["test"], row["threads"], "stagecoach"].append(row["tokens_per_second"])
        shares[model, row["test"], row["threads"]].append(row["of_limit"])


def read_bench(text, model, engine):
    for row in json.loads(text[text.find("["):]) if "[" in text else []:
        if not (row["n_prompt"] and row["n_gen"]):
            test = name_of(row["n_prompt"], row["n_gen"], row.get("n_depth", 0))
            rates[model, test, row["n_threads"], engine].append(row["avg_ts"])


def read_batch(text, model, engine, threads):
    for line in text.splitlines():
        cells = [c.strip() for c in line.split("|")]
        if len(cells) == 12 and cells[1].isdigit() and cells[3] != "1":
            rates[model, f"tg{cells[2]} x{cells[3]}", threads, engine].append(float(cells[8]))


for file in sorted(os.listdir(work)):
    parts = file.split(".")
    if parts[-1] not in ("out", "err"):
        continue
    with open(os.path.join(work, file), errors="replace") as stream:
        text = stream.read()
    model = models[int(parts[0])]
    engine = "stagecoach" if "stagecoach" in parts else ".".join(parts[2:4])
    if ".batch." in file:
        read_batch(text, model, engine, int(parts[-2]))
    elif parts[-1] == "out" and engine == "stagecoach":
        read_ours(text, model)
    elif parts[-1] == "out":
        read_bench(text, model, engine)

engines = [e for e in ("stagecoach", "llama.cpp", "ik_llama.cpp") if any(k[3] == e for k in rates)]
keys = list(dict.fromkeys(k[:3] for k in rates if k[3] == "stagecoach"))
print("| model | test | threads | " + " | ".join(engines) + " | ratio | of limit |")
print("|---|---|" + "--:|" * (len(engines) + 3))
for key in sorted(keys, key=lambda k: models.index(k[0])):
    found = {e: statistics.median(rates[*key, e]) for e in engines if rates[*key, e]}
    others = [v for e, v in found.items() if e != "stagecoach"]
    ratio = f"{found['stagecoach'] / max(others):.2f}" if others else "–"
    share = statistics.median(shares[key])
    cells = [f"{found[e]:.1f}" if e in found else "–" for e in engines]
    cells += [ratio, f"{100 * share:.0f} %" if share else "–"]
    print(f"| {key[0]} | {key[1]} | {key[2]} | " + " | ".join(cells) + " |")
PYTHON
