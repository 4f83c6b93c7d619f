/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_DIAL_IN_H
#define STAGECOACH_CLI_DIAL_IN_H
/*
 * dial_in - clusters without a launcher: where the coordinator listens, whom a worker dials, and
 * what a worker is called.
 * Thread: the main thread, before its loop runs.
 */
#include "cli/cluster.h"

/* The port at which workers connect, where an address has none. */
#define DIAL_IN_PORT "7080"

/* Opens the cluster for the role that config names: the coordinator listens, a worker learns whom
 * to dial. Both read the key file and prepare their links. The caller calls cluster_close, also
 * after a failure. SC_E_CONFIG: key file or address. */
must_check enum sc_status dial_in_open(struct cluster *cluster, struct loop *loop,
				       const struct config *config, struct error *err);

/* The same without opening anything: whether the key file, the addresses and the worker's id are
 * good. Whether a port or an id is in use is not noticed. Errors as of dial_in_open and
 * dial_in_claim_id. */
must_check enum sc_status dial_in_check(const struct config *config, struct error *err);
/* Makes one address "HOST:PORT" of a part of text, whose port may be missing. IPv6 addresses may
 * stand in brackets or not. Paths of Unix sockets stay as they are. SC_E_CONFIG: empty or too
 * long. */
must_check enum sc_status dial_in_address(const char *text, size_t n_bytes,
					  char out[CLUSTER_ADDRESS_MAX], struct error *err);

/* The same for the setting cluster-listen. */
must_check enum sc_status dial_in_listen_address(const struct config *config,
						 char out[CLUSTER_ADDRESS_MAX],
						 struct error *err);

/* The worker's id: config's, or the name of the host, with the launcher's rank behind it if that is
 * not 0. Claims it for this process, so that no other worker of this machine that dials the
 * same coordinator uses it at the same time; *claim_out is a descriptor that keeps the claim. SC_E_CONFIG: the id is too long, or in
 * use. */
must_check enum sc_status dial_in_claim_id(const struct config *config, unsigned rank,
					   char id_out[CLUSTER_ID_MAX], int *claim_out,
					   struct error *err);

#endif
