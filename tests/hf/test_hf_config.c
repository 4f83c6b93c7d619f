/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of each family, as published models have it, and the keys that it becomes. */
#include "hf/config_known.h"
#include "hf/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct keys {
	struct gguf_head head;
	struct buf bytes;
	struct gguf *gguf;
	char arch[32];
};

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);

	if (!json)
		fail_msg("column %d: %s in %s", error.column, error.text, text);
	return json;
}

static enum sc_status try_put(const char *text, struct keys *keys, struct error *err)
{
	json_t *json = parse(text);
	const struct hf_family *family;
	enum sc_status status = hf_family_find(json, "/models/org/some-model/", &family, err);

	gguf_head_init(&keys->head, NULL);
	buf_init(&keys->bytes);
	keys->gguf = NULL;
	if (!status) {
		status = hf_config_put(family, json, "/models/org/some-model/", &keys->head, err);
		snprintf(keys->arch, sizeof keys->arch, "%s", family->arch);
	}
	json_decref(json);
	return status;
}

static void put(const char *text, struct keys *keys)
{
	struct error err = { .text = "" };

	if (try_put(text, keys, &err))
		fail_msg("%s", err.text);
	assert_int_equal(gguf_head_finish(&keys->head, &keys->bytes), SC_OK);
	if (gguf_open_memory("head", keys->bytes.data, keys->bytes.length, &keys->gguf, &err))
		fail_msg("%s", err.text);
}

static void drop(struct keys *keys)
{
	gguf_close(keys->gguf);
	buf_deinit(&keys->bytes);
	gguf_head_deinit(&keys->head);
}

/* Writes the value of a key as text. A bool is 0 or 1, an array a list of its elements. */
static void describe(const struct keys *keys, const char *key, char *out, size_t n_bytes)
{
	struct gguf_array array;
	struct gguf_string string;
	size_t used = 0;
	float number;
	bool flag;

	if (!gguf_has(keys->gguf, key))
		snprintf(out, n_bytes, "none");
	else if (!gguf_get_string(keys->gguf, key, &string, NULL))
		snprintf(out, n_bytes, "%.*s", (int)string.length, string.data);
	else if (!gguf_get_f32(keys->gguf, key, &number, NULL))
		snprintf(out, n_bytes, "%.7g", (double)number);
	else if (!gguf_get_bool(keys->gguf, key, &flag, NULL))
		snprintf(out, n_bytes, "%d", flag);
	else if (!gguf_get_array(keys->gguf, key, &array, NULL))
		for (size_t i = 0; i < array.n && used < n_bytes; i++)
			used += (size_t)snprintf(out + used, n_bytes - used, "%g",
						 gguf_array_number(&array, i));
}

/* wanted: "name=value name=value ..."; names without the architecture, unless they start with
 * "general." */
static void expect_keys(const char *config, const char *wanted)
{
	struct keys keys;
	char name[64], value[64], key[128], found[256];
	int n;

	put(config, &keys);
	while (sscanf(wanted, " %63[^=]=%63s%n", name, value, &n) == 2) {
		wanted += n;
		snprintf(key, sizeof key, "%s%s%s",
			 strncmp(name, "general.", 8) ? keys.arch : "",
			 strncmp(name, "general.", 8) ? "." : "", name);
		describe(&keys, key, found, sizeof found);
		if (strcmp(found, value))
			fail_msg("%s: expected %s, found %s", key, value, found);
	}
	assert_string_equal(wanted, "");
	drop(&keys);
}

static void expect_error(const char *config, enum sc_status status, const char *part)
{
	struct error err = { .text = "" };
	struct keys keys;

	assert_int_equal(try_put(config, &keys, &err), status);
	if (!strstr(err.text, part))
		fail_msg("expected '%s' in: %s", part, err.text);
	drop(&keys);
}

#define LLAMA_SIZES \
	"'hidden_size':4096,'intermediate_size':14336,'num_hidden_layers':32," \
	"'num_attention_heads':32,'num_key_value_heads':8,'max_position_embeddings':131072," \
	"'vocab_size':128256"

/* JSON with ' in place of ". */
static const char *q(const char *text)
{
	static char copies[4][4096];
	static unsigned next;
	char *copy = copies[next++ % 4];

	snprintf(copy, sizeof copies[0], "%s", text);
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	return copy;
}

