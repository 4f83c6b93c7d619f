/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cluster.h"

#include "transport/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ADDRESS 4096

/* What each process tells the others. Same binary, same layout. */
struct card {
	struct error error;	/* SC_OK, or why it cannot go on */
	char host[64];
	struct resources resources;
	uint64_t own_bytes;	/* that rank 0 comes to take */
	uint32_t n_address;
	uint8_t address[MAX_ADDRESS];
};

static enum sc_status open_fabric(struct cluster *cluster, struct loop *loop,
				  const struct config *config, const struct fabric_config *fabric,
				  struct error *err)
{
	if (!strcmp(config->transport, "mpi"))
		return fabric_mpi_open(loop, cluster->world, fabric, &cluster->fabric, err);
	if (ucx_port_open(loop, &cluster->port, err) != SC_OK)
		return err->status;
	return fabric_ucx_open(cluster->port, fabric, &cluster->fabric, err);
}

static void fill_card(struct cluster *cluster, struct loop *loop, const struct config *config,
		      const struct fabric_config *fabric, const struct error *trouble,
		      struct card *card)
{
	const void *address;
	size_t n_bytes;

	gethostname(card->host, sizeof card->host - 1);
	if (trouble) {
		card->error = *trouble;
		return;
	}
	if (open_fabric(cluster, loop, config, fabric, &card->error) != SC_OK)
		return;
	/* Last: what MPI and links took already counts as used. */
	resources_read("", &card->resources);
	card->error.status = SC_OK;
	fabric_address(cluster->fabric, &address, &n_bytes);
	if (n_bytes > sizeof card->address) {
		error_set(&card->error, SC_E_INTERNAL, "an address of %zu bytes", n_bytes);
		return;
	}
	memcpy(card->address, address, n_bytes);
	card->n_address = (uint32_t)n_bytes;
}

/* The trouble of the lowest rank that has any; its name in front when others have none, or
 * another. */
static enum sc_status find_trouble(const struct cluster *cluster, struct error *err)
{
	const struct card *first = NULL;
	unsigned rank = 0;
	bool is_shared = true;

	for (unsigned i = 0; i < cluster->n_ranks; i++) {
		const struct card *card = cluster->blobs[i].data;

		if (card->error.status != SC_OK && !first) {
			first = card;
			rank = i;
		}
	}
	if (!first)
		return SC_OK;
	for (unsigned i = 0; i < cluster->n_ranks; i++) {
		const struct card *card = cluster->blobs[i].data;

		is_shared &= !strcmp(card->error.text, first->error.text);
	}
	if (is_shared)
		return error_set(err, first->error.status, "%s", first->error.text);
	return error_set(err, first->error.status, "rank %u on %s: %s", rank, first->host,
			 first->error.text);
}

static const struct card *card_of(const struct cluster *cluster, unsigned rank)
{
	return cluster->blobs[rank].data;
}

static enum sc_status find_allowance(struct cluster *cluster)
{
	unsigned n_workers = cluster->n_ranks - 1;
	const struct resources **workers = calloc(n_workers + 1, sizeof workers[0]);

	if (!workers)
		return SC_E_NOMEM;
	for (unsigned i = 0; i < n_workers; i++)
		workers[i] = &card_of(cluster, i + 1)->resources;
	if (cluster->rank)
		cluster->allowance = allowance_of(workers[cluster->rank - 1], workers, n_workers,
					  &card_of(cluster, 0)->resources,
					  card_of(cluster, 0)->own_bytes);
	free(workers);
	return SC_OK;
}

static enum sc_status read_cards(struct cluster *cluster, struct error *err)
{
	for (unsigned i = 0; i < cluster->n_ranks; i++)
		if (cluster->blobs[i].n_bytes != sizeof(struct card))
			return error_set(err, SC_E_PROTOCOL, "rank %u runs another version of "
					 "stagecoachd: install the same on all hosts", i);
	cluster->peers = calloc(cluster->n_ranks, sizeof cluster->peers[0]);
	if (!cluster->peers || find_allowance(cluster) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory for %u peers", cluster->n_ranks);
	for (unsigned i = 0; i < cluster->n_ranks; i++) {
		const struct card *card = cluster->blobs[i].data;

		cluster->peers[i].address = card->address;
		cluster->peers[i].n_bytes = card->n_address;
	}
	return find_trouble(cluster, err);
}

enum sc_status cluster_open(struct cluster *cluster, struct loop *loop,
			    const struct config *config, const struct fabric_config *fabric,
			    uint64_t own_bytes, const struct error *trouble, struct error *err)
{
	struct card *card = calloc(1, sizeof *card);
	enum sc_status status;

	*cluster = (struct cluster){ 0 };
	if (!card)
		return error_set(err, SC_E_NOMEM, "out of memory");
	status = mpi_world_open(&cluster->world, err);
	if (status != SC_OK)
		goto out;
	cluster->rank = mpi_world_rank(cluster->world);
	cluster->n_ranks = mpi_world_size(cluster->world);
	card->own_bytes = own_bytes;
	fill_card(cluster, loop, config, fabric, trouble, card);
	status = mpi_world_exchange(cluster->world, card, sizeof *card, &cluster->blobs, err);
	if (status == SC_OK)
		status = read_cards(cluster, err);
	/* Without MPI behind it, one dead process cannot take the others down. */
	if (status == SC_OK && strcmp(config->transport, "mpi")) {
		mpi_world_close(cluster->world);
		cluster->world = NULL;
	}
out:
	free(card);
	return status;
}

bool cluster_close(struct cluster *cluster)
{
	bool is_abandoned = cluster->world && cluster->is_lost;

	fabric_close(cluster->fabric);
	ucx_port_close(cluster->port);
	if (is_abandoned)
		mpi_world_abandon(cluster->world);
	else
		mpi_world_close(cluster->world);
	mpi_world_free(cluster->blobs);
	free(cluster->peers);
	cluster->fabric = NULL;
	cluster->port = NULL;
	cluster->world = NULL;
	cluster->blobs = NULL;
	cluster->peers = NULL;
	return !is_abandoned;
}
