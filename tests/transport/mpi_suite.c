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
	struct mpi_port mpi;
	bool is_mpi;
};

static enum sc_status open_port(void *arg, struct loop *loop, struct fabric_source *source_out,
				struct error *err)
{
	struct setting *setting = arg;
	struct ucx_port *port;
	enum sc_status status = SC_OK;

	setting->mpi = (struct mpi_port){ loop, setting->world };
	if (setting->is_mpi) {
		*source_out = mpi_source(&setting->mpi);
		return SC_OK;
	}
	status = ucx_port_open(loop, &port, err);
	if (status == SC_OK)
		*source_out = ucx_source(port);
	return status;
}

static void close_port(void *arg, const struct fabric_source *source)
{
	if (!((struct setting *)arg)->is_mpi)
		ucx_port_close(source->arg);
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
		.open = open_port,
		.close = close_port,
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
