/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_MAKER_H
#define STAGECOACH_HF_MAKER_H
/*
 * maker - the state while the directory of tensors is written, and the checks against the slots of
 * the architecture (model/slots.h).
 * Private to tensors.c and maker_*.c. Thread: one at a time.
 */
#include "hf/config_rope.h"
#include "hf/family.h"
#include "hf/names.h"
#include "hf/parts.h"
#include "hf/recipe.h"
#include "model/arch.h"
#include "model/model.h"
#include "model/slots.h"

/* What the sources need as long as they live. */
struct memory {
	struct hf_recipe *recipes;		/* [n_max] */
	const struct hf_stored **stacks;	/* pointers for recipes of stacks */
	float *made;				/* elements that are stored nowhere */
};

/* State while the directory is written. */
struct maker {
	const struct hf_family *family;
	const struct hf_config *config;
	const struct arch *arch;		/* NULL: shapes are not checked here */
	struct hf_numbers numbers;
	struct hf_rope rope;
	struct hparams hparams;			/* sizes, for shapes */
	struct layer_shape shape;
	struct hf_names *names;
	const struct hf_stored *embedding;	/* NULL: not stored */
	struct gguf_head *head;
	struct hf_tensors *out;
	struct memory *memory;
	size_t n_max, n_stacked, n_made;
	uint64_t found;				/* slots of this layer, or outer slots */
	struct error *err;
};

/* The slots that a GGUF name (without "blk.N.") fills: one, or the parts of a fused tensor. */
struct filled {
	unsigned n;
	unsigned slots[FUSED_MAX_PARTS];
	bool is_fused;
};

extern const char maker_weight[], maker_bias[];	/* ".weight", ".bias" */
bool maker_has_suffix(const char *name, const char *suffix);

/* Returns true if a line of the family's own names is about layers. */
bool maker_is_of_layer(const struct hf_tensor_name *own);

/* Returns true if the family has a name of its own for the slot's tensor. */
bool maker_is_own(const struct hf_family *family, bool is_layer, const char *slot_name);

/* tensor: as it is added; its shape tells whether ffn_up has the gate in front of it. */
struct filled maker_find_slots(const struct maker *m, const char *name, bool is_layer,
			       const struct tensor *tensor);

/* SC_E_FORMAT: the tensor does not have the shape that the sizes in config.json ask for. */
must_check enum sc_status maker_check_shape(const struct maker *m, const struct filled *filled,
					    bool is_layer, const struct tensor *tensor,
					    const struct hf_stored *stored);

/* SC_E_FORMAT: a slot that the architecture requires was not found. */
must_check enum sc_status maker_check_required(const struct maker *m, bool is_layer,
					       uint32_t layer);

/* SC_E_UNSUPPORTED: a stored tensor was not used and is not known to be superfluous. */
must_check enum sc_status maker_check_unused(const struct maker *m);

#endif
