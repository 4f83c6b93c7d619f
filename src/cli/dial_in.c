/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dial_in.h"

#include "base/log.h"
#include "net/net_address.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xxhash.h>

/* --- addresses --- */

static unsigned count_colons(const char *text, size_t n_bytes)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_bytes; i++)
		n += text[i] == ':';
	return n;
}

enum sc_status dial_in_address(const char *text, size_t n_bytes, char out[CLUSTER_ADDRESS_MAX],
			       struct error *err)
{
	const bool is_bracketed = n_bytes && text[0] == '[';
	const bool is_bare_ipv6 = !is_bracketed && count_colons(text, n_bytes) > 1;
	const bool is_path = n_bytes && text[0] == '/';
	const bool has_port = is_bracketed ? text[n_bytes - 1] != ']'
					   : count_colons(text, n_bytes) == 1;
	int n;

	n = snprintf(out, CLUSTER_ADDRESS_MAX, "%s%.*s%s%s", is_bare_ipv6 ? "[" : "",
		     (int)n_bytes, text, is_bare_ipv6 ? "]" : "",
		     is_path || has_port ? "" : ":" DIAL_IN_PORT);
	if (!n_bytes || n < 0 || n >= CLUSTER_ADDRESS_MAX)
		return error_set(err, SC_E_CONFIG, "'%.*s': expected HOST or HOST:PORT",
				 n_bytes > 64 ? 64 : (int)n_bytes, text);
	return SC_OK;
}

/* An address to dial. */
static enum sc_status check_peer(const char *text, struct error *err)
{
	struct net_address address;
	enum sc_status status;

	if (*text == '/')
		return SC_OK;
	status = net_address_parse(text, &address, err);
	if (status == SC_OK && !strcmp(address.port, "0"))
		return error_set(err, SC_E_INVALID, "%s: expected a port from 1 to 65535 after "
				 "the last colon", text);
	return status;
}

/* Addresses with commas between them. */
static enum sc_status list_addresses(struct cluster *cluster, const char *list, struct error *err)
{
	enum sc_status status = SC_OK;

	while (status == SC_OK && *list) {
		size_t n = strcspn(list, ",");

		if (cluster->n_addresses == CLUSTER_MAX_ADDRESSES)
			return error_set(err, SC_E_CONFIG, "coordinator: more than %d addresses",
					 CLUSTER_MAX_ADDRESSES);
		status = dial_in_address(list, n, cluster->addresses[cluster->n_addresses], err);
		if (status == SC_OK)
			status = check_peer(cluster->addresses[cluster->n_addresses++], err);
		list += n + (list[n] == ',');
	}
	if (status != SC_OK)
		error_prefix(err, "coordinator");
	return status;
}

/* --- opening --- */

enum sc_status dial_in_listen_address(const struct config *config, char out[CLUSTER_ADDRESS_MAX],
				      struct error *err)
{
	return dial_in_address(config->cluster_listen, strlen(config->cluster_listen), out, err);
}

static enum sc_status listen_for_workers(struct cluster *cluster, struct loop *loop,
					 const struct config *config, struct error *err)
{
	char address[CLUSTER_ADDRESS_MAX];
	struct channel_listener_config listener = {
		.loop = loop,
		.address = address,
		.keys = &cluster->keys,
		.dead_ms = config->deadline_ms,
		.on_accept = cluster_accept,
		.arg = cluster,
	};
	enum sc_status status = dial_in_listen_address(config, address, err);

	if (status == SC_OK)
		status = channel_listener_create(&listener, &cluster->listener, err);
	if (status != SC_OK)
		error_prefix(err, "cluster-listen");
	else
		log_info("workers connect to %s", channel_listener_address(cluster->listener));
	return status;
}

enum sc_status dial_in_open(struct cluster *cluster, struct loop *loop,
			    const struct config *config, struct error *err)
{
	enum sc_status status;

	*cluster = (struct cluster){ .n_ranks = 1 };
	status = cluster_read_keys(config, &cluster->keys, err);
	if (status == SC_OK)
		status = cluster_prepare_links(cluster, loop, config, err);
	if (status == SC_OK && !strcmp(config->role, "coordinator"))
		status = listen_for_workers(cluster, loop, config, err);
	else if (status == SC_OK)
		status = list_addresses(cluster, config->coordinator_address, err);
	if (status == SC_OK)
		resources_read("", &cluster->resources);
	return status;
}

/* --- the worker's name --- */

/* A name in the abstract namespace of Unix sockets: the kernel frees it with the process. Workers of
 * different coordinators may have the same id. */
static int claim(const char *coordinator, const char *id)
{
	const uint64_t hash = XXH3_64bits(coordinator, strlen(coordinator));
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t n_bytes;
	int fd, n;

	n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "stagecoach/worker/%016" PRIx64
		     "/%s", hash, id);
	n_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, n_bytes) != 0) {
		n = errno;
		close(fd);
		errno = n;
		return -1;
	}
	return fd;
}

static enum sc_status name_worker(const struct config *config, unsigned rank,
				  char id_out[CLUSTER_ID_MAX], struct error *err)
{
	char host[CLUSTER_ID_MAX - 8] = "";
	int n;

	gethostname(host, sizeof host - 1);
	if (*config->worker_id)
		n = snprintf(id_out, CLUSTER_ID_MAX, "%s", config->worker_id);
	else if (rank)
		n = snprintf(id_out, CLUSTER_ID_MAX, "%s.%u", host, rank);
	else
		n = snprintf(id_out, CLUSTER_ID_MAX, "%s", host);
	if (n < 1 || n >= CLUSTER_ID_MAX)
		return error_set(err, SC_E_CONFIG, "worker-id: %d bytes, expected 1 to %d", n,
				 CLUSTER_ID_MAX - 1);
	return SC_OK;
}

enum sc_status dial_in_claim_id(const struct config *config, unsigned rank,
				char id_out[CLUSTER_ID_MAX], int *claim_out, struct error *err)
{
	enum sc_status status = name_worker(config, rank, id_out, err);

	*claim_out = -1;
	if (status != SC_OK)
		return status;
	if (rank)
		return SC_OK;	/* a launcher gives each process another rank */
	*claim_out = claim(config->coordinator_address, id_out);
	if (*claim_out < 0 && errno == EADDRINUSE)
		return error_set(err, SC_E_CONFIG, "worker-id: another process of this machine is "
				 "worker %s. Give --worker-id another name", id_out);
	if (*claim_out < 0)
		return error_set(err, SC_E_IO, "worker-id: %s cannot be claimed: %s", id_out,
				 strerror(errno));
	return SC_OK;
}

/* --- checking --- */

enum sc_status dial_in_check(const struct config *config, struct error *err)
{
	struct cluster cluster = { .n_ranks = 1 };
	char address[CLUSTER_ADDRESS_MAX], id[CLUSTER_ID_MAX];
	enum sc_status status = cluster_read_keys(config, &cluster.keys, err);

	cluster_keys_wipe(&cluster.keys);
	if (status != SC_OK)
		return status;
	if (!strcmp(config->role, "worker")) {
		status = list_addresses(&cluster, config->coordinator_address, err);
		return status == SC_OK ? name_worker(config, 0, id, err) : status;
	}
	status = dial_in_listen_address(config, address, err);
	if (status == SC_OK)
		status = channel_listener_check(address, err);
	if (status != SC_OK)
		error_prefix(err, "cluster-listen");
	return status;
}
