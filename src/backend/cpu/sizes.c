/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/sizes.h"

#include "backend/cpu/cpu.h"
#include "backend/cpu/kv.h"
#include "base/resources.h"

/* Arrays of a cache: keys and values, scratch memory, and parts. */
enum { N_CACHE_ARRAYS = 3 };

unsigned cpu_n_threads(const struct backend_config *config)
{
	return config->n_threads ? config->n_threads : resources_processor_count();
}

void cpu_array_bytes(unsigned n_threads, unsigned max_rows, unsigned max_width,
		     size_t n_bytes_out[CPU_N_ARRAYS])
{
	const struct cpu_backend *cpu = NULL;	/* for the sizes of its arrays' elements */
	const size_t n_rows = max_rows, rope_rows = n_rows * CPU_ROPE_TABLES;
	const size_t angles_bytes = CPU_ROPE_MAX_ANGLES * sizeof *cpu->rope->cosine;

	n_bytes_out[CPU_ARRAY_SCRATCH] = n_threads * sizeof *cpu->scratch;
	n_bytes_out[CPU_ARRAY_SPANS] = (n_rows + 1) * sizeof *cpu->span_start;
	for (unsigned kind = 0; kind < CPU_N_TILE_KINDS; kind++)
		n_bytes_out[CPU_ARRAY_TILES + kind] =
			cpu_tile_bytes((enum cpu_tile_kind)kind, max_rows,
				       (size_t)max_width + CPU_QUANT_BLOCK);
	n_bytes_out[CPU_ARRAY_TILE_SCALES] = n_rows * sizeof *cpu->tiles.scales;
	n_bytes_out[CPU_ARRAY_ROPE_FILLED] = rope_rows * sizeof *cpu->rope->is_filled;
	n_bytes_out[CPU_ARRAY_ROPE_POSITIONS] = rope_rows * sizeof *cpu->rope->positions;
	n_bytes_out[CPU_ARRAY_ROPE_COSINE] = rope_rows * angles_bytes;
	n_bytes_out[CPU_ARRAY_ROPE_SINE] = rope_rows * angles_bytes;
}

/* The arrays of a backend without threads, and what its objects take. */
static uint64_t backend_bytes(const struct backend_config *config)
{
	/* The last: beyond CPU_ARRAY_SCRATCH, whose size depends on the number of threads. */
	uint64_t n = sizeof(struct cpu_backend) + team_bytes(0) + pages_bytes() +
		     cpu_memory_bytes_beyond();
	size_t n_bytes[CPU_N_ARRAYS];

	cpu_array_bytes(0, config->max_rows, config->max_width, n_bytes);
	for (unsigned i = 0; i < CPU_N_ARRAYS; i++)
		n += cpu_memory_bytes(n_bytes[i]);
	return n;
}

/* The share of a thread in every array of a backend that has one. */
static uint64_t thread_bytes(void)
{
	size_t n_bytes[CPU_N_ARRAYS];

	cpu_array_bytes(1, 0, 0, n_bytes);
	return n_bytes[CPU_ARRAY_SCRATCH] + CPU_STACK_BYTES + team_bytes(1) - team_bytes(0);
}

enum sc_status cpu_sizes(const struct backend_config *config, const struct kv_cache_config *kv,
			 struct backend_sizes *sizes_out, struct error *err)
{
	enum sc_status status = cpu_check_config(config, err);
	struct kv_cache_config any = *kv;
	struct kv_cache cache;
	enum cpu_isa isa;

	any.n_layers = 1;
	any.n_blocks = 1;
	if (!status)
		status = cpu_isa_select(config->isa, &isa, err);
	if (!status)
		status = cpu_kv_lay_out(&any, cpu_kernels_of(isa), &cache, err);
	if (status)
		return status;
	*sizes_out = (struct backend_sizes){
		.fixed_bytes = backend_bytes(config),
		.thread_bytes = thread_bytes(),
		.cache_bytes = sizeof(struct kv_cache) +
			       N_CACHE_ARRAYS * cpu_memory_bytes_beyond(),
		.cache_thread_bytes = kv_scratch_bytes(&cache),
		.kv_block_bytes = kv_block_bytes(&cache),
		.shared_thread_bytes = cache.thread_part_floats * sizeof(float),
		.shared_block_bytes = cache.block_part_floats * sizeof(float),
		.shared_most_bytes = CPU_MAX_PART_FLOATS * sizeof(float),
		.matrix_bytes = sizeof(struct weight),
		.vector_bytes = cpu_memory_bytes(0),
	};
	return SC_OK;
}