static void each_family_has_its_keys(void **state)
{
	static const struct {
		const char *config, *keys;
	} rows[] = {
		{ "{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'rms_norm_eps':1e-05,"
		  "'rope_theta':500000.0,'rope_scaling':{'factor':8.0,'low_freq_factor':1.0,"
		  "'high_freq_factor':4.0,'original_max_position_embeddings':8192,"
		  "'rope_type':'llama3'},'hidden_act':'silu','torch_dtype':'bfloat16'}",
		  "general.architecture=llama general.type=model general.name=some-model "
		  "block_count=32 context_length=131072 embedding_length=4096 "
		  "feed_forward_length=14336 attention.head_count=32 attention.head_count_kv=8 "
		  "attention.layer_norm_rms_epsilon=1e-05 rope.freq_base=500000 "
		  "rope.dimension_count=128 attention.key_length=none rope.scaling.type=none "
		  "attention.sliding_window=none" },
		/* Mistral 7B v0.1 and Nemo. */
		{ "{'architectures':['MistralForCausalLM']," LLAMA_SIZES ",'sliding_window':4096}",
		  "general.architecture=llama attention.sliding_window=4096 "
		  "attention.sliding_window_pattern=none" },
		{ "{'architectures':['MistralForCausalLM'],'hidden_size':5120,"
		  "'intermediate_size':14336,'num_hidden_layers':40,'num_attention_heads':32,"
		  "'num_key_value_heads':8,'head_dim':128,'max_position_embeddings':131072,"
		  "'sliding_window':null,'rope_theta':1000000.0}",
		  "attention.key_length=128 attention.value_length=128 rope.dimension_count=128 "
		  "attention.sliding_window=none rope.freq_base=1000000" },
		{ "{'architectures':['SmolLM3ForCausalLM'],'hidden_size':2048,"
		  "'intermediate_size':11008,'num_hidden_layers':8,'num_attention_heads':16,"
		  "'num_key_value_heads':4,'max_position_embeddings':65536,"
		  "'no_rope_layers':[1,1,1,0,1,1,1,0],'no_rope_layer_interval':4,"
		  "'use_sliding_window':false,'sliding_window':null,'rope_theta':5000000.0}",
		  "general.architecture=smollm3 rope.freq_base=5000000" },
		/* A window that use_sliding_window turns off, and one that starts at a layer. */
		{ "{'architectures':['Qwen2ForCausalLM']," LLAMA_SIZES ",'sliding_window':4096,"
		  "'use_sliding_window':false,'max_window_layers':28,'rope_theta':1000000.0}",
		  "general.architecture=qwen2 attention.sliding_window=none" },
		{ "{'architectures':['Qwen2ForCausalLM'],'hidden_size':64,'intermediate_size':128,"
		  "'num_hidden_layers':4,'num_attention_heads':4,'num_key_value_heads':2,"
		  "'max_position_embeddings':4096,'sliding_window':32,'use_sliding_window':true,"
		  "'max_window_layers':3}",
		  "attention.sliding_window=32 attention.sliding_window_pattern=0001" },
		{ "{'architectures':['Qwen3ForCausalLM'],'hidden_size':1024,"
		  "'intermediate_size':3072,'num_hidden_layers':28,'num_attention_heads':16,"
		  "'num_key_value_heads':8,'head_dim':128,'max_position_embeddings':40960,"
		  "'rope_theta':1000000,'sliding_window':null,'attention_bias':false}",
		  "general.architecture=qwen3 attention.key_length=128 "
		  "attention.value_length=128 attention.layer_norm_rms_epsilon=1e-06" },
		{ "{'architectures':['GemmaForCausalLM'],'hidden_size':2048,"
		  "'intermediate_size':16384,'num_hidden_layers':18,'num_attention_heads':8,"
		  "'num_key_value_heads':1,'head_dim':256,'max_position_embeddings':8192,"
		  "'hidden_act':'gelu','hidden_activation':null}",
		  "general.architecture=gemma attention.head_count_kv=1 "
		  "attention.key_length=none rope.dimension_count=256" },
		/* Gemma 2 27B. */
		{ "{'architectures':['Gemma2ForCausalLM'],'hidden_size':4608,"
		  "'intermediate_size':36864,'num_hidden_layers':46,'num_attention_heads':32,"
		  "'num_key_value_heads':16,'head_dim':128,'max_position_embeddings':8192,"
		  "'attn_logit_softcapping':50.0,'final_logit_softcapping':30.0,"
		  "'query_pre_attn_scalar':144,'sliding_window':4096,'sliding_window_size':4096,"
		  "'hidden_activation':'gelu_pytorch_tanh','hidden_act':'gelu_pytorch_tanh'}",
		  "general.architecture=gemma2 attn_logit_softcapping=50 "
		  "final_logit_softcapping=30 attention.sliding_window=4096 "
		  "attention.sliding_window_pattern=none attention.scale=0.08333334 "
		  "attention.key_length=128" },
		/* Gemma 3 4B: config.json leaves much out. */
		{ "{'architectures':['Gemma3ForConditionalGeneration'],'model_type':'gemma3',"
		  "'text_config':{'hidden_size':2560,'intermediate_size':10240,"
		  "'model_type':'gemma3_text','num_hidden_layers':34,"
		  "'rope_scaling':{'factor':8.0,'rope_type':'linear'},'sliding_window':1024},"
		  "'vision_config':{'hidden_size':1152},'boi_token_index':255999,"
		  "'mm_tokens_per_image':256}",
		  "general.architecture=gemma3 block_count=34 embedding_length=2560 "
		  "context_length=131072 attention.head_count=8 attention.head_count_kv=4 "
		  "attention.key_length=256 attention.layer_norm_rms_epsilon=1e-06 "
		  "rope.freq_base=1000000 rope.freq_base_swa=10000 rope.scaling.type=linear "
		  "rope.scaling.factor=8 attention.sliding_window=1024 "
		  "attention.sliding_window_pattern=none attention.scale=none" },
		/* The same as transformers 5 writes it, with a pattern of its own. */
		{ "{'architectures':['Gemma3ForCausalLM'],'num_hidden_layers':3,"
		  "'query_pre_attn_scalar':168,'head_dim':128,'sliding_window':512,"
		  "'layer_types':['full_attention','sliding_attention','full_attention'],"
		  "'rope_parameters':{'full_attention':{'rope_type':'linear','factor':8.0,"
		  "'rope_theta':1000000.0},'sliding_attention':{'rope_type':'default',"
		  "'rope_theta':20000.0}}}",
		  "attention.sliding_window_pattern=010 rope.freq_base=1000000 "
		  "rope.freq_base_swa=20000 rope.scaling.factor=8 attention.scale=0.07715168" },
		/* Phi 3.5 mini (shortened lists), Phi 4 mini: part of the head is rotated. */
		{ "{'architectures':['Phi3ForCausalLM'],'hidden_size':24,'intermediate_size':64,"
		  "'num_hidden_layers':2,'num_attention_heads':4,'num_key_value_heads':4,"
		  "'max_position_embeddings':131072,'original_max_position_embeddings':4096,"
		  "'sliding_window':262144,'rope_scaling':{'type':'longrope',"
		  "'long_factor':[1.0,2.5,64.0],'short_factor':[1.0,1.1,1.2]}}",
		  "general.architecture=phi3 rope.scaling.type=longrope "
		  "rope.scaling.original_context_length=4096 rope.scaling.attn_factor=1.190238 "
		  "attention.sliding_window=262144" },
		{ "{'architectures':['Phi3ForCausalLM'],'hidden_size':3072,"
		  "'intermediate_size':8192,'num_hidden_layers':32,'num_attention_heads':24,"
		  "'num_key_value_heads':8,'max_position_embeddings':4096,"
		  "'partial_rotary_factor':0.75,'sliding_window':null}",
		  "rope.dimension_count=96 attention.layer_norm_rms_epsilon=1e-05" },
		{ "{'architectures':['PhiForCausalLM'],'hidden_size':2560,"
		  "'intermediate_size':10240,'num_hidden_layers':32,'num_attention_heads':32,"
		  "'num_key_value_heads':null,'max_position_embeddings':2048,"
		  "'partial_rotary_factor':0.4,'hidden_act':'gelu_new','qk_layernorm':false}",
		  "general.architecture=phi2 rope.dimension_count=32 "
		  "attention.head_count_kv=32 attention.layer_norm_epsilon=1e-05" },
		{ "{'architectures':['Glm4ForCausalLM']," LLAMA_SIZES ",'head_dim':128,"
		  "'partial_rotary_factor':0.5,'rms_norm_eps':1e-05,'attention_bias':true}",
		  "general.architecture=glm4 rope.dimension_count=64" },
		{ "{'architectures':['GlmForCausalLM']," LLAMA_SIZES ",'head_dim':128}",
		  "general.architecture=chatglm rope.dimension_count=64 "
		  "attention.layer_norm_rms_epsilon=1.5625e-07" },
		{ "{'architectures':['Olmo2ForCausalLM']," LLAMA_SIZES ",'rope_theta':500000}",
		  "general.architecture=olmo2 attention.layer_norm_rms_epsilon=1e-05" },
		{ "{'architectures':['GraniteForCausalLM']," LLAMA_SIZES ","
		  "'attention_multiplier':0.015625,'embedding_multiplier':12.0,"
		  "'residual_multiplier':0.22,'logits_scaling':8.0}",
		  "general.architecture=granite attention.scale=0.015625 embedding_scale=12 "
		  "residual_scale=0.22 logit_scale=8" },
		{ "{'architectures':['GraniteMoeHybridForCausalLM'],'hidden_size':64,"
		  "'intermediate_size':64,'shared_intermediate_size':128,'num_hidden_layers':2,"
		  "'num_attention_heads':4,'num_key_value_heads':2,"
		  "'max_position_embeddings':4096,'num_local_experts':0,"
		  "'layer_types':['attention','attention'],'position_embedding_type':'rope'}",
		  "general.architecture=granite feed_forward_length=128 logit_scale=1" },
		{ "{'architectures':['CohereForCausalLM']," LLAMA_SIZES ",'logit_scale':0.0625,"
		  "'model_max_length':200000,'use_qk_norm':false,'rope_theta':8000000.0}",
		  "general.architecture=command-r context_length=200000 logit_scale=0.0625 "
		  "attention.layer_norm_epsilon=1e-05" },
		{ "{'architectures':['Cohere2ForCausalLM']," LLAMA_SIZES ",'logit_scale':0.25,"
		  "'rotary_pct':1.0,'sliding_window':4096,'sliding_window_pattern':4,"
		  "'layer_switch':4,'order_of_interleaved_layers':'local_attn_first'}",
		  "general.architecture=cohere2 attention.sliding_window=4096 "
		  "attention.sliding_window_pattern=none rope.dimension_count=128" },
		{ "{'architectures':['Starcoder2ForCausalLM']," LLAMA_SIZES ","
		  "'norm_epsilon':1e-05,'sliding_window':4096,'use_bias':true,"
		  "'hidden_act':'gelu_pytorch_tanh'}",
		  "general.architecture=starcoder2 attention.sliding_window=4096 "
		  "attention.layer_norm_epsilon=1e-05" },
		/* Falcon 7B has one head of keys, whatever num_kv_heads says. */
		{ "{'architectures':['FalconForCausalLM'],'hidden_size':4544,"
		  "'num_hidden_layers':32,'num_attention_heads':71,'num_kv_heads':71,"
		  "'multi_query':true,'new_decoder_architecture':false,'parallel_attn':true,"
		  "'alibi':false,'bias':false}",
		  "general.architecture=falcon attention.head_count_kv=1 context_length=2048 "
		  "feed_forward_length=18176 rope.dimension_count=64" },
		{ "{'architectures':['RWForCausalLM'],'hidden_size':8192,'n_layer':60,"
		  "'n_head':128,'n_head_kv':8,'multi_query':true,"
		  "'new_decoder_architecture':true}",
		  "attention.head_count_kv=8 block_count=60 feed_forward_length=32768" },
		{ "{'architectures':['GPT2LMHeadModel'],'n_embd':768,'n_layer':12,'n_head':12,"
		  "'n_positions':1024,'n_ctx':1024,'n_inner':null,"
		  "'activation_function':'gelu_new'}",
		  "general.architecture=gpt2 feed_forward_length=3072 context_length=1024 "
		  "rope.dimension_count=none attention.layer_norm_epsilon=1e-05" },
		{ "{'architectures':['GPTNeoXForCausalLM'],'hidden_size':512,"
		  "'intermediate_size':2048,'num_hidden_layers':6,'num_attention_heads':8,"
		  "'max_position_embeddings':2048,'rotary_pct':0.25,'rotary_emb_base':20000,"
		  "'use_parallel_residual':false,'hidden_act':'gelu'}",
		  "general.architecture=gptneox rope.dimension_count=16 rope.freq_base=20000 "
		  "use_parallel_residual=0" },
		{ "{'architectures':['StableLMEpochForCausalLM'],'hidden_size':2560,"
		  "'intermediate_size':6912,'num_hidden_layers':32,'num_attention_heads':32,"
		  "'num_key_value_heads':32,'max_position_embeddings':4096,'rope_pct':0.25,"
		  "'norm_eps':1e-05,'use_qkv_bias':false}",
		  "general.architecture=stablelm rope.dimension_count=20 "
		  "use_parallel_residual=0" },
		{ "{'architectures':['MiniCPMForCausalLM'],'hidden_size':2304,"
		  "'intermediate_size':5760,'num_hidden_layers':40,'num_attention_heads':36,"
		  "'num_key_value_heads':36,'max_position_embeddings':2048,'scale_emb':12,"
		  "'dim_model_base':256,'scale_depth':1.4}",
		  "general.architecture=minicpm embedding_scale=12 residual_scale=0.2213594 "
		  "logit_scale=9" },
		{ "{'architectures':['Exaone4ForCausalLM'],'hidden_size':2048,"
		  "'intermediate_size':4096,'num_hidden_layers':8,'num_attention_heads':32,"
		  "'num_key_value_heads':8,'head_dim':64,'max_position_embeddings':65536,"
		  "'sliding_window':4096,'sliding_window_pattern':'LLLG'}",
		  "general.architecture=exaone4 attention.sliding_window=4096 "
		  "attention.sliding_window_pattern=11101110" },
		{ "{'architectures':['Exaone4ForCausalLM'],'hidden_size':2048,"
		  "'intermediate_size':4096,'num_hidden_layers':8,'num_attention_heads':32,"
		  "'num_key_value_heads':8,'head_dim':64,'max_position_embeddings':65536,"
		  "'sliding_window':null,'sliding_window_pattern':null}",
		  "attention.sliding_window=none attention.sliding_window_pattern=none" },
		{ "{'architectures':['NemotronForCausalLM'],'hidden_size':3072,"
		  "'intermediate_size':9216,'num_hidden_layers':32,'num_attention_heads':24,"
		  "'num_key_value_heads':8,'head_dim':128,'max_position_embeddings':4096,"
		  "'norm_eps':1e-05,'partial_rotary_factor':0.5,'hidden_act':'relu2'}",
		  "general.architecture=nemotron rope.dimension_count=64 "
		  "attention.layer_norm_epsilon=1e-05" },
		{ "{'architectures':['InternLM2ForCausalLM']," LLAMA_SIZES ",'bias':false,"
		  "'rope_theta':1000000,'rope_scaling':{'type':'dynamic','factor':2.0}}",
		  "general.architecture=internlm2 rope.scaling.type=none "
		  "rope.freq_base=1000000" },
		{ "{'architectures':['Ernie4_5ForCausalLM'],'hidden_size':1024,"
		  "'intermediate_size':3072,'num_hidden_layers':18,'num_attention_heads':16,"
		  "'num_key_value_heads':2,'head_dim':128,'max_position_embeddings':131072}",
		  "general.architecture=ernie4_5 rope.freq_base=500000" },
		{ "{'architectures':['SeedOssForCausalLM']," LLAMA_SIZES ",'head_dim':128}",
		  "general.architecture=seed_oss" },
		{ "{'architectures':['ApertusForCausalLM']," LLAMA_SIZES ",'hidden_act':'xielu',"
		  "'rope_theta':12000000,'rope_scaling':{'type':'default'}}",
		  "general.architecture=apertus" },
		/* Hunyuan: alpha stretches theta. */
		{ "{'architectures':['HunYuanDenseV1ForCausalLM']," LLAMA_SIZES ",'head_dim':128,"
		  "'rope_theta':10000.0,'rope_scaling':{'alpha':1000.0,'factor':1.0,"
		  "'type':'dynamic'}}",
		  "general.architecture=hunyuan-dense rope.freq_base=1.115884e+07" },
		{ "{'architectures':['BaichuanForCausalLM']," LLAMA_SIZES "}",
		  "general.architecture=baichuan" },
		{ "{'architectures':['MPTForCausalLM'],'d_model':4096,'n_layers':32,'n_heads':32,"
		  "'max_seq_len':2048,'attn_config':{'alibi':true,'alibi_bias_max':8,"
		  "'clip_qkv':6,'qk_ln':false,'softmax_scale':null}}",
		  "general.architecture=mpt attention.max_alibi_bias=8 attention.clamp_kqv=6 "
		  "feed_forward_length=16384 attention.head_count_kv=32" },
		{ "{'architectures':['BloomForCausalLM'],'n_embed':1024,'n_layer':24,"
		  "'num_attention_heads':16,'seq_length':2048}",
		  "general.architecture=bloom feed_forward_length=4096 "
		  "attention.layer_norm_epsilon=1e-05" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect_keys(q(rows[i].config), rows[i].keys);
}

static void rope_parameters_of_both_forms_are_read(void **state)
{
	(void)state;
	expect_keys(q("{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'rope_parameters':"
		      "{'rope_type':'linear','factor':4.0,'rope_theta':20000.0}}"),
		    "rope.freq_base=20000 rope.scaling.type=linear rope.scaling.factor=4");
	/* YaRN without a magnitude of its own: GGUF's readers know the usual one. */
	expect_keys(q("{'architectures':['Qwen2ForCausalLM']," LLAMA_SIZES ",'rope_scaling':"
		      "{'factor':4.0,'original_max_position_embeddings':32768,'type':'yarn'}}"),
		    "rope.scaling.type=yarn rope.scaling.factor=4 "
		    "rope.scaling.original_context_length=32768 rope.scaling.attn_factor=none "
		    "rope.scaling.yarn_beta_fast=32 rope.scaling.yarn_beta_slow=1");
	/* An explicit one is final; the ratio of two scales is another. */
	expect_keys(q("{'architectures':['Qwen3ForCausalLM']," LLAMA_SIZES ",'rope_parameters':"
		      "{'factor':4.0,'original_max_position_embeddings':32768,"
		      "'rope_type':'yarn','attention_factor':1.0,'rope_theta':1e6}}"),
		    "rope.scaling.attn_factor=0.8782489");
	expect_keys(q("{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'rope_scaling':"
		      "{'factor':40.0,'original_max_position_embeddings':4096,'type':'yarn',"
		      "'mscale':1.0,'mscale_all_dim':1.0}}"),
		    "rope.scaling.attn_factor=0.73052");
	/* No factor: the ratio of the contexts. */
	expect_keys(q("{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'rope_scaling':"
		      "{'original_max_position_embeddings':32768,'type':'yarn'}}"),
		    "rope.scaling.factor=4");
}

static void expect_name(const char *folder, const char *wanted)
{
	json_t *json = parse(q("{'architectures':['LlamaForCausalLM']," LLAMA_SIZES "}"));
	const struct hf_family *family;
	struct gguf_head head;
	struct buf bytes = BUF_INIT;
	struct gguf *gguf;
	struct gguf_string name;

	gguf_head_init(&head, NULL);
	assert_int_equal(hf_family_find(json, folder, &family, NULL), SC_OK);
	assert_int_equal(hf_config_put(family, json, folder, &head, NULL), SC_OK);
	assert_int_equal(gguf_head_finish(&head, &bytes), SC_OK);
	assert_int_equal(gguf_open_memory("head", bytes.data, bytes.length, &gguf, NULL), SC_OK);
	assert_int_equal(gguf_get_string(gguf, "general.name", &name, NULL), SC_OK);
	assert_int_equal(name.length, strlen(wanted));
	assert_memory_equal(name.data, wanted, name.length);
	gguf_close(gguf);
	buf_deinit(&bytes);
	gguf_head_deinit(&head);
	json_decref(json);
}

static void a_name_is_found_in_a_cache(void **state)
{
	(void)state;
	expect_name("/c/hub/models--some-org--A-Model-1B/snapshots/0123abcd", "A-Model-1B");
	expect_name("/c/hub/models--gpt2/snapshots/0123abcd", "gpt2");
	expect_name("/c/models/gpt2", "gpt2");
}

static void what_is_not_supported_is_named(void **state)
{
	static const struct {
		const char *config;
		enum sc_status status;
		const char *part;
	} rows[] = {
		{ "{'architectures':['Qwen3MoeForCausalLM'],'model_type':'qwen3_moe'}",
		  SC_E_UNSUPPORTED, "'Qwen3MoeForCausalLM' are not supported; the nearest that is "
		  "supported is 'Qwen3ForCausalLM'" },
		{ "{'architectures':['T5ForConditionalGeneration']}", SC_E_UNSUPPORTED,
		  "'T5ForConditionalGeneration'" },
		{ "{'model_type':'llamma'}", SC_E_UNSUPPORTED, "'llama'" },
		{ "{}", SC_E_FORMAT, "neither 'architectures' nor 'model_type'" },
		{ "{'architectures':['Gemma3nForConditionalGeneration'],'text_config':"
		  "{'model_type':'llama'}}", SC_E_UNSUPPORTED,
		  "'Gemma3nForConditionalGeneration'" },
		{ "{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'hidden_act':'relu'}",
		  SC_E_UNSUPPORTED, "'hidden_act' is \"relu\"" },
		{ "{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'num_local_experts':8}",
		  SC_E_UNSUPPORTED, "is 8" },
		{ "{'architectures':['ApertusForCausalLM']," LLAMA_SIZES ",'hidden_act':'xielu',"
		  "'rope_theta':12000000}", SC_E_UNSUPPORTED, "'rope_scaling' is missing" },
		{ "{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'rope_scaling':"
		  "{'rope_type':'proportional'}}", SC_E_UNSUPPORTED,
		  "'proportional' is not supported" },
		{ "{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'rope_scaling':"
		  "{'rope_type':'linear'}}", SC_E_FORMAT, "'factor' is missing" },
		{ "{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'rope_scaling':"
		  "{'rope_type':'longrope','factor':4,'long_factor':[1],'short_factor':[1]}}",
		  SC_E_FORMAT, "'long_factor' must be a list of 64 numbers" },
		{ "{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'quantization_config':"
		  "{'quant_method':'gptq','bits':4}}", SC_E_UNSUPPORTED, "'gptq'" },
		{ "{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'quantization_config':"
		  "{'load_in_4bit':true}}", SC_E_UNSUPPORTED, "'bitsandbytes'" },
		{ "{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'quantization_config':"
		  "{'quant_method':'compressed-tensors','config_groups':{'group_0':{'weights':"
		  "{'num_bits':4,'type':'int'}}}}}", SC_E_UNSUPPORTED, "'compressed-tensors'" },
		{ "{'architectures':['LlamaForCausalLM'],'hidden_size':64,'intermediate_size':128,"
		  "'num_attention_heads':4,'max_position_embeddings':128}", SC_E_FORMAT,
		  "'num_hidden_layers' is missing" },
		{ "{'architectures':['LlamaForCausalLM'],'hidden_size':'64'}", SC_E_FORMAT,
		  "'num_hidden_layers' is missing" },
		{ "{'architectures':['LlamaForCausalLM'],'num_hidden_layers':2.5}", SC_E_FORMAT,
		  "found 2.5" },
		{ "{'architectures':['LlamaForCausalLM'],'num_hidden_layers':1000000}",
		  SC_E_FORMAT, "from 1 to 1024, found 1000000" },
		{ "{'architectures':['LlamaForCausalLM'],'hidden_size':96,'intermediate_size':128,"
		  "'num_hidden_layers':2,'num_attention_heads':6,'num_key_value_heads':4,"
		  "'max_position_embeddings':128}", SC_E_FORMAT, "no multiple of 4 key-value" },
		{ "{'architectures':['LlamaForCausalLM'],'hidden_size':100,'intermediate_size':128,"
		  "'num_hidden_layers':2,'num_attention_heads':6,"
		  "'max_position_embeddings':128}", SC_E_FORMAT, "there is no 'head_dim'" },
		{ "{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'rms_norm_eps':'small'}",
		  SC_E_FORMAT, "'rms_norm_eps' must be a number, found \"small\"" },
		/* The name that the file has, not those of other families. */
		{ "{'architectures':['LlamaForCausalLM'],'num_hidden_layers':2,'hidden_size':-5,"
		  "'max_position_embeddings':64}", SC_E_FORMAT, "'hidden_size' must be a whole number from 1 "
		  "to 131072, found -5" },
		{ "{'architectures':['SmolLM3ForCausalLM'],'hidden_size':64,"
		  "'intermediate_size':64,'num_hidden_layers':2,'num_attention_heads':4,"
		  "'max_position_embeddings':64,'no_rope_layers':[1,0]}", SC_E_UNSUPPORTED,
		  "layer 1 has no rotary positions" },
		{ "{'architectures':['Qwen3ForCausalLM'],'hidden_size':64,"
		  "'intermediate_size':64,'num_hidden_layers':2,'num_attention_heads':4,"
		  "'num_key_value_heads':4,'max_position_embeddings':64,"
		  "'layer_types':['full_attention','linear_attention']}", SC_E_UNSUPPORTED,
		  "layer 1 is of the type 'linear_attention'" },
		{ "{'architectures':['OlmoForCausalLM'],'model_type':'olmo'}", SC_E_UNSUPPORTED,
		  "'Olmo2ForCausalLM'" },
		{ "{'architectures':['MiniCPMForCausalLM']," LLAMA_SIZES ",'use_mup':false}",
		  SC_E_UNSUPPORTED, "'use_mup' is false" },
		{ "{'architectures':['FalconForCausalLM'],'hidden_size':64,'n_layer':2,"
		  "'n_head':4,'alibi':true}", SC_E_UNSUPPORTED, "'alibi' is true" },
		{ "{'architectures':['GraniteMoeHybridForCausalLM'],'num_local_experts':0,"
		  "'position_embedding_type':'nope'}", SC_E_UNSUPPORTED,
		  "'position_embedding_type' is \"nope\"" },
		{ "{'architectures':['Qwen2ForCausalLM']," LLAMA_SIZES ",'rope_parameters':"
		  "{'full_attention':{'rope_theta':1e6},'sliding_attention':"
		  "{'rope_theta':1e4}}}", SC_E_UNSUPPORTED, "must be the same" },
		{ "{'architectures':['PhiForCausalLM'],'qk_layernorm':true}", SC_E_UNSUPPORTED,
		  "'qk_layernorm' is true" },
		{ "{'architectures':['BaichuanForCausalLM'],'hidden_size':64,"
		  "'intermediate_size':64,'num_hidden_layers':2,'num_attention_heads':4,"
		  "'model_max_length':4096}", SC_E_UNSUPPORTED, "ALiBi" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect_error(q(rows[i].config), rows[i].status, rows[i].part);
}

static void fp8_is_no_quantisation_to_refuse(void **state)
{
	(void)state;
	expect_keys(q("{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'quantization_config':"
		      "{'quant_method':'fp8','weight_block_size':[128,128]}}"), "block_count=32");
	expect_keys(q("{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ",'quantization_config':"
		      "{'quant_method':'compressed-tensors','config_groups':{'group_0':{'weights':"
		      "{'num_bits':8,'type':'float'}}}}}"), "block_count=32");
}

static void unknown_keys_are_named_unless_they_say_nothing(void **state)
{
	json_t *json = parse(q("{'architectures':['LlamaForCausalLM']," LLAMA_SIZES ","
			       "'logit_boost':2.0,'off':false,'nothing':null,'zero':0,"
			       "'use_cache':true,'another':'x'}"));
	struct hf_config config;
	const struct hf_family *family;
	char names[64], few[14];

	(void)state;
	assert_int_equal(hf_family_find(json, "m", &family, NULL), SC_OK);
	assert_int_equal(hf_config_init(&config, json, "m", NULL), SC_OK);
	assert_int_equal(hf_config_unknown(family, &config, names, sizeof names), 2);
	assert_string_equal(names, "logit_boost, another");
	assert_int_equal(hf_config_unknown(family, &config, few, sizeof few), 2);
	assert_string_equal(few, "logit_boost");
	hf_config_deinit(&config);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_family_has_its_keys),
		cmocka_unit_test(rope_parameters_of_both_forms_are_read),
		cmocka_unit_test(a_name_is_found_in_a_cache),
		cmocka_unit_test(what_is_not_supported_is_named),
		cmocka_unit_test(fp8_is_no_quantisation_to_refuse),
		cmocka_unit_test(unknown_keys_are_named_unless_they_say_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
