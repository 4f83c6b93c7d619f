/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_COLLAPSER_H
#define STAGECOACH_BACKEND_CPU_COLLAPSER_H
/*
 * collapser - a thread that treats pieces of memory one by one, slowly, until none is left.
 * The backend uses it to turn pieces of small pages into huge pages while steps run. While other
 * threads of the process compute, the thread sleeps after each piece for a multiple of the processor
 * time that the piece took, so it uses a bounded part of one processor. The thread has normal
 * priority, because a thread that holds the kernel's lock of the address space must not wait for a
 * processor.
 * Thread: add from any thread; the others from the thread that called init.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Treats one piece. Returns false if that failed. After COLLAPSER_MAX_FAILURES in a row the thread
 * gives up. */
typedef bool collapser_fn(void *arg, void *piece);

enum { COLLAPSER_MAX_FAILURES = 8 };

struct collapser_config {
	collapser_fn *fn;		/* called on the collapser's thread */
	void *arg;
	uint64_t least_pause_ns;	/* before each piece */
	unsigned pause_factor;		/* while other threads compute: times
					 * what the last piece took */
};

struct collapser {
	struct collapser_config config;
	pthread_mutex_t lock;
	pthread_cond_t is_wanted;	/* signals is_stopping */
	pthread_t thread;
	cpu_set_t processors;		/* of the thread that called init */
	bool has_processors;
	bool is_started;
	bool is_stopping;
	void **pieces;			/* [n_pieces] */
	size_t n_treated;		/* the first ones */
	size_t n_pieces;
	size_t n_places;		/* of pieces */
};

/* The thread will use the processors that the calling thread may use now. */
void collapser_init(struct collapser *collapser, const struct collapser_config *config);
/* Stops the thread too. */
void collapser_deinit(struct collapser *collapser);

/* A piece for which there is no memory is left out. */
void collapser_add(struct collapser *collapser, void *piece);
/* Starts the thread if there are pieces to treat. If no thread can be started, they stay as they
 * are. */
void collapser_start(struct collapser *collapser);
/* Stops the thread, and waits until it has finished the piece that it treats. No piece is touched
 * until the next start. */
void collapser_stop(struct collapser *collapser);

#endif
