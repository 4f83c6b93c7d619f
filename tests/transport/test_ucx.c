/* SPDX-License-Identifier: Apache-2.0 */
#include "link_suite.h"
#include "tests/sanitizer.h"
#include "transport/fabrics.h"

#include <stdio.h>
#include <stdlib.h>

static enum sc_status open_port(void *arg, struct loop *loop, struct fabric_source *source_out,
				struct error *err)
{
	struct ucx_port *port;
	enum sc_status status = ucx_port_open(loop, &port, err);

	(void)arg;
	if (status == SC_OK)
		*source_out = ucx_source(port);
	return status;
}

static void close_port(void *arg, const struct fabric_source *source)
{
	(void)arg;
	ucx_port_close(source->arg);
}

#if HAS_ASAN
/* UCX 1.13 leaks 100 bytes when a peer that has just connected closes its worker at once, and this
 * end then cannot map the peer's queue. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libuct.so";
}
#endif

/* The peer's worker is in this process too, where shared memory and sockets work all the same. It
 * needs a thread of its own: both ends must make progress for a link to open, and to close. */
int main(int argc, char **argv)
{
	static const struct {
		const char *tls;
		const char *rendezvous;		/* from so many bytes on */
		const char *name;
	} runs[] = {
		{ "posix,self", "inf", "ucx over posix shared memory" },
		{ "posix,self", "1m", "ucx over posix shared memory, by rendezvous" },
		{ "tcp,self", "inf", "ucx over tcp" },
		{ "tcp,self", "1m", "ucx over tcp, by rendezvous" },
	};
	int n_failed = 0;

	(void)argc;
	ucx_env_prepare(argv);
	setenv("UCX_NET_DEVICES", "lo", 1);
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
		const struct link_suite suite = {
			.name = runs[i].name,
			.open = open_port,
			.close = close_port,
			.has_two_threads = true,
			/* Frames as short as theirs go the same way. */
			.is_short = i % 2 == 1,
		};

		setenv("UCX_TLS", runs[i].tls, 1);
		setenv("UCX_RNDV_THRESH", runs[i].rendezvous, 1);
		n_failed += link_suite_run(&suite);
	}
	return n_failed;
}
