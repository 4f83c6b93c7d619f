/* SPDX-License-Identifier: Apache-2.0 */
/* Stored tensors and the tensors of GGUF that are made of them, on models of one layer. Element i
 * of the n-th stored tensor is 1000 n + i. */
#include "hf/family.h"
#include "hf/parts.h"

#include "tests/hf/model_folder.h"
#include "tests/hf/safetensors_writer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_STORED = 64, MAX_ELEMENTS = 1000 };

/* A folder, what was stored in it, and what it became. */
struct fixture {
	struct model_folder folder;
	struct safetensors_writer writer;
	const char *dtype;
	char names[MAX_STORED][96];
	unsigned columns[MAX_STORED];
	unsigned n_stored;
	json_t *config;
	struct hf_store *store;
	struct gguf_head head;
	struct hf_tensors tensors;
	struct gguf *gguf;
	struct error err;
};

static void start(struct fixture *f, const char *config)
{
	char text[2048];
	json_error_t error;

	memset(f, 0, sizeof *f);
	model_folder_create(&f->folder);
	safetensors_writer_init(&f->writer);
	gguf_head_init(&f->head, NULL);
	f->dtype = "F32";
	snprintf(text, sizeof text, "%s", config);
	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	f->config = json_loads(text, 0, &error);
	if (!f->config)
		fail_msg("%s: %s", error.text, text);
}

static void finish(struct fixture *f)
{
	gguf_close(f->gguf);
	hf_tensors_deinit(&f->tensors);
	hf_store_close(f->store);
	gguf_head_deinit(&f->head);
	safetensors_writer_deinit(&f->writer);
	json_decref(f->config);
	model_folder_remove(&f->folder);
}

static float value_of(unsigned n, unsigned i)
{
	return (float)(1000 * n + i);
}

/* A matrix, or with 0 rows a vector. */
static void store(struct fixture *f, const char *name, unsigned rows, unsigned columns)
{
	float values[MAX_ELEMENTS];
	unsigned n = (rows ? rows : 1) * columns;

	assert_true(n <= MAX_ELEMENTS && f->n_stored < MAX_STORED);
	for (unsigned i = 0; i < n; i++)
		values[i] = value_of(f->n_stored, i);
	safetensors_writer_floats(&f->writer, name, f->dtype, rows, columns, values);
	snprintf(f->names[f->n_stored], sizeof f->names[0], "%s", name);
	f->columns[f->n_stored++] = rows ? columns : 1;
}

/* list: "NAME ROWSxCOLUMNS NAME COLUMNS ..." */
static void store_all(struct fixture *f, const char *list)
{
	char name[96];
	unsigned rows, columns;
	int n;

	while (sscanf(list, " %95s %u%n", name, &rows, &n) == 2) {
		list += n;
		if (*list != 'x') {
			store(f, name, 0, rows);
			continue;
		}
		assert_int_equal(sscanf(list, "x%u%n", &columns, &n), 1);
		list += n;
		store(f, name, rows, columns);
	}
	assert_int_equal(strspn(list, " "), strlen(list));
}

static enum sc_status make(struct fixture *f)
{
	const struct hf_family *family;
	struct buf file = BUF_INIT;
	enum sc_status status;

	safetensors_writer_finish(&f->writer, &file);
	model_folder_write(&f->folder, "model.safetensors", file.data, file.length);
	buf_deinit(&file);
	status = hf_store_open(f->folder.path, f->config, &f->store, &f->err);
	if (!status)
		status = hf_family_find(f->config, f->folder.path, &family, &f->err);
	if (!status)
		status = hf_config_put(family, f->config, f->folder.path, &f->head, &f->err);
	if (!status)
		status = hf_tensors_put(family, f->config, f->store, &f->head, &f->tensors,
					&f->err);
	if (!status)
		f->store = NULL;
	return status;
}

static void open_made(struct fixture *f)
{
	struct gguf_body body;

	if (make(f))
		fail_msg("%s", f->err.text);
	body = (struct gguf_body){
		.sources = f->tensors.sources, .parts = (struct gguf_part[1]){
			hf_store_part(f->tensors.store, 0),
		}, .n_parts = 1,
	};
	if (gguf_open_head(f->folder.path, &f->head, &body, &f->gguf, &f->err))
		fail_msg("%s", f->err.text);
}

static void expect_error(struct fixture *f, enum sc_status status, const char *part)
{
	assert_int_equal(make(f), status);
	if (!strstr(f->err.text, part))
		fail_msg("expected '%s' in: %s", part, f->err.text);
	finish(f);
}

static const struct tensor *find(const struct fixture *f, const char *name)
{
	const struct tensor *tensor = gguf_find_tensor(f->gguf, name);

	if (!tensor)
		fail_msg("there is no %s", name);
	return tensor;
}

