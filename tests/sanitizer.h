/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_SANITIZER_H
#define STAGECOACH_TESTS_SANITIZER_H
/*
 * sanitizer - which sanitizer this program was built with. Sanitizers look for bad memory and
 * races, not for wrong numbers, and make a program 3 to 30 times slower. Of very many cases that
 * differ in numbers only, a part is enough for them.
 */
#ifdef __SANITIZE_ADDRESS__
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif
#ifdef __SANITIZE_THREAD__
#define HAS_TSAN 1
#else
#define HAS_TSAN 0
#endif

/* One of so many cases is enough for a sanitizer; without, all are wanted. */
#define SANITIZED_EVERY(n) (HAS_ASAN || HAS_TSAN ? (n) : 1)

#endif
