/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/head_tie.h"
#include "hf/maker.h"
#include "hf/put_key.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- adding --- */

/* The recipe must be the next of m->memory->recipes. */
static enum sc_status add_recipe(struct maker *m, const char *name)
{
	struct hf_recipe *recipe = &m->memory->recipes[m->out->n];
	struct tensor tensor = hf_recipe_tensor(recipe, name);
	uint64_t offset;
	enum sc_status status = gguf_head_add_tensor(m->head, &tensor, &offset);

	if (status)
		return error_set(m->err, status, "out of memory");
	m->out->sources[m->out->n++] = &recipe->source;
	return SC_OK;
}

static bool is_norm(const char *gguf)
{
	return strstr(gguf, "_norm.") || strstr(gguf, "_norm_2.");
}

static enum hf_operation operation_of(const struct hf_family *family, const char *gguf)
{
	if (!family->permutes_qk)
		return HF_AS_IS;
	if (strstr(gguf, ".attn_q."))
		return HF_PERMUTE_Q;
	return strstr(gguf, ".attn_k.") ? HF_PERMUTE_K : HF_AS_IS;
}

/* Adds the tensor that is made of this stored one. gguf: the whole name. */
static enum sc_status add_stored(struct maker *m, const char *gguf, enum hf_operation op,
				 const struct hf_stored *stored, bool is_layer)
{
	const char *inner = is_layer ? strchr(gguf + 4, '.') + 1 : gguf;
	struct hf_recipe *recipe = &m->memory->recipes[m->out->n];
	bool wants_f32 = is_norm(gguf) || !strcmp(gguf, outer_slots[OUTER_POSITION_EMBD].gguf);
	float add = m->family->adds_one_to_norms && is_norm(gguf) &&
		    maker_has_suffix(gguf, maker_weight) ? 1 : 0;
	struct filled filled;
	struct tensor tensor;
	enum sc_status status;

	if (m->out->n == m->n_max)
		return error_set(m->err, SC_E_INTERNAL, "more tensors than recipes");
	status = hf_recipe_init(recipe, op, &m->numbers, stored, wants_f32, add, m->err);
	if (status)
		return status;
	tensor = hf_recipe_tensor(recipe, gguf);
	filled = maker_find_slots(m, inner, is_layer, &tensor);
	if (filled.n && m->found >> filled.slots[0] & 1)
		return hf_stored_error(stored, SC_E_FORMAT, m->err,
				       "another stored tensor is '%s', too", gguf);
	status = maker_check_shape(m, &filled, is_layer, &tensor, stored);
	if (status)
		return status;
	for (unsigned i = 0; i < filled.n; i++)
		m->found |= UINT64_C(1) << filled.slots[i];
	return add_recipe(m, gguf);
}

/* One vector per head. Nothing is added if there is not even the first. */
static enum sc_status add_stack(struct maker *m, const struct hf_tensor_name *own, uint32_t layer,
				const char *suffix)
{
	const uint32_t n = own->op == HF_STACK_Q ? m->numbers.n_heads : m->numbers.n_kv_heads;
	const struct hf_stored **stack = m->memory->stacks + m->n_stacked;
	char name[HF_NAME_BYTES], gguf[HF_NAME_BYTES];
	enum sc_status status;

	for (uint32_t i = 0; i < n; i++) {
		hf_name_format(own->hf, layer, i, suffix, name);
		stack[i] = hf_names_use(m->names, name);
		if (!stack[i] && !i)
			return SC_OK;
		if (!stack[i])
			return hf_stored_error(stack[0], SC_E_FORMAT, m->err,
					       "the tensor '%s' of head %u is missing; there must "
					       "be one for each of %u heads", name, i, n);
	}
	m->n_stacked += n;
	status = hf_recipe_init_stack(&m->memory->recipes[m->out->n], stack, n, m->err);
	if (status)
		return status;
	hf_name_format(own->gguf, layer, 0, suffix, gguf);
	m->found |= UINT64_C(1) << (own->op == HF_STACK_Q ? LAYER_ATTN_Q_NORM : LAYER_ATTN_K_NORM);
	return add_recipe(m, gguf);
}

