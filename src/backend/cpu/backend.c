/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/backend.h"

#include "backend/cpu/cpu.h"
#include "backend/cpu/places.h"
#include "base/clock.h"
#include "base/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS (1u << 20)

const struct cpu_kernels *cpu_kernels_of(enum cpu_isa isa)
{
	switch (isa) {
#ifdef HAVE_X86_SIMD
	case CPU_AVX512_BF16:
		return &cpu_kernels_avx512_bf16;
	case CPU_AVX512:
		return &cpu_kernels_avx512;
	case CPU_AVX2:
		return &cpu_kernels_avx2;
#endif
	default:
		return &cpu_kernels_scalar;
	}
}

static unsigned count(void)
{
	return 1;
}

static unsigned n_threads(const struct backend *backend)
{
	return ((const struct cpu_backend *)backend)->n_threads;
}

/* A backend that is opened later by the same thread chooses among all its processors again. */
static enum sc_status bind_threads(struct cpu_backend *cpu, const struct backend_place *place,
				   struct error *err)
{
	cpu->is_bound = place->pin != BACKEND_PIN_OFF &&
			!pthread_getaffinity_np(pthread_self(), sizeof cpu->allowed, &cpu->allowed);
	return places_bind(cpu->team, place, err);
}

static void unbind(const struct cpu_backend *cpu)
{
	if (cpu->is_bound)
		(void)pthread_setaffinity_np(pthread_self(), sizeof cpu->allowed, &cpu->allowed);
}

static void close_backend(struct backend *backend)
{
	struct cpu_backend *cpu = cpu_of(backend);

	if (!cpu)
		return;
	pages_leave(cpu->pages);
	team_destroy(cpu->team);
	unbind(cpu);
	for (unsigned i = 0; i < CPU_N_ARRAYS; i++)
		cpu_memory_free(cpu->arrays[i]);
	assert(!cpu->weights.chunks);
	pages_destroy(cpu->pages);
	free(cpu);
}

enum sc_status cpu_check_config(const struct backend_config *config, struct error *err)
{
	if (!config->max_rows || !config->max_width || config->max_rows > MAX_ROWS ||
	    config->max_width > 1u << 24 || config->n_threads > 4096)
		return error_set(err, SC_E_INVALID, "cpu backend: out of range: %u rows of %u, "
				 "%u threads", config->max_rows, config->max_width,
				 config->n_threads);
	return SC_OK;
}

/* Makes the arrays that are missing. Called after the team's threads are bound, because they take the
 * memory. */
static bool init_memory(struct cpu_backend *cpu)
{
	size_t n_bytes[CPU_N_ARRAYS];

	cpu_array_bytes(cpu->n_threads, cpu->max_rows, cpu->max_width, n_bytes);
	for (unsigned i = 0; i < CPU_N_ARRAYS; i++) {
		if (!cpu->arrays[i])
			cpu->arrays[i] = cpu_memory(cpu, n_bytes[i]);
		if (!cpu->arrays[i])
			return false;
	}
	cpu->scratch = cpu->arrays[CPU_ARRAY_SCRATCH];
	cpu->span_start = cpu->arrays[CPU_ARRAY_SPANS];
	for (unsigned kind = 0; kind < CPU_N_TILE_KINDS; kind++)
		cpu->tiles.memory[kind] = cpu->arrays[CPU_ARRAY_TILES + kind];
	cpu->tiles.scales = cpu->arrays[CPU_ARRAY_TILE_SCALES];
	for (size_t i = 0, row = 0; i < CPU_ROPE_TABLES; i++, row += cpu->max_rows)
		cpu->rope[i] = (struct cpu_rope_cache){
			.is_filled = (bool *)cpu->arrays[CPU_ARRAY_ROPE_FILLED] + row,
			.positions = (uint32_t *)cpu->arrays[CPU_ARRAY_ROPE_POSITIONS] + row,
			.cosine = (float *)cpu->arrays[CPU_ARRAY_ROPE_COSINE] +
				  row * CPU_ROPE_MAX_ANGLES,
			.sine = (float *)cpu->arrays[CPU_ARRAY_ROPE_SINE] +
				row * CPU_ROPE_MAX_ANGLES,
		};
	return true;
}

static enum sc_status open_backend(unsigned device, const struct backend_config *config,
				   struct backend **backend_out, struct error *err)
{
	enum sc_status status = cpu_check_config(config, err);
	struct cpu_backend *cpu = NULL;
	enum cpu_isa isa;

