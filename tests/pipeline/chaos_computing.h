/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_PIPELINE_CHAOS_COMPUTING_H
#define STAGECOACH_TESTS_PIPELINE_CHAOS_COMPUTING_H
/*
 * chaos_computing - whether a worker's thread has something to do: what follows from it will come
 * without any delivery. A file of its own, because it looks into the worker.
 */
#include "tests/pipeline/chaos_net.h"

struct worker;

/* It loads, or has steps whose outputs it has not sent. */
bool worker_is_computing(const struct worker *worker, struct net_traffic traffic);

#endif
