/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_LAUNCHER_H
#define STAGECOACH_TRANSPORT_LAUNCHER_H
/*
 * launcher - the process that started this rank: mpirun on its own host, orted on other hosts,
 * slurmstepd under srun. A rank must not outlive its launcher, because nobody could end the rank
 * any more and its port would stay taken.
 *
 * The launcher is the nearest ancestor that does not belong to this rank. Wrappers between the
 * launcher and the rank (a shell, numactl, a debugger) do belong to the rank: their environment
 * names the same rank as ours. A thread waits for the launcher's end, so that a rank ends even
 * while its main thread is stuck in MPI_Init or MPI_Finalize.
 */
#include "base/error.h"
#include "event/loop.h"

#include <sys/types.h>

struct launcher;

/* After the launcher's end a rank has this long to say good-bye. Then the process ends, whatever
 * its threads are doing. */
#define LAUNCHER_GRACE_MS 1200

/* Starts the watch. Call once, on the main thread, in a process that a launcher has started (see
 * mpi_world_is_launched). Until launcher_attach the launcher's end ends this process at once, with
 * exit code 69 and a message on stderr. */
must_check enum sc_status launcher_watch(struct launcher **launcher_out, struct error *err);

/* From now on fn is called on the loop's thread, once, when the launcher has ended. err says so in
 * words for people and clients. The process still ends after LAUNCHER_GRACE_MS. */
typedef void launcher_gone_fn(void *arg, const struct error *err);
must_check enum sc_status launcher_attach(struct launcher *launcher, struct loop *loop,
					  launcher_gone_fn *fn, void *arg);
/* Before the loop is destroyed. The watch goes on as before launcher_attach. Accepts NULL. */
void launcher_detach(struct launcher *launcher);

/*
 * For a process that leaves because its cluster has failed, as its last act. A launcher ends once
 * its processes have, but mpirun waits for ever for a host that it cannot reach any more, and orted
 * on that host waits for mpirun. No supervisor notices then. So a helper process outlives this one:
 * if the launcher has not ended after LAUNCHER_END_MS, the helper kills it.
 * Does nothing to launchers other than Open MPI's, or with --enable-recovery, where mpirun may have
 * other processes to care for. Accepts NULL.
 */
#define LAUNCHER_END_MS 8000
void launcher_end(const struct launcher *launcher);

/* Ends the watch: the process outlives its launcher from now on. Accepts NULL. */
void launcher_destroy(struct launcher *launcher);

/* How long this process has left after the SIGTERM that it received last. mpirun and orted send
 * SIGTERM to their ranks and SIGKILL a second later (odls_base_sigkill_timeout), part of which is
 * kept here for leaving. UINT32_MAX: the signal is not from the launcher, or no SIGKILL follows it
 * soon. launcher_note_sender comes first, after the loop has begun to handle SIGTERM. */
void launcher_note_sender(void);
uint32_t launcher_patience_ms(const struct launcher *launcher);

pid_t launcher_pid(const struct launcher *launcher);

#endif
