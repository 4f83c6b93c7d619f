#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# systemd understands the unit and finds it as hardened as it is meant to be; the accounts and
# directories are well formed.
set -u
BUILDDIR=${BUILDDIR:-$(pwd)}
SRCDIR=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
MPIRUN=${MPIRUN:-/usr/bin/mpirun}
# Ten times the exposure that `systemd-analyze security` states for the unit.
MAX_EXPOSURE=16
MAX_NETWORK_EXPOSURE=18
command -v systemd-analyze >/dev/null || { echo "no systemd-analyze: skipped"; exit 77; }
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
failed=0

# As installed, but with programs that are here.
mkdir "$work/bin"
ln -s "$BUILDDIR/stagecoachd" "$work/bin/stagecoachd"
ln -s "$SRCDIR/systemd/launch" "$SRCDIR/systemd/first_rank" "$work/bin"
ln -s /bin/true "$work/bin/systemd-socket-proxyd"
for unit in stagecoach.service stagecoach-coordinator.service stagecoach-tcp.service \
	stagecoach-tcp.socket stagecoach-worker.service; do
	sed -e "/^@common@\$/{r $SRCDIR/systemd/common.inc" -e 'd;}' \
		-e "s|@sbindir@|$work/bin|" -e "s|@MPIRUN@|$MPIRUN|" -e "s|@sysconfdir@|/etc|" \
		-e "s|@pkglibexecdir@|$work/bin|" -e "s|@systemdutildir@|$work/bin|" \
		"$SRCDIR/systemd/$unit.in" >"$work/$unit"
done
if grep -n '@[a-z]*@' "$work"/*.service "$work"/*.socket; then
	echo "FAIL: a place is not filled in"
	failed=1
fi
for name in stagecoach stagecoach-coordinator stagecoach-tcp stagecoach-worker; do
	unit=$work/$name.service
	grep -q '^NoNewPrivileges=yes' "$unit" || {
		echo "FAIL: $name lacks what all units have in common"
		failed=1
	}

	# Unknown keys and bad values are told, but fail nothing without --recursive-errors=no.
	if systemd-analyze verify --man=no --recursive-errors=no "$unit" >"$work/said" 2>&1 &&
	   [ ! -s "$work/said" ]; then
		echo "ok: $name verified"
	else
		cat "$work/said"
		echo "FAIL: systemd-analyze verify $name"
		failed=1
	fi

	# In the middle of a word systemd leaves $NAME as it is; verify does not tell.
	if grep -E '^(Exec|[[:space:]]).*[^[:space:]]\$[A-Z]' "$unit"; then
		echo 'FAIL: inside a word it has to be ${NAME}'
		failed=1
	fi

	# The unit of one machine has a network of its own, the others have the machine's.
	max=$MAX_EXPOSURE
	case $name in
	stagecoach | stagecoach-tcp) ;;
	*) max=$MAX_NETWORK_EXPOSURE ;;
	esac
	if systemd-analyze security --no-pager --offline=yes --threshold=$max "$unit" \
		>"$work/said" 2>&1; then
		tail -n 1 "$work/said"
	else
		cat "$work/said"
		echo "FAIL: $name is exposed more than $max / 10"
		failed=1
	fi
done

if systemd-analyze verify --man=no --recursive-errors=no "$work/stagecoach-tcp.socket" \
	>"$work/said" 2>&1 && [ ! -s "$work/said" ]; then
	echo "ok: stagecoach-tcp.socket verified"
else
	cat "$work/said"
	echo "FAIL: systemd-analyze verify stagecoach-tcp.socket"
	failed=1
fi

if command -v systemd-sysusers >/dev/null; then
	mkdir -p "$work/root/etc"
	systemd-sysusers --root="$work/root" "$SRCDIR/systemd/sysusers.d/stagecoach.conf" &&
		grep -q '^stagecoach:' "$work/root/etc/passwd" || {
		echo "FAIL: sysusers"
		failed=1
	}
fi
exit $failed
