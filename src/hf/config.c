/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "hf/config_known.h"
#include "hf/config_layers.h"
#include "hf/config_rope.h"
#include "hf/family.h"
#include "hf/parts.h"
#include "hf/put_key.h"
#include "model/model.h"

#include <string.h>

static const char *or_usual(const char *names, const char *usual)
{
	return names ? names : usual;
}

static enum sc_status read_ffn_dim(const struct hf_family *family, const struct hf_config *config,
				   struct hf_numbers *n, struct error *err)
{
	uint64_t fallback = family->ffn_per_dim ? (uint64_t)family->ffn_per_dim * n->dim :
						  family->fallbacks.ffn_dim;

	if (fallback > 64u * MODEL_MAX_DIM)
		fallback = 0;
	return hf_config_u32(config, or_usual(family->json.ffn_dim,
					      "intermediate_size|n_inner|ffn_hidden_size"),
			     1, 64 * MODEL_MAX_DIM, (uint32_t)fallback, &n->ffn_dim, err);
}

static enum sc_status read_kv_heads(const struct hf_family *family, const struct hf_config *config,
				    struct hf_numbers *n, struct error *err)
{
	uint32_t fallback = family->fallbacks.n_kv_heads;

	if (!fallback || fallback > n->n_heads)
		fallback = n->n_heads;
	if (family->keeps_kv_heads_out) {
		n->n_kv_heads = n->n_heads;
		return SC_OK;
	}
	return hf_config_u32(config, or_usual(family->json.n_kv_heads,
					      "num_key_value_heads|num_kv_heads|n_head_kv"),
			     1, n->n_heads, fallback, &n->n_kv_heads, err);
}

static enum sc_status read_head_dim(const struct hf_family *family, const struct hf_config *config,
				    struct hf_numbers *n, struct error *err)
{
	uint32_t fallback = family->fallbacks.head_dim;

	if (!fallback && n->dim % n->n_heads && !hf_config_get(config, "head_dim"))
		return hf_config_error(config, SC_E_FORMAT, err,
				       "there is no 'head_dim', and the hidden size of %u is no "
				       "multiple of the %u heads", n->dim, n->n_heads);
	return hf_config_u32(config, "head_dim", 1, MODEL_MAX_DIM,
			     fallback ? fallback : n->dim / n->n_heads, &n->head_dim, err);
}

enum sc_status hf_numbers_read(const struct hf_family *family, const struct hf_config *config,
			       struct hf_numbers *numbers_out, struct error *err)
{
	const struct hf_numbers *f = &family->fallbacks;
	struct hf_numbers n;
	enum sc_status status;

	status = hf_config_u32(config, "num_hidden_layers|n_layer|n_layers|num_layers", 1,
			       MODEL_MAX_LAYERS, f->n_layers, &n.n_layers, err);
	if (!status)
		status = hf_config_u32(config, or_usual(family->json.n_context,
							"max_position_embeddings|n_positions|n_ctx|"
							"max_seq_len|seq_length"),
				       1, INT32_MAX, f->n_context, &n.n_context, err);
	if (!status)
		status = hf_config_u32(config, "hidden_size|n_embd|d_model|n_embed", 1,
				       MODEL_MAX_DIM, f->dim, &n.dim, err);
	if (!status)
		status = hf_config_u32(config, "num_attention_heads|n_head|n_heads", 1,
				       MODEL_MAX_DIM, f->n_heads, &n.n_heads, err);
	if (!status)
		status = read_ffn_dim(family, config, &n, err);
	if (!status)
		status = read_kv_heads(family, config, &n, err);
	if (!status)
		status = read_head_dim(family, config, &n, err);
	if (!status && family->fix_numbers)
		status = family->fix_numbers(config, &n, err);
	if (!status && n.n_heads % n.n_kv_heads)
		return hf_config_error(config, SC_E_FORMAT, err,
				       "%u heads are no multiple of %u key-value heads", n.n_heads,
				       n.n_kv_heads);
	if (!status)
		*numbers_out = n;
	return status;
}

static enum sc_status put_numbers(const struct hf_family *family, const struct hf_numbers *n,
				  struct gguf_head *head)
{
	const char *arch = family->arch;
	enum sc_status status = put_u32(head, arch, "block_count", n->n_layers);

