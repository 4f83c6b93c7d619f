/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_CPU_H
#define STAGECOACH_BACKEND_CPU_CPU_H
/*
 * cpu - the CPU backend's own structs, the same for every instruction set.
 * All memory is taken when a backend, weight or cache is created; operations allocate nothing.
 * Thread: the backend's. Functions passed to cpu_parallel_* also run on the team's threads.
 */
#include "backend/backend.h"
#include "backend/cpu/arena.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/pages.h"
#include "backend/cpu/sizes.h"
#include "backend/cpu/tiles.h"
#include "backend/cpu/team.h"
#include "base/integers.h"

#include <sched.h>
#include <stdatomic.h>

enum {
	CPU_ROPE_MAX_ANGLES = 256,	/* angles per row that are kept between calls */
	CPU_ROPE_TABLES = 2,		/* whose angles are kept: some layers may have another */
	CPU_SCRATCH_ROWS = 264,		/* a multiple of the tile length of every kind */
};

/* Cosines and sines, times the table's scale, of each row's last position. All layers of a step
 * that have the same table need the same ones. */
struct cpu_rope_cache {
	unsigned n_angles;			/* of the table that filled the cache */
	float scale;				/* likewise */
	float inverse_frequency[CPU_ROPE_MAX_ANGLES];
	bool *is_filled;			/* [max_rows] */
	uint32_t *positions;			/* [max_rows] */
	float *cosine;				/* [max_rows][CPU_ROPE_MAX_ANGLES] */
	float *sine;
};

/* A thread's scratch memory for multiplying a stripe of a panel by many rows. */
struct cpu_scratch {
	_Alignas(64) float sums[2][CPU_SCRATCH_ROWS * CPU_MAX_PANEL];
	_Alignas(64) uint8_t unpacked[CPU_INT_STRIPE * CPU_MAX_PANEL * 3 / 2];
};

struct cpu_backend {
	struct backend base;
	const struct cpu_kernels *kernels;
	unsigned n_threads;	/* of the team */
	struct team *team;
	bool is_bound;		/* the opening thread; it was allowed to run on: */
	cpu_set_t allowed;
	unsigned max_rows;
	unsigned max_width;
	struct pages *pages;
	struct cpu_arena weights;
	struct cpu_tiles tiles;
	void *arrays[CPU_N_ARRAYS];	/* owned; the following members and
					 * those of tiles and rope point there */
	struct cpu_scratch *scratch;	/* [n_threads] */
	uint32_t *span_start;	/* [max_rows + 1] first tile of each attention span */
	struct cpu_rope_cache rope[CPU_ROPE_TABLES];
	unsigned last_rope;	/* index of the one that was used last */
};

struct weight {
	enum cpu_format format;
	unsigned n_in;
	unsigned n_out;
	unsigned n_panels;
	size_t panel_bytes;
	size_t n_bytes;
	atomic_bool has_odd;	/* some stored value is NaN or infinity */
	atomic_uint_least64_t hash_sum;	/* of tensor_hash_rows */
	uint8_t *panels;	/* [n_panels], as formats.h says; of the backend's arena */
};

static inline struct cpu_backend *cpu_of(struct backend *backend)
{
	return (struct cpu_backend *)backend;
}

/* Call run(arg, item, thread) once for each item and block until all calls have returned: on the
 * team, or on the calling thread if n_threads is 1.
 * - even: each thread gets a run of neighbouring items, always the same one unless a thread falls
 *   behind;
 * - dynamic: items go in order, one by one, to the next free thread;
 * - runs: as even, but run gets up to max_run neighbouring items per call. */
typedef void cpu_task_fn(void *arg, size_t item, unsigned thread);
void cpu_parallel_even(const struct cpu_backend *cpu, unsigned n_threads, size_t n_items,
		       cpu_task_fn *run, void *arg);
void cpu_parallel_dynamic(const struct cpu_backend *cpu, unsigned n_threads, size_t n_items,
			  cpu_task_fn *run, void *arg);
void cpu_parallel_runs(const struct cpu_backend *cpu, unsigned n_threads, size_t n_items,
		       size_t max_run, team_task_fn *run, void *arg);

/* Chooses the number of threads for an operation of n_operations multiply-adds or bytes read,
 * whichever is larger: 1 if the team would cost more than it saves. */
unsigned cpu_threads_for(const struct cpu_backend *cpu, uint64_t n_operations);

/* The operations; backend.h describes them. */
enum sc_status cpu_weight_create(struct backend *backend, const struct tensor *tensor,
				 struct weight **weight_out, struct error *err);
void cpu_weight_destroy(struct backend *backend, struct weight *weight);
size_t cpu_weight_bytes(const struct weight *weight);
bool cpu_weight_is_finite(const struct weight *weight);
uint64_t cpu_weight_hash(const struct weight *weight);
void cpu_embed(struct backend *backend, const struct weight *embedding, const uint32_t *tokens,
	       unsigned n_rows, float *out);
void cpu_matmul(struct backend *backend, const struct matmul *products, unsigned n_products,
		const float *x, unsigned n_rows);
void cpu_gated_matmul(struct backend *backend, const struct activation *activation,
		      const struct weight *gate, const struct weight *up, const float *x,
		      unsigned n_rows, float *out);
void cpu_norm(struct backend *backend, const struct norm *norm, const float *x, unsigned n_rows,
	      unsigned n, float *y);
void cpu_activate(struct backend *backend, const struct activation *activation, const float *gate,
		  const float *up, size_t n, float *out);
void cpu_add(struct backend *backend, float *x, const float *y, float scale, size_t n);
void cpu_cap(struct backend *backend, float *x, float scale, float cap, size_t n);
void cpu_clamp(struct backend *backend, float *x, float limit, size_t n);
void cpu_rope(struct backend *backend, const struct rope_table *table, float *x,
	      const uint32_t *positions, unsigned n_rows, unsigned n_heads, unsigned head_dim);
enum sc_status cpu_kv_create(struct backend *backend, const struct kv_cache_config *config,
			     struct kv_cache **cache_out, struct error *err);
void cpu_kv_destroy(struct backend *backend, struct kv_cache *cache);
void cpu_kv_write(struct backend *backend, struct kv_cache *cache, unsigned layer,
		  const struct attention_span *spans, unsigned n_spans, const float *keys,
		  const float *values);
uint64_t cpu_kv_saturated(const struct kv_cache *cache, unsigned *layer_out);
void cpu_attention(struct backend *backend, const struct kv_cache *cache, unsigned layer,
		   const struct attention_span *spans, unsigned n_spans, const float *q,
		   const struct attention_shape *shape, float *out);
void cpu_logit_maxima(struct backend *backend, const float *logits, unsigned n_rows, unsigned n,
		      float *maxima);
void cpu_logit_sums(struct backend *backend, const float *logits, unsigned n,
		    const struct logit_sum *sums, unsigned n_sums);
double cpu_weigh_block(const struct backend *backend, const float *logits, unsigned n,
		       float largest, double scale);
void cpu_share(struct backend *backend, unsigned n_items, backend_task_fn *run, void *arg);

#endif
