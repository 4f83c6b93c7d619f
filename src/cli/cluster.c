/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cluster.h"

#include "cli/dial_in.h"
#include "net/interface.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What each process tells the others. Same binary, same layout. */
struct card {
	struct error error;	/* SC_OK, or why it cannot go on */
	char host[64];
	bool has_key_file;
	/* Of rank 0. */
	unsigned n_addresses;
	char addresses[CLUSTER_MAX_ADDRESSES][CLUSTER_ADDRESS_MAX];
	struct cluster_keys keys;	/* none, if all processes read a key file */
};

static const struct card *card_of(const struct cluster *cluster, unsigned rank)
{
	return cluster->blobs[rank].data;
}

/* --- what this process tells --- */

enum sc_status cluster_read_keys(const struct config *config, struct cluster_keys *keys_out,
				 struct error *err)
{
	enum sc_status status = cluster_keys_read(config->cluster_key_file, keys_out, err);

	if (status != SC_OK)
		error_prefix(err, "cluster-key-file");
	return status;
}

enum sc_status cluster_prepare_links(struct cluster *cluster, struct loop *loop,
				     const struct config *config, struct error *err)
{
	enum sc_status status;

	if (!strcmp(config->transport, "mpi")) {
		cluster->mpi = (struct mpi_port){ loop, cluster->world };
		cluster->fabrics = mpi_source(&cluster->mpi);
		return SC_OK;
	}
	status = ucx_port_open(loop, &cluster->ucx, err);
	if (status == SC_OK)
		cluster->fabrics = ucx_source(cluster->ucx);
	return status;
}

void cluster_accept(void *arg, struct channel *channel, const char *key_id)
{
	struct cluster *cluster = arg;

	(void)key_id;
	cluster->on_accept(cluster->arg, channel);
}

static void add_address(struct card *card, const char *host, const char *port)
{
	const bool is_ipv6 = strchr(host, ':');

	if (card->n_addresses < CLUSTER_MAX_ADDRESSES)
		snprintf(card->addresses[card->n_addresses++], CLUSTER_ADDRESS_MAX, "%s%.255s%s:%.5s",
			 is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
}

/* The addresses by which other hosts may reach the listener, whose own one says the port. */
static void list_addresses(const char *listening, struct card *card)
{
	struct net_address all[CLUSTER_MAX_ADDRESSES];
	const char *port = strrchr(listening, ':') + 1;
	unsigned n = interface_addresses(NULL, all, CLUSTER_MAX_ADDRESSES);

	for (unsigned i = 0; i < n; i++)
		add_address(card, all[i].host, port);
	if (!n)
		add_address(card, card->host, port);
}

/* As set; if nobody has set it, where the other ranks are. On one host nobody else can then reach the
 * listener. */
static enum sc_status choose_address(const struct config *config,
				     char address_out[CLUSTER_ADDRESS_MAX], struct error *err)
{
	if (config_source_of(config, "cluster-listen") != CONFIG_DEFAULT)
		return dial_in_listen_address(config, address_out, err);
	strcpy(address_out, mpi_world_is_on_one_host() ? "127.0.0.1:0" : "*:0");
	return SC_OK;
}

/* A listener on all addresses says the wildcard. */
static bool is_wildcard(const char *listening)
{
	return !strncmp(listening, "0.0.0.0:", 8) || !strncmp(listening, "[::]:", 5);
}

static enum sc_status listen_for_ranks(struct cluster *cluster, struct loop *loop,
				       const struct config *config, struct card *card,
				       struct error *err)
{
	char address[CLUSTER_ADDRESS_MAX];
	struct channel_listener_config listener = {
		.loop = loop,
		.address = address,
		.keys = &cluster->keys,
		.dead_ms = config->deadline_ms,
		.max_strangers_per_address = cluster->n_ranks + 16,
		.max_strangers = cluster->n_ranks + 64,
		.on_accept = cluster_accept,
		.arg = cluster,
	};
	enum sc_status status = choose_address(config, address, err);

	if (status == SC_OK && !cluster->keys.n_keys) {
		status = cluster_keys_random(&cluster->keys, err);
		card->keys = cluster->keys;
	}
	if (status == SC_OK)
		status = channel_listener_create(&listener, &cluster->listener, err);
	if (status != SC_OK) {
		error_prefix(err, "cluster-listen");
		return status;
	}
	if (is_wildcard(channel_listener_address(cluster->listener)))
		list_addresses(channel_listener_address(cluster->listener), card);
	else
		snprintf(card->addresses[card->n_addresses++], CLUSTER_ADDRESS_MAX, "%s",
			 channel_listener_address(cluster->listener));
	return SC_OK;
}

static void fill_card(struct cluster *cluster, struct loop *loop, const struct config *config,
		      const struct error *trouble, struct card *card)
{
	gethostname(card->host, sizeof card->host - 1);
	card->has_key_file = *config->cluster_key_file;
	if (trouble) {
		card->error = *trouble;
		return;
	}
	if ((*config->cluster_key_file &&
	     cluster_read_keys(config, &cluster->keys, &card->error) != SC_OK) ||
	    cluster_prepare_links(cluster, loop, config, &card->error) != SC_OK ||
	    (!cluster->rank &&
	     listen_for_ranks(cluster, loop, config, card, &card->error) != SC_OK))
		return;
	card->error.status = SC_OK;
}

/* --- what the others told --- */

/* The trouble of the lowest rank that has any; its name in front when others have none, or
 * another. */
static enum sc_status find_trouble(const struct cluster *cluster, struct error *err)
{
	const struct card *first = NULL;
	unsigned rank = 0;
	bool is_shared = true;

	for (unsigned i = 0; i < cluster->n_ranks && !first; i++) {
		if (card_of(cluster, i)->error.status == SC_OK)
			continue;
		first = card_of(cluster, i);
		rank = i;
	}
	if (!first)
		return SC_OK;
	for (unsigned i = 0; i < cluster->n_ranks; i++)
		is_shared &= !strcmp(card_of(cluster, i)->error.text, first->error.text);
	if (is_shared)
		return error_set(err, first->error.status, "%s", first->error.text);
	return error_set(err, first->error.status, "rank %u on %s: %s", rank, first->host,
			 first->error.text);
}

/* All processes have a key file, or none. */
static enum sc_status check_key_files(const struct cluster *cluster, struct error *err)
{
	const bool has_first = card_of(cluster, 0)->has_key_file;

	for (unsigned i = 1; i < cluster->n_ranks; i++)
		if (card_of(cluster, i)->has_key_file != has_first)
			return error_set(err, SC_E_CONFIG, "cluster-key-file: rank %u has one and "
					 "rank %u has none: give it to all processes",
					 has_first ? 0 : i, has_first ? i : 0);
	return SC_OK;
}

/* Takes over what rank 0 says of itself. */
static void learn_coordinator(struct cluster *cluster)
{
	const struct card *card = card_of(cluster, 0);

	cluster->n_addresses = card->n_addresses;
	memcpy(cluster->addresses, card->addresses, sizeof cluster->addresses);
	if (card->keys.n_keys)
		cluster->keys = card->keys;
	cluster_keys_wipe((struct cluster_keys *)(uintptr_t)&card->keys);
}

static enum sc_status read_cards(struct cluster *cluster, struct error *err)
{
	for (unsigned i = 0; i < cluster->n_ranks; i++)
		if (cluster->blobs[i].n_bytes != sizeof(struct card))
			return error_set(err, SC_E_PROTOCOL, "rank %u runs another version of "
					 "stagecoachd: install the same on all hosts", i);
	if (find_trouble(cluster, err) != SC_OK)
		return err->status;
	if (check_key_files(cluster, err) != SC_OK)
		return err->status;
	learn_coordinator(cluster);
	return SC_OK;
}

enum sc_status cluster_open(struct cluster *cluster, struct loop *loop,
			    const struct config *config, const struct error *trouble,
			    struct error *err)
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
	fill_card(cluster, loop, config, trouble, card);
	status = mpi_world_exchange(cluster->world, card, sizeof *card, &cluster->blobs, err);
	if (status == SC_OK)
		status = read_cards(cluster, err);
	/* Without MPI behind it, one dead process cannot take the others down. */
	if (status == SC_OK && cluster->ucx) {
		mpi_world_close(cluster->world);
		cluster->world = NULL;
	}
	/* Last: what MPI and links took already counts as used. */
	if (status == SC_OK)
		resources_read("", &cluster->resources);
out:
	cluster_keys_wipe(&card->keys);
	free(card);
	return status;
}