	if (!status)
		status = put_u32(head, arch, "context_length", n->n_context);
	if (!status)
		status = put_u32(head, arch, "embedding_length", n->dim);
	if (!status)
		status = put_u32(head, arch, "feed_forward_length", n->ffn_dim);
	if (!status)
		status = put_u32(head, arch, "attention.head_count", n->n_heads);
	if (!status)
		status = put_u32(head, arch, "attention.head_count_kv", n->n_kv_heads);
	if (status || (uint64_t)n->head_dim * n->n_heads == n->dim)
		return status;
	status = put_u32(head, arch, "attention.key_length", n->head_dim);
	return status ? status : put_u32(head, arch, "attention.value_length", n->head_dim);
}

static enum sc_status put_keys(const struct hf_family *family, const struct hf_config *config,
			       struct gguf_head *head, struct error *err)
{
	enum sc_status status = SC_OK;

	for (const struct hf_key *key = family->keys; !status && key && key->gguf; key++) {
		double value;

		status = hf_config_number(config, key->json, key->fallback, &value, err);
		if (status || value == HF_NO_KEY)
			continue;
		status = key->type == HF_KEY_BOOL ?
			 put_bool(head, family->arch, key->gguf, value != 0) :
			 put_f32(head, family->arch, key->gguf, value);
	}
	return status;
}

/* Unknown keys do not stop a model, but somebody should know. */
static void warn_of_unknown(const struct hf_family *family, const struct hf_config *config)
{
	char names[400];

	if (hf_config_unknown(family, config, names, sizeof names))
		log_write(LOG_LEVEL_WARNING,
			  "%s/config.json: these keys are not known and are ignored: %s. If they "
			  "change what the model computes, its answers will be wrong",
			  config->folder, names);
}

/* The folder's name. In a cache of Hugging Face, .../models--OWNER--NAME/snapshots/HASH or
 * .../models--NAME/snapshots/HASH, it is NAME. */
static enum sc_status put_name(const char *folder, struct gguf_head *head)
{
	static const char mark[] = "models--";
	const char *cached = strstr(folder, mark), *start = folder, *end;

	if (cached && strstr(cached, "/snapshots/")) {
		end = strstr(cached, "/snapshots/");
		start = cached + strlen(mark);
		for (const char *p = start; p + 2 <= end; p++)
			if (p[0] == '-' && p[1] == '-')
				start = p + 2;
	} else {
		for (end = folder + strlen(folder); end > folder && end[-1] == '/'; end--)
			;
		for (const char *p = folder; p < end; p++)
			if (*p == '/')
				start = p + 1;
	}
	if (start >= end)
		return SC_OK;
	return gguf_head_add_string(head, "general.name", start, (size_t)(end - start));
}

static enum sc_status put_general(const struct hf_family *family, const char *folder,
				  struct gguf_head *head)
{
	enum sc_status status = put_string(head, "general", "architecture", family->arch);

	if (!status)
		status = put_string(head, "general", "type", "model");
	return status ? status : put_name(folder, head);
}

static enum sc_status put_all(const struct hf_family *family, const struct hf_config *config,
			      struct gguf_head *head, struct error *err)
{
	struct hf_numbers numbers;
	struct hf_rope rope;
	enum sc_status status = hf_config_check(family, config, err);

	if (!status)
		status = hf_numbers_read(family, config, &numbers, err);
	if (!status)
		status = hf_rope_read(family, config, &numbers, &rope, err);
	if (!status)
		status = put_general(family, config->folder, head);
	if (!status)
		status = put_numbers(family, &numbers, head);
	if (!status)
		status = put_keys(family, config, head, err);
	if (!status)
		status = hf_rope_put(&rope, family->arch, head);
	if (!status)
		status = hf_layers_put(family, config, &numbers, head, err);
	if (!status && family->put_more)
		status = family->put_more(config, &numbers, head, err);
	return status;
}

enum sc_status hf_config_put(const struct hf_family *family, const json_t *root,
			     const char *folder, struct gguf_head *head, struct error *err)
{
	struct hf_config config;
	enum sc_status status = hf_config_init(&config, root, folder, err);

	if (status)
		return status;
	status = put_all(family, &config, head, err);
	if (!status)
		warn_of_unknown(family, &config);
	hf_config_deinit(&config);
	if (status == SC_E_NOMEM)
		return error_set(err, SC_E_NOMEM, "out of memory");
	return status;
}