static unsigned number_of(const struct fixture *f, const char *name)
{
	for (unsigned i = 0; i < f->n_stored; i++)
		if (!strcmp(f->names[i], name))
			return i;
	fail_msg("%s was not stored", name);
	return 0;
}

/* All elements, read three rows at a time. */
static void read_all(const struct tensor *tensor, float *out)
{
	uint64_t n_rows = tensor->dims[1], row = 0;
	char bytes[MAX_ELEMENTS * 4];
	struct tensor copy = *tensor;

	for (uint64_t n; row < n_rows; row += n) {
		n = n_rows - row < 3 ? n_rows - row : 3;
		assert_int_equal(tensor_read_rows(tensor, row, n, bytes +
						  row * tensor_row_bytes(tensor), NULL), SC_OK);
	}
	copy.data = bytes;
	for (row = 0; row < n_rows; row++)
		tensor_row_f32(&copy, row, out + row * tensor->dims[0]);
}

/* rows: which stored row each row is; NULL: they are in order. */
static void expect_rows(const struct fixture *f, const char *gguf, const char *name,
			const char *rows)
{
	const struct tensor *tensor = find(f, gguf);
	unsigned number = number_of(f, name), columns = f->columns[number];
	unsigned n = (unsigned)(tensor->dims[0] * tensor->dims[1]), row;
	float x[MAX_ELEMENTS];
	int used;

	read_all(tensor, x);
	assert_int_equal(n % columns, 0);
	for (unsigned i = 0; i < n / columns; i++) {
		row = i;
		if (rows) {
			assert_int_equal(sscanf(rows, "%u%n", &row, &used), 1);
			rows += used;
		}
		for (unsigned c = 0; c < columns; c++)
			if (x[i * columns + c] != value_of(number, row * columns + c))
				fail_msg("%s: row %u, column %u: expected %g, found %g", gguf, i, c,
					 (double)value_of(number, row * columns + c),
					 (double)x[i * columns + c]);
	}
	assert_string_equal(rows ? rows : "", "");
}

#define SIZES "'hidden_size':8,'intermediate_size':6,'num_hidden_layers':1," \
	"'num_attention_heads':2,'num_key_value_heads':1,'max_position_embeddings':64"
#define L "model.layers.0."
#define ENDS "model.embed_tokens.weight 5x8 model.norm.weight 8 "
#define ATTENTION L "self_attn.q_proj.weight 8x8 " L "self_attn.k_proj.weight 4x8 " \
	L "self_attn.v_proj.weight 4x8 " L "self_attn.o_proj.weight 8x8 "
#define NORMS L "input_layernorm.weight 8 " L "post_attention_layernorm.weight 8 "
#define GATED L "mlp.gate_proj.weight 6x8 " L "mlp.up_proj.weight 6x8 " \
	L "mlp.down_proj.weight 8x6 "
#define LLAMA "{'architectures':['LlamaForCausalLM']," SIZES "}"
#define LLAMA_TENSORS ENDS ATTENTION NORMS GATED

static void llama_has_pairs_in_place_of_halves(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, LLAMA);
	store_all(&f, LLAMA_TENSORS "lm_head.weight 5x8 " L "self_attn.q_proj.bias 8 "
		  L "self_attn.k_proj.bias 4 " L "self_attn.rotary_emb.inv_freq 2");
	open_made(&f);
	expect_rows(&f, "token_embd.weight", "model.embed_tokens.weight", NULL);
	expect_rows(&f, "output.weight", "lm_head.weight", NULL);
	expect_rows(&f, "blk.0.attn_norm.weight", L "input_layernorm.weight", NULL);
	expect_rows(&f, "blk.0.ffn_norm.weight", L "post_attention_layernorm.weight", NULL);
	expect_rows(&f, "blk.0.attn_q.weight", L "self_attn.q_proj.weight", "0 2 1 3 4 6 5 7");
	expect_rows(&f, "blk.0.attn_q.bias", L "self_attn.q_proj.bias", "0 2 1 3 4 6 5 7");
	expect_rows(&f, "blk.0.attn_k.weight", L "self_attn.k_proj.weight", "0 2 1 3");
	expect_rows(&f, "blk.0.attn_k.bias", L "self_attn.k_proj.bias", "0 2 1 3");
	expect_rows(&f, "blk.0.attn_v.weight", L "self_attn.v_proj.weight", NULL);
	expect_rows(&f, "blk.0.ffn_down.weight", L "mlp.down_proj.weight", NULL);
	assert_int_equal(find(&f, "blk.0.ffn_down.weight")->dims[0], 6);
	assert_int_equal(gguf_n_tensors(f.gguf), 14);
	finish(&f);
}

