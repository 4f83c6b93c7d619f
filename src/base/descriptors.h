/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_DESCRIPTORS_H
#define STAGECOACH_BASE_DESCRIPTORS_H
/*
 * descriptors - how many files and sockets this process may have open at once (RLIMIT_NOFILE,
 * `ulimit -n`). Libraries abort when a descriptor that they need cannot be had, so a program checks
 * before it starts.
 * Thread: main, before there are others.
 */
#include "base/error.h"

#include <stdint.h>

/* Raises the limit to n if it is lower, but not beyond what the process may choose itself (the hard
 * limit). Returns the limit that holds then. */
uint64_t descriptors_raise(uint64_t n);

/* SC_E_CAPACITY: fewer than n more can be opened, although the limit was raised if it could be. */
must_check enum sc_status descriptors_check(unsigned n, struct error *err);

#endif
