/* SPDX-License-Identifier: Apache-2.0 */
#include "base/descriptors.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

uint64_t descriptors_raise(uint64_t n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return UINT64_MAX;
	if (limit.rlim_cur < n && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = n < limit.rlim_max ? n : limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		(void)getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur;
}

/* How many of n more can be opened. Those that are open already may have any numbers. */
static unsigned count_free(unsigned n, int *fds)
{
	unsigned n_free = 0;

	while (n_free < n && (fds[n_free] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n_free++;
	for (unsigned i = 0; i < n_free; i++)
		close(fds[i]);
	return n_free;
}

enum sc_status descriptors_check(unsigned n, struct error *err)
{
	int *fds = calloc(n, sizeof *fds);
	unsigned n_free;
	uint64_t limit;

	if (!fds)
		return error_set(err, SC_E_NOMEM, "out of memory");
	n_free = count_free(n, fds);
	limit = descriptors_raise(0);
	if (n_free < n) {
		limit = descriptors_raise(limit + n - n_free);
		n_free = count_free(n, fds);
	}
	free(fds);
	if (n_free >= n)
		return SC_OK;
	return error_set(err, SC_E_CAPACITY, "%u more files and sockets can be opened, but %u are "
			 "needed: the limit is %llu; raise it (ulimit -n %u)", n_free, n,
			 (unsigned long long)limit, (unsigned)limit + n - n_free);
}
