/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_BACKEND_H
#define STAGECOACH_BACKEND_BACKEND_H
/*
 * backend - the operations of a forward pass on one device, as a table.
 *
 * Memory: activations are float32, rows packed without padding: x[n_rows][n]. Operations take float
 * pointers in the device's memory (backend->ops->alloc). Ids, positions and tables of rows are in
 * host memory.
 *
 * Exactness: the order in which an output element is summed depends neither on n_rows, nor on other
 * rows, nor on the number of threads. A row alone and the same row among five hundred give the same
 * bits.
 *
 * Thread: a backend belongs to one thread (the stage's compute thread); it may have helper threads
 * inside. Operations block until their output may be read by the next operation.
 * Errors: operations that cannot fail return nothing, because sizes are checked when weights and
 * caches are created.
 */
#include "backend/row_ops.h"
#include "base/cpu.h"
#include "base/error.h"
#include "model/arch.h"
#include "model/tensor.h"

struct backend;
struct weight;		/* a matrix [n_out][n_in], laid out for the device */
struct kv_cache;	/* keys and values of some layers, in blocks */

/* Whether and where compute threads are bound to cores. Stages that may use the same processors are
 * numbered, and each uses its own share of the cores. */
enum backend_pin {
	BACKEND_PIN_OFF,
	BACKEND_PIN_AUTO,	/* bind if there are several memory nodes and all cores are used */
	BACKEND_PIN_ON,		/* bind, or fail with an error */
};

struct backend_place {
	enum backend_pin pin;
	unsigned n_stages;
	unsigned stage;		/* below n_stages */
};

struct backend_config {
	enum cpu_isa isa;	/* CPU backend: its instruction set; CPU_AUTO: the best available */
	unsigned n_threads;	/* 0: one per processor of this process */
	unsigned max_rows;	/* the most rows of a step; determines the size of scratch memory */
	unsigned max_width;	/* the widest row of any operation */
	struct backend_place place;	/* CPU backend: where threads are bound,
					 * the opening thread included */
};

/* The memory that a backend takes, in bytes. */
struct backend_sizes {
	uint64_t fixed_bytes;		/* of the open backend */
	uint64_t thread_bytes;		/* of each compute thread in addition */
	uint64_t cache_bytes;		/* of a cache, without its blocks */
	uint64_t cache_thread_bytes;	/* of each compute thread in addition, for a cache */
	uint64_t kv_block_bytes;	/* keys and values of a block of a cache, in each layer */
	/* Memory in which several threads exchange results: so much for each thread and each block
	 * of a cache, but no more than shared_most_bytes for a cache. None with a single thread. */
	uint64_t shared_thread_bytes;
	uint64_t shared_block_bytes;
	uint64_t shared_most_bytes;
	uint64_t matrix_bytes;		/* of each matrix, beyond its tensor's */
	uint64_t vector_bytes;		/* of each block from alloc, beyond what was asked for */
};

/* One product: y[n_rows][n_out] = x W^T (+ bias). If is_added, the product is added to y. */
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
	float scale;			/* of every cosine and sine (YaRN, LongRoPE); usually 1 */
};

