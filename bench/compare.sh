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
# of them; medians of the rounds are printed as a Markdown table, least and most in brackets. Other
# engines run with and without the flag that changes their speed most, as far as they have it:
# -rtr 1 (repacking while loading) or -lm none (weights in memory of their own). The better median
# of a test counts; a letter behind it says which flags gave it. "ratio" is ours to the fastest
# other one, "of limit" is what `stagecoach bench` says.
set -eu
SRCDIR=$(cd "$(dirname "$0")/.." && pwd)
. "$SRCDIR/bench/checks.sh"
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
need_list -p "$prompts"
need_whole -n "$generated" 1
need_list -t "$threads"
need_whole -r "$rounds" 1
[ -z "$sequences" ] || need_list -b "$sequences"
[ -z "$depths" ] || need_list -d "$depths"
for file in "$STAGECOACH" ${LLAMA_BENCH:+"$LLAMA_BENCH"} ${IK_BENCH:+"$IK_BENCH"} "$@"; do
	[ -f "$file" ] || die 66 "$file is not there"
done

# Programs run in a directory of their own.
STAGECOACH=$(realpath "$STAGECOACH")
[ -z "$LLAMA_BENCH" ] || LLAMA_BENCH=$(realpath -s "$LLAMA_BENCH")
[ -z "$IK_BENCH" ] || IK_BENCH=$(realpath -s "$IK_BENCH")
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
	save "$1~stagecoach" "$STAGECOACH" bench -m "$2" -o json -r 1 --tests "$tests" \
		-t "$threads" -p "$prompts" -n "$generated" --sequences "${sequences:-1}" \
		${depths:+-d "$depths"} ${STAGECOACH_FLAGS:-}
}

# variants BENCH: what to run it with, one line each: name|flags of BENCH|of llama-batched-bench.
variants() {
	local help
	help=$("$1" --help 2>&1 || true)
	case $help in
	*--run-time-repack*) printf '%s\n' '-rtr 0|-rtr 0|' '-rtr 1|-rtr 1|-rtr' ;;
	*--load-mode*) printf '%s\n' 'default||' '-lm none|-lm none|-lm none' ;;
	*--mmap*) printf '%s\n' 'default||' '-mmp 0|-mmp 0|--no-mmap' ;;
	*) echo 'default||' ;;
	esac
}

