#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What ./demo and ./check have in common: see that the Debian packages are there, configure a build
# directory, run make with its output in a log.
#	tools/prepare.sh packages [test]	install what is missing to build (and to test)
#	tools/prepare.sh configure DIR [FLAG...]	once; later calls leave DIR as it is
#	tools/prepare.sh make DIR [ARGUMENT...]	quietly; on failure the end of the log is shown
# Writes to DIR, and beside configure.ac what autoreconf makes; git ignores both.
set -eu
cd -- "$(dirname -- "$0")/.."

build_packages='build-essential autoconf automake iproute2 pkgconf libcmocka-dev libconfig-dev
	libedit-dev libgnutls28-dev libhwloc-dev libjansson-dev libnghttp2-dev libopenmpi-dev libpcre2-dev libprotobuf-c-dev
	libsystemd-dev libucx-dev libutf8proc-dev libuv1-dev libxxhash-dev openmpi-bin procps
	protobuf-c-compiler'
test_packages='mandoc protobuf-compiler protobuf-compiler-grpc python3-grpcio python3-protobuf
	systemd xz-utils'

say() {
	printf '%s: %s\n' "${PREPARE_NAME:-prepare}" "$*" >&2
}

missing_packages() {
	for package in "$@"; do
		status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || status=
		[ "$status" = installed ] || printf '%s ' "$package"
	done
}

install_packages() {
	if ! command -v dpkg-query >/dev/null; then
		say "not a Debian system, so nothing is installed; needed are what Debian calls" "$@"
		return
	fi
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	say "installing $missing"
	sudo=
	if [ "$(id -u)" -ne 0 ]; then
		sudo=sudo
		if ! command -v sudo >/dev/null; then
			say "this needs root and there is no sudo; as root: apt-get install $missing"
			exit 1
		fi
	fi
	# sudo drops the environment, so the variable goes behind it.
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
		--no-install-recommends $missing >&2
}

# Of a compiler that nobody has tried, warnings are no reason to stop.
werror() {
	case $(${CC:-cc} -dumpversion) in
	12 | 12.*) echo --enable-werror ;;
	*) echo --disable-werror ;;
	esac
}

run_logged() {
	log=$1
	shift
	rc=0
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	[ $rc -eq 0 ] && return
	tail -n 40 "$log" >&2
	say "failed; the whole log is in $log"
	exit 1
}

configure_dir() {
	dir=$1
	shift
	mkdir -p "$dir"
	# A directory that was moved, or meant for other flags, is configured anew.
	key="$(pwd) $*"
	[ -f "$dir/Makefile" ] && [ "$(cat "$dir/.configured" 2>/dev/null)" = "$key" ] && return
	[ -x configure ] && [ -f Makefile.in ] || run_logged "$dir/autogen.log" ./autogen.sh
	say "configuring $dir"
	# A relative path to configure, so that spaces in ours do no harm.
	up=$(printf '%s\n' "$dir" | sed 's|[^/][^/]*|..|g')
	rm -f "$dir/Makefile"
	(
		log=configure.log
		cd "$dir"
		run_logged "$log" "$up/configure" "$(werror)" "$@"
	)
	printf '%s\n' "$key" >"$dir/.configured"
}

make_dir() {
	dir=$1
	shift
	run_logged "$dir/make.log" make -C "$dir" -j "$(nproc)" "$@"
}

case ${1-} in
packages)
	if [ "${2-}" = test ]; then
		install_packages $build_packages $test_packages
	else
		install_packages $build_packages
	fi
	;;
configure | make)
	command=$1
	shift
	if ! mkdir -p "$1" || [ ! -w "$1" ]; then
		say "$1: cannot be written by $(id -un)"
		exit 1
	fi
	# Two of us at once would spoil each other's files; what make starts lets go when it ends.
	exec 9>"$1/.lock"
	flock 9
	"${command}_dir" "$@"
	;;
*)
	sed -n 's/^#\(\ttools.*\)/\1/p' "$0" >&2
	exit 64
	;;
esac
