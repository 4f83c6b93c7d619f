/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/memory.h"

#include "backend/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PIECE_BYTES = 16 << 20,	/* taken by a thread at a time */
	ALIGNMENT = 64,
};

#ifdef CPU_FINDS_OVERRUNS
/* The address sanitizer guards only blocks of malloc. */
enum { HAS_MAPPINGS = 0 };
#else
enum { HAS_MAPPINGS = 1 };
#endif

/* Stored right before the block, so that the block can be released without its size. */
struct origin {
	_Alignas(ALIGNMENT) void *start;	/* the address from malloc, or
						 * the start of the mapping */
	size_t mapped_bytes;			/* 0: the block is from malloc */
};

_Static_assert(sizeof(struct origin) == ALIGNMENT, "the block must be aligned");

static void *note_origin(uint8_t *memory, void *start, size_t mapped_bytes)
{
	struct origin *origin = (struct origin *)(void *)(memory - sizeof *origin);

	*origin = (struct origin){ .start = start, .mapped_bytes = mapped_bytes };
	return memory;
}

static void *allocate(size_t n_bytes)
{
	void *start;

	if (n_bytes > SIZE_MAX - sizeof(struct origin) ||
	    posix_memalign(&start, ALIGNMENT, n_bytes + sizeof(struct origin)))
		return NULL;
	memset(start, 0, n_bytes + sizeof(struct origin));
	return note_origin((uint8_t *)start + sizeof(struct origin), start, 0);
}

static void unmap(uint8_t *from, const uint8_t *to)
{
	if (from < to)
		(void)munmap(from, (size_t)(to - from));
}

/* Maps one huge page more than needed, chooses an aligned block with a page before it for its
 * origin, and unmaps the rest on both sides. */
static void *map(size_t n_bytes)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *start, *memory, *first, *end;
	size_t total;

	if (n_bytes > SIZE_MAX - PAGES_HUGE - page)
		return NULL;
	total = round_up(n_bytes, page) + PAGES_HUGE;
	start = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		return NULL;
	memory = start + (PAGES_HUGE - (uintptr_t)start % PAGES_HUGE);
	first = memory - page;
	end = memory + round_up(n_bytes, page);
	unmap(start, first);
	unmap(end, start + total);
	(void)madvise(memory, n_bytes, MADV_HUGEPAGE);
	return note_origin(memory, first, (size_t)(end - first));
}

bool cpu_memory_is_mapped(size_t n_bytes)
{
	return HAS_MAPPINGS && n_bytes >= PAGES_HUGE;
}

size_t cpu_memory_bytes(size_t n_bytes)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return cpu_memory_is_mapped(n_bytes) ? round_up(n_bytes, page) + page
				  : n_bytes + sizeof(struct origin) + ALIGNMENT;
}

size_t cpu_memory_bytes_beyond(void)
{
	return HAS_MAPPINGS ? 2 * (size_t)sysconf(_SC_PAGESIZE)
			    : sizeof(struct origin) + ALIGNMENT;
}

void *cpu_memory_untouched(size_t n_bytes)
{
	return cpu_memory_is_mapped(n_bytes) ? map(n_bytes) : allocate(n_bytes);
}

void *cpu_memory(const struct cpu_backend *cpu, size_t n_bytes)
{
	void *memory = cpu_memory_untouched(n_bytes);

	/* Blocks of malloc were written when they were made. */
	if (!memory || !cpu_memory_is_mapped(n_bytes) ||
	    cpu_memory_take(cpu, memory, n_bytes, NULL, NULL) == SC_OK)
		return memory;
	cpu_memory_free(memory);
	return NULL;
}

void cpu_memory_free(void *memory)
{
	struct origin origin;

	if (!memory)
		return;
	memcpy(&origin, (uint8_t *)memory - sizeof origin, sizeof origin);
	if (origin.mapped_bytes)
		(void)munmap(origin.start, origin.mapped_bytes);
	else
		free(origin.start);
}

void cpu_memory_give_back(void *memory, size_t n_bytes)
{
	size_t before = (PAGES_HUGE - (uintptr_t)memory % PAGES_HUGE) % PAGES_HUGE;

	if (n_bytes >= before + PAGES_HUGE)
		(void)madvise((uint8_t *)memory + before,
			      (n_bytes - before) / PAGES_HUGE * PAGES_HUGE, MADV_DONTNEED);
}

/* --- taking --- */

struct taking {
	struct pages *pages;
	uint8_t *memory;
	size_t n_bytes;
	atomic_bool is_short;
};

static void touch(uint8_t *memory, size_t n_bytes)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	volatile uint8_t *at = memory;

	for (size_t i = 0; i < n_bytes; i += page)
		at[i] = at[i];
	at[n_bytes - 1] = at[n_bytes - 1];
}

static bool take_pages(struct pages *pages, uint8_t *at, size_t n_bytes)
{
	enum sc_status status = pages_take(pages, at, n_bytes);

	if (status == SC_E_UNSUPPORTED)
		touch(at, n_bytes);
	return status != SC_E_CAPACITY;
}

static void take_piece(void *arg, size_t i, unsigned thread)
{
	struct taking *taking = arg;
	size_t at = i * PIECE_BYTES, end = min_of(taking->n_bytes, at + PIECE_BYTES);

	(void)thread;
	for (; at < end; at += PAGES_HUGE)
		if (!take_pages(taking->pages, taking->memory + at, min_of(end - at, PAGES_HUGE)))
			atomic_store(&taking->is_short, true);
}

static void take_portion(const struct cpu_backend *cpu, struct taking *taking)
{
	size_t n_pieces = div_up(taking->n_bytes, PIECE_BYTES);

	if (cpu)
		cpu_parallel_dynamic(cpu, cpu->n_threads, n_pieces, take_piece, taking);
	else
		for (size_t i = 0; i < n_pieces; i++)
			take_piece(taking, i, 0);
}

enum sc_status cpu_memory_take(const struct cpu_backend *cpu, void *memory, size_t n_bytes,
			       cpu_memory_progress_fn *on_progress, void *arg)
{
	for (size_t done = 0; done < n_bytes;) {
		struct taking taking = {
			.pages = cpu ? cpu->pages : NULL,
			.memory = (uint8_t *)memory + done,
			.n_bytes = min_of(n_bytes - done, CPU_MEMORY_PORTION),
		};

		take_portion(cpu, &taking);
		if (atomic_load(&taking.is_short))
			return SC_E_CAPACITY;
		done += taking.n_bytes;
		if (on_progress && !on_progress(arg, done, n_bytes))
			return SC_E_CANCELLED;
	}
	return SC_OK;
}
