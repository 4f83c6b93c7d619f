/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_ONIGURUMA_H
#define STAGECOACH_MODEL_ONIGURUMA_H
/*
 * oniguruma - writes regular expressions of Oniguruma (its own syntax, UTF-8), as tokenizer.json
 * has them, in PCRE2's syntax. What matches is the same. What PCRE2 cannot express, or is too rare
 * to be worth it, is refused by name.
 * The differences: \s, \w, \b, \h and ^ mean other things; classes have sets in sets and
 * intersections (&&); {n,m}+ repeats and is not possessive; (?i) in the middle of a group opens a
 * group of its own.
 * Source: Oniguruma's doc/RE. Thread: any.
 */
#include "base/buf.h"
#include "base/error.h"
#include "model/pattern.h"

/* Appends the pattern in PCRE2's syntax. SC_E_UNSUPPORTED: err says what, and at which offset.
 * SC_E_NOMEM. */
must_check enum sc_status oniguruma_translate(const char *text, size_t length, struct buf *out,
					      struct error *err);

/* Translates and compiles. */
must_check enum sc_status oniguruma_compile(const char *text, size_t length,
					    struct pattern **pattern_out, struct error *err);

#endif
