/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/spm_file.h"

#include "base/strmap.h"
#include "hf/proto_reader.h"
#include "model/model.h"
#include "model/quote.h"
#include "model/tokenizer.h"
#include "model/vocab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A field of a message, by its number. */
struct row {
	uint32_t number;
	enum proto_wire wire;
	const char *name;
	size_t at;		/* of its place in spm_file, a bool or a gguf_string */
};

static const struct row trainer_rows[] = {
	{ 24, PROTO_VARINT, "treat_whitespace_as_suffix", offsetof(struct spm_file, is_suffix) },
	{ 35, PROTO_VARINT, "byte_fallback", offsetof(struct spm_file, falls_back) },
	{ 46, PROTO_BYTES, "bos_piece", offsetof(struct spm_file, bos_name) },
	{ 47, PROTO_BYTES, "eos_piece", offsetof(struct spm_file, eos_name) },
	{ 48, PROTO_BYTES, "pad_piece", offsetof(struct spm_file, padding_name) },
};

static const struct row normalizer_rows[] = {
	{ 2, PROTO_BYTES, "precompiled_charsmap", offsetof(struct spm_file, rules) },
	{ 3, PROTO_VARINT, "add_dummy_prefix", offsetof(struct spm_file, adds_prefix) },
	{ 4, PROTO_VARINT, "remove_extra_whitespaces",
	  offsetof(struct spm_file, removes_spaces) },
	{ 5, PROTO_VARINT, "escape_whitespaces", offsetof(struct spm_file, escapes) },
};

#define N_OF(rows) (sizeof(rows) / sizeof(rows)[0])

static struct gguf_string string_of(const struct proto_field *field)
{
	return (struct gguf_string){ (const char *)field->bytes, field->n_bytes };
}

static void set_row(struct spm_file *file, const struct row *row, const struct proto_field *field)
{
	char *at = (char *)file + row->at;
	const struct gguf_string text = string_of(field);
	const bool is_true = field->value != 0;

	if (row->wire == PROTO_BYTES)
		memcpy(at, &text, sizeof text);
	else
		memcpy(at, &is_true, sizeof is_true);
}

/* Sets the place of a field that is in the table. */
static enum sc_status read_field(struct spm_file *file, const struct proto_reader *reader,
				 const struct proto_field *field, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		enum sc_status status;

		if (rows[i].number != field->number)
			continue;
		status = proto_expect(reader, field, rows[i].wire, rows[i].name);
		if (!status)
			set_row(file, &rows[i], field);
		return status;
	}
	return SC_OK;
}

static enum sc_status read_trainer(struct spm_file *file, struct proto_reader reader)
{
	enum sc_status status = SC_OK;

	while (!status && !proto_is_at_end(&reader)) {
		struct proto_field field;

		status = proto_next(&reader, &field);
		if (status)
			break;
		if (field.number != 3) {
			status = read_field(file, &reader, &field, trainer_rows,
					    N_OF(trainer_rows));
			continue;
		}
		status = proto_expect(&reader, &field, PROTO_VARINT, "model_type");
		if (!status && (field.value < SPM_UNIGRAM || field.value > SPM_CHAR))
			status = proto_error(&reader, field.offset, "model_type: expected 1 to 4, "
					     "found %llu", (unsigned long long)field.value);
		if (!status)
			file->model = (enum spm_model)field.value;
	}
	return status;
}

static enum sc_status read_normalizer(struct spm_file *file, struct proto_reader reader)
{
	enum sc_status status = SC_OK;

	while (!status && !proto_is_at_end(&reader)) {
		struct proto_field field;

		status = proto_next(&reader, &field);
		if (!status)
			status = read_field(file, &reader, &field, normalizer_rows,
					    N_OF(normalizer_rows));
	}
	return status;
}

/* The rules by which decoded text is changed; hardly any model has some. */
static enum sc_status read_denormalizer(struct spm_file *file, struct proto_reader reader)
{
	struct spm_file other = { .n = 0 };
	enum sc_status status = read_normalizer(&other, reader);

