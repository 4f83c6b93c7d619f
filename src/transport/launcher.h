/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_LAUNCHER_H
#define STAGECOACH_TRANSPORT_LAUNCHER_H
/*
 * launcher - the process that started this rank: mpirun on its own host, orted on other hosts,
 * slurmstepd under srun. A rank must not outlive its launcher: nobody could end the rank, and its
 * port would stay taken.
 *
 * The launcher is the nearest ancestor that does not belong to this rank. Wrappers between the
 * launcher and the rank (a shell, numactl, a debugger) belong to the rank: their environment names
 * the same rank. A separate thread watches the launcher, so the rank ends even if its main thread
 * is stuck in MPI_Init or MPI_Finalize.
 * Thread: the main thread (the loop's), unless a function says otherwise.
 */
#include "base/error.h"
#include "event/loop.h"

#include <stdbool.h>
#include <sys/types.h>

struct launcher;

/* How long a rank may run after its launcher has ended, to close its links and streams. Then the
 * watch thread ends the process, whatever other threads are doing. */
#define LAUNCHER_GRACE_MS 1200

/* Starts the watch. Call once, in a process that a launcher has started (see
 * mpi_world_is_launched). Until launcher_attach is called, the launcher's end ends this process at
 * once, with exit code 69 and a message on standard error. */
must_check enum sc_status launcher_watch(struct launcher **launcher_out, struct error *err);

/* From now on fn is called once on the loop's thread when the launcher has ended. err holds a
 * message for users and clients. The process still ends after LAUNCHER_GRACE_MS. */
typedef void launcher_gone_fn(void *arg, const struct error *err);
must_check enum sc_status launcher_attach(struct launcher *launcher, struct loop *loop,
					  launcher_gone_fn *fn, void *arg);
/* Call before the loop is destroyed. The watch goes on as before launcher_attach. Accepts NULL. */
void launcher_detach(struct launcher *launcher);

/*
 * Call as the last act of a process of a cluster that has lost some process.
 * A launcher normally ends when its processes have ended. But mpirun waits for ever for a host that
 * it cannot reach, and orted on that host waits for mpirun, so no supervisor notices the failure.
 * This function therefore starts a helper process that outlives the caller. If the launcher has not
 * ended after LAUNCHER_END_MS, the helper kills it.
 * With --enable-recovery mpirun goes on after the end of single workers. Only the coordinator, whose
 * end is that of the whole cluster (ends_cluster), ends the launcher then.
 * Does nothing for launchers other than Open MPI's. Accepts NULL.
 */
#define LAUNCHER_END_MS 8000
void launcher_end(const struct launcher *launcher, bool ends_cluster);

/* Ends the watch. From now on the process may outlive its launcher. Accepts NULL. */
void launcher_destroy(struct launcher *launcher);

/* How long this process may take to drain after the last SIGTERM. mpirun and orted send SIGTERM to
 * their ranks and SIGKILL a second later (odls_base_sigkill_timeout); part of that second is
 * reserved for leaving. UINT32_MAX: the signal came from elsewhere, or no SIGKILL follows soon.
 * Call launcher_note_sender once before, after the loop has installed its SIGTERM handler. */
void launcher_note_sender(void);
uint32_t launcher_patience_ms(const struct launcher *launcher);

/* What this process writes to standard error appears on a terminal as it is written, because the
 * launcher passes it on: standard error is a pipe, the launcher is mpirun on this host, its own
 * standard error is a terminal, and it was not asked to put anything in front of lines. */
bool launcher_shows_terminal(const struct launcher *launcher);

pid_t launcher_pid(const struct launcher *launcher);

#endif