static void qwen2_keeps_its_halves(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "{'architectures':['Qwen2ForCausalLM']," SIZES "}");
	store_all(&f, LLAMA_TENSORS L "self_attn.q_proj.bias 8 " L "self_attn.k_proj.bias 4 "
		  L "self_attn.v_proj.bias 4");
	open_made(&f);
	expect_rows(&f, "blk.0.attn_q.weight", L "self_attn.q_proj.weight", NULL);
	expect_rows(&f, "blk.0.attn_k.bias", L "self_attn.k_proj.bias", NULL);
	finish(&f);
}

#define H "transformer.h.0."

static void gpt2_has_columns_for_rows(void **state)
{
	struct fixture f;
	float x[MAX_ELEMENTS];

	(void)state;
	start(&f, "{'architectures':['GPT2LMHeadModel'],'n_embd':8,'n_layer':1,'n_head':2,"
		  "'n_positions':16}");
	store_all(&f, "transformer.wte.weight 5x8 transformer.wpe.weight 16x8 "
		  "transformer.ln_f.weight 8 transformer.ln_f.bias 8 "
		  H "ln_1.weight 8 " H "ln_1.bias 8 " H "ln_2.weight 8 " H "ln_2.bias 8 "
		  H "attn.c_attn.weight 8x24 " H "attn.c_attn.bias 24 " H "attn.bias 16x16 "
		  H "attn.c_proj.weight 8x8 " H "attn.c_proj.bias 8 " H "mlp.c_fc.weight 8x32 "
		  H "mlp.c_fc.bias 32 " H "mlp.c_proj.weight 32x8 " H "mlp.c_proj.bias 8");
	open_made(&f);
	read_all(find(&f, "blk.0.attn_qkv.weight"), x);
	for (unsigned row = 0; row < 24; row++)
		for (unsigned c = 0; c < 8; c++)
			assert_float_equal(x[row * 8 + c],
					   value_of(number_of(&f, H "attn.c_attn.weight"),
						    c * 24 + row), 0);
	expect_rows(&f, "blk.0.attn_qkv.bias", H "attn.c_attn.bias", NULL);
	assert_int_equal(find(&f, "blk.0.ffn_down.weight")->dims[0], 32);
	assert_int_equal(find(&f, "position_embd.weight")->dims[1], 16);
	finish(&f);
}

/* openai-community/gpt2 was saved without the head: its names have no "transformer.". */
static void names_without_their_first_word_are_found(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, LLAMA);
	store_all(&f, "embed_tokens.weight 5x8 norm.weight 8 layers.0.self_attn.q_proj.weight 8x8 "
		  "layers.0.self_attn.k_proj.weight 4x8 layers.0.self_attn.v_proj.weight 4x8 "
		  "layers.0.self_attn.o_proj.weight 8x8 layers.0.input_layernorm.weight 8 "
		  "layers.0.post_attention_layernorm.weight 8 layers.0.mlp.gate_proj.weight 6x8 "
		  "layers.0.mlp.up_proj.weight 6x8 layers.0.mlp.down_proj.weight 8x6 "
		  "lm_head.weight 5x8");
	open_made(&f);
	expect_rows(&f, "blk.0.attn_k.weight", "layers.0.self_attn.k_proj.weight", "0 2 1 3");
	expect_rows(&f, "output.weight", "lm_head.weight", NULL);
	finish(&f);
}

static void names_within_a_wrapper_are_found(void **state)
{
	static const char *const forms[][2] = {
		{ "model.language_model.", "lm_head" },
		{ "language_model.model.", "language_model.lm_head" },
	};
	static const char *const names[] = {
		"embed_tokens.weight 5x8", "norm.weight 8",
		"layers.0.self_attn.q_proj.weight 8x8", "layers.0.self_attn.k_proj.weight 4x8",
		"layers.0.self_attn.v_proj.weight 4x8", "layers.0.self_attn.o_proj.weight 8x8",
		"layers.0.input_layernorm.weight 8", "layers.0.post_attention_layernorm.weight 8",
		"layers.0.mlp.gate_proj.weight 6x8", "layers.0.mlp.up_proj.weight 6x8",
		"layers.0.mlp.down_proj.weight 8x6",
	};
	char name[160];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f;

		start(&f, "{'architectures':['Mistral3ForConditionalGeneration'],"
			  "'vision_config':{},'text_config':{'model_type':'mistral',"
			  "'sliding_window':null," SIZES "}}");
		for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
			snprintf(name, sizeof name, "%s%s", forms[i][0], names[j]);
			store_all(&f, name);
		}
		snprintf(name, sizeof name, "%s.weight 5x8 vision_tower.patch.weight 3x3 "
			 "model.vision_tower.ln.weight 3", forms[i][1]);
		store_all(&f, name);
		open_made(&f);
		snprintf(name, sizeof name, "%slayers.0.self_attn.k_proj.weight", forms[i][0]);
		expect_rows(&f, "blk.0.attn_k.weight", name, "0 2 1 3");
		assert_int_equal(gguf_n_tensors(f.gguf), 12);
		finish(&f);
	}
}

