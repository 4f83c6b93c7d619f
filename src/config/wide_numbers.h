/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CONFIG_WIDE_NUMBERS_H
#define STAGECOACH_CONFIG_WIDE_NUMBERS_H
/*
 * wide_numbers - make libconfig read whole numbers as they are written.
 * libconfig keeps the low 32 bits of a whole number that has no L behind it, and the low 64 bits
 * with one: `port = 4294967376;` is port 80. Numbers that do not fit are therefore rewritten before
 * libconfig reads them: one of more than 32 bits gets an L, one of more than 64 bits gets ".0" in
 * place of an L, which makes it a (rounded) floating-point number. Both are then checked against
 * the setting's range. Lines stay where they are.
 */
#include "base/buf.h"

/* Append text to out. text is a file in libconfig's language, valid or not. SC_E_NOMEM. */
must_check enum sc_status wide_numbers_rewrite(const char *text, struct buf *out);

#endif
