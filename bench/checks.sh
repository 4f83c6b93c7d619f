# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts of this folder: what they check before they measure.

# die EXIT_CODE TEXT
die() {
	echo "$(basename "$0"): $2" >&2
	exit "$1"
}

# need_whole NAME VALUE LEAST
need_whole() {
	[[ $2 =~ ^[0-9]{1,7}$ ]] && [ $((10#$2)) -ge "$3" ] ||
		die 64 "$1: expected a whole number, $3 at least, found '$2'"
}

# need_list NAME VALUE: whole numbers above 0 with commas between them.
need_list() {
	[[ $2 =~ ^0*[1-9][0-9]{0,6}(,0*[1-9][0-9]{0,6})*$ ]] ||
		die 64 "$1: expected whole numbers above 0 with commas between them, found '$2'"
}

# need_free_port NAME PORT: the answers of a server that is there already would be measured.
need_free_port() {
	if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
		die 69 "something listens on port $2 already: end it, or choose another port by $1"
	fi
}