static void fused_rows_are_regrouped(void **state)
{
	static const char neox[] = "0 1 2 3 12 13 14 15 4 5 6 7 16 17 18 19 8 9 10 11 20 21 22 23";
	static const char falcon[] = "0 1 2 3 8 9 10 11 4 5 12 13 6 7 14 15";
	struct fixture f;

	(void)state;
	start(&f, "{'architectures':['GPTNeoXForCausalLM']," SIZES ",'rotary_pct':0.5}");
#define N "gpt_neox.layers.0."
	store_all(&f, "gpt_neox.embed_in.weight 5x8 gpt_neox.final_layer_norm.weight 8 "
		  "gpt_neox.final_layer_norm.bias 8 embed_out.weight 5x8 "
		  N "input_layernorm.weight 8 " N "input_layernorm.bias 8 "
		  N "post_attention_layernorm.weight 8 " N "post_attention_layernorm.bias 8 "
		  N "attention.query_key_value.weight 24x8 "
		  N "attention.query_key_value.bias 24 " N "attention.dense.weight 8x8 "
		  N "attention.dense.bias 8 " N "mlp.dense_h_to_4h.weight 6x8 "
		  N "mlp.dense_h_to_4h.bias 6 " N "mlp.dense_4h_to_h.weight 8x6 "
		  N "mlp.dense_4h_to_h.bias 8 " N "attention.masked_bias 1");
	open_made(&f);
	expect_rows(&f, "blk.0.attn_qkv.weight", N "attention.query_key_value.weight", neox);
	expect_rows(&f, "blk.0.attn_qkv.bias", N "attention.query_key_value.bias", neox);
	expect_rows(&f, "output.weight", "embed_out.weight", NULL);
	finish(&f);

	start(&f, "{'architectures':['FalconForCausalLM'],'hidden_size':8,'num_hidden_layers':1,"
		  "'num_attention_heads':4,'num_kv_heads':2,'new_decoder_architecture':true,"
		  "'ffn_hidden_size':6}");
	store_all(&f, "transformer.word_embeddings.weight 5x8 transformer.ln_f.weight 8 "
		  "transformer.ln_f.bias 8 " H "ln_attn.weight 8 " H "ln_attn.bias 8 "
		  H "ln_mlp.weight 8 " H "ln_mlp.bias 8 "
		  H "self_attention.query_key_value.weight 16x8 "
		  H "self_attention.dense.weight 8x8 " H "mlp.dense_h_to_4h.weight 6x8 "
		  H "mlp.dense_4h_to_h.weight 8x6");
	open_made(&f);
	expect_rows(&f, "blk.0.attn_qkv.weight", H "self_attention.query_key_value.weight",
		    falcon);
	expect_rows(&f, "blk.0.attn_norm.weight", H "ln_mlp.weight", NULL);
	expect_rows(&f, "blk.0.attn_norm_2.bias", H "ln_attn.bias", NULL);
	finish(&f);
}

static void two_heads_are_one_too_many(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "{'architectures':['GPTNeoXForCausalLM']," SIZES ",'rotary_pct':0.5}");
	store_all(&f, "gpt_neox.embed_in.weight 5x8 embed_out.weight 5x8 lm_head.weight 5x8");
	expect_error(&f, SC_E_FORMAT,
		     "tensor 'lm_head.weight': another stored tensor is 'output.weight', too");
}

