/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_NET_INTERFACE_H
#define STAGECOACH_NET_INTERFACE_H
/* interface - the addresses of this machine's network interfaces. Thread: any. */
#include "net/net_address.h"

/* Is name a network interface of this machine? */
bool interface_exists(const char *name);

/* Writes the numeric addresses of the interface, at most max, IPv4 first; ports are empty. Of the
 * addresses that are valid on one link only (fe80::) none is taken, because other hosts would need
 * their own name of the link. Returns how many there are. name NULL: those of all interfaces that
 * are up, without loopback: what other hosts may reach. */
unsigned interface_addresses(const char *name, struct net_address *addresses_out, unsigned max);

#endif
