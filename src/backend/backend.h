/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_BACKEND_H
#define STAGECOACH_BACKEND_BACKEND_H
/*
 * backend - the operations of a forward pass on one device, as a table.
 *
 * Activations are float32, rows packed without padding: x[n_rows][n]. All float pointers given to
 * operations are in the device's memory (backend->ops->alloc); ids, positions and tables of rows
 * are in host memory.
 *
 * Exactness: every output element is accumulated in an order that depends neither on n_rows, nor
 * on the other rows, nor on the number of threads. A row alone and the same row among five hundred
 * give the same bits.
 *
 * Thread: one backend belongs to one thread (its compute thread); helper threads are its own
 * affair. Operations block until their output may be read by the next operation.
 * Operations that cannot fail by construction return nothing: sizes are checked when weights and
 * caches are created.
 */
#include "base/cpu.h"
#include "base/error.h"
#include "model/arch.h"
#include "model/tensor.h"

struct backend;
struct weight;		/* a matrix [n_out][n_in], laid out for the device */
struct kv_cache;	/* keys and values of some layers, in blocks */

/* Where compute threads stay, if anywhere. Stages that may use the same processors are numbered,
 * and each takes its own share of the cores. */
enum backend_pin {
	BACKEND_PIN_OFF,
	BACKEND_PIN_AUTO,	/* if there are several memory nodes, and the cores all in use */
	BACKEND_PIN_ON,		/* or it is an error */
};

struct backend_place {
	enum backend_pin pin;
	unsigned n_stages;
	unsigned stage;		/* below n_stages */
};

struct backend_config {
	enum cpu_isa isa;	/* of the CPU backend; CPU_AUTO: the best of this processor */
	unsigned n_threads;	/* 0: one per processor of this process */
	unsigned max_rows;	/* the most rows of a step; scratch memory is sized by it */
	unsigned max_width;	/* the widest row that any operation sees */
	struct backend_place place;	/* on the CPU the thread that opens is bound as well */
};

/* One product of a row group: y[n_rows][n_out] = x W^T (+ bias), or added to what y holds. */
struct matmul {
	const struct weight *weight;
	const float *bias;	/* [n_out] or NULL */
	float *y;
	bool is_added;
};

struct rope_table {
	enum arch_rope layout;
	unsigned dim;			/* rotated elements at the front of each head, even */
	const float *inverse_frequency;	/* [dim / 2], host memory: angle = position * this */
};