static enum sc_status add_own(struct maker *m, const struct hf_tensor_name *own, uint32_t layer,
			      bool is_layer, const char *suffix)
{
	char gguf[HF_NAME_BYTES], name[HF_NAME_BYTES];
	const struct hf_stored *stored;

	if (!own->hf)
		return SC_OK;
	if (own->op == HF_STACK_Q || own->op == HF_STACK_K)
		return add_stack(m, own, layer, suffix);
	hf_name_format(own->hf, layer, 0, suffix, name);
	stored = hf_names_use(m->names, name);
	if (!stored)
		return SC_OK;
	hf_name_format(own->gguf, layer, 0, suffix, gguf);
	if (!is_layer && !strcmp(gguf, outer_slots[OUTER_OUTPUT].gguf) &&
	    hf_head_is_tied(m->family, m->config, m->embedding, stored))
		return SC_OK;
	return add_stored(m, gguf, own->op, stored, is_layer);
}

static enum sc_status add_all_own(struct maker *m, uint32_t layer, bool is_layer)
{
	enum sc_status status = SC_OK;

	for (const struct hf_tensor_name *own = m->family->tensors; own && own->gguf; own++) {
		if (maker_is_of_layer(own) != is_layer)
			continue;
		status = add_own(m, own, layer, is_layer, maker_weight);
		if (!status)
			status = add_own(m, own, layer, is_layer, maker_bias);
		if (status)
			return status;
	}
	return SC_OK;
}

/* The tensor of a slot under its usual name. */
static enum sc_status add_usual(struct maker *m, const struct slot *slot, uint32_t layer,
				bool is_layer)
{
	char gguf[HF_NAME_BYTES], name[HF_NAME_BYTES];
	const struct hf_stored *stored;
	enum hf_operation op;

	if (!slot->hf || m->family->has_only_own_tensors ||
	    maker_is_own(m->family, is_layer, slot->gguf))
		return SC_OK;
	hf_name_format(is_layer ? "model.layers.#." : "", layer, 0, slot->hf, name);
	hf_name_format(is_layer ? "blk.#." : "", layer, 0, slot->gguf, gguf);
	stored = hf_names_use(m->names, name);
	if (!stored || (slot == &outer_slots[OUTER_OUTPUT] &&
			hf_head_is_tied(m->family, m->config, m->embedding, stored)))
		return SC_OK;
	op = operation_of(m->family, gguf);
	if (slot == &outer_slots[OUTER_OUTPUT] &&
	    hf_head_has_unit_rows(m->family, m->config))
		op = HF_UNIT_ROWS;
	return add_stored(m, gguf, op, stored, is_layer);
}

/* --- made tensors and keys --- */

static enum sc_status add_made(struct maker *m, const char *name, size_t n)
{
	hf_recipe_init_made(&m->memory->recipes[m->out->n], m->memory->made + m->n_made, n);
	m->n_made += n;
	return add_recipe(m, name);
}

static void copy_factors(const json_t *list, float *out)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		out[i] = (float)json_number_value(json_array_get(list, i));
}

static enum sc_status add_rope(struct maker *m)
{
	const size_t n = m->rope.n_rot / 2;
	enum sc_status status;

	if (m->rope.type == HF_ROPE_LLAMA3) {
		hf_rope_llama3_factors(&m->rope, m->memory->made + m->n_made);
		return add_made(m, outer_slots[OUTER_ROPE_FACTORS].gguf, n);
	}
	if (m->rope.type != HF_ROPE_LONG)
		return SC_OK;
	copy_factors(m->rope.long_factors, m->memory->made + m->n_made);
	status = add_made(m, outer_slots[OUTER_ROPE_FACTORS_LONG].gguf, n);
	if (status)
		return status;
	copy_factors(m->rope.short_factors, m->memory->made + m->n_made);
	return add_made(m, outer_slots[OUTER_ROPE_FACTORS_SHORT].gguf, n);
}

