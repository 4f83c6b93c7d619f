/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/fabrics.h"
#include "transport/ucx.h"

#include "base/restart.h"

#include <stdlib.h>

/* Read by constructors of the UCX libraries, so they must be set at exec. */
static const struct env_default early_settings[] = {
	/* "n" keeps UCX from patching mmap at run time, which breaks services with W^X and TSan.
	 * With RDMA, "y" re-enables the registration cache. */
	{ "UCX_MEM_EVENTS", "n" },
	{ "UCX_HANDLE_ERRORS", "none" },	/* signals of crashes are the program's */
	{ "UCX_WARN_UNUSED_ENV_VARS", "n" },
	{ "UCX_LOG_FILE", "stderr" },		/* stdout is for data */
	{ "UCX_LOG_LEVEL", "error" },
};

static const struct env_default settings[] = {
	/* All transports except cma: process_vm_readv is slower than the posix queues, and it does
	 * not report a peer's death. */
	{ "UCX_TLS", "^cma" },
	{ "UCX_POSIX_ERROR_HANDLING", "y" },	/* else a link inside a host uses tcp */
	{ "UCX_KEEPALIVE_INTERVAL", "500ms" },	/* detects a dead peer in shared
						 * memory; UCX's default is 20 s */
	{ "UCX_TCP_CONN_NB", "y" },		/* else connecting blocks, for up to minutes */
	{ "UCX_TCP_KEEPIDLE", "1s" },
	{ "UCX_TCP_KEEPINTVL", "1s" },
	{ "UCX_TCP_KEEPCNT", "3" },
	/* No rendezvous and no zero-copy. When a peer is killed, some rendezvous in shared memory
	 * never complete and keep their frames. Over tcp UCX aborts the process if a zero-copy send
	 * was in progress, with rendezvous or without. */
	{ "UCX_RNDV_THRESH", "inf" },
	{ "UCX_ZCOPY_THRESH", "inf" },
};

void ucx_env_set_defaults(void)
{
	/* Security: everyone who can reach the interface can reach UCX's port, and garbage after
	 * the right magic number ends the process. So no port is opened where none is needed. */
	if (mpi_world_is_on_one_host()) {
		setenv("UCX_TLS", "^cma,tcp", 0);
		setenv("UCX_NET_DEVICES", "lo", 0);	/* in case the user's
							 * UCX_TLS includes tcp */
	}
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		setenv(settings[i].name, settings[i].value, 0);
}

void ucx_env_prepare(char **argv)
{
	restart_with_defaults(early_settings, sizeof early_settings / sizeof *early_settings, argv);
}