	file->has_output_rules = other.rules.length > 0;
	return status;
}

static enum sc_status read_piece_field(struct spm_piece *piece, const struct proto_reader *reader,
				       const struct proto_field *field)
{
	enum sc_status status = SC_OK;
	uint32_t bits = (uint32_t)field->value;

	switch (field->number) {
	case 1:
		status = proto_expect(reader, field, PROTO_BYTES, "piece");
		if (!status)
			piece->text = string_of(field);
		return status;
	case 2:
		status = proto_expect(reader, field, PROTO_32, "score");
		if (!status)
			memcpy(&piece->score, &bits, sizeof bits);
		if (!status && isnan(piece->score))
			status = proto_error(reader, field->offset, "score: expected a number, "
					     "found NaN");
		return status;
	case 3:
		status = proto_expect(reader, field, PROTO_VARINT, "type");
		if (!status && (field->value < VOCAB_NORMAL || field->value > VOCAB_BYTE))
			status = proto_error(reader, field->offset, "type: expected 1 to 6, found "
					     "%llu", (unsigned long long)field->value);
		if (!status)
			piece->type = (uint32_t)field->value;
		return status;
	default:
		return SC_OK;
	}
}

static enum sc_status add_piece(struct spm_file *file, const struct proto_reader *reader,
				const struct proto_field *field)
{
	struct proto_reader inside = proto_inside(reader, field);
	struct spm_piece piece = { .type = VOCAB_NORMAL };
	enum sc_status status = SC_OK;

	while (!status && !proto_is_at_end(&inside)) {
		struct proto_field part;

		status = proto_next(&inside, &part);
		if (!status)
			status = read_piece_field(&piece, &inside, &part);
	}
	if (!status && !piece.text.length)
		status = proto_error(reader, field->offset, "piece %zu: expected a text, found "
				     "none", file->n);
	if (!status && file->n == MODEL_MAX_VOCAB)
		status = proto_error(reader, field->offset, "expected at most %u pieces",
				     MODEL_MAX_VOCAB);
	if (status)
		return status;
	if (file->n == file->n_max) {
		size_t n_max = file->n_max ? 2 * file->n_max : 1024;
		struct spm_piece *pieces = realloc(file->pieces, n_max * sizeof *pieces);

		if (!pieces)
			return error_set(reader->err, SC_E_NOMEM, "%s: no memory for its pieces",
					 reader->path);
		file->pieces = pieces;
		file->n_max = n_max;
	}
	file->pieces[file->n++] = piece;
	return SC_OK;
}

static enum sc_status read_part(struct spm_file *file, struct proto_reader *reader)
{
	static const char *const names[] = {
		"", "pieces", "trainer_spec", "normalizer_spec", "self_test_data",
		"denormalizer_spec",
	};
	struct proto_field field;
	enum sc_status status = proto_next(reader, &field);

	if (status || field.number >= N_OF(names))
		return status;
	status = proto_expect(reader, &field, PROTO_BYTES, names[field.number]);
	if (status)
		return status;
	switch (field.number) {
	case 1:
		return add_piece(file, reader, &field);
	case 2:
		return read_trainer(file, proto_inside(reader, &field));
	case 3:
		return read_normalizer(file, proto_inside(reader, &field));
	case 5:
		return read_denormalizer(file, proto_inside(reader, &field));
	default:
		return SC_OK;
	}
}

/* --- What the parts must be together --- */

static enum sc_status piece_error(const struct spm_file *file, const struct proto_reader *reader,
				  size_t i, const char *message)
{
	const struct gguf_string text = file->pieces[i].text;

	return error_set(reader->err, SC_E_FORMAT, "%s: piece %zu '%s': %s", reader->path, i,
			 quote(text.data, text.length).text, message);
}

/* SentencePiece keeps control, unknown and byte pieces apart from the others. */
static bool is_reserved(const struct spm_piece *piece)
{
	return piece->type == VOCAB_CONTROL || piece->type == VOCAB_UNKNOWN ||
	       piece->type == VOCAB_BYTE;
}

