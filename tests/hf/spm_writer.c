/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/hf/spm_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct buf *message, const void *bytes, size_t n_bytes)
{
	if (buf_add(message, bytes, n_bytes))
		abort();
}

static void add_varint(struct buf *message, uint64_t value)
{
	do {
		uint8_t byte = (value & 0x7F) | (value > 0x7F ? 0x80 : 0);

		add(message, &byte, 1);
		value >>= 7;
	} while (value);
}

void spm_writer_number(struct buf *message, unsigned field, uint64_t value)
{
	add_varint(message, field << 3);
	add_varint(message, value);
}

void spm_writer_float(struct buf *message, unsigned field, float value)
{
	add_varint(message, field << 3 | 5);
	add(message, &value, sizeof value);
}

void spm_writer_bytes(struct buf *message, unsigned field, const void *bytes, size_t n_bytes)
{
	add_varint(message, field << 3 | 2);
	add_varint(message, n_bytes);
	add(message, bytes, n_bytes);
}

void spm_writer_piece(struct buf *model, const char *text, float score, unsigned type)
{
	struct buf piece = BUF_INIT;

	spm_writer_bytes(&piece, 1, text, strlen(text));
	spm_writer_float(&piece, 2, score);
	if (type)
		spm_writer_number(&piece, 3, type);
	spm_writer_bytes(model, 1, piece.data, piece.length);
	buf_deinit(&piece);
}

void spm_writer_trainer(struct buf *model, unsigned model_type, bool falls_back)
{
	struct buf spec = BUF_INIT;

	spm_writer_bytes(&spec, 2, "prefix", 6);
	spm_writer_number(&spec, 3, model_type);
	spm_writer_float(&spec, 10, 0.9995f);
	spm_writer_number(&spec, 35, falls_back);
	spm_writer_bytes(model, 2, spec.data, spec.length);
	buf_deinit(&spec);
}

void spm_writer_normalizer(struct buf *model, bool adds_prefix, bool removes_spaces)
{
	struct buf spec = BUF_INIT;

	spm_writer_bytes(&spec, 1, "identity", 8);
	spm_writer_number(&spec, 3, adds_prefix);
	spm_writer_number(&spec, 4, removes_spaces);
	spm_writer_bytes(model, 3, spec.data, spec.length);
	buf_deinit(&spec);
}

void spm_writer_begin(struct buf *model, bool with_bytes)
{
	spm_writer_piece(model, "<unk>", 0, 2);
	spm_writer_piece(model, "<s>", 0, 3);
	spm_writer_piece(model, "</s>", 0, 3);
	for (unsigned i = 0; i < 256 && with_bytes; i++) {
		char text[8];

		snprintf(text, sizeof text, "<0x%02X>", i);
		spm_writer_piece(model, text, 0, 6);
	}
}
