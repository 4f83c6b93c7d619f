/* SPDX-License-Identifier: Apache-2.0 */
/* An inspection for people: a line per fact, its name in front. */
#include "cli/inspection.h"

#include "coordinator/pool.h"
#include "model/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABEL "%-13s "
#define MAX_STRING 100		/* bytes of a value that are shown */
#define MAX_ELEMENTS 6		/* of an array */
#define MAX_ENDS 16		/* tokens at which generation ends */
#define MAX_SPLIT 16		/* stages whose layers are listed */

struct size_text {
	char text[32];
};

static struct size_text size_text(uint64_t n_bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double n = (double)n_bytes / 1024;
	struct size_text size;
	unsigned i = 0;

	for (; n >= 1024 && i < 3; i++)
		n /= 1024;
	if (n_bytes < 1024)
		snprintf(size.text, sizeof size.text, "%" PRIu64 " bytes", n_bytes);
	else
		snprintf(size.text, sizeof size.text, "%.1f %s", n, units[i]);
	return size;
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* Additions after the first that failed do nothing; inspection_print looks at status once. */
struct writer {
	struct buf *text;
	enum sc_status status;
};

#define add(w, ...) \
	((w)->status == SC_OK ? (void)((w)->status = buf_add_format((w)->text, __VA_ARGS__)) \
			      : (void)0)

static void add_bytes(struct writer *w, const void *bytes, size_t n_bytes)
{
	if (w->status == SC_OK)
		w->status = printable_add(w->text, bytes, n_bytes);
}

static void add_text(struct writer *w, struct gguf_string string)
{
	add_bytes(w, string.data, string.length);
}

/* --- shape --- */

static void add_range(struct writer *w, struct summary_range range)
{
	if (!range.max)
		add(w, "?");
	else if (range.min == range.max)
		add(w, "%" PRIu32, range.max);
	else
		add(w, "%" PRIu32 " to %" PRIu32, range.min, range.max);
}

static void add_sizes(struct writer *w, const struct summary_shape *shape)
{
	add(w, LABEL, "layers");
	add_range(w, shape->n_layers);
	add(w, ", width ");
	add_range(w, shape->dim);
	add(w, ", feed-forward ");
	add_range(w, shape->ffn_dim);
	if (shape->n_experts.max) {
		add(w, ", experts ");
		add_range(w, shape->n_experts);
		add(w, " of which a token uses ");
		add_range(w, shape->n_used_experts);
	}
	add(w, "\n" LABEL, "heads");
	add_range(w, shape->n_heads);
	add(w, ", of keys and values ");
	add_range(w, shape->n_kv_heads);
	add(w, ", head size ");
	add_range(w, shape->head_dim);
	if (memcmp(&shape->head_dim, &shape->value_dim, sizeof shape->head_dim)) {
		add(w, ", of values ");
		add_range(w, shape->value_dim);
	}
	add(w, "\n" LABEL, "vocabulary");
	add_range(w, shape->n_vocab);
	add(w, "\n" LABEL, "context");
	add_range(w, shape->n_context);
	add(w, " trained\n" LABEL "base %g, ", "rope", shape->rope_base);
	add_range(w, shape->rope_dim);
	add(w, " dimensions, scaling %s", shape->rope_scaling.text);
	if (shape->rope_factor != 1.0)
		add(w, " by %g", shape->rope_factor);
	add(w, "\n");
}

static void add_types(struct writer *w, const struct summary *summary)
{
	for (size_t i = 0; i < summary->n_types; i++) {
		const struct summary_type *type = &summary->types[i];

		add(w, LABEL "%-8s %6" PRIu64 " tensor%-2s%12s%s\n", i ? "" : "types",
		    summary_type_name(type->type).text, type->n_tensors,
		    plural(type->n_tensors), size_text(type->n_bytes).text,
		    type->is_supported ? "" : "  (not supported)");
	}
}

/* --- file --- */

static void add_file(struct writer *w, const struct inspection *inspection)
{
	const struct gguf *gguf = inspection->gguf;
	const size_t n_files = gguf_n_files(gguf);

	add(w, LABEL, "file");
	add_bytes(w, gguf_path(gguf), strlen(gguf_path(gguf)));
	add(w, ", %s", size_text(gguf_n_bytes(gguf)).text);
	if (n_files > 1)
		add(w, " in %zu files", n_files);
	add(w, "\n");
	for (size_t i = 0; n_files > 1 && i < n_files; i++) {
		const struct gguf_part part = gguf_part(gguf, i);
		const char *slash = strrchr(part.path, '/');
		const char *name = slash ? slash + 1 : part.path;

		add(w, LABEL "%6" PRIu64 " tensor%-2s%12s  ", i ? "" : "parts", part.n_tensors,
		    plural(part.n_tensors), size_text(part.n_bytes).text);
		add_bytes(w, name, strlen(name));
		add(w, "\n");
	}
}

static void add_model(struct writer *w, const struct summary *summary, size_t n_tensors)
{
	add(w, LABEL, "name");
	add_bytes(w, summary->name, strlen(summary->name));
	add(w, "\n" LABEL, "architecture");
	add_text(w, summary->arch);
	add(w, "%s\n" LABEL "%.1f million parameters in %zu tensors, %s, %.2f bits per weight\n",
	    summary->arch.length ? "" : "?", "size", (double)summary->n_elements / 1e6, n_tensors,
	    size_text(summary->tensor_bytes).text, summary_bits_per_weight(summary));
}

/* --- tokenizer --- */

static void add_ends(struct writer *w, const struct tokenizer *tokenizer)
{
	unsigned n = 0;

	for (uint32_t id = 0; id < tokenizer_n_vocab(tokenizer); id++) {
		size_t n_bytes;
		const char *piece = tokenizer_piece(tokenizer, id, &n_bytes);

		if (!tokenizer_is_end(tokenizer, id) || n++ >= MAX_ENDS)
			continue;
		add(w, n == 1 ? LABEL : "%s", n == 1 ? "end tokens" : ", ");
		add(w, "%" PRIu32 " \"", id);
		add_bytes(w, piece, n_bytes);
		add(w, "\"");
	}
	if (n > MAX_ENDS)
		add(w, " and %u more", n - MAX_ENDS);
	add(w, n ? "\n" : "");
}

static void add_tokenizer(struct writer *w, const struct inspection *inspection)
{
	const struct summary *summary = &inspection->summary;
	const struct tokenizer *tokenizer = inspection->opened.tokenizer;

	add(w, LABEL, "tokenizer");
	add_text(w, summary->tokenizer);
	add(w, summary->tokenizer.length ? "" : "?");
	if (summary->pre.length) {
		add(w, ", pre-tokenizer ");
		add_text(w, summary->pre);
	}
	if (tokenizer)
		add(w, ", %s", tokenizer_adds_bos(tokenizer) ? "BOS before a prompt" : "no BOS");
	add(w, "\n");
	for (size_t i = 0; i < summary->n_tokens; i++) {
		add(w, LABEL, i ? "" : "special");
		add_text(w, summary->tokens[i].name);
		add(w, " %" PRIu32, summary->tokens[i].id);
		if (summary->tokens[i].has_text) {
			add(w, " \"");
			add_text(w, summary->tokens[i].text);
			add(w, "\"");
		}
		add(w, "\n");
	}
	if (tokenizer)
		add_ends(w, tokenizer);
}

static void add_templates(struct writer *w, const struct summary *summary)
{
	if (!summary->n_templates)
		add(w, LABEL "none\n", "chat template");
	for (size_t i = 0; i < summary->n_templates; i++) {
		add(w, LABEL, i ? "" : "chat template");
		add_text(w, summary->templates[i].name);
		add(w, "%s%zu bytes%s\n", summary->templates[i].name.length ? ", " : "",
		    summary->templates[i].text.length, i ? "" : " (--template prints it)");
	}
}

/* --- does it fit --- */

static void add_here(struct writer *w, const struct inspection_fit *fit)
{
	const struct fit *here = &fit->here;

	add(w, LABEL, "fits here");
	if (!here->plan) {
		add(w, "no: ");
		add_bytes(w, here->why_not.text, strlen(here->why_not.text));
		add(w, "\n");
		return;
	}
	add(w, "yes, in %u stage%s, with a context of %" PRIu32, fit->n_stages,
	    plural(fit->n_stages), here->context);
	if (here->context < fit->context)
		add(w, " instead of %" PRIu32, fit->context);
	add(w, " and a KV pool of %" PRIu64 " positions\n", here->n_positions);
}

/* "layers 0-10, 11-21" */
static void add_split(struct writer *w, const struct plan *plan)
{
	if (plan->n_stages < 2 || plan->n_stages > MAX_SPLIT)
		return;
	for (unsigned i = 0; i < plan->n_stages; i++) {
		const struct plan_stage *stage = &plan->stages[i];

		add(w, "%s%" PRIu32 "-%" PRIu32, i ? ", " : ": layers ", stage->first_layer,
		    stage->first_layer + stage->n_layers - 1);
	}
}

static void add_apart(struct writer *w, const struct inspection_fit *fit)
{
	const struct size_text memory = size_text(fit->memory_bytes);
	const unsigned n = fit->n_stages_apart;

	if (!fit->memory_bytes)
		return;
	add(w, LABEL, "stages");
	if (!fit->n_stages_least) {
		add(w, "no number of them is enough with %s each: raise --memory or lower "
		    "--batch-size\n", memory.text);
		return;
	}
	add(w, "%u with %s %s enough for a context of ", n, memory.text,
	    n == 1 ? "is" : "are each");
	if (fit->n_stages_whole)
		add(w, "%" PRIu32, fit->context);
	else
		add(w, "%" PRIu32 ", no number of them for %" PRIu32,
		    fit->apart.plan ? fit->apart.context : POOL_LEAST_CONTEXT, fit->context);
	if (fit->apart.plan)
		add_split(w, fit->apart.plan);
	add(w, "\n");
}

static void add_fit(struct writer *w, const struct inspection_fit *fit)
{
	add(w, LABEL "%s of weights, %s to work in\n", "needs",
	    size_text(fit->weight_bytes).text, size_text(fit->work_bytes).text);
	add(w, LABEL "%s, %s per token", "keys, values", tensor_type_info(fit->kv_type)->name,
	    size_text(fit->position_bytes).text);
	if (fit->whole_position_bytes < fit->position_bytes)
		add(w, " (%s beyond the sliding windows)",
		    size_text(fit->whole_position_bytes).text);
	add(w, ", %s for a context of %" PRIu32 "\n", size_text(fit->context_bytes).text,
	    fit->context);
	add(w, LABEL, "memory");
	if (fit->memory_bytes)
		add(w, "%s for a stage %s\n", size_text(fit->memory_bytes).text,
		    fit->is_memory_set ? "(--memory)" : "on this machine");
	else
		add(w, "unknown\n");
	add_here(w, fit);
	add_apart(w, fit);
}

enum sc_status inspection_print(const struct inspection *inspection, struct buf *text)
{
	struct writer w = { .text = text };

	add_file(&w, inspection);
	add_model(&w, &inspection->summary, gguf_n_tensors(inspection->gguf));
	add_sizes(&w, &inspection->summary.shape);
	add_types(&w, &inspection->summary);
	add_tokenizer(&w, inspection);
	add_templates(&w, &inspection->summary);
	if (inspection->why_not.status == SC_OK) {
		add(&w, LABEL "yes\n", "servable");
		add_fit(&w, &inspection->fit);
	} else {
		add(&w, LABEL "no: ", "servable");
		add_bytes(&w, inspection->why_not.text, strlen(inspection->why_not.text));
		add(&w, "\n");
	}
	return w.status;
}

/* --- lists --- */

/* Not in the middle of a character. */
static size_t cut(struct gguf_string string)
{
	size_t n = string.length;

	if (n > MAX_STRING)
		for (n = MAX_STRING; n && ((unsigned char)string.data[n] & 0xC0) == 0x80;)
			n--;
	return n;
}

static void add_string(struct writer *w, struct gguf_string string)
{
	const size_t n = cut(string);

	add(w, "\"");
	add_bytes(w, string.data, n);
	add(w, "\"");
	if (n < string.length)
		add(w, "... (%zu bytes)", string.length);
}

static void add_number(struct writer *w, enum gguf_type type, struct gguf_number number)
{
	if (type == GGUF_BOOL)
		add(w, "%s", number.magnitude ? "true" : "false");
	else if (number.is_float)
		add(w, "%.9g", number.real);
	else
		add(w, "%s%" PRIu64, number.is_negative ? "-" : "", number.magnitude);
}

static void add_elements(struct writer *w, const struct gguf_array *value)
{
	const size_t n = value->n < MAX_ELEMENTS ? value->n : MAX_ELEMENTS;

	for (size_t i = 0; i < n; i++) {
		add(w, "%s", i ? ", " : "");
		if (value->type == GGUF_STRING)
			add_string(w, gguf_array_string(value, i));
		else
			add_number(w, value->type, gguf_array_exact(value, i));
	}
	add(w, "%s\n", n < value->n ? ", ..." : "");
}

enum sc_status inspection_print_keys(const struct inspection *inspection, struct buf *text)
{
	struct writer w = { .text = text };

	for (size_t i = 0; i < gguf_n_keys(inspection->gguf); i++) {
		const struct gguf_string key = gguf_key(inspection->gguf, i);
		struct gguf_array value;
		bool is_array;

		if (!key.length)
			continue;
		value = gguf_value(inspection->gguf, i, &is_array);
		add_text(&w, key);
		add(&w, " (");
		if (is_array)
			add(&w, "%zu ", value.n);
		add(&w, "%s) = ", gguf_type_name(value.type));
		add_elements(&w, &value);
	}
	return w.status;
}

enum sc_status inspection_print_tensors(const struct inspection *inspection, struct buf *text)
{
	struct writer w = { .text = text };

	for (size_t i = 0; i < gguf_n_tensors(inspection->gguf); i++) {
		const struct tensor *tensor = gguf_tensor(inspection->gguf, i);

		add_bytes(&w, tensor->name, strlen(tensor->name));
		add(&w, " %s [", summary_type_name(tensor->type).text);
		for (unsigned k = 0; k < tensor->n_dims; k++)
			add(&w, "%s%" PRIu64, k ? ", " : "", tensor->dims[k]);
		add(&w, "] %zu bytes\n", tensor->n_bytes);
	}
	return w.status;
}