static enum sc_status check_unique(const struct spm_file *file, const struct proto_reader *reader)
{
	enum sc_status status = SC_OK;

	for (int kind = 0; kind < 2 && !status; kind++) {
		struct strmap *map;

		status = strmap_create(file->n, &map);
		for (size_t i = 0; i < file->n && !status; i++) {
			const struct gguf_string text = file->pieces[i].text;

			if (is_reserved(&file->pieces[i]) != (kind == 1))
				continue;
			status = strmap_add(map, text.data, text.length, (uint32_t)i);
			if (status == SC_E_EXISTS)
				status = piece_error(file, reader, i, "expected each piece once, "
						     "found it twice");
		}
		strmap_destroy(map);
	}
	return status == SC_E_NOMEM ? error_set(reader->err, status, "%s: no memory for its pieces",
						reader->path) : status;
}

static enum sc_status check_pieces(struct spm_file *file, const struct proto_reader *reader)
{
	bool has_byte[256] = { false };
	unsigned n_bytes = 0;

	for (size_t i = 0; i < file->n; i++) {
		int byte;

		if (file->pieces[i].type == VOCAB_UNKNOWN) {
			if (file->unknown != TOKEN_NONE)
				return piece_error(file, reader, i, "expected one unknown piece, "
						   "found a second one");
			file->unknown = (uint32_t)i;
		}
		if (file->pieces[i].type != VOCAB_BYTE)
			continue;
		byte = vocab_byte_of_text(file->pieces[i].text);
		if (byte < 0)
			return piece_error(file, reader, i, "expected <0xNN>, as its type is byte");
		if (!file->falls_back)
			return piece_error(file, reader, i, "expected no byte piece without "
					   "byte_fallback");
		n_bytes += !has_byte[byte];
		has_byte[byte] = true;
	}
	if (file->unknown == TOKEN_NONE)
		return error_set(reader->err, SC_E_FORMAT, "%s: expected an unknown piece, found "
				 "none among %zu pieces", reader->path, file->n);
	if (file->falls_back && n_bytes != 256)
		return error_set(reader->err, SC_E_FORMAT, "%s: expected 256 byte pieces, as "
				 "byte_fallback is true, found %u", reader->path, n_bytes);
	return check_unique(file, reader);
}

/* The control piece of a name, or TOKEN_NONE. */
static uint32_t find_control(const struct spm_file *file, struct gguf_string name)
{
	for (size_t i = 0; i < file->n; i++)
		if (file->pieces[i].type == VOCAB_CONTROL &&
		    file->pieces[i].text.length == name.length &&
		    !memcmp(file->pieces[i].text.data, name.data, name.length))
			return (uint32_t)i;
	return TOKEN_NONE;
}

enum sc_status spm_file_read(struct spm_file *file, const char *path, const void *data,
			     size_t n_bytes, struct error *err)
{
	struct proto_reader reader = {
		.path = path, .start = data, .cursor = cursor_init(data, n_bytes), .err = err,
	};
	enum sc_status status = SC_OK;

	*file = (struct spm_file){
		.model = SPM_UNIGRAM, .adds_prefix = true, .removes_spaces = true, .escapes = true,
		.unknown = TOKEN_NONE, .bos_name = { "<s>", 3 }, .eos_name = { "</s>", 4 },
		.padding_name = { "<pad>", 5 },
	};
	while (!status && !proto_is_at_end(&reader))
		status = read_part(file, &reader);
	if (!status)
		status = check_pieces(file, &reader);
	if (!status && file->model != SPM_UNIGRAM && file->model != SPM_BPE)
		status = error_set(err, SC_E_UNSUPPORTED, "%s: a model of %s is not supported, only "
				   "BPE and Unigram", path,
				   file->model == SPM_WORD ? "words" : "characters");
	if (status)
		return status;
	file->bos = find_control(file, file->bos_name);
	file->eos = find_control(file, file->eos_name);
	file->padding = find_control(file, file->padding_name);
	return SC_OK;
}

void spm_file_deinit(struct spm_file *file)
{
	free(file->pieces);
	file->pieces = NULL;
}
