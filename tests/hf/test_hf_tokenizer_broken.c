/* SPDX-License-Identifier: Apache-2.0 */
/* What tokenizer.json may not be, and what is said; and what its keys become. */
#include "hf/parts.h"
#include "model/tokenizer.h"
#include "tests/hf/model_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct model_folder folder;

static int make_folder(void **state)
{
	(void)state;
	model_folder_create(&folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	model_folder_remove(&folder);
	return 0;
}

/* A byte-level tokenizer, with some members replaced: "NAME": VALUE, ... */
static void write_tokenizer(const char *members)
{
	static const char *const defaults[][2] = {
		{ "\"added_tokens\"", "[{\"id\":3,\"content\":\"<s>\",\"special\":true}]" },
		{ "\"normalizer\"", "null" },
		{ "\"pre_tokenizer\"", "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}" },
		{ "\"post_processor\"", "null" },
		{ "\"decoder\"", "{\"type\":\"ByteLevel\"}" },
		{ "\"model\"", "{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},"
			       "\"merges\":[\"a b\"]}" },
	};
	struct buf text = BUF_INIT;

	assert_int_equal(buf_add_format(&text, "{%s", members), SC_OK);
	for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
		if (!strstr(members, defaults[i][0]))
			assert_int_equal(buf_add_format(&text, ",%s:%s", defaults[i][0],
							defaults[i][1]), SC_OK);
	assert_int_equal(buf_add_string(&text, "}"), SC_OK);
	model_folder_write(&folder, "tokenizer.json", text.data, text.length);
	buf_deinit(&text);
}

/* Reads the folder, and makes a tokenizer. */
static enum sc_status read_folder(uint32_t n_vocab, struct error *err)
{
	json_t *config = json_object();
	struct gguf_head head;
	struct buf bytes = BUF_INIT;
	struct tokenizer *tokenizer;
	struct gguf *gguf;
	enum sc_status status;

	gguf_head_init(&head, NULL);
	status = hf_tokenizer_put(folder.path, config, n_vocab, &head, err);
	if (!status) {
		assert_int_equal(gguf_head_finish(&head, &bytes), SC_OK);
		assert_int_equal(gguf_open_memory(folder.path, bytes.data, bytes.length, &gguf,
						  err), SC_OK);
		status = tokenizer_create(gguf, &tokenizer, err);
		if (!status)
			tokenizer_destroy(tokenizer);
		gguf_close(gguf);
	}
	gguf_head_deinit(&head);
	buf_deinit(&bytes);
	json_decref(config);
	return status;
}

static void each_mistake_is_named(void **state)
{
	static const struct {
		const char *members;
		enum sc_status status;
		const char *text;
	} rows[] = {
		{ "\"normalizer\":{\"type\":\"BertNormalizer\"}", SC_E_UNSUPPORTED,
		  "normalizer: BertNormalizer is not supported" },
		{ "\"normalizer\":{\"type\":\"Replace\",\"content\":\"\"}", SC_E_FORMAT,
		  "normalizer: Replace: expected a \"pattern\"" },
		{ "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":3}", SC_E_FORMAT,
		  "expected a list \"normalizers\"" },
		{ "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},"
		  "\"content\":\"\"}", SC_E_UNSUPPORTED, "an empty pattern" },
		/* A pattern in both forms, of which one is no text. */
		{ "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":1,"
		  "\"Regex\":\"(?~a)\"},\"behavior\":\"Isolated\"}", SC_E_UNSUPPORTED,
		  "this kind of group is not supported" },
		{ "\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}", SC_E_UNSUPPORTED,
		  "pre_tokenizer: UnicodeScripts is not supported" },
		{ "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?~a)\"},"
		  "\"behavior\":\"Isolated\",\"invert\":false}", SC_E_UNSUPPORTED,
		  "this kind of group is not supported" },
		{ "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},"
		  "\"behavior\":\"Sideways\",\"invert\":false}", SC_E_FORMAT,
		  "Split: expected a \"behavior\"" },
		{ "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{Klingon}\"},"
		  "\"behavior\":\"Removed\",\"invert\":false}", SC_E_UNSUPPORTED, "unknown property" },
		{ "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":"
		  "[{\"SpecialToken\":{\"id\":\"<t>\"}},{\"Sequence\":{\"id\":\"A\"}}]}",
		  SC_E_FORMAT, "expected the ids of \"<t>\"" },
		{ "\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",99],"
		  "\"sep\":[\"a\",0]}", SC_E_FORMAT, "expected ids below 4" },
		{ "\"decoder\":{\"type\":\"WordPiece\"}", SC_E_UNSUPPORTED,
		  "decoder: WordPiece is not supported" },
		{ "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},"
		  "{\"type\":\"ByteFallback\"}]}", SC_E_UNSUPPORTED, "ByteFallback behind Fuse" },
		{ "\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}", SC_E_UNSUPPORTED,
		  "model: WordPiece is not supported; BPE and Unigram are" },
		{ "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}", SC_E_FORMAT,
		  "expected a \"model\" with \"merges\"" },
		{ "\"model\":{\"type\":\"BPE\",\"merges\":[]}", SC_E_FORMAT,
		  "expected a \"model\" with a \"vocab\"" },
		{ "\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}", SC_E_FORMAT,
		  "expected a vocabulary, found none" },
		{ "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}",
		  SC_E_FORMAT, "found two for 0" },
		{ "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}", SC_E_FORMAT,
		  "line 1, column 37: expected a whole number" },
		{ "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4294967295},\"merges\":[]}",
		  SC_E_FORMAT, "expected an id below" },
		{ "\n\"model\":{\"type\":\"BPE\",\"vocab\":{\"\\ud800\":0},\"merges\":[]}",
		  SC_E_FORMAT, "line 2, column 39: expected a character, found half of one" },
		{ "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a b\",\"c\"]]}",
		  SC_E_UNSUPPORTED, "a merge with a space" },
		{ "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"ab\"]}",
		  SC_E_FORMAT, "merge 0: expected two texts with one space" },
		{ "\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{\"a\":0},\"merges\":[]}",
		  SC_E_UNSUPPORTED, "BPE with \"dropout\" is not supported" },
		{ "\"model\":{\"type\":\"BPE\",\"continuing_subword_prefix\":\"##\","
		  "\"vocab\":{\"a\":0},\"merges\":[]}", SC_E_UNSUPPORTED,
		  "\"continuing_subword_prefix\" is not supported" },
		{ "\"added_tokens\":[{\"id\":3}]", SC_E_FORMAT, "added_tokens: 0: expected" },
		{ "\"added_tokens\":7", SC_E_FORMAT, "added_tokens: expected a list" },
		{ "\"normalizer\":{\"type\":\"NFC\",}", SC_E_FORMAT, "line 1, column 29: not JSON" },
		{ "\"model\":{\"vocab\":{\"a\":0}", SC_E_FORMAT, "line 1, column " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct error err = { .text = "" };
		enum sc_status status;

		write_tokenizer(rows[i].members);
		status = read_folder(0, &err);
		if (status != rows[i].status || !strstr(err.text, rows[i].text) ||
		    !strstr(err.text, folder.path))
			fail_msg("%s\nexpected %s: ...%s...\nfound    %s: %s", rows[i].members,
				 sc_status_name(rows[i].status), rows[i].text,
				 sc_status_name(status), err.text);
	}
}