static void fused_rows_are_taken_apart(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "{'architectures':['InternLM2ForCausalLM'],'hidden_size':16,"
		  "'intermediate_size':6,'num_hidden_layers':1,'num_attention_heads':4,"
		  "'num_key_value_heads':2,'max_position_embeddings':64}");
	store_all(&f, "model.tok_embeddings.weight 5x16 model.norm.weight 16 output.weight 5x16 "
		  L "attention_norm.weight 16 " L "ffn_norm.weight 16 "
		  L "attention.wqkv.weight 32x16 " L "attention.wo.weight 16x16 "
		  L "feed_forward.w1.weight 6x16 " L "feed_forward.w2.weight 16x6 "
		  L "feed_forward.w3.weight 6x16");
	open_made(&f);
	expect_rows(&f, "blk.0.attn_q.weight", L "attention.wqkv.weight",
		    "0 2 1 3 4 6 5 7 16 18 17 19 20 22 21 23");
	expect_rows(&f, "blk.0.attn_k.weight", L "attention.wqkv.weight", "8 10 9 11 24 26 25 27");
	expect_rows(&f, "blk.0.attn_v.weight", L "attention.wqkv.weight",
		    "12 13 14 15 28 29 30 31");
	expect_rows(&f, "blk.0.ffn_gate.weight", L "feed_forward.w1.weight", NULL);
	expect_rows(&f, "blk.0.ffn_up.weight", L "feed_forward.w3.weight", NULL);
	finish(&f);

	start(&f, "{'architectures':['BaichuanForCausalLM'],'hidden_size':8,"
		  "'intermediate_size':6,'num_hidden_layers':1,'num_attention_heads':2,"
		  "'max_position_embeddings':64}");
	store_all(&f, ENDS NORMS GATED "lm_head.weight 5x8 " L "self_attn.W_pack.weight 24x8 "
		  L "self_attn.o_proj.weight 8x8");
	open_made(&f);
	expect_rows(&f, "blk.0.attn_q.weight", L "self_attn.W_pack.weight", "0 2 1 3 4 6 5 7");
	expect_rows(&f, "blk.0.attn_k.weight", L "self_attn.W_pack.weight",
		    "8 10 9 11 12 14 13 15");
	expect_rows(&f, "blk.0.attn_v.weight", L "self_attn.W_pack.weight",
		    "16 17 18 19 20 21 22 23");
	finish(&f);

	start(&f, "{'architectures':['GraniteMoeHybridForCausalLM'],'hidden_size':8,"
		  "'shared_intermediate_size':6,'num_hidden_layers':1,'num_attention_heads':2,"
		  "'num_key_value_heads':1,'max_position_embeddings':64,'num_local_experts':0,"
		  "'position_embedding_type':'rope','layer_types':['attention']}");
	store_all(&f, ENDS NORMS ATTENTION L "shared_mlp.input_linear.weight 12x8 "
		  L "shared_mlp.output_linear.weight 8x6");
	open_made(&f);
	expect_rows(&f, "blk.0.ffn_gate.weight", L "shared_mlp.input_linear.weight",
		    "0 1 2 3 4 5");
	expect_rows(&f, "blk.0.ffn_up.weight", L "shared_mlp.input_linear.weight",
		    "6 7 8 9 10 11");
	finish(&f);
}

/* Baichuan 2 divides each row of its head by the row's length; its vocabulary tells. */
static void rows_of_a_head_may_have_the_length_1(void **state)
{
	struct fixture f;
	unsigned head;
	float x[40];

	(void)state;
	start(&f, "{'architectures':['BaichuanForCausalLM'],'hidden_size':8,"
		  "'intermediate_size':6,'num_hidden_layers':1,'num_attention_heads':2,"
		  "'max_position_embeddings':64,'vocab_size':125696}");
	store_all(&f, ENDS NORMS GATED "lm_head.weight 5x8 " L "self_attn.W_pack.weight 24x8 "
		  L "self_attn.o_proj.weight 8x8");
	open_made(&f);
	head = number_of(&f, "lm_head.weight");
	read_all(find(&f, "output.weight"), x);
	for (unsigned row = 0; row < 5; row++) {
		double sum = 0;

		for (unsigned c = 0; c < 8; c++)
			sum += (double)x[row * 8 + c] * (double)x[row * 8 + c];
		assert_true(fabs(sum - 1) < 1e-6);
		assert_true(fabsf(x[row * 8 + 7] / x[row * 8] -
				  value_of(head, row * 8 + 7) / value_of(head, row * 8)) < 1e-6f);
	}
	finish(&f);
}

#define S L "self_attn."

static void norms_of_heads_are_stacked(void **state)
{
	static const char config[] = "{'architectures':['StableLmForCausalLM']," SIZES ","
				     "'partial_rotary_factor':0.5}";
	static const char tensors[] = "model.embed_tokens.weight 5x8 lm_head.weight 5x8 "
		"model.norm.weight 8 model.norm.bias 8 " ATTENTION GATED
		L "input_layernorm.weight 8 " L "input_layernorm.bias 8 "
		S "k_layernorm.norms.0.weight 4 " S "q_layernorm.norms.1.weight 4 ";
	struct fixture f;
	const struct tensor *tensor;
	float x[8];

	(void)state;
	start(&f, config);
	store_all(&f, tensors);
	store_all(&f, S "q_layernorm.norms.0.weight 4");
	open_made(&f);
	tensor = find(&f, "blk.0.attn_q_norm.weight");
	assert_int_equal(tensor->dims[0], 4);
	assert_int_equal(tensor->dims[1], 2);
	assert_int_equal(tensor->type, TENSOR_F32);
	read_all(tensor, x);
	for (unsigned i = 0; i < 4; i++) {
		assert_float_equal(x[i], value_of(number_of(&f, S "q_layernorm.norms.0.weight"),
						  i), 0);
		assert_float_equal(x[4 + i],
				   value_of(number_of(&f, S "q_layernorm.norms.1.weight"), i), 0);
	}
	assert_null(gguf_find_tensor(f.gguf, "blk.0.ffn_norm.weight"));
	finish(&f);

	/* Without head 0 of the queries. */
	start(&f, config);
	store_all(&f, tensors);
	expect_error(&f, SC_E_UNSUPPORTED, "q_layernorm.norms.1.weight");
}

