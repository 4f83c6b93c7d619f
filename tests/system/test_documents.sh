#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What documents say of options and models is what the programs have built in; the example file is
# accepted; the manual pages are well formed.
set -u
BUILDDIR=${BUILDDIR:-$(pwd)}
SRCDIR=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
failed=0

"$SRCDIR/tools/update_docs.sh" "$BUILDDIR" "$work" || exit 1
for file in MODELS.md etc/stagecoach.conf man/stagecoach.1 man/stagecoach.conf.5 man/stagecoachd.8; do
	if diff -u "$SRCDIR/$file" "$work/$file"; then
		echo "ok: $file says what the tables say"
	else
		echo "FAIL: $file is old: run tools/update_docs.sh BUILD_DIR"
		failed=1
	fi
done

# As it is, and with every line taken for a setting.
sed 's/^#\([a-z_]* = \)/\1/' "$SRCDIR/etc/stagecoach.conf" >"$work/all.conf"
for file in "$SRCDIR/etc/stagecoach.conf" "$work/all.conf"; do
	if ! env -i "PATH=$PATH" "$BUILDDIR/stagecoachd" --check-config --config "$file" \
		-m "$SRCDIR/models/demo.gguf"; then
		echo "FAIL: stagecoachd refuses its own example file"
		failed=1
	fi
done

if command -v mandoc >/dev/null; then
	mandoc -T lint -W warning "$SRCDIR"/man/*.[1578] || failed=1
else
	echo "no mandoc: the pages are not checked"
fi
exit $failed