# theirs NAME MODEL ENGINE BENCH FLAGS
theirs() {
	local model=$2 engine=$3 bench=$4 flags=$5 batched context each label own own_batched name
	[ -n "$bench" ] || return 0
	batched=$(dirname "$bench")/llama-batched-bench
	context=$(((generated + 8) * $(echo "${sequences:-1}" | tr , '\n' | sort -n | tail -n 1)))
	while IFS='|' read -r label own own_batched; do
		name=$1~$engine~$label
		# shellcheck disable=SC2086
		save "$name~bench" "$bench" -m "$model" -o json -r 1 -t "$threads" -p "$prompts" \
			-n "$generated" $own $flags
		# shellcheck disable=SC2086
		if [ -n "$depths" ] && "$bench" --help 2>&1 | grep -q -- --n-depth; then
			save "$name~depth" "$bench" -m "$model" -o json -r 1 -t "$threads" \
				-p "$prompts" -n "$generated" -d "$depths" $own $flags
		fi
		[ -n "$sequences" ] && [ -x "$batched" ] || continue
		for each in ${threads//,/ }; do
			# shellcheck disable=SC2086
			save "$name~batch~$each" "$batched" -m "$model" -c "$context" -npp 1 \
				-ntg "$generated" -npl "$sequences" -t "$each" $own_batched $flags
		done
	done <<<"$(variants "$bench")"
}

number=0
for model in "$@"; do
	model=$(realpath "$model")
	for round in $(seq "$rounds"); do
		echo "$(basename "$model"): round $round of $rounds" >&2
		ours "$number~$round" "$model"
		theirs "$number~$round" "$model" llama.cpp "$LLAMA_BENCH" "${LLAMA_FLAGS:-}"
		theirs "$number~$round" "$model" ik_llama.cpp "$IK_BENCH" "${IK_FLAGS:-}"
	done
	number=$((number + 1))
done

python3 - "$work" "$@" <<'PYTHON'
import collections, json, os, statistics, sys

work, models = sys.argv[1], [os.path.basename(p).removesuffix(".gguf") for p in sys.argv[2:]]
rates = collections.defaultdict(list)	# of (model, test, threads), engine, flags
shares = collections.defaultdict(list)	# of their limit, of (model, test, threads)
variants = collections.defaultdict(list)	# flags of an engine, in the order of the letters


def name_of(n_prompt, n_gen, depth):
    return (f"pp{n_prompt}" if n_prompt else f"tg{n_gen}") + (f" @ d{depth}" if depth else "")


def read_ours(text, model):
    for line in text.splitlines():
        row = json.loads(line)
        key = model, row["test"], row["threads"]
        rates[key, "stagecoach", ""].append(row["tokens_per_second"])
        shares[key].append(None if row.get("in_cache") else row["of_limit"])


def read_bench(text, model, engine, flags):
    for row in json.loads(text[text.find("["):]) if "[" in text else []:
        if not (row["n_prompt"] and row["n_gen"]):
            test = name_of(row["n_prompt"], row["n_gen"], row.get("n_depth", 0))
            rates[(model, test, row["n_threads"]), engine, flags].append(row["avg_ts"])


def read_batch(text, model, engine, flags, threads):
    for line in text.splitlines():
        cells = [c.strip() for c in line.split("|")]
        if len(cells) == 12 and cells[1].isdigit() and cells[3] != "1":
            test = f"tg{cells[2]} x{cells[3]}"
            rates[(model, test, threads), engine, flags].append(float(cells[8]))


def read_file(file):
    number, _, engine, *rest = file.rsplit(".", 1)[0].split("~")
    with open(os.path.join(work, file), errors="replace") as stream:
        text = stream.read()
    model = models[int(number)]
    if engine == "stagecoach":
        if file.endswith(".out"):
            read_ours(text, model)
        return
    if rest[0] not in variants[engine]:
        variants[engine].append(rest[0])
    if rest[1] == "batch":
        read_batch(text, model, engine, rest[0], int(rest[2]))
    elif file.endswith(".out"):
        read_bench(text, model, engine, rest[0])


def best(key, engine):
    """The values of the flags with the best median, and their letter; nothing: not measured."""
    found = [(statistics.median(v), v, flags) for (k, e, flags), v in rates.items()
             if (k, e) == (key, engine)]
    if not found:
        return [], ""
    _, values, flags = max(found)
    return values, chr(97 + variants[engine].index(flags)) if flags else ""


def cell(values, letter):
    if not values:
        return "–"
    text = f"{statistics.median(values):.1f}" + (f" {letter}" if letter else "")
    return text if len(values) == 1 else f"{text} ({min(values):.1f}–{max(values):.1f})"


for file in sorted(f for f in os.listdir(work) if "~" in f):	# some write logs, too
    read_file(file)
for names in variants.values():
    names.sort(key=lambda name: (name != "default", name))
engines = [e for e in ("stagecoach", "llama.cpp", "ik_llama.cpp") if any(k[1] == e for k in rates)]
keys = list(dict.fromkeys(k[0] for k in rates if k[1] == "stagecoach"))
if not keys:
    sys.exit("compare.sh: nothing was measured")
print("| model | test | threads | " + " | ".join(engines) + " | ratio | of limit |")
print("|---|---|" + "--:|" * (len(engines) + 3))
for key in sorted(keys, key=lambda k: models.index(k[0])):
    found = {e: best(key, e) for e in engines}
    others = [statistics.median(v) for e, (v, _) in found.items() if v and e != "stagecoach"]
    ratio = f"{statistics.median(found['stagecoach'][0]) / max(others):.2f}" if others else "–"
    share = None if None in shares[key] else statistics.median(shares[key])
    cells = [cell(*found[e]) for e in engines]
    cells += [ratio, "in cache" if share is None else f"{100 * share:.0f} %" if share else "–"]
    print(f"| {key[0]} | {key[1]} | {key[2]} | " + " | ".join(cells) + " |")
notes = [f"{engine}: " + ", ".join(f"{chr(97 + i)} {flags}" for i, flags in enumerate(names))
         for engine, names in variants.items() if engine in engines]
if notes:
    print("\n" + "; ".join(notes))
PYTHON