struct kv_cache_config {
	unsigned n_layers;
	unsigned n_blocks;
	unsigned block_length;	/* positions per block */
	unsigned n_kv_heads;
	unsigned head_dim;
	unsigned value_dim;
	enum tensor_type type;	/* F32, F16, BF16 or Q8_0: what keys and values are rounded to,
				 * once, when they are written */
	/* Called from kv_create while memory is taken, whether to go on; may be NULL. */
	bool (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* Consecutive rows of one sequence in a step: row i stands at position first_position + i and
 * sees positions 0 .. first_position + i. */
struct attention_span {
	unsigned first_row;
	unsigned n_rows;
	unsigned first_position;
	const uint32_t *blocks;	/* the sequence's block table, host memory: position p lives in
				 * blocks[p / block_length] at p % block_length */
};

/* Maxima and sums of a row of logits are those of its blocks: so many neighbours, from the row's
 * first logit on. The last block may have fewer. */
enum { BACKEND_LOGIT_BLOCK = 128 };

/* The weights of a row's logits, summed block by block. A logit's weight is
 * e^((logit - largest) * scale) if it is larger than `least`, or equals `least` at an index up to
 * `last`; else 0. Sums are the same whatever threads and instructions compute them. */
struct logit_sum {
	unsigned row;
	float largest;		/* of the row, finite */
	double scale;
	float least;
	uint32_t last;
	const float *maxima;	/* [n_blocks] of the row, from logit_maxima; host memory */
	double *sums_out;	/* [n_blocks], host memory */
};

typedef void backend_task_fn(void *arg, unsigned item);

struct backend_ops {
	const char *name;	/* "cpu", "cuda" */

	/* Raised with every change that shows in any bit of a result, with any instruction set:
	 * stages of other versions do not give the same tokens. Says nothing of the C library's
	 * functions, see base/libm.h. */
	uint32_t kernel_version;

	/* Computes with the processor's instructions: backend_config.isa counts. */
	bool has_isa;

	/* Device memory is host memory: operations take any float pointer that is aligned to 64
	 * bytes, so that activations can stay in the frames they travel in. */
	bool is_host_memory;

	/* How many such devices this machine has (0: none, or no driver). */
	unsigned (*count)(void);
	/* err says which device and why. Caller closes. */
	must_check enum sc_status (*open)(unsigned device, const struct backend_config *config,
					  struct backend **backend_out, struct error *err);
	void (*close)(struct backend *backend);

	/* Device memory, aligned to 64 bytes, zeroed. */
	must_check enum sc_status (*alloc)(struct backend *backend, size_t n_bytes, void **out);
	void (*release)(struct backend *backend, void *memory);
	void (*upload)(struct backend *backend, void *device, const void *host, size_t n_bytes);
	void (*download)(struct backend *backend, void *host, const void *device, size_t n_bytes);

	/* Copies and re-lays out rows [first_row, first_row + n_rows) of a stored matrix; the
	 * tensor is not needed afterwards. SC_E_UNSUPPORTED: not on this device, by type. */
	must_check enum sc_status (*weight_create)(struct backend *backend,
						   const struct tensor *tensor,
						   struct weight **weight_out, struct error *err);
	void (*weight_destroy)(struct backend *backend, struct weight *weight);
	size_t (*weight_bytes)(const struct weight *weight);
	/* Whether the stored matrix holds neither NaN nor infinity; found while it is copied. */
	bool (*weight_is_finite)(const struct weight *weight);

	/* SC_E_UNSUPPORTED: not of this type. SC_E_CANCELLED: on_progress said so. */
	must_check enum sc_status (*kv_create)(struct backend *backend,
					       const struct kv_cache_config *config,
					       struct kv_cache **cache_out, struct error *err);
	void (*kv_destroy)(struct backend *backend, struct kv_cache *cache);

	/* out[n_rows][n_in] = rows `tokens` of the embedding matrix, as stored. */
	void (*embed)(struct backend *backend, const struct weight *embedding,
		      const uint32_t *tokens, unsigned n_rows, float *out);

	/* All products read the same x[n_rows][n_in]: the device prepares it once. */
	void (*matmul)(struct backend *backend, const struct matmul *products, unsigned n_products,
		       const float *x, unsigned n_rows);

	/* out[n_rows][n_out] = silu(x gate^T) * (x up^T); both matrices have n_out outputs. */
	void (*gated_matmul)(struct backend *backend, const struct weight *gate,
			     const struct weight *up, const float *x, unsigned n_rows, float *out);

	/* y = x / sqrt(mean(x^2) + eps) * gain, row by row; y may be x. */
	void (*rms_norm)(struct backend *backend, const float *x, const float *gain, float eps,
			 unsigned n_rows, unsigned n, float *y);

	/* Rotate x[n_rows][n_heads][head_dim] in place; positions[n_rows]. */
	void (*rope)(struct backend *backend, const struct rope_table *table, float *x,
		     const uint32_t *positions, unsigned n_rows, unsigned n_heads,
		     unsigned head_dim);

	/* Put the rows' keys [n_rows][n_kv_heads][head_dim] and values into the cache. */
	void (*kv_write)(struct backend *backend, struct kv_cache *cache, unsigned layer,
			 const struct attention_span *spans, unsigned n_spans, const float *keys,
			 const float *values);
	/* Stored keys and values so far that were beyond what the type holds, and were cut to its
	 * largest number: F16 beyond 65504, Q8_0 beyond 127 times that. With any, layer_out is the
	 * layer that had the first. */
	uint64_t (*kv_saturated)(const struct kv_cache *cache, unsigned *layer_out);

	/* out[n_rows][n_heads][value_dim]: softmax(q k^T * scale) v over the cached positions.
	 * Query head h reads key-value head h / (n_heads / n_kv_heads). */
	void (*attention)(struct backend *backend, const struct kv_cache *cache, unsigned layer,
			  const struct attention_span *spans, unsigned n_spans, const float *q,
			  unsigned n_heads, float scale, float *out);

	/* The largest logit of each block of logits[n_rows][n], into maxima[n_rows][n_blocks] (host
	 * memory); NaN for a block that holds NaN or +infinity. */
	void (*logit_maxima)(struct backend *backend, const float *logits, unsigned n_rows,
			     unsigned n, float *maxima);
	/* Sums of rows that logit_maxima found free of NaN and +infinity. */
	void (*logit_sums)(struct backend *backend, const float *logits, unsigned n,
			   const struct logit_sum *sums, unsigned n_sums);

	/* Has run(arg, item) called once for every item by the threads of this machine that the
	 * backend has, several at once, and waits for all. run calls no operation. */
	void (*share)(struct backend *backend, unsigned n_items, backend_task_fn *run, void *arg);

	/* out = silu(gate) * up over n elements; out may be gate. */
	void (*swiglu)(struct backend *backend, const float *gate, const float *up, size_t n,
		       float *out);

	/* x += y over n elements. */
	void (*add)(struct backend *backend, float *x, const float *y, size_t n);
};

/* Each backend's own struct begins with this. */
struct backend {
	const struct backend_ops *ops;
};

extern const struct backend_ops backend_cpu;

/* The table of every backend that this build has, NULL at the end. A table may still count no
 * device, or lack operations of the forward pass (then backend_is_complete says no). */
extern const struct backend_ops *const backends[];

/* By name ("cpu"); NULL: not in this build. */
const struct backend_ops *backend_find(const char *name);

/* Has every operation that a stage needs. */
bool backend_is_complete(const struct backend_ops *ops);

#endif
