/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/any_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A model on its way into a file. */
struct writing {
	const struct any_model *any;
	const struct arch *arch;
	struct gguf_writer *w;
	struct hparams hparams;
	struct layer_shape shape;
};

struct any_model any_model_of(const char *arch)
{
	return (struct any_model){
		.arch = arch, .n_layers = 3, .n_vocab = 283, .n_context = 256, .dim = 48,
		.ffn_dim = 77, .n_heads = 4, .n_kv_heads = 2, .head_dim = 12,
	};
}

const char *any_key(const char *arch, const char *name)
{
	static char key[96];

	snprintf(key, sizeof key, "%s.%s", arch, name);
	return key;
}

static float number(uint64_t tensor, uint64_t i)
{
	uint64_t z = tensor * UINT64_C(0x9e3779b97f4a7c15) + i * UINT64_C(0xbf58476d1ce4e5b9);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (float)((z ^ z >> 31) >> 40) * 0x1p-23f - 1.0f;
}

/* Matrices keep the size of their input, gains are around 1, factors of rope positive. */
static void fill(const struct slot *slot, uint64_t tensor, const uint64_t dims[2], float *out)
{
	const bool is_gain = slot->kind == SLOT_VECTOR && strstr(slot->gguf, ".weight");
	const float spread = slot->kind == SLOT_VECTOR ? 0.5f : sqrtf(3.0f / (float)dims[0]);

	for (uint64_t i = 0; i < dims[0] * dims[1]; i++)
		out[i] = spread * number(tensor, i) + (is_gain ? 1.0f : 0.0f);
}

/* Appends a slot's numbers to out and adds its rows to dims[1], or a vector's length to dims[0]. */
static void append(const struct writing *m, const struct slot *slots, unsigned s, uint32_t layer,
		   struct buf *out, uint64_t dims[2])
{
	uint64_t own[2];
	float *values;

	slot_dims(&slots[s], m->arch, &m->hparams, &m->shape, own);
	values = malloc(own[0] * own[1] * sizeof *values);
	if (!values)
		abort();
	fill(&slots[s], (uint64_t)layer * 64 + s + (slots == outer_slots) * 100000, own, values);
	if (buf_add(out, values, own[0] * own[1] * sizeof *values))
		abort();
	free(values);
	if (slots[s].kind == SLOT_VECTOR && own[1] == 1) {
		dims[0] += own[0];
		dims[1] = 1;
	} else {
		dims[0] = own[0];
		dims[1] += own[1];
	}
}

static void add_tensor(const struct writing *m, const char *prefix, const char *name,
		       const struct slot *slots, const unsigned *parts, unsigned n_parts,
		       uint32_t layer)
{
	struct buf values = BUF_INIT;
	uint64_t dims[2] = { 0, 0 };
	char full[64];

	for (unsigned i = 0; i < n_parts; i++)
		append(m, slots, parts[i], layer, &values, dims);
	snprintf(full, sizeof full, "%s%s", prefix, name);
	gguf_writer_tensor(m->w, full, TENSOR_F32, dims[1] > 1 ? 2 : 1, dims, values.data,
			   values.length);
	buf_deinit(&values);
}

/* Writes the fused tensors and returns the set of slots that they stand for. */
static uint64_t add_fused(const struct writing *m, const char *prefix, uint64_t wanted,
			  uint32_t layer)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < N_FUSED_SLOTS && m->any->is_fused; i++) {
		const struct fused_slot *fused = &fused_slots[i];
		unsigned parts[FUSED_MAX_PARTS];
		uint64_t set = 0;

		for (unsigned k = 0; k < fused->n_parts; k++) {
			parts[k] = fused->parts[k];
			set |= UINT64_C(1) << parts[k];
		}
		if ((wanted & set) != set)
			continue;
		add_tensor(m, prefix, fused->gguf, layer_slots, parts, fused->n_parts, layer);
		done |= set;
	}
	return done;
}

static void add_layer(struct writing *m, uint32_t layer)
{
	uint64_t wanted = (m->arch->layer_required | m->any->layer_more) & ~m->any->layer_without;
	char prefix[24];

	if (m->any->shapes) {
		m->shape.n_heads = m->any->shapes[layer].n_heads;
		m->shape.n_kv_heads = m->any->shapes[layer].n_kv_heads;
		m->shape.ffn_dim = m->any->shapes[layer].ffn_dim;
	}
	snprintf(prefix, sizeof prefix, "blk.%u.", layer);
	wanted &= ~add_fused(m, prefix, wanted, layer);
	for (unsigned s = 0; s < N_LAYER_SLOTS; s++) {
		const char *name = s == LAYER_FFN_NORM && m->arch->ffn_norm_name ?
				   m->arch->ffn_norm_name : layer_slots[s].gguf;

		if (wanted & UINT64_C(1) << s)
			add_tensor(m, prefix, name, layer_slots, &s, 1, layer);
	}
}

