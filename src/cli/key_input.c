/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PASTE_BEGIN "\033[200~"
#define PASTE_END "\033[201~"
#define MARK_LENGTH (sizeof PASTE_BEGIN - 1)
/* A mark arrives at once; Escape is a key, too. */
#define MARK_MS 50

static const int signals[KEY_N_SIGNALS] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP };
/* The last two matter to terminals alone. */
#define N_PLAIN_SIGNALS 3

static volatile sig_atomic_t caught[KEY_N_SIGNALS];
static volatile sig_atomic_t wake_fd = -1;
static int terminated_by;

static void on_signal(int signum)
{
	int saved = errno;
	ssize_t n = 0;

	for (int i = 0; i < KEY_N_SIGNALS; i++)
		if (signals[i] == signum)
			caught[i] = 1;
	if (wake_fd >= 0)
		n = write(wake_fd, "", 1);	/* a full pipe wakes as well */
	(void)n;
	errno = saved;
}

enum sc_status key_input_open(struct key_input *input, int fd, struct error *err)
{
	*input = (struct key_input){ .fd = fd, .wake = { -1, -1 } };
	if (pipe2(input->wake, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, SC_E_IO, errno, "standard input");
	return SC_OK;
}

void key_input_close(struct key_input *input)
{
	for (int i = 0; i < 2; i++)
		if (input->wake[i] >= 0)
			close(input->wake[i]);
	input->wake[0] = input->wake[1] = -1;
}

/* --- signals --- */

void key_input_begin(struct key_input *input, bool is_terminal)
{
	const int n = is_terminal ? KEY_N_SIGNALS : N_PLAIN_SIGNALS;
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t wanted;

	sigemptyset(&action.sa_mask);
	sigemptyset(&wanted);
	wake_fd = input->wake[1];
	for (int i = 0; i < KEY_N_SIGNALS; i++) {
		caught[i] = 0;
		sigaction(signals[i], i < n ? &action : NULL, &input->before[i]);
		if (i < n)
			sigaddset(&wanted, signals[i]);
	}
	pthread_sigmask(SIG_UNBLOCK, &wanted, &input->mask_before);
}

void key_input_end(struct key_input *input)
{
	pthread_sigmask(SIG_SETMASK, &input->mask_before, NULL);
	for (int i = 0; i < KEY_N_SIGNALS; i++)
		sigaction(signals[i], &input->before[i], NULL);
	wake_fd = -1;
}

int key_input_signal(void)
{
	return terminated_by;
}

void key_input_stop(const struct key_input *input)
{
	struct sigaction usual = { .sa_handler = SIG_DFL }, ours;

	(void)input;
	sigemptyset(&usual.sa_mask);
	sigaction(SIGTSTP, &usual, &ours);
	raise(SIGTSTP);
	sigaction(SIGTSTP, &ours, NULL);
}

static bool take(int i)
{
	bool was_caught = caught[i];

	caught[i] = 0;
	return was_caught;
}

static enum key_result take_signal(void)
{
	static const enum key_result results[KEY_N_SIGNALS] = {
		KEY_INTERRUPTED, KEY_TERMINATED, KEY_TERMINATED, KEY_RESIZED, KEY_STOPPED,
	};

	for (int i = 0; i < KEY_N_SIGNALS; i++) {
		if (!take(i))
			continue;
		if (results[i] == KEY_TERMINATED)
			terminated_by = signals[i];
		return results[i];
	}
	return KEY_OK;
}

/* --- bytes --- */

static void drain(const struct key_input *input)
{
	char bytes[64];

	while (read(input->wake[0], bytes, sizeof bytes) > 0)
		;
}

/* Reads more bytes behind those that are there. KEY_OK also when timeout_ms were over. */
static enum key_result fill(struct key_input *input, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = input->fd, .events = POLLIN },
		{ .fd = input->wake[0], .events = POLLIN },
	};
	enum key_result result = take_signal();
	ssize_t n;

	if (result != KEY_OK)
		return result;
	memmove(input->bytes, input->bytes + input->at, input->n);
	input->at = 0;
	n = poll(fds, 2, timeout_ms);
	if (n < 0 && errno != EINTR)
		return KEY_FAILED;
	drain(input);
	result = take_signal();
	if (result != KEY_OK || n <= 0 || !fds[0].revents)
		return result;
	n = read(input->fd, input->bytes + input->n, sizeof input->bytes - input->n);
	if (n < 0)	/* a terminal that hung up says EIO */
		return errno == EINTR || errno == EAGAIN ? KEY_OK
							 : errno == EIO ? KEY_END : KEY_FAILED;
	input->n += (size_t)n;
	return n ? KEY_OK : KEY_END;
}

/* The bytes at hand are the mark, or may become it. */
static bool begins_mark(const struct key_input *input, const char *mark)
{
	size_t n = input->n < MARK_LENGTH ? input->n : MARK_LENGTH;

	return !memcmp(input->bytes + input->at, mark, n);
}

/* Takes a mark out, if the next bytes are one. */
static bool take_mark(struct key_input *input)
{
	const char *mark = input->is_pasting ? PASTE_END : PASTE_BEGIN;

	while (begins_mark(input, mark) && input->n < MARK_LENGTH) {
		size_t n_before = input->n;

		if (fill(input, MARK_MS) != KEY_OK || input->n == n_before)
			return false;
	}
	if (!begins_mark(input, mark))
		return false;
	input->at += MARK_LENGTH;
	input->n -= MARK_LENGTH;
	input->is_pasting = !input->is_pasting;
	input->had_return = false;
	return true;
}

/* False: the pasted byte is dropped. Terminals send CR for a new line; a text may have CR LF. */
static bool clean(struct key_input *input, unsigned char *byte)
{
	bool is_second = input->had_return && *byte == '\n';

	input->had_return = *byte == '\r';
	if (*byte == '\r')
		*byte = '\n';
	return !is_second && (*byte >= ' ' || *byte == '\n' || *byte == '\t') && *byte != 0x7f;
}

enum key_result key_input_get(struct key_input *input, unsigned char *byte_out)
{
	unsigned char byte;

	for (;;) {
		while (!input->n) {
			enum key_result result = fill(input, -1);

			if (result != KEY_OK)
				return result;
		}
		if (input->bytes[input->at] == '\033' && take_mark(input))
			continue;
		byte = input->bytes[input->at++];
		input->n--;
		if (input->is_pasting && !clean(input, &byte))
			continue;
		*byte_out = byte;
		return KEY_OK;
	}
}
