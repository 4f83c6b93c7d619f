/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_ROOT_PAGE_H
#define STAGECOACH_GATEWAY_ROOT_PAGE_H
/*
 * root_page - what GET / says: what this server is, and how to use it.
 * Thread: the loop's thread only.
 */
#include "http/http_call.h"

struct root_page {
	char text[1024];
};

/* flag and address say how the stagecoach command finds this server: "--listen" and
 * "127.0.0.1:8080", or "--socket" and a path. */
void root_page_init(struct root_page *page, const char *flag, const char *address);

/* The route of a page, which is borrowed. */
struct http_routes root_page_routes(struct root_page *page);

#endif
