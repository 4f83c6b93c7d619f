/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_PRINTABLE_H
#define STAGECOACH_MODEL_PRINTABLE_H
/*
 * printable - bytes of any origin as text that a terminal shows and does not obey. The text is one
 * line of UTF-8, from which the bytes can be told. quote.h is for errors, where a question mark
 * will do.
 */
#include "base/buf.h"

#include <stdbool.h>

/* Append the bytes to text. Visible characters and the space stay as they are. Escapes:
 *	\\ \" \n \r \t	as in C
 *	\u{200E}	other control characters, invisible and unassigned ones, other spaces
 *	\xE2		bytes that are not UTF-8 */
must_check enum sc_status printable_add(struct buf *text, const void *bytes, size_t n_bytes);

/* The same for a text of several lines: newlines and tabs, quotation marks and backslashes stay. */
must_check enum sc_status printable_add_lines(struct buf *text, const void *bytes, size_t n_bytes);

#endif
