/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/launcher.h"

#include "base/log.h"
#include "base/parse.h"
#include "transport/ancestor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Polling interval where pidfd_open is missing (before Linux 5.3) or forbidden by a sandbox. */
#define LOOK_MS 200

/* Open MPI's default time between SIGTERM and SIGKILL, and the part of it that a rank needs to
 * close its links and finalise MPI. */
#define DEFAULT_KILL_SECONDS 1
#define LEAVING_MS 700

/* How long an ending process waits for its last log line to be written. */
#define LAST_WORDS_MS 500

struct launcher {
	struct ancestor ancestor;
	char name[ANCESTOR_NAME_BYTES];
	int pid_fd;		/* readable once the launcher has ended; -1: poll every LOOK_MS */
	int stop_fd;		/* readable once launcher_destroy was called */
	bool has_thread;
	pthread_t thread;
	pthread_mutex_t lock;	/* guards `wake` only: the watch thread sends it,
				 * the loop's thread creates and destroys it */
	struct wake *wake;	/* NULL: not attached */
	launcher_gone_fn *fn;
	void *arg;
};

static void describe_end(const struct launcher *launcher, struct error *err)
{
	error_set(err, SC_E_UNAVAILABLE, "the launcher (%s, pid %d) has ended, and this server "
		  "ends with it", launcher->name, (int)launcher->ancestor.pid);
}

static void end_process(const struct launcher *launcher, const char *why)
{
	struct error err;

	describe_end(launcher, &err);
	log_last_words(LAST_WORDS_MS, "%s%s", err.text, why);
	_exit(sc_status_exit_code(err.status));
}

/* Blocks until the launcher has ended. Returns false if launcher_destroy was called first. */
static bool wait_for_end(const struct launcher *launcher)
{
	struct pollfd fds[] = {
		{ .fd = launcher->stop_fd, .events = POLLIN },
		{ .fd = launcher->pid_fd, .events = POLLIN },	/* ignored when negative */
	};

	for (;;) {
		int n = poll(fds, 2, launcher->pid_fd < 0 ? LOOK_MS : -1);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0 && fds[0].revents)
			return false;
		if (n > 0)
			return true;
		if (n == 0 && !ancestor_is_alive(&launcher->ancestor))
			return true;
	}
}

static bool tell_loop(struct launcher *launcher)
{
	bool is_attached;

	pthread_mutex_lock(&launcher->lock);
	is_attached = launcher->wake != NULL;
	if (is_attached)
		wake_send(launcher->wake);
	pthread_mutex_unlock(&launcher->lock);
	return is_attached;
}

static void *watch(void *arg)
{
	struct launcher *launcher = arg;
	struct pollfd stop = { .fd = launcher->stop_fd, .events = POLLIN };

	if (!wait_for_end(launcher))
		return NULL;
	if (!tell_loop(launcher))
		end_process(launcher, "");
	if (poll(&stop, 1, LAUNCHER_GRACE_MS) == 0)
		end_process(launcher, "; leaving took too long");
	return NULL;
}

/* Blocks signals in the new thread, because the loop's thread handles them. */
static enum sc_status start_thread(struct launcher *launcher, struct error *err)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&launcher->thread, NULL, watch, launcher);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return error_errno(err, SC_E_NOMEM, rc, "cannot start the thread that watches the "
				   "launcher");
	launcher->has_thread = true;
	return SC_OK;
}

/* The launcher may end after the search but before the pidfd is opened, and another process may get
 * its pid. If the launcher is still alive after the opening, the pidfd belongs to the launcher. */
static void open_launcher(struct launcher *launcher)
{
	do {
		if (launcher->pid_fd >= 0)
			close(launcher->pid_fd);
		launcher->ancestor = ancestor_find();
		launcher->pid_fd = (int)syscall(SYS_pidfd_open, launcher->ancestor.pid, 0);
	} while (!ancestor_is_alive(&launcher->ancestor));
	ancestor_name(launcher->ancestor.pid, launcher->name);
}

enum sc_status launcher_watch(struct launcher **launcher_out, struct error *err)
{
	struct launcher *launcher = calloc(1, sizeof *launcher);
	enum sc_status status;

	if (!launcher)
		return error_set(err, SC_E_NOMEM, "watching the launcher: out of memory");
	pthread_mutex_init(&launcher->lock, NULL);
	launcher->pid_fd = -1;
	launcher->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (launcher->stop_fd < 0) {
		status = error_errno(err, SC_E_IO, errno, "watching the launcher");
	} else {
		open_launcher(launcher);
		status = start_thread(launcher, err);
	}
	if (status != SC_OK) {
		launcher_destroy(launcher);
		return status;
	}
	*launcher_out = launcher;
	return SC_OK;
}

static void on_wake(void *arg)
{
	struct launcher *launcher = arg;
	struct error err;

	describe_end(launcher, &err);
	launcher->fn(launcher->arg, &err);
}

enum sc_status launcher_attach(struct launcher *launcher, struct loop *loop, launcher_gone_fn *fn,
			       void *arg)
{
	struct wake *wake;
	enum sc_status status;

	launcher->fn = fn;
	launcher->arg = arg;
	status = wake_create(loop, on_wake, launcher, &wake);
	if (status != SC_OK)
		return status;
	pthread_mutex_lock(&launcher->lock);
	launcher->wake = wake;
	pthread_mutex_unlock(&launcher->lock);
	return SC_OK;
}

void launcher_detach(struct launcher *launcher)
{
	struct wake *wake;

	if (!launcher)
		return;
	pthread_mutex_lock(&launcher->lock);
	wake = launcher->wake;
	launcher->wake = NULL;
	pthread_mutex_unlock(&launcher->lock);
	wake_destroy(wake);
}