static void gemma_and_nemotron_have_one_more_in_their_norms(void **state)
{
	struct fixture f;
	float x[8];

	(void)state;
	start(&f, "{'architectures':['Gemma3ForCausalLM']," SIZES ",'head_dim':4,"
		  "'sliding_window':16}");
	f.dtype = "BF16";
	store_all(&f, "model.norm.weight 8 model.embed_tokens.weight 5x8 " ATTENTION GATED NORMS
		  L "pre_feedforward_layernorm.weight 8 " L "post_feedforward_layernorm.weight 8 "
		  S "q_norm.weight 4 " S "k_norm.weight 4");
	open_made(&f);
	read_all(find(&f, "output_norm.weight"), x);
	for (unsigned i = 0; i < 8; i++)	/* stored first, so that BF16 holds it */
		assert_float_equal(x[i], (float)i + 1, 0);
	read_all(find(&f, "blk.0.attn_q_norm.weight"), x);
	assert_true(x[0] > 10000);
	assert_int_equal(find(&f, "output_norm.weight")->type, TENSOR_F32);
	assert_int_equal(find(&f, "blk.0.attn_q.weight")->type, TENSOR_BF16);
	finish(&f);

	start(&f, "{'architectures':['NemotronForCausalLM']," SIZES ",'head_dim':4}");
	store_all(&f, ENDS "model.norm.bias 8 lm_head.weight 5x8 " ATTENTION NORMS
		  L "input_layernorm.bias 8 " L "post_attention_layernorm.bias 8 "
		  L "mlp.up_proj.weight 6x8 " L "mlp.down_proj.weight 8x6");
	open_made(&f);
	read_all(find(&f, "output_norm.weight"), x);
	assert_float_equal(x[3], value_of(1, 3) + 1, 0);
	expect_rows(&f, "output_norm.bias", "model.norm.bias", NULL);
	finish(&f);
}

static void a_head_is_dropped_only_if_it_is_the_embedding(void **state)
{
	static const char tied[] = "{'architectures':['LlamaForCausalLM'],"
				   "'tie_word_embeddings':true," SIZES "}";
	float same[40];
	struct fixture f;

	(void)state;
	/* config.json lies: the head is another. */
	start(&f, tied);
	store_all(&f, LLAMA_TENSORS "lm_head.weight 5x8");
	open_made(&f);
	expect_rows(&f, "output.weight", "lm_head.weight", NULL);
	finish(&f);

	start(&f, tied);
	store_all(&f, LLAMA_TENSORS);
	for (unsigned i = 0; i < 40; i++)
		same[i] = value_of(0, i);
	safetensors_writer_floats(&f.writer, "lm_head.weight", "F32", 5, 8, same);
	open_made(&f);
	assert_null(gguf_find_tensor(f.gguf, "output.weight"));
	finish(&f);

	/* The last row differs. */
	start(&f, tied);
	store_all(&f, LLAMA_TENSORS);
	same[39]++;
	safetensors_writer_floats(&f.writer, "lm_head.weight", "F32", 5, 8, same);
	open_made(&f);
	assert_non_null(gguf_find_tensor(f.gguf, "output.weight"));
	finish(&f);
}

static void rope_factors_are_made(void **state)
{
	struct fixture f;
	float x[4];

	(void)state;
	start(&f, "{'architectures':['LlamaForCausalLM']," SIZES ",'rope_scaling':{"
		  "'rope_type':'llama3','factor':8.0,'low_freq_factor':1.0,"
		  "'high_freq_factor':4.0,'original_max_position_embeddings':32}}");
	store_all(&f, LLAMA_TENSORS);
	open_made(&f);
	/* Waves of 6.3 and 628 positions: the first is short against 32 / 4, the second long. */
	read_all(find(&f, "rope_freqs.weight"), x);
	assert_float_equal(x[0], 1, 0);
	assert_float_equal(x[1], 8, 0);
	assert_int_equal(find(&f, "rope_freqs.weight")->dims[0], 2);
	finish(&f);

	start(&f, "{'architectures':['Phi3ForCausalLM']," SIZES ",'rope_scaling':{"
		  "'type':'longrope','long_factor':[1.5,2.5],'short_factor':[1.0,1.25]},"
		  "'original_max_position_embeddings':32}");
	store_all(&f, ENDS NORMS "lm_head.weight 5x8 " S "qkv_proj.weight 16x8 "
		  S "o_proj.weight 8x8 " L "mlp.gate_up_proj.weight 12x8 "
		  L "mlp.down_proj.weight 8x6");
	open_made(&f);
	read_all(find(&f, "rope_factors_long.weight"), x);
	assert_float_equal(x[1], 2.5, 0);
	read_all(find(&f, "rope_factors_short.weight"), x);
	assert_float_equal(x[1], 1.25, 0);
	expect_rows(&f, "blk.0.ffn_up.weight", L "mlp.gate_up_proj.weight", NULL);
	expect_rows(&f, "blk.0.attn_qkv.weight", S "qkv_proj.weight", NULL);
	finish(&f);
}

