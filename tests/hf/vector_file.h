/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_HF_VECTOR_FILE_H
#define STAGECOACH_TESTS_HF_VECTOR_FILE_H
/*
 * vector_file - lines of the vectors that tools/make_tokenizer_vectors.py makes.
 */
#include "base/buf.h"

/* Finds the columns of a line, which has tabs between them. Fails the test if there are not 4. */
void vector_columns(const char *line, const char *columns[4]);
/* Appends the bytes of a column: \xNN is a byte. */
void vector_unescape(const char *column, struct buf *out);
/* Appends text with U+FFFD for bytes that are not UTF-8, as many as a token stream writes. */
void vector_lossy(const struct buf *text, struct buf *out);

#endif
