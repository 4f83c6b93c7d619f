/* SPDX-License-Identifier: Apache-2.0 */
/* make_certificates DIR: writes certificates and keys for tests (certificates.h). */
#include "tests/gateway/certificates.h"

#include <gnutls/gnutls.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: make_certificates DIR\n");
		return 64;
	}
	rc = certificates_write(argv[1]);
	if (rc < 0)
		fprintf(stderr, "make_certificates: %s\n", gnutls_strerror(rc));
	return rc < 0;
}
