/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/assignment.h"

#include "transport/ring.h"

#define MAX_WINDOW 4096
#define MAX_THREADS 4096

typedef Stagecoach__Cluster__V1__Assign assign_message;

/* The coordinator chooses from what all workers have reported, so any other choice means that its
 * version differs. */
#define SAME_VERSION "install the same stagecoach on all machines"

/* n_groups is 0, which no limits may have, if the message has too many groups or not all of their
 * numbers. */
static struct step_limits limits_of(const assign_message *assign, const struct hparams *h)
{
	struct step_limits limits = {
		.max_rows = assign->max_rows,
		.max_sequences = assign->max_sequences,
		.block_length = assign->block_length,
		.max_context = assign->max_context,
		.n_vocab = h->n_vocab,
		.dim = h->dim,
	};

	if (assign->n_max_blocks > STEP_MAX_GROUPS ||
	    assign->n_table_blocks != assign->n_max_blocks)
		return limits;
	limits.n_groups = (uint32_t)assign->n_max_blocks;
	for (uint32_t g = 0; g < limits.n_groups; g++) {
		limits.max_blocks[g] = assign->max_blocks[g];
		limits.table_blocks[g] = assign->table_blocks[g];
	}
	return limits;
}

static bool has_kv_type(const assign_message *assign)
{
	const struct tensor_type_info *info = tensor_type_info(assign->kv_type);

	return info && info->is_supported;
}

enum sc_status assignment_read_isa(const char *name, enum cpu_isa best_isa, enum cpu_isa *isa_out,
				   struct error *err)
{
	enum cpu_isa isa = CPU_AUTO;

	if (*name && (!cpu_isa_find(name, &isa) || isa == CPU_AUTO))
		return error_set(err, SC_E_PROTOCOL, "assign: instruction set \"%.32s\" is not "
				 "known to this version: " SAME_VERSION, name);
	if (isa == CPU_AUTO && best_isa != CPU_AUTO)
		return error_set(err, SC_E_PROTOCOL, "assign: no instruction set, expected %s or a "
				 "lower one: " SAME_VERSION, cpu_isa_name(best_isa));
	if (isa > best_isa)
		return error_set(err, SC_E_PROTOCOL, "assign: instruction set \"%.32s\", but this "
				 "worker supports up to %s: " SAME_VERSION, name,
				 best_isa ? cpu_isa_name(best_isa) : "none");
	*isa_out = isa;
	return SC_OK;
}

static enum sc_status check_place(const assign_message *assign, uint32_t n_layers,
				  struct error *err)
{
	if (!assign->epoch)
		return error_set(err, SC_E_PROTOCOL, "assign: epoch 0, expected at least 1");
	if (assign->stage >= assign->n_stages || assign->n_stages > n_layers)
		return error_set(err, SC_E_PROTOCOL, "assign: stage %u of %u, with a model of %u "
				 "layers", assign->stage, assign->n_stages, n_layers);
	if (!assign->n_layers || assign->first_layer > n_layers ||
	    assign->n_layers > n_layers - assign->first_layer)
		return error_set(err, SC_E_PROTOCOL, "assign: layers %u+%u of a model with %u",
				 assign->first_layer, assign->n_layers, n_layers);
	if (!has_kv_type(assign))
		return error_set(err, SC_E_PROTOCOL, "assign: keys and values of type %u, which "
				 "this version does not support: " SAME_VERSION, assign->kv_type);
	if (assign->n_threads > MAX_THREADS || assign->n_sharers > MAX_THREADS ||
	    (assign->n_sharers && assign->sharer >= assign->n_sharers))
		return error_set(err, SC_E_PROTOCOL, "assign: %u threads, sharer %u of %u, "
				 "expected at most %d threads and a sharer below their number",
				 assign->n_threads, assign->sharer, assign->n_sharers, MAX_THREADS);
	return SC_OK;
}

static enum sc_status check_links(const assign_message *assign, const struct step_limits *limits,
				  struct error *err)
{
	size_t most = step_bytes_into(limits, assign->stage);

	if (!assign->window || assign->window > MAX_WINDOW)
		return error_set(err, SC_E_PROTOCOL, "assign: window %u, expected 1 to %d",
				 assign->window, MAX_WINDOW);
	if (!assign->in_bytes || assign->in_bytes > most)
		return error_set(err, SC_E_PROTOCOL, "assign: in_bytes %llu, expected 1 to %zu",
				 (unsigned long long)assign->in_bytes, most);
	if (!assign->in_credits || assign->in_credits > ring_credits(assign->window))
		return error_set(err, SC_E_PROTOCOL, "assign: in_credits %u, expected 1 to %u",
				 assign->in_credits, ring_credits(assign->window));
	return SC_OK;
}

enum sc_status assignment_read(const assign_message *assign, const struct model *model,
			       enum cpu_isa best_isa, struct assignment *out, struct error *err)
{
	struct step_limits limits = limits_of(assign, &model->hparams);
	enum sc_status status = check_place(assign, model->hparams.n_layers, err);
	enum cpu_isa isa = CPU_AUTO;

	if (status == SC_OK && (status = step_limits_check(&limits, err)) != SC_OK)
		error_prefix(err, "assign");
	if (status == SC_OK)
		status = check_links(assign, &limits, err);
	if (status == SC_OK)
		status = assignment_read_isa(assign->instruction_set, best_isa, &isa, err);
	if (status != SC_OK)
		return status;
	*out = (struct assignment){
		.epoch = assign->epoch,
		.stage = assign->stage,
		.n_stages = assign->n_stages,
		.first_layer = assign->first_layer,
		.n_layers = assign->n_layers,
		.kv_type = (enum tensor_type)assign->kv_type,
		.isa = isa,
		.limits = limits,
		.window = assign->window,
		.in = { assign->in_bytes, assign->in_credits },
		.n_threads = assign->n_threads,
		.n_sharers = assign->n_sharers,
		.sharer = assign->sharer,
	};
	return SC_OK;
}
