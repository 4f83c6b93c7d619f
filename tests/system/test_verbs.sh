#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One meaning per flag: every verb takes each flag of its groups, its help says the same of it as that
# of all others, and what `run` and `generate` do with the flags is the same. Prints the table: x
# for a flag of a group, o for a flag of the verb's own or of a larger group.
. "$(dirname "$0")/daemon.sh"

writers='run generate submit'
loaders='run perplexity bench chat'
clients='generate submit jobs watch cancel status workers chat'
all='run chat perplexity bench tokenize inspect quantize convert families generate submit jobs watch cancel status workers'

# group WORD VERBS FLAG...: a flag with a value as FLAG=VALUE
groups() {
	group prompt "$writers" --prompt=x --file=x --n-predict=1 --sequences=2 --stop=x \
		--special --parse-special --ignore-eos --logprobs --timeout=5
	group sampling "$writers chat" --temp=1 --top-k=1 --top-p=1 --min-p=0 --seed=1 --typical=1 \
		--top-nsigma=1 --xtc-probability=0 --xtc-threshold=0.1 --dynatemp-range=0 \
		--dynatemp-exp=1 --repeat-penalty=1 --presence-penalty=0 --frequency-penalty=0 \
		--repeat-last-n=1 --dry-multiplier=0 --dry-base=1 --dry-allowed-length=1 \
		--dry-penalty-last-n=1 --dry-sequence-breaker=x --samplers=top_k --sampler-seq=k \
		--logit-bias=1+1 --min-tokens=0 --stop-token=1
	group model "$loaders tokenize inspect" --model=x --ignore-key=x
	group compute "$loaders" --backend=cpu --cpu=auto --device=0 --threads=1 --pin=off \
		--memory=0 --stages=1 --batch-size=8 --ubatch-size=8 --block-length=16 \
		--kv-type=f16 --window=2 --spin-us=0
	group server "$clients" --socket=x --listen=x:1 --host=x --port=1 --silence=1
	group answer "$all" --json --quiet --log-level=info --help --version
	group letters "$writers" -px -fx -n1 -s1
	group letters "$loaders" -mx -t1
	group letters "$writers chat" -n1 -s1
	group letters "$all" -q -h -V
}

# What the help of a verb says of a flag: from its line to the next flag's.
help_of() {
	stagecoach "$1" -h | awk -v flag="$2" '
		/^ +-/ { is_it = 0; for (i = 1; i <= 2; i++) if ($i == flag || $i == flag ",") is_it = 1 }
		/^$/ { is_it = 0 }
		is_it { print }'
}

is_list() { [ "$1" = bench ] && case $2 in --threads | --stages | -t) ;; *) false ;; esac; }

check_help() {
	said=$(help_of "$1" "$2")
	[ -n "$said" ] || fail "$1 -h does not list $2"
	is_list "$1" "$2" && return
	if [ ! -f "$dir/help$2" ]; then
		echo "$said" >"$dir/help$2"
	elif [ "$said" != "$(cat "$dir/help$2")" ]; then
		fail "$1 -h says of $2: $said, and not: $(cat "$dir/help$2")"
	fi
}

# A verb outside the group: o where it takes the flag for a use of its own, else a dot.
other_use() {
	if stagecoach "$1" "$2" -h >"$dir/out" 2>&1 </dev/null; then
		echo o
	else
		echo .
	fi
}

group() {
	word=$1 takers=$2
	shift 2
	for given; do
		flag=${given%%=*}
		# shellcheck disable=SC2086
		row=$(printf '%-9s %-15s' $word "$flag")
		for verb in $all; do
			case " $takers " in
			*" $verb "*) ;;
			*)
				row="$row   $(other_use "$verb" "$given")"
				continue
				;;
			esac
			stagecoach "$verb" "$given" -h >"$dir/out" 2>"$dir/log" </dev/null ||
				fail "$verb refuses $given"
			case $flag in --*) check_help "$verb" "$flag" ;; esac
			row="$row   x"
		done
		echo "$row"
	done
}

printf '%-25s' ''
for verb in $all; do
	printf ' %3.3s' "$verb"
done
echo
groups

# --- the same mistakes are the same errors ---

