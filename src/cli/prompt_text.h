/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_PROMPT_TEXT_H
#define STAGECOACH_CLI_PROMPT_TEXT_H
/*
 * prompt_text - the text that -p, -f or standard input gives, the same for every verb that
 * continues a prompt.
 * Thread: any; blocks as long as reading takes.
 */
#include "base/buf.h"
#include "config/config.h"

/* Append the prompt to text: of -p, or of -f, where '-' means standard input for both. Without
 * either flag it is standard input unless that is a terminal. Any bytes, NUL among them.
 * SC_E_INVALID: no prompt, or both flags. SC_E_NOT_FOUND, SC_E_IO, SC_E_NOMEM.
 * SC_E_TOO_LARGE: more than 64 MiB. */
must_check enum sc_status prompt_text_read(const struct config *config, struct buf *text,
					   struct error *err);

#endif