/* Seed-OSS has the norm before the feed-forward part under the name of one behind attention. */
static void a_norm_may_have_the_name_of_another(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, "{'architectures':['SeedOssForCausalLM']," SIZES ",'head_dim':4}");
	store_all(&f, LLAMA_TENSORS);
	open_made(&f);
	expect_rows(&f, "blk.0.post_attention_norm.weight", L "post_attention_layernorm.weight",
		    NULL);
	assert_null(gguf_find_tensor(f.gguf, "blk.0.ffn_norm.weight"));
	finish(&f);
}

/* Parts of the activation of Apertus are tensors in a folder and keys in GGUF. */
static void scalars_become_keys(void **state)
{
	struct gguf_array array;
	struct fixture f;

	(void)state;
	start(&f, "{'architectures':['ApertusForCausalLM'],'rope_scaling':{'type':'default'}," SIZES "}");
	store_all(&f, ENDS "lm_head.weight 5x8 " ATTENTION S "q_norm.weight 4 " S "k_norm.weight 4 "
		  L "attention_layernorm.weight 8 " L "feedforward_layernorm.weight 8 "
		  L "mlp.up_proj.weight 6x8 " L "mlp.down_proj.weight 8x6 "
		  L "mlp.act_fn.alpha_p 1 " L "mlp.act_fn.alpha_n 1 " L "mlp.act_fn.beta 1 "
		  L "mlp.act_fn.eps 1");
	open_made(&f);
	assert_int_equal(gguf_get_array(f.gguf, "xielu.alpha_n", &array, NULL), SC_OK);
	assert_int_equal(array.n, 1);
	assert_float_equal(gguf_array_number(&array, 0),
			   value_of(number_of(&f, L "mlp.act_fn.alpha_n"), 0), 0);
	assert_true(gguf_has(f.gguf, "xielu.eps"));
	finish(&f);
}

