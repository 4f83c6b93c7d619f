/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/maker.h"

#include <inttypes.h>
#include <string.h>

const char maker_weight[] = ".weight", maker_bias[] = ".bias";

bool maker_has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n >= m && !strcmp(name + n - m, suffix);
}

/* Splits a slot's name: returns its suffix, and its length without it in *length_out. */
static const char *split(const char *name, size_t *length_out)
{
	const char *suffix = maker_has_suffix(name, maker_bias) ? maker_bias : maker_weight;

	*length_out = strlen(name) - strlen(suffix);
	return suffix;
}

bool maker_is_of_layer(const struct hf_tensor_name *own)
{
	return !strncmp(own->gguf, "blk.#.", 6);
}

/* Returns true if the line is about the slot with this name. */
static bool is_about(const struct hf_tensor_name *own, bool is_layer, const char *slot_name)
{
	const char *name = own->gguf + (is_layer ? 6 : 0);
	size_t length;

	(void)split(slot_name, &length);
	return maker_is_of_layer(own) == is_layer && strlen(name) == length &&
	       !memcmp(name, slot_name, length);
}

bool maker_is_own(const struct hf_family *family, bool is_layer, const char *slot_name)
{
	for (const struct hf_tensor_name *own = family->tensors; own && own->gguf; own++)
		if (is_about(own, is_layer, slot_name))
			return true;
	return false;
}

static struct filled find_named(const struct arch *arch, const char *name, bool is_layer)
{
	const struct slot *slots = is_layer ? layer_slots : outer_slots;
	const unsigned n = is_layer ? N_LAYER_SLOTS : N_OUTER_SLOTS;

	if (is_layer && arch && arch->ffn_norm_name && !strcmp(arch->ffn_norm_name, name))
		return (struct filled){ .n = 1, .slots = { LAYER_FFN_NORM } };
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(slots[i].gguf, name))
			return (struct filled){ .n = 1, .slots = { i } };
	for (unsigned i = 0; is_layer && i < N_FUSED_SLOTS; i++) {
		struct filled filled = { .n = fused_slots[i].n_parts, .is_fused = true };

		if (strcmp(fused_slots[i].gguf, name))
			continue;
		for (unsigned j = 0; j < filled.n; j++)
			filled.slots[j] = fused_slots[i].parts[j];
		return filled;
	}
	return (struct filled){ .n = 0 };
}

/* ffn_up alone, or with the gate in front of it. */
struct filled maker_find_slots(const struct maker *m, const char *name, bool is_layer,
			       const struct tensor *tensor)
{
	struct filled filled = find_named(m->arch, name, is_layer);

	if (!is_layer || strncmp(name, "ffn_up.", 7) ||
	    tensor->dims[tensor->n_dims - 1] != 2 * (uint64_t)m->numbers.ffn_dim)
		return filled;
	return (struct filled){
		.n = 2, .is_fused = true,
		.slots = { maker_has_suffix(name, maker_bias) ? LAYER_FFN_GATE_BIAS :
								LAYER_FFN_GATE,
			   filled.slots[0] },
	};
}

enum sc_status maker_check_shape(const struct maker *m, const struct filled *filled,
				 bool is_layer, const struct tensor *tensor,
				 const struct hf_stored *stored)
{
	uint64_t wanted[2] = { 1, 0 }, dims[2];

	if (!m->arch || !filled->n)
		return SC_OK;
	for (unsigned i = 0; i < filled->n; i++) {
		const struct slot *slot = is_layer ? &layer_slots[filled->slots[i]] :
						     &outer_slots[filled->slots[i]];

		slot_dims(slot, m->arch, &m->hparams, is_layer ? &m->shape : NULL, dims);
		/* The parts of a fused bias follow each other in its only dimension. */
		if (dims[1] == 1 && filled->is_fused)
			wanted[0] = wanted[1] += dims[0];
		else
			wanted[0] = dims[0], wanted[1] += dims[1];
	}
	if (tensor->dims[0] == wanted[0] && (tensor->n_dims == 1 || tensor->dims[1] == wanted[1]))
		return SC_OK;
	if (tensor->n_dims == 1)
		return hf_stored_error(stored, SC_E_FORMAT, m->err,
				       "config.json asks for %" PRIu64 " elements, found %" PRIu64,
				       wanted[0], tensor->dims[0]);
	return hf_stored_error(stored, SC_E_FORMAT, m->err,
			       "config.json asks for %" PRIu64 " outputs of %" PRIu64 " inputs, "
			       "found %" PRIu64 " of %" PRIu64, wanted[1], wanted[0],
			       tensor->dims[1], tensor->dims[0]);
}

/* The name under which a slot's tensor is stored. */
static void describe_slot(const struct maker *m, const struct slot *slot, bool is_layer,
			  uint32_t layer, char out[HF_NAME_BYTES])
{
	size_t length;
	const char *suffix = split(slot->gguf, &length);

	for (const struct hf_tensor_name *own = m->family->tensors; own && own->gguf; own++)
		if (own->hf && is_about(own, is_layer, slot->gguf)) {
			hf_name_format(own->hf, layer, 0, suffix, out);
			return;
		}
	hf_name_format(is_layer && slot->hf ? "model.layers.#." : is_layer ? "blk.#." : "", layer,
		       0, slot->hf ? slot->hf : slot->gguf, out);
}

enum sc_status maker_check_required(const struct maker *m, bool is_layer, uint32_t layer)
{
	const uint64_t required = !m->arch ? 0 : is_layer ? m->arch->layer_required :
							    m->arch->outer_required;
	const struct slot *slots = is_layer ? layer_slots : outer_slots;
	uint64_t missing = required & ~m->found;
	char name[HF_NAME_BYTES];

	/* Without a head the embedding is the head. */
	if (!is_layer)
		missing &= ~(UINT64_C(1) << OUTER_OUTPUT);
	for (unsigned i = 0; i < 64; i++) {
		if (!(missing >> i & 1))
			continue;
		describe_slot(m, &slots[i], is_layer, layer, name);
		return error_set(m->err, SC_E_FORMAT,
				 "%s: no file has the tensor '%s', which models of the family %s "
				 "need. Is a shard missing?", m->config->folder, name,
				 m->family->name);
	}
	return SC_OK;
}

