/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_KEY_INPUT_H
#define STAGECOACH_CLI_KEY_INPUT_H
/*
 * key_input - the bytes of standard input, and the signals that come while they are awaited.
 * A terminal with bracketed paste puts a mark before and behind what is pasted: the marks are taken
 * out here, and control characters in between are dropped, so that a pasted text obeys nobody but
 * its reader.
 * Thread: the main thread; one object at a time, because signals are the process's.
 */
#include "base/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

enum key_result {
	KEY_OK,
	KEY_END,		/* end of file, or the terminal is gone */
	KEY_INTERRUPTED,	/* SIGINT */
	KEY_TERMINATED,		/* SIGTERM or SIGHUP: see key_input_signal */
	KEY_RESIZED,		/* SIGWINCH */
	KEY_STOPPED,		/* SIGTSTP: the caller stops the process */
	KEY_FAILED,		/* errno says why */
};

#define KEY_INPUT_BYTES 4096
#define KEY_N_SIGNALS 5

struct key_input {
	int fd;
	int wake[2];			/* pipe that the signal handler writes to */
	unsigned char bytes[KEY_INPUT_BYTES];
	size_t at, n;			/* bytes that were not given yet */
	bool is_pasting;
	bool had_return;		/* the last pasted character was a CR */
	struct sigaction before[KEY_N_SIGNALS];
	sigset_t mask_before;
};

/* SC_E_IO. */
must_check enum sc_status key_input_open(struct key_input *input, int fd, struct error *err);
void key_input_close(struct key_input *input);

/* Between begin and end the object handles SIGINT, SIGTERM, SIGHUP, and, with is_terminal, SIGWINCH
 * and SIGTSTP; after end whoever did before. */
void key_input_begin(struct key_input *input, bool is_terminal);
void key_input_end(struct key_input *input);

/* Waits for the next byte. */
enum key_result key_input_get(struct key_input *input, unsigned char *byte_out);
/* The signal of the last KEY_TERMINATED. */
int key_input_signal(void);

/* Stops the process as SIGTSTP would have, and returns when it goes on. */
void key_input_stop(const struct key_input *input);

#endif
