/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_UNICODE_FORM_H
#define STAGECOACH_MODEL_UNICODE_FORM_H
/*
 * unicode_form - Unicode's normal forms (UAX #15) for parts of a text that do not depend on each
 * other, so that the cost is linear and each part can be told from which bytes it was made.
 * Thread: any.
 */
#include "model/masked_text.h"

enum unicode_form {
	FORM_NFC, FORM_NFD, FORM_NFKC, FORM_NFKD,
};

/* Appends the form of text to out. Bytes that are not UTF-8 stay as they are. SC_E_NOMEM. */
must_check enum sc_status unicode_form_add(enum unicode_form form, struct masked_text text,
					   struct masked_buf *out);

#endif