static void a_vocabulary_larger_than_the_embedding_is_refused(void **state)
{
	struct error err = { .text = "" };

	(void)state;
	write_tokenizer("\"version\":\"1.0\"");
	assert_int_equal(read_folder(2, &err), SC_E_FORMAT);
	assert_non_null(strstr(err.text, "expected ids below 2, the rows of the embedding, found 2"));
}

static void a_folder_without_a_tokenizer_says_what_to_get(void **state)
{
	struct model_folder empty;
	struct gguf_head head;
	struct error err = { .text = "" };
	json_t *config = json_object();

	(void)state;
	model_folder_create(&empty);
	gguf_head_init(&head, NULL);
	assert_int_equal(hf_tokenizer_put(empty.path, config, 0, &head, &err), SC_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "tokenizer.json"));
	gguf_head_deinit(&head);
	json_decref(config);
	model_folder_remove(&empty);
}

/* The head of the folder, as a file. */
struct opened {
	struct buf bytes;
	struct gguf *gguf;
};

static void open_folder(struct opened *opened, const char *config_text, uint32_t n_vocab)
{
	json_t *config = json_loads(config_text, 0, NULL);
	struct gguf_head head;
	struct error err = { .text = "" };

	*opened = (struct opened){ .bytes = BUF_INIT };
	gguf_head_init(&head, NULL);
	if (hf_tokenizer_put(folder.path, config, n_vocab, &head, &err))
		fail_msg("%s", err.text);
	assert_int_equal(gguf_head_finish(&head, &opened->bytes), SC_OK);
	assert_int_equal(gguf_open_memory("memory", opened->bytes.data, opened->bytes.length,
					  &opened->gguf, &err), SC_OK);
	gguf_head_deinit(&head);
	json_decref(config);
}