static void add_outer(const struct writing *m)
{
	const uint64_t wanted = m->arch->outer_required | m->any->outer_more;

	for (unsigned s = 0; s < N_OUTER_SLOTS; s++)
		if (wanted & UINT64_C(1) << s)
			add_tensor(m, "", outer_slots[s].gguf, outer_slots, &s, 1, 0);
}

static void add_u32(const struct writing *m, const char *name, uint32_t value)
{
	gguf_writer_u32(m->w, any_key(m->any->arch, name), value);
}

static void add_array(const struct writing *m, const char *name, size_t offset)
{
	uint32_t values[64];

	for (uint32_t i = 0; i < m->any->n_layers; i++)
		memcpy(&values[i], (const char *)&m->any->shapes[i] + offset, sizeof values[i]);
	gguf_writer_array(m->w, any_key(m->any->arch, name), GGUF_U32, values, m->any->n_layers,
			  m->any->n_layers * sizeof values[0]);
}

static void add_sizes_of_layers(const struct writing *m)
{
	const struct any_model *any = m->any;

	if (any->shapes) {
		add_array(m, "feed_forward_length", offsetof(struct layer_shape, ffn_dim));
		add_array(m, "attention.head_count", offsetof(struct layer_shape, n_heads));
		add_array(m, "attention.head_count_kv", offsetof(struct layer_shape, n_kv_heads));
		return;
	}
	add_u32(m, "feed_forward_length", any->ffn_dim);
	add_u32(m, "attention.head_count", any->n_heads);
	add_u32(m, "attention.head_count_kv", any->n_kv_heads);
}

static void add_keys(const struct writing *m)
{
	const struct any_model *any = m->any;

	gguf_writer_string(m->w, "general.architecture", any->arch);
	add_u32(m, "block_count", any->n_layers);
	add_u32(m, "context_length", any->n_context);
	add_u32(m, "embedding_length", any->dim);
	add_u32(m, "attention.key_length", any->head_dim);
	add_u32(m, "attention.value_length", any->head_dim);
	if (!any->has_no_sizes_of_layers)
		add_sizes_of_layers(m);
	gguf_writer_f32(m->w, any_key(any->arch, m->arch->norm == ARCH_NORM_RMS ?
						 "attention.layer_norm_rms_epsilon" :
						 "attention.layer_norm_epsilon"), 1e-5f);
	if (m->arch->is_logit_scale_required)
		gguf_writer_f32(m->w, any_key(any->arch, "logit_scale"), 4);
	if (m->arch->is_window_required)
		add_u32(m, "attention.sliding_window", 16);
	if (m->arch->activation == ARCH_XIELU) {
		gguf_writer_f32(m->w, "xielu.alpha_p", 0.6f);
		gguf_writer_f32(m->w, "xielu.alpha_n", 0.8f);
		gguf_writer_f32(m->w, "xielu.beta", 0.5f);
		gguf_writer_f32(m->w, "xielu.eps", -1e-6f);
	}
	if (any->add_keys)
		any->add_keys(m->w);
}

static void write(const struct any_model *any, const struct arch *arch, struct buf *file)
{
	struct gguf_writer w;
	struct writing m = {
		.any = any, .arch = arch, .w = &w,
		.hparams = {
			.n_layers = any->n_layers, .n_context = any->n_context,
			.n_vocab = any->n_vocab, .dim = any->dim, .rope_dim = any->head_dim,
		},
		.shape = {
			.n_heads = any->n_heads, .n_kv_heads = any->n_kv_heads,
			.head_dim = any->head_dim, .value_dim = any->head_dim,
			.ffn_dim = any->ffn_dim,
		},
	};

	gguf_writer_init(&w);
	add_keys(&m);
	add_outer(&m);
	for (uint32_t i = 0; i < any->n_layers; i++)
		add_layer(&m, i);
	gguf_writer_finish(&w, file);
	gguf_writer_deinit(&w);
}

struct model *any_model_open(const struct any_model *any, struct buf *file, struct error *err)
{
	const struct arch *arch;
	struct model *model = NULL;
	struct gguf *gguf;

	if (arch_find(any->arch, strlen(any->arch), &arch, err))
		abort();
	write(any, arch, file);
	if (gguf_open_memory("any", file->data, file->length, &gguf, err))
		abort();
	return model_open_gguf(gguf, &model, err) ? NULL : model;
}
