/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_GATEWAY_CERTIFICATES_H
#define STAGECOACH_TESTS_GATEWAY_CERTIFICATES_H
/*
 * certificates - writes certificates and keys for tests into a directory, in PEM form:
 *   ca.crt                    an authority
 *   server.crt server.key     signed by it, for localhost, 127.0.0.1 and ::1
 *   second.crt second.key     another one like it
 *   expired.crt expired.key   the same, but since yesterday no more
 *   client.crt client.key     signed by it, for clients
 *   other.crt other.key       self-signed, for localhost
 *   name.crt name.key         signed by it, for server.example
 * Thread: any.
 */

/* Returns 0, or a negative error of GnuTLS or of the file system. */
int certificates_write(const char *directory);

#endif
