#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Print the completion of bash: completion/stagecoach.bash.in with the verbs, flags and types that
# the programs in BUILD_DIR have built in. `make` runs it, so that it cannot differ from them.
#	completion/make.sh BUILD_DIR
set -eu
build=$(cd "$1" && pwd)
source=$(cd "$(dirname "$0")" && pwd)

# Neither file nor environment of whoever runs this.
ask() {
	program=$1
	shift
	env -i "PATH=$PATH" "$build/$program" "$@"
}

verbs=$(ask stagecoach --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')
[ -n "$verbs" ] || { echo "make.sh: stagecoach --help lists no verbs" >&2; exit 1; }

print_case() {
	printf "\t%s) printf '%%s\\\\n' " "$1"
	shift
	ask "$@" --print-flags | sed "s/.*/'&'/" | tr '\n' ' '
	printf ';;\n'
}

print_flags() {
	print_case stagecoachd stagecoachd
	for verb in $verbs; do
		print_case "$verb" stagecoach "$verb"
	done
}

# The first line of the help ends with them:
# "usage: stagecoach quantize [OPTION...] INPUT OUTPUT TYPE".
print_arguments() {
	for verb in $verbs; do
		ask stagecoach "$verb" --help |
			sed -n "1s/.*\[OPTION\.\.\.\] \(.*\)/\t$verb) echo '\1' ;;/p"
	done
}

# quantize names its types when it does not know one.
types=$(ask stagecoach quantize in out ? 2>&1 |
	sed -n 's/.*expected one of \(.*\); found .*/\1/p' | tr -d ',')
[ -n "$types" ] || { echo "make.sh: stagecoach quantize lists no types" >&2; exit 1; }

{
	print_flags
	echo @
	print_arguments
	echo @
	cat "$source/stagecoach.bash.in"
} | awk -v verbs="$(echo $verbs)" -v types="$types" '
	$0 == "@" { part++; next }
	part < 2 { lines[part + 0] = lines[part + 0] (lines[part + 0] ? "\n" : "") $0; next }
	/^@flags@$/ { print lines[0]; next }
	/^@arguments@$/ { print lines[1]; next }
	{ sub(/@verbs@/, verbs); sub(/@types@/, types); print }'
