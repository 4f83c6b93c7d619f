/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_ROOT_PAGE_H
#define STAGECOACH_GATEWAY_ROOT_PAGE_H
/*
 * root_page - what GET / says: what this server is, and how to use it at the address where the
 * client has found it.
 * Thread: the loop's thread only.
 */
#include "http/http_call.h"

struct root_page {
	const char *address;		/* of TCP, borrowed */
	const char *socket_path;	/* borrowed */
};

/* The route of a page, which is borrowed. */
struct http_routes root_page_routes(struct root_page *page);

#endif