static void what_does_not_fit_is_named(void **state)
{
	static const struct {
		const char *tensors;
		enum sc_status status;
		const char *part;
	} rows[] = {
		{ ENDS ATTENTION NORMS L "mlp.up_proj.weight 6x8 " L "mlp.down_proj.weight 8x6",
		  SC_E_FORMAT, "no file has the tensor 'model.layers.0.mlp.gate_proj.weight'" },
		{ "model.norm.weight 8 " ATTENTION NORMS GATED, SC_E_FORMAT,
		  "'model.embed_tokens.weight'" },
		{ ENDS NORMS GATED L "self_attn.q_proj.weight 12x8 "
		  L "self_attn.k_proj.weight 4x8 " L "self_attn.v_proj.weight 4x8 "
		  L "self_attn.o_proj.weight 8x8", SC_E_FORMAT,
		  "tensor 'model.layers.0.self_attn.q_proj.weight': expected 8 rows" },
		{ ENDS NORMS ATTENTION L "mlp.gate_proj.weight 6x8 " L "mlp.up_proj.weight 6x8 "
		  L "mlp.down_proj.weight 6x8", SC_E_FORMAT,
		  "config.json asks for 8 outputs of 6 inputs, found 6 of 8" },
		{ ENDS ATTENTION GATED L "input_layernorm.weight 7 "
		  L "post_attention_layernorm.weight 8", SC_E_FORMAT,
		  "config.json asks for 8 elements, found 7" },
		{ LLAMA_TENSORS "lm_head.weight 6x8", SC_E_FORMAT,
		  "config.json asks for 5 outputs of 8 inputs, found 6 of 8" },
		{ LLAMA_TENSORS "model.layers.0.secret.weight 8 model.layers.1.x.weight 8",
		  SC_E_UNSUPPORTED, "tensor 'model.layers.0.secret.weight': models of the family "
		  "llama have no such tensor (and 1 more)" },
		/* Two names of one tensor. */
		{ LLAMA_TENSORS "lm_head.weight 5x8 layers.0.input_layernorm.weight 8",
		  SC_E_UNSUPPORTED, "tensor 'layers.0.input_layernorm.weight'" },
		/* Only a wrapper has parts to leave out. */
		{ LLAMA_TENSORS "vision_tower.x.weight 8", SC_E_UNSUPPORTED, "vision_tower" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fixture f;

		start(&f, LLAMA);
		store_all(&f, rows[i].tensors);
		expect_error(&f, rows[i].status, rows[i].part);
	}
}

static void a_type_that_holds_no_weights_is_refused(void **state)
{
	static const char bytes[64];
	struct fixture f;

	(void)state;
	start(&f, LLAMA);
	store_all(&f, "model.norm.weight 8 " ATTENTION NORMS GATED);
	safetensors_writer_add(&f.writer, "model.embed_tokens.weight", "I32", "2, 8", bytes,
			       sizeof bytes);
	expect_error(&f, SC_E_UNSUPPORTED, "'model.embed_tokens.weight': its type");
}

/* Types are kept; vectors are F32, and so are FP8 weights as BF16. */
static void types_are_those_of_gguf(void **state)
{
	static const uint8_t ones[40] = { 0x38, 0x38, 0x40, 0xb8 };	/* 1, 1, 2, -1 */
	static const float scale = 0.5f;
	uint32_t file_type;
	struct fixture f;
	float x[40];

	(void)state;
	start(&f, "{'architectures':['LlamaForCausalLM']," SIZES ","
		  "'quantization_config':{'quant_method':'fp8'}}");
	f.dtype = "F16";
	store_all(&f, "model.norm.weight 8 model.embed_tokens.weight 5x8 " ATTENTION NORMS GATED);
	safetensors_writer_add(&f.writer, "lm_head.weight", "F8_E4M3", "5, 8", ones, sizeof ones);
	safetensors_writer_floats(&f.writer, "lm_head.weight_scale", "F32", 0, 1, &scale);
	open_made(&f);
	assert_int_equal(find(&f, "token_embd.weight")->type, TENSOR_F16);
	assert_int_equal(find(&f, "output_norm.weight")->type, TENSOR_F32);
	assert_int_equal(find(&f, "output.weight")->type, TENSOR_BF16);
	assert_int_equal(gguf_get_u32(f.gguf, "general.file_type", &file_type, NULL), SC_OK);
	assert_int_equal(file_type, 1);
	read_all(find(&f, "output.weight"), x);
	assert_float_equal(x[0], 0.5, 0);
	assert_float_equal(x[2], 1, 0);
	assert_float_equal(x[3], -0.5, 0);
	finish(&f);
}

/* Data that is stored as it is used is not copied. */
static void aligned_rows_in_order_are_in_the_mapping(void **state)
{
	for (unsigned n_blanks = 0; n_blanks < 4; n_blanks++) {
		struct fixture f;
		unsigned n_mapped = 0;

		(void)state;
		start(&f, LLAMA);
		f.writer.n_blanks = n_blanks;
		store_all(&f, LLAMA_TENSORS);
		open_made(&f);
		for (size_t i = 0; i < gguf_n_tensors(f.gguf); i++)
			n_mapped += gguf_tensor(f.gguf, i)->data != NULL;
		/* All but q and k; at most one of four places is aligned. */
		assert_true(n_mapped == 0 || n_mapped == gguf_n_tensors(f.gguf) - 2);
		expect_rows(&f, "blk.0.attn_q.weight", L "self_attn.q_proj.weight",
			    "0 2 1 3 4 6 5 7");
		expect_rows(&f, "blk.0.ffn_up.weight", L "mlp.up_proj.weight", NULL);
		finish(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(llama_has_pairs_in_place_of_halves),
		cmocka_unit_test(qwen2_keeps_its_halves),
		cmocka_unit_test(gpt2_has_columns_for_rows),
		cmocka_unit_test(names_without_their_first_word_are_found),
		cmocka_unit_test(names_within_a_wrapper_are_found),
		cmocka_unit_test(fused_rows_are_regrouped),
		cmocka_unit_test(two_heads_are_one_too_many),
		cmocka_unit_test(fused_rows_are_taken_apart),
		cmocka_unit_test(rows_of_a_head_may_have_the_length_1),
		cmocka_unit_test(norms_of_heads_are_stacked),
		cmocka_unit_test(gemma_and_nemotron_have_one_more_in_their_norms),
		cmocka_unit_test(a_head_is_dropped_only_if_it_is_the_embedding),
		cmocka_unit_test(rope_factors_are_made),
		cmocka_unit_test(a_norm_may_have_the_name_of_another),
		cmocka_unit_test(scalars_become_keys),
		cmocka_unit_test(what_does_not_fit_is_named),
		cmocka_unit_test(a_type_that_holds_no_weights_is_refused),
		cmocka_unit_test(types_are_those_of_gguf),
		cmocka_unit_test(aligned_rows_in_order_are_in_the_mapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
