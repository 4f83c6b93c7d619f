/* SPDX-License-Identifier: Apache-2.0 */
/* stagecoach tokenize - the tokens of a text, as a prompt of the same text gets them. */
#include "base/utf8.h"
#include "cli/client_verbs.h"
#include "cli/json_text.h"
#include "cli/prompt_text.h"
#include "cli/report.h"
#include "cli/verb.h"
#include "cli/verbs.h"
#include "engine/engine.h"
#include "hf/source.h"
#include "model/gguf.h"
#include "model/printable.h"
#include "model/tokenizer.h"

#include <stdio.h>

/* A vocabulary is enough: the file need not be a model that is served. */
struct vocabulary {
	struct gguf *gguf;
	struct tokenizer *tokenizer;
};

static enum sc_status vocabulary_open(struct vocabulary *vocabulary, const struct config *config,
				      struct error *err)
{
	enum sc_status status;

	*vocabulary = (struct vocabulary){ .gguf = NULL };
	if (!*config->model)
		return error_set(err, SC_E_INVALID, "no model: give a model file, a folder or a "
				 "cached name with -m");
	status = source_open(config->model, SOURCE_ANY_TYPES, &vocabulary->gguf, err);
	if (status != SC_OK)
		return status;
	gguf_ignore_keys(vocabulary->gguf, config->ignored_keys);
	report_ignored_keys(vocabulary->gguf, config->ignored_keys);
	return tokenizer_create(vocabulary->gguf, &vocabulary->tokenizer, err);
}

static void vocabulary_close(struct vocabulary *vocabulary)
{
	tokenizer_destroy(vocabulary->tokenizer);
	gguf_close(vocabulary->gguf);
}

static void print_ids(const struct token_list *ids)
{
	for (size_t i = 0; i < ids->n; i++)
		printf("%s%u", i ? " " : "", ids->ids[i]);
	putchar('\n');
}

static enum sc_status print_table(const struct tokenizer *tokenizer, const struct token_list *ids,
				  const struct buf *text)
{
	const size_t n_valid = utf8_valid_length(text->data, text->length);
	enum sc_status status = SC_OK;
	struct buf piece = BUF_INIT;

	for (size_t i = 0; status == SC_OK && i < ids->n; i++) {
		const uint32_t id = ids->ids[i];
		size_t n_bytes;
		const char *bytes = tokenizer_piece(tokenizer, id, &n_bytes);

		buf_truncate(&piece, 0);
		status = printable_add(&piece, bytes, n_bytes);
		printf("%7u  \"%s\"%s\n", id, piece.data,
		       tokenizer_is_special(tokenizer, id) ? "  special" : "");
	}
	buf_deinit(&piece);
	printf("%zu token%s, %zu byte%s", ids->n, ids->n == 1 ? "" : "s", text->length,
	       text->length == 1 ? "" : "s");
	if (n_valid < text->length)
		printf(", not UTF-8 at byte %zu", n_valid);
	putchar('\n');
	return status;
}

/* Token by token: a tree of all of them would take many times the memory of the text. */
static enum sc_status print_json(const struct tokenizer *tokenizer, const struct token_list *ids,
				 const struct buf *text)
{
	const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | json_text_flags();
	const bool is_utf8 = utf8_valid_length(text->data, text->length) == text->length;

	printf("{\"n_tokens\":%zu,\"n_bytes\":%zu,\"is_utf8\":%s,\"ids\":[", ids->n, text->length,
	       is_utf8 ? "true" : "false");
	for (size_t i = 0; i < ids->n; i++)
		printf("%s%u", i ? "," : "", ids->ids[i]);
	fputs("],\"pieces\":[", stdout);
	for (size_t i = 0; i < ids->n; i++) {
		size_t n_bytes;
		const char *bytes = tokenizer_piece(tokenizer, ids->ids[i], &n_bytes);
		json_t *piece = json_text(bytes, n_bytes);

		if (!piece)
			return SC_E_NOMEM;
		if (i)
			putchar(',');
		json_dumpf(piece, stdout, flags);
		json_decref(piece);
	}
	fputs("]}\n", stdout);
	return SC_OK;
}

static enum sc_status print_tokens(const struct config *config, const struct tokenizer *tokenizer,
				   const struct token_list *ids, const struct buf *text,
				   struct error *err)
{
	enum sc_status status = SC_OK;

	if (config->is_json)
		status = print_json(tokenizer, ids, text);
	else if (config->ids_only)
		print_ids(ids);
	else
		status = print_table(tokenizer, ids, text);
	if (status != SC_OK)
		return error_set(err, status, "out of memory");
	return client_flush(err);
}

static enum sc_status tokenize(const struct config *config, struct error *err)
{
	const unsigned flags = (config->leaves_out_bos ? 0 : TOKENIZE_ADD_BOS) |
			       (config_parses_special(config) ? TOKENIZE_PARSE_SPECIAL : 0);
	struct token_list ids = { 0 };
	struct vocabulary vocabulary;
	struct buf text = BUF_INIT;
	enum sc_status status = vocabulary_open(&vocabulary, config, err);

	if (status == SC_OK)
		status = prompt_text_read(config, &text, err);
	if (status == SC_OK)
		status = tokenizer_encode(vocabulary.tokenizer, text.data, text.length, flags,
					  &ids, err);
	if (status == SC_OK)
		status = print_tokens(config, vocabulary.tokenizer, &ids, &text, err);
	token_list_deinit(&ids);
	buf_deinit(&text);
	vocabulary_close(&vocabulary);
	return status;
}

static const char usage[] =
	"usage: stagecoach tokenize -m FILE [-p TEXT | -f FILE] [OPTION...]\n\n"
	"Print the tokens of TEXT, of the text in FILE, or of standard input: the id and the\n"
	"bytes of each token, then their number. A prompt with the same text has the same tokens.\n"
	"The model file of -m needs only a vocabulary. The model need not be supported.\n";

int cmd_tokenize(int argc, char **argv)
{
	struct config config;
	struct error err = { .status = SC_OK };
	enum sc_status status;
	int exit_code;

	if (!verb_begin(&config, PROGRAM_TOKENIZE, usage, argc, argv, &exit_code))
		return exit_code;
	status = tokenize(&config, &err);
	config_deinit(&config);
	return client_end(status, &err);
}
