/* SPDX-License-Identifier: Apache-2.0 */
/* MPI as the launcher: rank, size, and the exchange of blobs. */
#include "transport/fabrics.h"
#include "transport/mpi_fabric.h"

#include "base/log.h"
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <mpi.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LAST_WORDS_MS 500
#define EXCHANGE_MAX_BYTES (UINT64_C(1) << 20)	/* one rank's blob */

struct mpi_world {
	unsigned rank;
	unsigned size;
	uint32_t n_fabrics;
};

static bool read_rank(const char *name, unsigned *value_out)
{
	const char *text = getenv(name);
	uint64_t value;

	if (!text || !parse_u64(text, &value) || value > INT_MAX)
		return false;
	*value_out = (unsigned)value;
	return true;
}

/*
 * Tried in order: mpirun of Open MPI; PMIx servers (srun --mpi=pmix), which give the size only in
 * Slurm's own variables; PMI (srun --mpi=pmi2). SLURM_PROCID alone proves nothing, because batch
 * scripts and plain srun steps have it, too.
 */
bool mpi_world_is_launched(unsigned *rank_out, unsigned *size_out)
{
	static const struct {
		const char *rank;
		const char *size;
	} launchers[] = {
		{ "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE" },
		{ "PMIX_RANK", "PMIX_SIZE" },
		{ "PMIX_RANK", "SLURM_STEP_NUM_TASKS" },
		{ "PMIX_RANK", "SLURM_NTASKS" },
		{ "PMI_RANK", "PMI_SIZE" },
	};

	for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++) {
		unsigned rank, size;

		if (!read_rank(launchers[i].rank, &rank) ||
		    !read_rank(launchers[i].size, &size) || rank >= size)
			continue;
		*rank_out = rank;
		*size_out = size;
		return true;
	}
	return false;
}

bool mpi_world_is_on_one_host(void)
{
	unsigned size, local_size, n_nodes;

	if (read_rank("OMPI_COMM_WORLD_SIZE", &size) &&
	    read_rank("OMPI_COMM_WORLD_LOCAL_SIZE", &local_size))
		return size == local_size;
	return read_rank("SLURM_STEP_NUM_NODES", &n_nodes) && n_nodes == 1;
}

/* Security: a single byte sent to the port of Open MPI's tcp transport freezes a rank. Open MPI 4
 * opens this port on all interfaces, even if it then uses shared memory, and ignores
 * btl_tcp_if_include. On one host tcp is not needed, so it is switched off. */
static void leave_out_tcp(void)
{
	setenv("OMPI_MCA_btl", "self,vader", 0);
}

static enum sc_status mpi_error(struct error *err, int code, const char *what)
{
	char text[MPI_MAX_ERROR_STRING] = "unknown error";
	int length;

	MPI_Error_string(code, text, &length);
	return error_set(err, SC_E_IO, "mpi: %s: %s", what, text);
}

enum sc_status mpi_world_open(struct mpi_world **world_out, struct error *err)
{
	struct mpi_world *world;
	int is_initialized = 0, provided, rank, size, code;

	MPI_Initialized(&is_initialized);
	if (is_initialized)
		return error_set(err, SC_E_EXISTS, "mpi: opened before in this process");
	world = calloc(1, sizeof *world);
	if (!world)
		return error_set(err, SC_E_NOMEM, "mpi: no memory");
	if (mpi_world_is_on_one_host())
		leave_out_tcp();
	code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
	if (code != MPI_SUCCESS) {
		free(world);
		return mpi_error(err, code, "starting");
	}
	MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	world->rank = (unsigned)rank;
	world->size = (unsigned)size;
	*world_out = world;
	return SC_OK;
}

unsigned mpi_world_rank(const struct mpi_world *world)
{
	return world->rank;
}

unsigned mpi_world_size(const struct mpi_world *world)
{
	return world->size;
}

uint32_t mpi_world_count_fabric(struct mpi_world *world)
{
	return world->n_fabrics++;
}