static enum sc_status put_scalar(struct maker *m, const struct hf_scalar *scalar)
{
	float values[MODEL_MAX_LAYERS];
	char name[HF_NAME_BYTES];
	enum sc_status status;

	for (uint32_t i = 0; i < m->numbers.n_layers; i++) {
		const struct hf_stored *stored;

		hf_name_format(scalar->hf, i, 0, "", name);
		stored = hf_names_use(m->names, name);
		if (!stored)
			return error_set(m->err, SC_E_FORMAT,
					 "%s: no file has the tensor '%s', which models of the "
					 "family %s need", m->config->folder, name,
					 m->family->name);
		if (stored->dtype > HF_F8_E4M3 || stored->n_dims > 1 ||
		    (stored->n_dims == 1 && stored->dims[0] != 1))
			return hf_stored_error(stored, SC_E_FORMAT, m->err,
					       "expected one number of a floating-point type");
		hf_stored_f32(stored, 0, 1, &values[i]);
	}
	status = gguf_head_add_array(m->head, scalar->gguf, GGUF_F32, values,
				     m->numbers.n_layers);
	return status ? error_set(m->err, status, "out of memory") : SC_OK;
}

/* general.file_type of llama.cpp: the type of most weights. That of the embedding stands for it. */
static uint32_t file_type(const struct maker *m)
{
	switch (m->embedding ? m->embedding->dtype : HF_F32) {
	case HF_F16: return 1;
	case HF_BF16: case HF_F8_E4M3: return 32;
	default: return 0;
	}
}

/* config.json may say another number of tokens than the embedding has rows. */
static enum sc_status put_facts(struct maker *m)
{
	enum sc_status status = put_u32(m->head, m->family->arch, "vocab_size", m->hparams.n_vocab);

	if (!status)
		status = put_u32(m->head, "general", "file_type", file_type(m));
	if (!status)
		status = put_u32(m->head, "general", "quantization_version", 2);
	return status ? error_set(m->err, status, "out of memory") : SC_OK;
}

/* --- all of it --- */

static enum sc_status add_outer(struct maker *m)
{
	enum sc_status status;

	m->found = 0;
	status = add_all_own(m, 0, false);
	for (unsigned i = 0; !status && i < N_OUTER_SLOTS; i++)
		status = add_usual(m, &outer_slots[i], 0, false);
	return status ? status : maker_check_required(m, false, 0);
}

static enum sc_status add_layer(struct maker *m, uint32_t layer)
{
	enum sc_status status;

	m->found = 0;
	status = add_all_own(m, layer, true);
	for (unsigned i = 0; !status && i < N_LAYER_SLOTS; i++)
		status = add_usual(m, &layer_slots[i], layer, true);
	return status ? status : maker_check_required(m, true, layer);
}

static enum sc_status add_everything(struct maker *m)
{
	enum sc_status status = add_outer(m);

	for (uint32_t i = 0; !status && i < m->numbers.n_layers; i++)
		status = add_layer(m, i);
	if (!status)
		status = add_rope(m);
	if (!status)
		status = put_facts(m);
	for (const struct hf_scalar *s = m->family->scalars; !status && s && s->gguf; s++)
		status = put_scalar(m, s);
	return status ? status : maker_check_unused(m);
}

static void embedding_name(const struct hf_family *family, char out[HF_NAME_BYTES])
{
	const struct hf_tensor_name *own = family->tensors;

	for (; own && own->gguf; own++)
		if (!strcmp(own->gguf, "token_embd")) {
			hf_name_format(own->hf, 0, 0, maker_weight, out);
			return;
		}
	hf_name_format(outer_slots[OUTER_TOKEN_EMBD].hf, 0, 0, "", out);
}