static void close_folder(struct opened *opened)
{
	gguf_close(opened->gguf);
	buf_deinit(&opened->bytes);
}

static void expect_key(const struct opened *opened, const char *key, const char *expected)
{
	struct gguf_string found;
	struct error err;

	if (gguf_get_string(opened->gguf, key, &found, &err))
		fail_msg("%s", err.text);
	assert_int_equal(found.length, strlen(expected));
	assert_memory_equal(found.data, expected, found.length);
}

static void expect_token(const struct opened *opened, size_t i, const char *expected, int type)
{
	struct gguf_array texts, types;
	struct gguf_string found;

	assert_int_equal(gguf_get_array(opened->gguf, "tokenizer.ggml.tokens", &texts, NULL), SC_OK);
	assert_int_equal(gguf_get_array(opened->gguf, "tokenizer.ggml.token_type", &types, NULL),
			 SC_OK);
	found = gguf_array_string(&texts, i);
	assert_int_equal(found.length, strlen(expected));
	assert_memory_equal(found.data, expected, found.length);
	assert_int_equal((int)gguf_array_number(&types, i), type);
}

static void the_head_has_the_keys_of_llama_cpp(void **state)
{
	struct opened opened;
	uint32_t id;
	bool adds;

	(void)state;
	write_tokenizer("\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"special\":true},"
			"{\"id\":4,\"content\":\"x\",\"special\":false},"
			"{\"id\":2,\"content\":\"ab\",\"special\":true}]");
	model_folder_write_text(&folder, "tokenizer_config.json", "{\"bos_token\":{\"content\":\"<s>\"},"
		   "\"eos_token\":\"ab\",\"add_bos_token\":true,\"chat_template\":\"{{ old }}\"}");
	model_folder_write_text(&folder, "chat_template.jinja", "{{ new }}");
	open_folder(&opened, "{}", 7);
	expect_key(&opened, "tokenizer.ggml.model", "gpt2");
	expect_key(&opened, "tokenizer.ggml.pre", "gpt-2");
	expect_key(&opened, "tokenizer.chat_template", "{{ new }}");
	expect_token(&opened, 1, "b", 1);
	expect_token(&opened, 2, "ab", 3);
	expect_token(&opened, 3, "<s>", 3);
	expect_token(&opened, 4, "x", 4);
	expect_token(&opened, 6, "[PAD6]", 5);
	assert_int_equal(gguf_get_u32(opened.gguf, "tokenizer.ggml.bos_token_id", &id, NULL), SC_OK);
	assert_int_equal(id, 3);
	assert_int_equal(gguf_get_u32(opened.gguf, "tokenizer.ggml.eos_token_id", &id, NULL), SC_OK);
	assert_int_equal(id, 2);
	assert_int_equal(gguf_get_bool(opened.gguf, "tokenizer.ggml.add_bos_token", &adds, NULL),
			 SC_OK);
	assert_true(adds);
	close_folder(&opened);
}

static void a_pre_tokenizer_that_is_not_known_gets_no_name(void **state)
{
	struct opened opened;

	(void)state;
	write_tokenizer("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
			"{\"type\":\"WhitespaceSplit\"},{\"type\":\"ByteLevel\"}]}");
	open_folder(&opened, "{}", 0);
	assert_false(gguf_has(opened.gguf, "tokenizer.ggml.pre"));
	close_folder(&opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_is_named),
		cmocka_unit_test(a_vocabulary_larger_than_the_embedding_is_refused),
		cmocka_unit_test(a_folder_without_a_tokenizer_says_what_to_get),
		cmocka_unit_test(the_head_has_the_keys_of_llama_cpp),
		cmocka_unit_test(a_pre_tokenizer_that_is_not_known_gets_no_name),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
