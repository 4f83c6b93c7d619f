/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of folders: whatever it says becomes a head that opens, or an error. */
#include "base/log.h"
#include "hf/parts.h"

#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void or_abort(bool is_good)
{
	if (!is_good)
		abort();
}

static void check_head(const struct gguf_head *head)
{
	struct buf bytes = BUF_INIT;
	struct gguf *gguf;

	or_abort(!gguf_head_finish(head, &bytes));
	or_abort(!gguf_open_memory("head", bytes.data, bytes.length, &gguf, NULL));
	or_abort(gguf_has(gguf, "general.architecture"));
	gguf_close(gguf);
	buf_deinit(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *config = json_loadb((const char *)data, size, 0, NULL);
	struct error err = { .status = SC_OK };
	const struct hf_family *family;
	struct gguf_head head;
	enum sc_status status;

	if (!json_is_object(config)) {
		json_decref(config);
		return 0;
	}
	log_set_level(LOG_LEVEL_ERROR);		/* unknown keys are warned of */
	gguf_head_init(&head, NULL);
	status = hf_family_find(config, "folder", &family, &err);
	if (!status)
		status = hf_config_put(family, config, "folder", &head, &err);
	if (!status)
		check_head(&head);
	or_abort(!status || (status == err.status && strstr(err.text, "folder/config.json: ")));
	gguf_head_deinit(&head);
	json_decref(config);
	return 0;
}

#define SIZES "\"hidden_size\":8,\"intermediate_size\":6,\"num_hidden_layers\":3," \
	"\"num_attention_heads\":2,\"num_key_value_heads\":1,\"max_position_embeddings\":64}"

bool fuzz_seed(unsigned i, struct buf *seed)
{
	static const char *const seeds[] = {
		"{\"architectures\":[\"LlamaForCausalLM\"],\"rope_scaling\":{\"rope_type\":"
		"\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
		"\"original_max_position_embeddings\":32}," SIZES,
		"{\"architectures\":[\"Qwen2ForCausalLM\"],\"use_sliding_window\":true,"
		"\"sliding_window\":4,\"max_window_layers\":1,\"rope_scaling\":{\"type\":\"yarn\","
		"\"factor\":4,\"mscale\":1,\"mscale_all_dim\":0.7}," SIZES,
		"{\"architectures\":[\"Gemma3ForConditionalGeneration\"],\"text_config\":{"
		"\"model_type\":\"gemma3_text\",\"sliding_window\":4,\"layer_types\":["
		"\"sliding_attention\",\"full_attention\",\"sliding_attention\"],"
		"\"rope_parameters\":{\"full_attention\":{\"rope_theta\":1e6},\"sliding_attention\":{\"rope_theta\":"
		"1e4}},\"query_pre_attn_scalar\":168," SIZES "}",
		"{\"architectures\":[\"Phi3ForCausalLM\"],\"rope_scaling\":{\"type\":\"longrope\","
		"\"long_factor\":[1,2],\"short_factor\":[1,1.5]},"
		"\"original_max_position_embeddings\":16," SIZES,
		"{\"model_type\":\"exaone4\",\"sliding_window\":4,\"sliding_window_pattern\":"
		"\"LLG\"," SIZES,
		"{\"model_type\":\"minicpm\",\"scale_emb\":12,\"scale_depth\":1.4,"
		"\"dim_model_base\":256,\"unknown\":1," SIZES,
		"{\"model_type\":\"mpt\",\"d_model\":8,\"n_layers\":1,\"n_heads\":2,"
		"\"attn_config\":{\"alibi\":true,\"clip_qkv\":6}}",
		"{\"model_type\":\"falcon\",\"hidden_size\":8,\"n_layer\":1,\"n_head\":2,"
		"\"multi_query\":true}",
		"{\"model_type\":\"smollm3\",\"no_rope_layers\":[1,1,0]," SIZES,
		"{\"architectures\":[\"X\"],\"quantization_config\":{\"quant_method\":\"gptq\"}}",
	};

	return i < sizeof seeds / sizeof seeds[0] && !buf_add_string(seed, seeds[i]);
}