struct kv_cache_config {
	unsigned n_layers;
	unsigned n_blocks;
	unsigned block_length;	/* positions per block */
	unsigned n_kv_heads;
	unsigned head_dim;
	unsigned value_dim;
	enum tensor_type type;	/* F32, F16, BF16 or Q8_0: keys and values are
				 * rounded to it once, when they are written */
	/* A row sees the last so many positions, its own included: at position p those from
	 * p - window + 1 on. 0: all. */
	unsigned window;
	/* A sequence's block table is a ring of so many blocks: position p is in
	 * blocks[(p / block_length) % table_blocks]. Only with a window. The ring must hold what
	 * the rows of a step write and see: at least
	 * div_up(window - 1 + rows of the step, block_length) + 1 blocks, or the whole sequence.
	 * 0: the table has an entry for each block of the sequence, which is not read once no row
	 * sees the block. */
	unsigned table_blocks;
	/* Called during kv_create while memory is taken. Returning false cancels. May be NULL. */
	bool (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* Consecutive rows of one sequence in a step. Row i is at position first_position + i and attends
 * to positions up to its own, as far back as the cache's window reaches. */
struct attention_span {
	unsigned first_row;
	unsigned n_rows;
	unsigned first_position;
	const uint32_t *blocks;	/* the sequence's block table in host memory: position p
				 * is in blocks[p / block_length] at p % block_length; or a ring,
				 * see kv_cache_config.table_blocks */
};

/* How scores become weights. The score of a query at position p and a key at position k is
 * s = scale * (q . k); with a cap, s = cap * tanh(s / cap); with slopes, then
 * s = s + slope * (k - p). Positions that the row does not see get weight 0; softmax makes the
 * others' weights. */
struct attention_shape {
	unsigned n_heads;
	float scale;
	float cap;		/* 0: none */
	const float *slopes;	/* [n_heads] in host memory (ALiBi), or NULL */
};

/* Maxima and sums of logits are computed per block of this many neighbouring logits, from the row's
 * first logit on. The last block may be shorter. */
enum { BACKEND_LOGIT_BLOCK = 128 };

/* Asks for the sum of the weights of each block of a row's logits. A logit's weight is e^((logit -
 * largest) * scale) if the logit is larger than `least`, or equals `least` at an index of at most
 * `last`; otherwise 0. The sums have the same bits for any number of threads and any instruction
 * set. */
struct logit_sum {
	unsigned row;
	float largest;		/* the row's largest logit; must be finite */
	double scale;
	float least;
	uint32_t last;
	const float *maxima;	/* [n_blocks] of the row, from logit_maxima; host memory */
	double *sums_out;	/* [n_blocks], host memory */
};

typedef void backend_task_fn(void *arg, unsigned item);

struct backend_ops {
	const char *name;	/* "cpu", "cuda" */

	/* Raised with every change that affects any bit of a result with any instruction set,
	 * because stages of different versions would not give the same tokens. The C library's
	 * functions are not covered; see base/libm.h. */
	uint32_t kernel_version;

	/* The backend computes on the CPU, so backend_config.isa applies. */
	bool has_isa;

	/* Device memory is host memory: operations accept any float pointer aligned to 64 bytes, so
	 * activations can stay in their frames. */
	bool is_host_memory;

	/* The number of such devices in this machine. 0: none, or no driver. */
	unsigned (*count)(void);
	/* What the backend will take with these settings. n_threads of config and n_layers and
	 * n_blocks of kv are not looked at. open and kv_create take their sizes from the same
	 * functions. Opens nothing. Fails as these two do for settings that they refuse. */
	must_check enum sc_status (*sizes)(const struct backend_config *config,
					   const struct kv_cache_config *kv,
					   struct backend_sizes *sizes_out, struct error *err);
	/* Opens a device. The caller closes it. err names the device and the reason. */
	must_check enum sc_status (*open)(unsigned device, const struct backend_config *config,
					  struct backend **backend_out, struct error *err);
	void (*close)(struct backend *backend);
	/* Remakes the scratch memory for steps of max_rows rows. Weights stay. The old memory is
	 * released first. After a failure the backend may only load and free weights, until
	 * another resize succeeds. SC_E_CAPACITY: no memory. */
	must_check enum sc_status (*resize)(struct backend *backend, unsigned max_rows,
					    struct error *err);

	/* Device memory, aligned to 64 bytes, zeroed. */
	must_check enum sc_status (*alloc)(struct backend *backend, size_t n_bytes, void **out);
	void (*release)(struct backend *backend, void *memory);
	void (*upload)(struct backend *backend, void *device, const void *host, size_t n_bytes);
	void (*download)(struct backend *backend, void *host, const void *device, size_t n_bytes);

	/* Copies a matrix into the device's layout. The tensor is not needed afterwards, and may
	 * have a source in place of data (model/tensor_source.h).
	 * SC_E_UNSUPPORTED: the device has no kernels for this tensor type. SC_E_FORMAT: the
	 * source cannot make its elements. */
	must_check enum sc_status (*weight_create)(struct backend *backend,
						   const struct tensor *tensor,
						   struct weight **weight_out, struct error *err);
	void (*weight_destroy)(struct backend *backend, struct weight *weight);
	size_t (*weight_bytes)(const struct weight *weight);
	/* Returns true if the stored matrix holds neither NaN nor infinity; checked while it is
	 * copied. */
	bool (*weight_is_finite)(const struct weight *weight);
	/* tensor_hash of the stored matrix, computed while it is copied. */
	uint64_t (*weight_hash)(const struct weight *weight);

	/* SC_E_UNSUPPORTED: the cache cannot have this type. SC_E_CANCELLED: on_progress returned
	 * false. */
	must_check enum sc_status (*kv_create)(struct backend *backend,
					       const struct kv_cache_config *config,
					       struct kv_cache **cache_out, struct error *err);
	void (*kv_destroy)(struct backend *backend, struct kv_cache *cache);

	/* Called when weights, caches and memory have been made. The backend may improve how its
	 * memory is mapped, beside operations, until something is made or released. Results do not
	 * change. */
	void (*settle)(struct backend *backend);

	/* out[n_rows][n_in] = rows `tokens` of the embedding matrix, as float. */
	void (*embed)(struct backend *backend, const struct weight *embedding,
		      const uint32_t *tokens, unsigned n_rows, float *out);

	/* Computes several products of the same x[n_rows][n_in], which is prepared once for all. */
	void (*matmul)(struct backend *backend, const struct matmul *products, unsigned n_products,
		       const float *x, unsigned n_rows);

	/* out[n_rows][n_out] = activation(x gate^T) * (x up^T); both matrices have n_out
	 * outputs. */
	void (*gated_matmul)(struct backend *backend, const struct activation *activation,
			     const struct weight *gate, const struct weight *up, const float *x,
			     unsigned n_rows, float *out);

	/* Normalises x[n_rows][n_groups][n], see struct norm. y may be x. */
	void (*norm)(struct backend *backend, const struct norm *norm, const float *x,
		     unsigned n_rows, unsigned n, float *y);

	/* Rotates the first table->dim elements of each head of x[n_rows][n_heads][head_dim] in
	 * place, by positions[n_rows]. */
	void (*rope)(struct backend *backend, const struct rope_table *table, float *x,
		     const uint32_t *positions, unsigned n_rows, unsigned n_heads,
		     unsigned head_dim);

	/* Writes the rows' keys [n_rows][n_kv_heads][head_dim] and values
	 * [n_rows][n_kv_heads][value_dim] into the cache. */
	void (*kv_write)(struct backend *backend, struct kv_cache *cache, unsigned layer,
			 const struct attention_span *spans, unsigned n_spans, const float *keys,
			 const float *values);
	/* The number of stored keys and values so far that exceeded the type's range and were cut
	 * to its largest number: 65504 for F16, 127 * 65504 for Q8_0. If it is not 0, layer_out is
	 * the layer of the first. */
	uint64_t (*kv_saturated)(const struct kv_cache *cache, unsigned *layer_out);

	/* out[n_rows][n_heads][value_dim] = weights times values over the cached positions that a
	 * row sees, with the weights of struct attention_shape. Query head h uses key-value head
	 * h / (n_heads / n_kv_heads). What a row does not see changes no bit of its result, NaN and
	 * infinity included. */
	void (*attention)(struct backend *backend, const struct kv_cache *cache, unsigned layer,
			  const struct attention_span *spans, unsigned n_spans, const float *q,
			  const struct attention_shape *shape, float *out);

	/* Writes the largest logit of each block of logits[n_rows][n] to maxima[n_rows][n_blocks]
	 * (host memory). A block with NaN or +infinity gives NaN. */
	void (*logit_maxima)(struct backend *backend, const float *logits, unsigned n_rows,
			     unsigned n, float *maxima);
	/* Computes sums of weights. Only for rows in which logit_maxima found neither NaN nor
	 * +infinity. */
	void (*logit_sums)(struct backend *backend, const float *logits, unsigned n,
			   const struct logit_sum *sums, unsigned n_sums);

	/* Returns the sum of e^((logit - largest) * scale) over n logits in host memory, n at most
	 * BACKEND_LOGIT_BLOCK, with the bits of logit_sums. Thread: any, also in share's run. */
	double (*weigh_block)(const struct backend *backend, const float *logits, unsigned n,
			      float largest, double scale);

	/* The number of host threads on which share runs items. */
	unsigned (*n_threads)(const struct backend *backend);
	/* Calls run(arg, item) once for each item, on the backend's host threads in parallel, and
	 * blocks until all calls have returned. run must not call operations. */
	void (*share)(struct backend *backend, unsigned n_items, backend_task_fn *run, void *arg);

	/* out = activation(gate) * up for n elements; up NULL: activation(gate). out may be gate or
	 * up. */
	void (*activate)(struct backend *backend, const struct activation *activation,
			 const float *gate, const float *up, size_t n, float *out);

	/* x += scale * y for n elements. */
	void (*add)(struct backend *backend, float *x, const float *y, float scale, size_t n);

	/* x *= scale for n elements; if cap is not 0, then x = cap * tanh(x / cap). */
	void (*cap)(struct backend *backend, float *x, float scale, float cap, size_t n);

	/* x = limit where x > limit, and -limit where x < -limit, for n elements. */
	void (*clamp)(struct backend *backend, float *x, float limit, size_t n);
};

/* First member of each backend's own struct. */
struct backend {
	const struct backend_ops *ops;
};

extern const struct backend_ops backend_cpu;

/* All backends of this build, NULL at the end. A backend may have no device, or lack operations of
 * the forward pass (then backend_is_complete returns false). */
extern const struct backend_ops *const backends[];

/* Finds a backend by name ("cpu"). Returns NULL if this build does not have it. */
const struct backend_ops *backend_find(const char *name);

/* Returns true if the backend has every operation that a stage needs. */
bool backend_is_complete(const struct backend_ops *ops);

#endif
