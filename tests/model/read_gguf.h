/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_READ_GGUF_H
#define STAGECOACH_TESTS_MODEL_READ_GGUF_H
/* read_gguf - touches everything that the reader hands out: for sweeps and fuzzing. */
#include "base/error.h"

#include <stddef.h>

/* Open a copy of the bytes that ends where they end, so that a sanitizer sees a read behind them;
 * read every key through every getter and every tensor row; open the file as a model. Returns the
 * status of opening as a file; *model_status_out, where not NULL, that of opening as a model. */
enum sc_status read_gguf(const void *data, size_t n_bytes, enum sc_status *model_status_out,
			 struct error *err);

#endif
