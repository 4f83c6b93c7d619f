/* SPDX-License-Identifier: Apache-2.0 */
/* A model of SentencePiece, and its rules of normalization. */
#include "hf/spm_file.h"

#include "model/charsmap.h"
#include "model/tokenizer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/hf/spm_writer.h"

#include <stdlib.h>
#include <string.h>

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

/* Normalizes the block by its own rules: a text with many of their bytes. */
static void use_rules(struct gguf_string rules)
{
	const struct masked_text text = { .data = rules.data, .n = rules.length };
	struct masked_buf out = MASKED_BUF_INIT;
	struct charsmap map;
	struct error err;

	if (!charsmap_init(&map, rules.data, rules.length, &err)) {
		for (size_t i = 0; i < rules.length; i++) {
			struct gguf_string with = { 0 };

			if (charsmap_longest(&map, rules.data + i, rules.length - i, &with))
				require(with.length <= CHARSMAP_MAX_REPLACEMENT);
		}
		require(!charsmap_add_clusters(&map, text, &out));
	}
	masked_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	struct error err = { .status = SC_OK };
	struct spm_file file;
	enum sc_status status;

	require(copy);
	memcpy(copy, data, size);
	status = spm_file_read(&file, "memory", copy, size, &err);
	require(!status || (status == err.status && !strncmp(err.text, "memory: ", 8)));
	for (size_t i = 0; !status && i < file.n; i++)
		require(file.pieces[i].text.length && file.pieces[i].type >= 1 &&
			file.pieces[i].type <= 6);
	if (!status) {
		require(file.unknown < file.n);
		require(file.bos == TOKEN_NONE || file.bos < file.n);
		use_rules(file.rules);
	}
	spm_file_deinit(&file);
	free(copy);
	return 0;
}

/* A double array with the rules A -> x and B -> nothing. */
static void add_rules(struct buf *model)
{
	static const char texts[] = "x\0";
	uint32_t units[1 + 256];
	struct buf rules = BUF_INIT, spec = BUF_INIT;

	for (size_t i = 1; i < 257; i++)
		units[i] = 0x80000000u;
	units[0] = 256 * 4;
	units[1] = 128u << 10;
	units[1 + (128 ^ 'A')] = 'A' | 1u << 8 | (128u ^ 'A' ^ 4) << 10;
	units[1 + 4] = 0;
	units[1 + (128 ^ 'B')] = 'B' | 1u << 8 | (128u ^ 'B' ^ 8) << 10;
	units[1 + 8] = 2;
	require(!buf_add(&rules, units, sizeof units) && !buf_add(&rules, texts, sizeof texts));
	spm_writer_bytes(&spec, 2, rules.data, rules.length);
	spm_writer_bytes(model, 3, spec.data, spec.length);
	buf_deinit(&rules);
	buf_deinit(&spec);
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	if (i >= 4)
		return false;
	spm_writer_begin(seed, i == 1);
	spm_writer_piece(seed, "\u2581" "a", -1.5f, 0);
	spm_writer_trainer(seed, i == 1 ? SPM_BPE : SPM_UNIGRAM, i == 1);
	if (i == 2)
		spm_writer_normalizer(seed, true, false);
	if (i == 3)
		add_rules(seed);
	return true;
}