expect_usage() {
	pattern=$1 takers=$2
	shift 2
	for verb in $takers; do
		stagecoach "$verb" "$@" >"$dir/out" 2>"$dir/log" </dev/null
		code=$?
		[ $code = 64 ] || fail "$verb $*: exit code $code, expected 64"
		grep -q -- "error: .*$pattern" "$dir/log" || fail "$verb $*: expected '$pattern'"
	done
}
expect_usage '--temp: expected a number' "$writers" --temp hot -p x
expect_usage '--n-predict: expected a whole' "$writers" -n x -p x
expect_usage 'expected one of them' 'generate submit' -p x -f y
expect_usage 'the prompt is given with -p' "$writers" hello
expect_usage 'no such verb; did you mean tokenize?' tokenise
expect_usage 'no such verb; did you mean run?' rnu
expect_usage 'no such verb; .*--help. lists' nonsense
expect_usage 'the name of the output is empty' quantize --allow-requantize "$MODEL" '' Q4_0
expect_usage 'no prompt' 'generate submit'
expect_usage 'no prompt' run -m "$MODEL"
expect_usage '--threads: expected a whole' 'run perplexity quantize' -t x
expect_usage '--silence: expected a number' "$clients" --silence x
expect_usage 'backend cpu has' run -m "$MODEL" -p x --device 5
expect_usage 'device 5' 'perplexity' -m "$MODEL" -f "$SRCDIR/tests/data/perplexity.txt" --device 5
expect_usage 'needs .* MiB' run -m "$MODEL" -p x --memory 1K
expect_usage 'the context holds 2' run -m "$MODEL" -p 'one two three' -c 2
STAGECOACH_MEMORY=1K stagecoach run -m "$MODEL" -p x >"$dir/out" 2>"$dir/log"
[ $? = 78 ] || fail "STAGECOACH_MEMORY=1K: expected exit code 78"

# --- run and generate print the same ---

start_daemon 1 -c 64
printf 'ROMEO:\n' >"$dir/prompt"

# same OPTION...: standard output and exit code of both; the prompt may be standard input.
same() {
	stagecoach run -m "$MODEL" -c 64 "$@" <"$dir/prompt" >"$dir/run" 2>"$dir/run.log"
	run_code=$?
	stagecoach generate --socket "$socket" "$@" <"$dir/prompt" >"$dir/generate" \
		2>"$dir/generate.log"
	code=$?
	[ $code = $run_code ] || fail "$*: run exits with $run_code, generate with $code"
	cmp "$dir/run" "$dir/generate" || fail "$*: run and generate differ"
	[ -s "$dir/run" ] || [ "$want_empty" ] || fail "$*: nothing on standard output"
	sed -n '/^stopped: /p' "$dir/run.log" >"$dir/run.stopped"
	sed -n '/^stopped: /p' "$dir/generate.log" | cmp - "$dir/run.stopped" ||
		fail "$*: they differ in why they stopped"
}
stopped() { grep -q "$1" "$dir/run.stopped" || fail "expected 'stopped: $1'"; }
want_empty=
same -p JULIET: -n 20 --seed 5
stopped 'the limit of 20 new tokens'
same -p JULIET: --seed 5 --temp 1.5 --top-k 0 --top-p 0.9 --min-p 0 -n 20
same -p JULIET: -n 30 --seed 5 --repeat-penalty 1.5 --presence-penalty 0.5 --frequency-penalty 1 \
	--repeat-last-n 20 --samplers 'penalties;top_k;temperature'
same -p JULIET: -n 30 --seed 5 --typical 0.9 --top-nsigma 2 --dynatemp-range 0.5 --dynatemp-exp 2
same -p JULIET: -n 30 --seed 5 --xtc-probability 0.9 --xtc-threshold 0.05 --sampler-seq xmt
same -p JULIET: -n 30 --temp 0 --dry-multiplier 2 --dry-base 2 --dry-allowed-length 1 \
	--dry-penalty-last-n -1 --dry-sequence-breaker none --dry-sequence-breaker x
same -p JULIET: -n 30 --temp 0 --logit-bias 15-inf --logit-bias 20+3.5 --min-tokens 9 --stop-token 20
same -f "$dir/prompt" -n 20 --temp 0
cp "$dir/run" "$dir/of-file"
same -f - -n 20 --temp 0
cmp "$dir/run" "$dir/of-file" || fail "-f - is not the text of standard input"
same -n 20 --temp 0
cmp "$dir/run" "$dir/of-file" || fail "without -p, standard input is not the prompt"
same -p JULIET: --temp 0 --ignore-eos
stopped 'the context is full (prompt tokens: 3, new tokens: 61)'
same -p JULIET: --temp 0 --ignore-eos --stop gone
stopped 'an end token or a stop string'
grep -q gone "$dir/run" && fail "a stop string was printed"
same -p JULIET: -n 9 --seed 2 --sequences 3
stopped 'the limit of 9 new tokens (-n): 3 sequences'
same -p '<|endoftext|>JULIET:' --special -n 9 --temp 0
same -p JULIET: -n 9 --temp 0 --special
want_empty=yes
same -p JULIET: -n 0
stopped 'the limit of 0 new tokens'
[ -s "$dir/run" ] && fail "-n 0 printed something"
want_empty=