enum sc_status cluster_dial(const struct cluster *cluster, struct loop *loop, unsigned dead_ms,
			    const struct channel_dialler_events *events, void *arg,
			    struct channel_dialler **dialler_out, struct error *err)
{
	const char *addresses[CLUSTER_MAX_ADDRESSES];
	struct channel_dialler_config config = {
		.loop = loop,
		.addresses = addresses,
		.n_addresses = cluster->n_addresses,
		.keys = &cluster->keys,
		.dead_ms = dead_ms,
		.events = events,
		.arg = arg,
	};

	for (unsigned i = 0; i < cluster->n_addresses; i++)
		addresses[i] = cluster->addresses[i];
	return channel_dialler_create(&config, dialler_out, err);
}

enum sc_status cluster_reload_keys(struct cluster *cluster, const char *key_file,
				   struct channel_dialler *dialler, struct error *err)
{
	struct cluster_keys keys;
	enum sc_status status;

	if (!*key_file)
		return SC_OK;
	status = cluster_keys_read(key_file, &keys, err);
	if (status == SC_OK && cluster->listener)
		status = channel_listener_set_keys(cluster->listener, &keys, err);
	if (status == SC_OK && dialler)
		status = channel_dialler_set_keys(dialler, &keys, err);
	if (status == SC_OK)
		cluster->keys = keys;
	cluster_keys_wipe(&keys);
	return status;
}

bool cluster_close(struct cluster *cluster)
{
	const bool is_abandoned = cluster->world && cluster->is_lost;

	channel_listener_close(cluster->listener);
	ucx_port_close(cluster->ucx);
	if (is_abandoned)
		mpi_world_abandon(cluster->world);
	else
		mpi_world_close(cluster->world);
	mpi_world_free(cluster->blobs);
	cluster_keys_wipe(&cluster->keys);
	cluster->listener = NULL;
	cluster->ucx = NULL;
	cluster->world = NULL;
	cluster->blobs = NULL;
	return !is_abandoned && !cluster->must_exit;
}
