/* SPDX-License-Identifier: Apache-2.0 */
/* A folder's tokenizer.json: what is read makes a tokenizer that encodes and decodes a hard text. */
#include "hf/parts.h"
#include "model/tokenizer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/hf/model_folder.h"

#include <stdlib.h>
#include <string.h>

static struct model_folder folder;

static void or_abort(bool is_good)
{
	if (!is_good)
		abort();
}

static void leave(void)
{
	model_folder_remove(&folder);
}

static void use(const struct tokenizer *tokenizer)
{
	static const char text[] = "ab abc  it's 1234 <s>\r\n \u4E2D\u6587 A\u0301b \u00C5 \xFF\xC3 "
				   "</s>  x\u0301\u0323\u2581y <x> \u1E9B\u0323 fooBar?! \t";
	const size_t longest = tokenizer_longest_token_bytes(tokenizer);
	char mask[sizeof text];

	memset(mask, 1, sizeof mask);
	memset(mask, 0, sizeof mask / 2);
	for (unsigned flags = 0; flags < 8; flags++) {
		struct token_list ids = { 0 };
		struct buf out = BUF_INIT;
		struct error err = { .status = SC_OK };
		const enum sc_status status = tokenizer_encode_masked(
			tokenizer, text, flags & 4 ? mask : NULL, sizeof text - 1, flags & 3,
			&ids, &err);

		or_abort(status == SC_OK || (status == err.status && err.text[0]));
		or_abort(status || !longest || ids.n >= (sizeof text - 1) / longest);
		or_abort(!tokenizer_decode(tokenizer, ids.ids, ids.n, flags & 1, &out));
		token_list_deinit(&ids);
		buf_deinit(&out);
	}
}

static void open_head(const struct gguf_head *head)
{
	struct buf bytes = BUF_INIT;
	struct error err = { .status = SC_OK };
	struct tokenizer *tokenizer;
	struct gguf *gguf;
	enum sc_status status;

	or_abort(!gguf_head_finish(head, &bytes));
	/* A folder's own head is a well-formed file. */
	or_abort(!gguf_open_memory("memory", bytes.data, bytes.length, &gguf, &err));
	status = tokenizer_create(gguf, &tokenizer, &err);
	if (status) {
		or_abort(status == err.status && err.text[0]);
	} else {
		use(tokenizer);
		tokenizer_destroy(tokenizer);
	}
	gguf_close(gguf);
	buf_deinit(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gguf_head head;
	struct error err = { .status = SC_OK };
	json_t *config = json_object();
	enum sc_status status;

	if (!folder.path[0]) {
		model_folder_create(&folder);
		atexit(leave);
	}
	model_folder_write(&folder, "tokenizer.json", data, size);
	gguf_head_init(&head, NULL);
	status = hf_tokenizer_put(folder.path, config, 0, &head, &err);
	if (status)
		or_abort(status == err.status && err.text[0]);
	else
		open_head(&head);
	gguf_head_deinit(&head);
	json_decref(config);
	return 0;
}

#define BYTES "{\"version\":\"1.0\",\"added_tokens\":[" \
	"{\"id\":9,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":true,\"rstrip\":true," \
	"\"normalized\":false,\"special\":true},{\"id\":10,\"content\":\"</s>\"," \
	"\"single_word\":true,\"normalized\":true,\"special\":false}]," \
	"\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}," \
	"{\"type\":\"NFKD\"},{\"type\":\"Lowercase\"},{\"type\":\"StripAccents\"}," \
	"{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true},{\"type\":\"Nmt\"}," \
	"{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}," \
	"{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"},\"content\":\"yy\"}]}," \
	"\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\"," \
	"\"pattern\":{\"Regex\":\"[\\\\p{L}&&[^x]]+(?i:'s)?|\\\\s+(?!\\\\S)|\\\\b\"}," \
	"\"behavior\":\"MergedWithNext\",\"invert\":true},{\"type\":\"Digits\"}," \
	"{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"},{\"type\":\"ByteLevel\"," \
	"\"add_prefix_space\":true},{\"type\":\"Split\",\"pattern\":{\"String\":\"\\u0120\"}," \
	"\"behavior\":\"Removed\",\"invert\":false}]},\"post_processor\":{\"type\":" \
	"\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}}," \
	"{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"special_tokens\":{\"<s>\":{\"id\":" \
	"\"<s>\",\"ids\":[9],\"tokens\":[\"<s>\"]}}},\"decoder\":{\"type\":\"ByteLevel\"}," \
	"\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"b\":1,\"ab\":2," \
	"\"c\":3,\"abc\":4,\"\\u0120\":5,\"\\u0120a\":6,\"1\":7,\"x\":8}," \
	"\"merges\":[[\"a\",\"b\"],[\"ab\",\"c\"],[\"\\u0120\",\"a\"]]}}"

#define CHARACTERS "{\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true}," \
	"{\"id\":8,\"content\":\"<x>\",\"normalized\":true}]," \
	"\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"\u2581\"}," \
	"\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\u2581\"," \
	"\"prepend_scheme\":\"first\",\"split\":true},\"post_processor\":{\"type\":" \
	"\"BertProcessing\",\"cls\":[\"<x>\",8],\"sep\":[\"<x>\",8]},\"decoder\":{\"type\":" \
	"\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\u2581\"}," \
	"\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\"," \
	"\"content\":\" \",\"start\":1,\"stop\":0}]},\"model\":{\"type\":\"BPE\",\"unk_token\":" \
	"\"<unk>\",\"fuse_unk\":true,\"byte_fallback\":true,\"vocab\":{\"<unk>\":0,\"a\":1," \
	"\"b\":2,\"ab\":3,\"\u2581\":4,\"\u2581a\":5,\"<0xFF>\":6,\"<0x41>\":7}," \
	"\"merges\":[\"a b\",\"\u2581 a\"]}}"

#define UNIGRAM "{\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true}]," \
	"\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}," \
	"\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},\"decoder\":{\"type\":\"Metaspace\"," \
	"\"replacement\":\"\u2581\",\"prepend_scheme\":\"always\"},\"model\":{\"type\":" \
	"\"Unigram\",\"unk_id\":0,\"byte_fallback\":false,\"vocab\":[[\"<unk>\",0],[\"a\",-1.5]," \
	"[\"b\",-2],[\"ab\",-2.5e0],[\"\u2581\",-3]]}}"

bool fuzz_seed(unsigned i, struct buf *seed)
{
	static const char *const seeds[] = { BYTES, CHARACTERS, UNIGRAM };

	if (i >= sizeof seeds / sizeof *seeds)
		return false;
	or_abort(!buf_add_string(seed, seeds[i]));
	return true;
}