void launcher_destroy(struct launcher *launcher)
{
	if (!launcher)
		return;
	launcher_detach(launcher);
	if (launcher->has_thread) {
		(void)!write(launcher->stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		pthread_join(launcher->thread, NULL);
	}
	if (launcher->pid_fd >= 0)
		close(launcher->pid_fd);
	if (launcher->stop_fd >= 0)
		close(launcher->stop_fd);
	pthread_mutex_destroy(&launcher->lock);
	free(launcher);
}

static void (*handle_term)(int signum);
static _Atomic pid_t sender;

static void note_sender(int signum, siginfo_t *info, void *context)
{
	(void)context;
	sender = info->si_pid;
	handle_term(signum);
}

void launcher_note_sender(void)
{
	struct sigaction action;

	if (sigaction(SIGTERM, NULL, &action) || action.sa_flags & SA_SIGINFO ||
	    action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
		return;
	handle_term = action.sa_handler;
	action.sa_sigaction = note_sender;
	action.sa_flags |= SA_SIGINFO;
	(void)sigaction(SIGTERM, &action, NULL);
}

uint32_t launcher_patience_ms(const struct launcher *launcher)
{
	const char *text = getenv("OMPI_MCA_odls_base_sigkill_timeout");
	uint64_t seconds = DEFAULT_KILL_SECONDS;

	if (!launcher || sender != launcher->ancestor.pid || !getenv("OMPI_COMM_WORLD_RANK"))
		return UINT32_MAX;
	if (text && (!parse_u64(text, &seconds) || seconds > UINT32_MAX / 1000))
		return UINT32_MAX;
	return seconds ? (uint32_t)seconds * 1000 - LEAVING_MS : 0;
}

/* --- ending the launcher --- */

/* Returns true if the process ends within the time. */
static bool has_ended(int pid_fd, int timeout_ms)
{
	struct pollfd end = { .fd = pid_fd, .events = POLLIN };

	return poll(&end, 1, timeout_ms) > 0;
}

/* The kernel uses the lowest free descriptor numbers, so no descriptor comes close to a limit of
 * many millions. */
#define MAX_DESCRIPTORS (1u << 20)

/* Linux before 5.9 has no close_range, and a sandbox may forbid it. */
static void close_all_from(unsigned first)
{
	struct rlimit limit;
	unsigned n = MAX_DESCRIPTORS;

	if (!close_range(first, ~0u, 0))
		return;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < n)
		n = (unsigned)limit.rlim_cur;
	for (unsigned fd = first; fd < n; fd++)
		(void)close((int)fd);
}

/* Runs in a child of fork. Other threads may have held locks at the fork, so only system calls are
 * allowed here.
 * - The child has its own session, so that the launcher does not kill it together with the rank.
 * - The child closes all descriptors, because the launcher waits until the rank's output is
 * closed. */
static _Noreturn void help_to_end(int pid_fd)
{
	(void)setsid();
	if (pid_fd != 0 && dup2(pid_fd, 0) < 0)
		_exit(EXIT_FAILURE);
	close_all_from(1);
	/* SIGKILL at once: SIGTERM makes a hanging mpirun crash during its clean-up, with a long
	 * stack trace. Its daemons on other hosts end when they lose their connection to it. */
	if (!has_ended(0, LAUNCHER_END_MS))
		(void)syscall(SYS_pidfd_send_signal, 0, SIGKILL, NULL, 0);
	_exit(EXIT_SUCCESS);
}

static bool survives_losses(void)
{
	const char *text = getenv("OMPI_MCA_orte_enable_recovery");

	return text && strcmp(text, "0");
}

void launcher_end(const struct launcher *launcher, bool ends_cluster)
{
	pid_t pid;

	if (!launcher || launcher->pid_fd < 0 || has_ended(launcher->pid_fd, 0) ||
	    !ancestor_is_open_mpi(launcher->ancestor.pid) || (survives_losses() && !ends_cluster))
		return;
	pid = fork();
	if (pid == 0)
		help_to_end(launcher->pid_fd);
	if (pid < 0)
		log_error("the launcher (%s, pid %d) may never end, because starting a process "
			  "that ends it failed: %s. If it still runs after this server, kill it by "
			  "hand",
			  launcher->name, (int)launcher->ancestor.pid, strerror(errno));
}

/* mpirun of Open MPI 4 tells its ranks what it was asked to do with their output. */
static bool is_output_changed(void)
{
	static const char *const settings[] = {
		"OMPI_MCA_orte_tag_output", "OMPI_MCA_orte_timestamp_output",
		"OMPI_MCA_orte_xml_output", "OMPI_MCA_orte_output_filename",
		"OMPI_MCA_orte_xterm",
	};

	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
		if (getenv(settings[i]))
			return true;
	return false;
}

bool launcher_shows_terminal(const struct launcher *launcher)
{
	char path[64], target[64] = "";
	struct stat st;

	if (!launcher || is_output_changed() ||
	    (strcmp(launcher->name, "mpirun") && strcmp(launcher->name, "orterun")) ||
	    fstat(STDERR_FILENO, &st) != 0 || !S_ISFIFO(st.st_mode))
		return false;
	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)launcher->ancestor.pid, STDERR_FILENO);
	if (readlink(path, target, sizeof target - 1) < 0)
		return false;
	return !strncmp(target, "/dev/pts/", 9) || !strncmp(target, "/dev/tty", 8);
}

pid_t launcher_pid(const struct launcher *launcher)
{
	return launcher->ancestor.pid;
}
