#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make install` brings all that the documents name, below DESTDIR alone; uninstall takes it away.
set -u
BUILDDIR=${BUILDDIR:-$(pwd)}
dir=$(mktemp -d "${TMPDIR:-/tmp}/stagecoach-test.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
fail() {
	echo "FAIL: $*"
	tail -n 40 "$dir/log"
	exit 1
}

# This test may run from make, whose flags are not for us.
unset MAKEFLAGS MFLAGS MAKELEVEL
make -C "$BUILDDIR" install DESTDIR="$dir/root" prefix=/usr sysconfdir=/etc >"$dir/log" 2>&1 ||
	fail "make install"
files=$(cd "$dir/root" && find . -type f | sort)
for file in bin/stagecoach sbin/stagecoachd libexec/stagecoach/launch libexec/stagecoach/first_rank \
	share/doc/stagecoach/LICENSE share/doc/stagecoach/README.md share/doc/stagecoach/NEWS.md \
	share/stagecoach/proto/stagecoach/v1/stagecoach.proto \
	share/stagecoach/proto/grpc/health/v1/health.proto \
	share/stagecoach/models/demo.gguf \
	share/bash-completion/completions/stagecoach share/bash-completion/completions/stagecoachd \
	share/man/man1/stagecoach.1 share/man/man5/stagecoach.conf.5 \
	share/man/man7/stagecoach-http.7 share/man/man8/stagecoachd.8 \
	lib/systemd/system/stagecoach.service lib/systemd/system/stagecoach-tcp.socket \
	lib/systemd/system/stagecoach-tcp.service lib/sysusers.d/stagecoach.conf \
	lib/tmpfiles.d/stagecoach.conf; do
	echo "$files" | grep -qx "./usr/$file" || fail "/usr/$file is missing among: $files"
done
for file in stagecoach/stagecoach.conf default/stagecoach; do
	echo "$files" | grep -qx "./etc/$file" || fail "/etc/$file is missing"
done
for script in launch first_rank; do
	[ -x "$dir/root/usr/libexec/stagecoach/$script" ] || fail "$script cannot be run"
done
echo "installed: $(echo "$files" | wc -l) files"

# What a client's author needs is enough to make code of.
if command -v protoc >/dev/null; then
	protoc -I "$dir/root/usr/share/stagecoach/proto" --python_out="$dir" \
		stagecoach/v1/stagecoach.proto grpc/health/v1/health.proto >"$dir/log" 2>&1 ||
		fail "protoc"
fi
bash -n "$dir/root/usr/share/bash-completion/completions/stagecoachd" || fail "completion"
"$dir/root/usr/bin/stagecoach" --version >"$dir/log" 2>&1 || fail "stagecoach --version"

make -C "$BUILDDIR" uninstall DESTDIR="$dir/root" prefix=/usr sysconfdir=/etc >"$dir/log" 2>&1 ||
	fail "make uninstall"
left=$(find "$dir/root" -type f -o -type l)
[ -z "$left" ] || fail "left behind: $left"
echo "uninstalled: nothing is left"
