/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/fabrics.h"
#include "transport/ucx.h"

#include "base/restart.h"

#include <stdlib.h>

/* Read by constructors of the UCX libraries: must be there at exec. */
static const struct env_default early_settings[] = {
	/* No patching of mmap at run time, which W^X services and TSan do not survive. With RDMA,
	 * "y" brings the registration cache back. */
	{ "UCX_MEM_EVENTS", "n" },
	{ "UCX_HANDLE_ERRORS", "none" },	/* signals of crashes are the program's */
	{ "UCX_WARN_UNUSED_ENV_VARS", "n" },
	{ "UCX_LOG_FILE", "stderr" },		/* stdout is for data */
	{ "UCX_LOG_LEVEL", "error" },
};

static const struct env_default settings[] = {
	/* All that is there except cma: process_vm_readv is slower than the posix queues, and
	 * has no place where a peer's death is to be noticed. */
	{ "UCX_TLS", "^cma" },
	{ "UCX_POSIX_ERROR_HANDLING", "y" },	/* else a link inside a node goes over tcp */
	{ "UCX_KEEPALIVE_INTERVAL", "500ms" },	/* finds a dead peer in shared memory; else 20 s */
	{ "UCX_TCP_CONN_NB", "y" },		/* else connecting blocks, up to minutes */
	{ "UCX_TCP_KEEPIDLE", "1s" },
	{ "UCX_TCP_KEEPINTVL", "1s" },
	{ "UCX_TCP_KEEPCNT", "3" },
	/* When a peer is killed, some rendezvous in shared memory never come back, nor do their
	 * frames; and over tcp UCX aborts, with rendezvous or without, if it was sending without a
	 * copy. */
	{ "UCX_RNDV_THRESH", "inf" },
	{ "UCX_ZCOPY_THRESH", "inf" },
};

void ucx_env_set_defaults(void)
{
	/* A port of UCX can be reached by everybody who can reach the interface, and junk behind
	 * the right magic number ends the process: without need there is none. */
	if (mpi_world_is_on_one_host()) {
		setenv("UCX_TLS", "^cma,tcp", 0);
		setenv("UCX_NET_DEVICES", "lo", 0);	/* for a UCX_TLS of the user's with tcp */
	}
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		setenv(settings[i].name, settings[i].value, 0);
}

void ucx_env_prepare(char **argv)
{
	restart_with_defaults(early_settings, sizeof early_settings / sizeof *early_settings, argv);
}