	if (device)
		return error_set(err, SC_E_DEVICE, "cpu backend: there is no device %u, only 0",
				 device);
	if (!status)
		status = cpu_isa_select(config->isa, &isa, err);
	if (status)
		return status;
	cpu = calloc(1, sizeof *cpu);
	if (!cpu)
		goto no_memory;
	cpu->base.ops = &backend_cpu;
	cpu->kernels = cpu_kernels_of(isa);
	cpu->n_threads = cpu_n_threads(config);
	cpu->max_rows = config->max_rows;
	cpu->max_width = config->max_width;
	cpu->pages = pages_create(clock_thread_ns);
	if (!cpu->pages)
		goto no_memory;
	status = team_create(cpu->n_threads, &cpu->team, err);
	if (!status)
		status = bind_threads(cpu, &config->place, err);
	if (status)
		goto fail;
	if (!init_memory(cpu))
		goto no_memory;
	*backend_out = &cpu->base;
	return SC_OK;
no_memory:
	status = error_set(err, SC_E_CAPACITY, "cpu backend: no memory to work on %u rows of %u",
			   config->max_rows, config->max_width);
fail:
	if (cpu)
		close_backend(&cpu->base);
	return status;
}

/* All arrays but one have an element per row. */
static void drop_row_arrays(struct cpu_backend *cpu)
{
	for (unsigned i = 0; i < CPU_N_ARRAYS; i++) {
		if (i == CPU_ARRAY_SCRATCH)
			continue;
		cpu_memory_free(cpu->arrays[i]);
		cpu->arrays[i] = NULL;
	}
}

static enum sc_status resize(struct backend *backend, unsigned max_rows, struct error *err)
{
	struct cpu_backend *cpu = cpu_of(backend);

	if (!max_rows || max_rows > MAX_ROWS)
		return error_set(err, SC_E_INVALID, "cpu backend: %u rows, expected 1 to %u",
				 max_rows, MAX_ROWS);
	pages_leave(cpu->pages);
	drop_row_arrays(cpu);
	cpu->max_rows = max_rows;
	if (init_memory(cpu))
		return SC_OK;
	drop_row_arrays(cpu);
	return error_set(err, SC_E_CAPACITY, "cpu backend: no memory to work on %u rows of %u",
			 max_rows, cpu->max_width);
}

static enum sc_status alloc(struct backend *backend, size_t n_bytes, void **out)
{
	void *memory = cpu_memory(cpu_of(backend), n_bytes);

	if (!memory)
		return SC_E_CAPACITY;
	*out = memory;
	return SC_OK;
}

static void release(struct backend *backend, void *memory)
{
	pages_leave(cpu_of(backend)->pages);
	cpu_memory_free(memory);
}

static void settle(struct backend *backend)
{
	pages_settle(cpu_of(backend)->pages);
}

static void upload(struct backend *backend, void *device, const void *host, size_t n_bytes)
{
	(void)backend;
	memcpy(device, host, n_bytes);
}

static void download(struct backend *backend, void *host, const void *device, size_t n_bytes)
{
	(void)backend;
	memcpy(host, device, n_bytes);
}

const struct backend_ops backend_cpu = {
	.name = "cpu",
	.kernel_version = 2,
	.has_isa = true,
	.is_host_memory = true,
	.count = count,
	.sizes = cpu_sizes,
	.open = open_backend,
	.close = close_backend,
	.resize = resize,
	.alloc = alloc,
	.release = release,
	.upload = upload,
	.download = download,
	.weight_create = cpu_weight_create,
	.weight_destroy = cpu_weight_destroy,
	.weight_bytes = cpu_weight_bytes,
	.weight_is_finite = cpu_weight_is_finite,
	.weight_hash = cpu_weight_hash,
	.kv_create = cpu_kv_create,
	.kv_destroy = cpu_kv_destroy,
	.settle = settle,
	.embed = cpu_embed,
	.matmul = cpu_matmul,
	.gated_matmul = cpu_gated_matmul,
	.norm = cpu_norm,
	.rope = cpu_rope,
	.kv_write = cpu_kv_write,
	.kv_saturated = cpu_kv_saturated,
	.attention = cpu_attention,
	.logit_maxima = cpu_logit_maxima,
	.logit_sums = cpu_logit_sums,
	.weigh_block = cpu_weigh_block,
	.n_threads = n_threads,
	.share = cpu_share,
	.activate = cpu_activate,
	.add = cpu_add,
	.cap = cpu_cap,
	.clamp = cpu_clamp,
};
