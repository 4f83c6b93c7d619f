/* SPDX-License-Identifier: Apache-2.0 */
/* mpi_suite ucx|mpi - the link suite between two processes; run under mpirun by run_mpi.sh. */
#include "link_suite.h"
#include "transport/fabrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct setting {
	struct mpi_world *world;
	struct mpi_blob *blobs;
	bool is_mpi;
};

static enum sc_status open_fabric(void *arg, struct loop *loop, const struct fabric_config *config,
				  struct fabric **fabric_out, struct error *err)
{
	struct setting *setting = arg;

	if (setting->is_mpi)
		return fabric_mpi_open(loop, setting->world, config, fabric_out, err);
	return fabric_ucx_open(loop, config, fabric_out, err);
}

static void exchange(void *arg, const void *data, size_t n_bytes, const void **peer_out,
		     size_t *n_peer_bytes_out)
{
	struct setting *setting = arg;
	unsigned peer = !mpi_world_rank(setting->world);
	struct error err;

	mpi_world_free(setting->blobs);
	setting->blobs = NULL;
	if (mpi_world_exchange(setting->world, data, n_bytes, &setting->blobs, &err) != SC_OK) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	*peer_out = setting->blobs[peer].data;
	*n_peer_bytes_out = setting->blobs[peer].n_bytes;
}

int main(int argc, char **argv)
{
	struct setting setting = { .is_mpi = argc == 2 && strcmp(argv[1], "mpi") == 0 };
	struct link_suite suite = {
		.name = setting.is_mpi ? "mpi between two processes" : "ucx between two processes",
		.open = open_fabric,
		.arg = &setting,
		.exchange = exchange,
	};
	struct error err;
	unsigned rank, size;
	int rc;

	ucx_env_prepare(argv);
	if (argc != 2 || !mpi_world_is_launched(&rank, &size) || size != 2) {
		fprintf(stderr, "usage: mpirun -n 2 mpi_suite ucx|mpi\n");
		return 64;
	}
	if (mpi_world_open(&setting.world, &err) != SC_OK) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	suite.rank = rank;
	rc = link_suite_run(&suite);
	mpi_world_free(setting.blobs);
	mpi_world_close(setting.world);
	return rc;
}