/* Computes where each rank's blob begins. MPI counts in int. */
static enum sc_status lay_out(const uint64_t *sizes, unsigned n, int *counts, int *offsets,
			      size_t *n_total_out, struct error *err)
{
	uint64_t n_total = 0;

	for (unsigned i = 0; i < n; i++) {
		counts[i] = (int)sizes[i];
		offsets[i] = (int)n_total;
		n_total += sizes[i];
		if (sizes[i] > EXCHANGE_MAX_BYTES || n_total > INT_MAX)
			return error_set(err, SC_E_TOO_LARGE, "mpi: rank %u gives %" PRIu64
					 " bytes, %" PRIu64 " in all so far", i, sizes[i], n_total);
	}
	*n_total_out = n_total;
	return SC_OK;
}

enum sc_status mpi_world_exchange(struct mpi_world *world, const void *data, size_t n_bytes,
				  struct mpi_blob **blobs_out, struct error *err)
{
	unsigned n = world->size;
	uint64_t mine = n_bytes;
	uint64_t *sizes = calloc(n, sizeof *sizes);
	int *counts = calloc(n, sizeof *counts);
	int *offsets = calloc(n, sizeof *offsets);
	struct mpi_blob *blobs = NULL;
	uint8_t *bytes;
	size_t n_total = 0;
	enum sc_status status = SC_E_NOMEM;
	int code;

	if (!sizes || !counts || !offsets) {
		error_set(err, status, "mpi: no memory for %u ranks", n);
		goto out;
	}
	code = MPI_Allgather(&mine, 1, MPI_UINT64_T, sizes, 1, MPI_UINT64_T, MPI_COMM_WORLD);
	if (code != MPI_SUCCESS) {
		status = mpi_error(err, code, "exchanging sizes");
		goto out;
	}
	/* All ranks see the same sizes, so either all of them stop here or none. */
	status = lay_out(sizes, n, counts, offsets, &n_total, err);
	if (status != SC_OK)
		goto out;
	blobs = malloc(n * sizeof *blobs + n_total + 1);
	if (!blobs) {
		status = error_set(err, SC_E_NOMEM, "mpi: no memory for %zu bytes", n_total);
		goto out;
	}
	bytes = (uint8_t *)(blobs + n);
	code = MPI_Allgatherv(data, (int)n_bytes, MPI_BYTE, bytes, counts, offsets, MPI_BYTE,
			      MPI_COMM_WORLD);
	if (code != MPI_SUCCESS) {
		status = mpi_error(err, code, "exchanging blobs");
		goto out;
	}
	for (unsigned i = 0; i < n; i++)
		blobs[i] = (struct mpi_blob){ bytes + offsets[i], (size_t)counts[i] };
	*blobs_out = blobs;
	blobs = NULL;
out:
	free(blobs);
	free(offsets);
	free(counts);
	free(sizes);
	return status;
}

void mpi_world_free(struct mpi_blob *blobs)
{
	free(blobs);
}

/* Ends the process if MPI_Finalize does not return, because MPI_Finalize has no time limit. */
struct time_limit {
	int done_fd;		/* readable once MPI_Finalize has returned */
	bool has_thread;
	pthread_t thread;
};

static void *limit_time(void *arg)
{
	const struct time_limit *limit = arg;
	struct pollfd done = { .fd = limit->done_fd, .events = POLLIN };
	int n;

	do
		n = poll(&done, 1, MPI_WORLD_CLOSE_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0) {
		log_last_words(LAST_WORDS_MS, "mpi: MPI_Finalize did not return within %d ms: "
			       "another rank hangs or has lost its network; this rank ends "
			       "without it, look at the other ranks' logs for the cause",
			       MPI_WORLD_CLOSE_MS);
		_exit(sc_status_exit_code(SC_E_TIMEOUT));
	}
	return NULL;
}

static void start_limit(struct time_limit *limit)
{
	*limit = (struct time_limit){ .done_fd = eventfd(0, EFD_CLOEXEC) };
	if (limit->done_fd >= 0)
		limit->has_thread = !pthread_create(&limit->thread, NULL, limit_time, limit);
}

static void stop_limit(struct time_limit *limit)
{
	if (limit->has_thread) {
		(void)!write(limit->done_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		pthread_join(limit->thread, NULL);
	}
	if (limit->done_fd >= 0)
		close(limit->done_fd);
}

void mpi_world_close(struct mpi_world *world)
{
	struct time_limit limit;

	if (!world)
		return;
	start_limit(&limit);
	MPI_Finalize();
	stop_limit(&limit);
	free(world);
}

void mpi_world_abandon(struct mpi_world *world)
{
	free(world);
}
