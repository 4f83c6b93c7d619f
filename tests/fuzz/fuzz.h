/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_FUZZ_FUZZ_H
#define STAGECOACH_TESTS_FUZZ_FUZZ_H
/*
 * fuzz - what a fuzz target defines. A target is one file, fuzz_NAME.c, from which come two
 * programs: replay_NAME, part of `make check`, runs the target over its seeds and over a few
 * thousand deterministic mutations of them; fuzz_NAME, built with `configure CC=clang
 * --enable-fuzzers`, is the target under libFuzzer. See Makefile.inc for how to add one.
 */
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Feed one input to the parser and use all that it hands out; aborts when something is wrong.
 * The name and the types are libFuzzer's. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Append seed i to `seed`, which is empty; false: there are no more. Seeds are small and between
 * them reach every part of the format. */
bool fuzz_seed(unsigned i, struct buf *seed);

#endif
