/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/backend.h"

#include "backend/cpu/cpu.h"
#include "backend/cpu/places.h"
#include "base/cpu.h"
#include "base/resources.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ROWS (1u << 20)

static const struct cpu_kernels *kernels_of(enum cpu_isa isa)
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

/* Scratch memory whose size depends on max_rows. */
static void drop_row_memory(struct cpu_backend *cpu)
{
	cpu_rope_cache_deinit(&cpu->rope);
	cpu_tiles_deinit(&cpu->tiles);
	cpu_memory_free(cpu->span_start);
	cpu->rope = (struct cpu_rope_cache){ 0 };
	cpu->tiles = (struct cpu_tiles){ 0 };
	cpu->span_start = NULL;
}

static bool take_row_memory(struct cpu_backend *cpu)
{
	cpu->span_start = cpu_memory(cpu, ((size_t)cpu->max_rows + 1) * sizeof *cpu->span_start);
	return cpu->span_start && cpu_tiles_init(&cpu->tiles, cpu) &&
	       cpu_rope_cache_init(&cpu->rope, cpu);
}

static void close_backend(struct backend *backend)
{
	struct cpu_backend *cpu = cpu_of(backend);

	if (!cpu)
		return;
	team_destroy(cpu->team);
	drop_row_memory(cpu);
	cpu_memory_free(cpu->scratch);
	assert(!cpu->weights.chunks);
	free(cpu);
}

static enum sc_status check_config(unsigned device, const struct backend_config *config,
				   struct error *err)
{
	if (device)
		return error_set(err, SC_E_DEVICE, "cpu backend: there is no device %u, only 0",
				 device);
	if (!config->max_rows || !config->max_width || config->max_rows > MAX_ROWS ||
	    config->max_width > 1u << 24 || config->n_threads > 4096)
		return error_set(err, SC_E_INVALID, "cpu backend: out of range: %u rows of %u, "
				 "%u threads", config->max_rows, config->max_width,
				 config->n_threads);
	return SC_OK;
}

/* Called after the team's threads are bound, because they take the memory. */
static bool init_memory(struct cpu_backend *cpu)
{
	cpu->scratch = cpu_memory(cpu, cpu->n_threads * sizeof *cpu->scratch);
	return cpu->scratch && take_row_memory(cpu);
}

static enum sc_status open_backend(unsigned device, const struct backend_config *config,
				   struct backend **backend_out, struct error *err)
{
	enum sc_status status = check_config(device, config, err);
	struct cpu_backend *cpu = NULL;
	enum cpu_isa isa;

	if (!status)
		status = cpu_isa_select(config->isa, &isa, err);
	if (status)
		return status;
	cpu = calloc(1, sizeof *cpu);
	if (!cpu)
		goto no_memory;
	cpu->base.ops = &backend_cpu;
	cpu->kernels = kernels_of(isa);
	cpu->n_threads = config->n_threads ? config->n_threads : resources_processor_count();
	cpu->max_rows = config->max_rows;
	cpu->max_width = config->max_width;
	status = team_create(cpu->n_threads, &cpu->team, err);
	if (!status)
		status = places_bind(cpu->team, &config->place, err);
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

static enum sc_status resize(struct backend *backend, unsigned max_rows, struct error *err)
{
	struct cpu_backend *cpu = cpu_of(backend);

	if (!max_rows || max_rows > MAX_ROWS)
		return error_set(err, SC_E_INVALID, "cpu backend: %u rows, expected 1 to %u",
				 max_rows, MAX_ROWS);
	drop_row_memory(cpu);
	cpu->max_rows = max_rows;
	if (take_row_memory(cpu))
		return SC_OK;
	drop_row_memory(cpu);
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
	(void)backend;
	cpu_memory_free(memory);
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
	.kv_create = cpu_kv_create,
	.kv_destroy = cpu_kv_destroy,
	.embed = cpu_embed,
	.matmul = cpu_matmul,
	.gated_matmul = cpu_gated_matmul,
	.rms_norm = cpu_rms_norm,
	.rope = cpu_rope,
	.kv_write = cpu_kv_write,
	.kv_saturated = cpu_kv_saturated,
	.attention = cpu_attention,
	.logit_maxima = cpu_logit_maxima,
	.logit_sums = cpu_logit_sums,
	.share = cpu_share,
	.swiglu = cpu_swiglu,
	.add = cpu_add,
};
