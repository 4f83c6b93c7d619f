/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/streams.h"

#include <fcntl.h>
#include <unistd.h>

void streams_reserve(void)
{
	int fd;

	/* Opened for the wrong direction. open gives the lowest free number. */
	do
		fd = open("/dev/null", fcntl(STDIN_FILENO, F_GETFD) < 0 ? O_WRONLY : O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}
