#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a person who waits is told: one line on a terminal, lines elsewhere, nothing with --quiet;
# and that standard output knows nothing of it.
. "$(dirname "$0")/daemon.sh"