# JSON: but for ids and times, which differ.
events() { sed 's/"job_id":"[^"]*",//; s/"timings":{[^}]*}//'; }
for options in "-n 5" "-n 0" "--ignore-eos" "-n 4 --sequences 2 --logprobs"; do
	# shellcheck disable=SC2086
	stagecoach run -m "$MODEL" -c 64 -p JULIET: --seed 1 --json $options 2>"$dir/log" |
		events >"$dir/run" || fail "run --json $options"
	# shellcheck disable=SC2086
	stagecoach generate --socket "$socket" -p JULIET: --seed 1 --json $options 2>"$dir/log" |
		events >"$dir/generate" || fail "generate --json $options"
	cmp "$dir/run" "$dir/generate" || fail "--json $options: run and generate differ"
	case $options in
	"-n 5" | "-n 0") reason=length ;;
	--ignore-eos) reason=context ;;
	*) reason=length ;;
	esac
	grep -q "\"reason\":\"$reason\"" "$dir/run" || fail "--json $options: no reason $reason"
done

# A BOS that is written out takes the place of the one that the vocabulary puts in front.
n_prompt() {
	stagecoach generate --socket "$socket" -n 0 --json "$@" 2>"$dir/generate.log" |
		sed -n 's/.*"n_prompt_tokens":\([0-9]*\).*/\1/p'
}
[ "$(n_prompt -p JULIET:)" = 3 ] || fail "the prompt has not three tokens"
[ "$(n_prompt --special -p '<|endoftext|>JULIET:')" = 3 ] || fail "two BOS in front of the prompt"
grep -q warning "$dir/generate.log" && fail "a warning of one BOS"
[ "$(n_prompt --special -p '<|endoftext|><|endoftext|>JULIET:')" = 4 ] || fail "a BOS was lost"
grep -q 'warning: .*two BOS' "$dir/generate.log" || fail "two BOS without a warning"

# The job's own JSON says why it ended, too.
id=$(stagecoach submit --socket "$socket" -p JULIET: --ignore-eos --seed 1 2>"$dir/log") ||
	fail submit
stagecoach watch --socket "$socket" --json "$id" >"$dir/out" 2>"$dir/log" || fail watch
grep -q '"reason":"context"' "$dir/out" || fail "watch: no reason context"

# --quiet: nothing on standard error, and the same on standard output.
same -p JULIET: -n 20 --seed 5 --quiet
id=$(stagecoach submit --socket "$socket" -p JULIET: -n 20 --seed 5 --quiet 2>"$dir/submit.log") ||
	fail "submit --quiet"
stagecoach watch --socket "$socket" --quiet "$id" >"$dir/watch" 2>"$dir/watch.log" || fail watch
cmp "$dir/watch" "$dir/run" || fail "watch --quiet: another text"
for verb in run generate submit watch; do
	[ -s "$dir/$verb.log" ] && fail "$verb --quiet: $(cat "$dir/$verb.log")"
done
stop_daemon

# More context than the model was trained for is one warning with both numbers.
stagecoach run -m "$MODEL" -c 1000 -p x -n 1 >"$dir/out" 2>"$dir/log" || fail "run -c 1000"
[ "$(grep -c 'warning: .* 1000 .* 512' "$dir/log")" = 1 ] || fail "run -c 1000: no warning"
stagecoach run -m "$MODEL" -c 512 -p x -n 1 >"$dir/out" 2>"$dir/log" || fail "run -c 512"
grep -q warning "$dir/log" && fail "run -c 512: a warning"

# As in llama-bench, 0 leaves tests out.
stagecoach bench -m "$MODEL" -p 8 -n 0 -d 0 -r 1 -t 1 --json >"$dir/out" 2>"$dir/log" ||
	fail "bench -n 0: $(cat "$dir/log")"
grep -q '"test":"pp8"' "$dir/out" || fail "bench -n 0: no prompt: $(cat "$dir/out")"
grep -q '"test":"[^"]*tg\|@' "$dir/out" && fail "bench -n 0 -d 0: $(cat "$dir/out")"

# --json where there is another answer.
stagecoach quantize --json --allow-requantize "$MODEL" "$dir/small.gguf" Q4_0 >"$dir/out" 2>"$dir/log" ||
	fail "quantize --json"
grep -q '^{"input":.*"type":"Q4_0".*"bits_per_weight":4\.' "$dir/out" || fail "$(cat "$dir/out")"
stagecoach bench -m "$MODEL" --tests decode -n 4 -r 1 -t 1 --json >"$dir/out" 2>"$dir/log" ||
	fail "bench --json"
grep -q '"test":"tg4"' "$dir/out" || fail "$(cat "$dir/out")"
expect_none_left
echo ok
