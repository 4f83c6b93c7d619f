/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_QUOTE_H
#define STAGECOACH_MODEL_QUOTE_H
/* quote - makes foreign bytes safe for an error line: printable ASCII only; long text is cut. */
#include <stddef.h>

struct quote {
	char text[80];
};

struct quote quote(const void *bytes, size_t n_bytes);

#endif