/* Sizes that shapes are made of. */
static void set_sizes(struct maker *m)
{
	const struct hf_numbers *n = &m->numbers;
	char name[HF_NAME_BYTES];

	embedding_name(m->family, name);
	m->embedding = hf_names_use(m->names, name);
	m->hparams = (struct hparams){
		.n_layers = n->n_layers, .n_context = n->n_context, .dim = n->dim,
		.ffn_dim = n->ffn_dim, .n_heads = n->n_heads, .n_kv_heads = n->n_kv_heads,
		.head_dim = n->head_dim, .value_dim = n->head_dim, .rope_dim = m->rope.n_rot,
		.n_vocab = m->embedding ? (uint32_t)m->embedding->dims[0] : 0,
	};
	m->shape = (struct layer_shape){
		.n_heads = n->n_heads, .n_kv_heads = n->n_kv_heads, .head_dim = n->head_dim,
		.value_dim = n->head_dim, .ffn_dim = n->ffn_dim,
	};
}

/* Each stored tensor becomes at most three. */
static enum sc_status allocate(struct maker *m, const struct hf_store *store)
{
	const size_t n = hf_store_n(store);
	struct memory *memory = calloc(1, sizeof *memory);

	m->n_max = 3 * n + 4;
	m->memory = m->out->memory = memory;
	m->out->sources = calloc(m->n_max, sizeof *m->out->sources);
	if (memory) {
		memory->recipes = calloc(m->n_max, sizeof *memory->recipes);
		memory->stacks = calloc(n + 1 + m->numbers.n_heads, sizeof *memory->stacks);
		memory->made = calloc(m->numbers.head_dim + 1, sizeof *memory->made);
	}
	if (!memory || !m->out->sources || !memory->recipes || !memory->stacks || !memory->made)
		return error_set(m->err, SC_E_NOMEM, "out of memory");
	return SC_OK;
}

static enum sc_status make(struct maker *m, const struct hf_store *store)
{
	char name[HF_NAME_BYTES];
	enum sc_status status = hf_numbers_read(m->family, m->config, &m->numbers, m->err);

	if (!status)
		status = hf_rope_read(m->family, m->config, &m->numbers, &m->rope, m->err);
	if (!status)
		status = allocate(m, store);
	if (status)
		return status;
	embedding_name(m->family, name);
	status = hf_names_create(store, name, &m->names, m->err);
	if (status)
		return status;
	/* An architecture that is not known is model_open's error. */
	if (arch_find(m->family->arch, strlen(m->family->arch), &m->arch, NULL))
		m->arch = NULL;
	set_sizes(m);
	return add_everything(m);
}

/* The folder of the first file, for errors. */
static void find_folder(const struct hf_store *store, char *out, size_t n_bytes)
{
	const char *file = hf_store_n(store) ? hf_store_get(store, 0)->file : "";
	const char *end = strrchr(file, '/');

	snprintf(out, n_bytes, "%.*s", end ? (int)(end - file) : 1, end ? file : ".");
}

enum sc_status hf_tensors_put(const struct hf_family *family, const json_t *root,
			      struct hf_store *store, struct gguf_head *head,
			      struct hf_tensors *tensors_out, struct error *err)
{
	struct hf_tensors tensors = { .n = 0 };
	struct hf_config config;
	struct maker m = {
		.family = family, .config = &config, .head = head, .out = &tensors, .err = err,
	};
	char folder[PATH_MAX];
	enum sc_status status;

	find_folder(store, folder, sizeof folder);
	status = hf_config_init(&config, root, folder, err);
	if (status)
		return status;
	status = make(&m, store);
	hf_names_destroy(m.names);
	hf_config_deinit(&config);
	if (status) {
		hf_tensors_deinit(&tensors);
		return status;
	}
	tensors.store = store;
	*tensors_out = tensors;
	return SC_OK;
}

void hf_tensors_deinit(struct hf_tensors *tensors)
{
	struct memory *memory = tensors->memory;

	if (memory) {
		free(memory->recipes);
		free(memory->stacks);
		free(memory->made);
	}
	free(memory);
	free(tensors->sources);
	hf_store_close(tensors->store);
	*tensors = (struct hf_tensors){ .n = 0 };
}
