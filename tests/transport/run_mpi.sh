#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Links between processes that mpirun has started: ring and link suite, over ucx and over mpi.
dir=${BUILDDIR:-.}/tests/transport
mpirun=${MPIRUN:-mpirun}
command -v "$mpirun" >/dev/null || { echo "no mpirun: skipped"; exit 77; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Open MPI leaks from plug-ins that it then unloads, so nothing tells these leaks from ours; the
# programs count their frames, and test_ucx runs with leak detection.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
launch="$mpirun --oversubscribe --bind-to none"
failed=0

run()
{
	n_ranks=$1
	shift
	echo "== $* ($n_ranks ranks)"
	timeout 300 $launch -n "$n_ranks" "$@" </dev/null
	rc=$?
	if [ $rc -ne 0 ]; then
		echo "exit code $rc"
		failed=1
	fi
	if pgrep -f "$1 " >/dev/null; then
		echo "processes stayed behind:"
		pgrep -fa "$1 "
		failed=1
	fi
}

for fabric in ucx mpi; do
	run 2 "$dir/mpi_links" $fabric
	run 3 "$dir/mpi_links" $fabric
	run 2 "$dir/mpi_suite" $fabric
done
UCX_TLS=tcp,self run 3 "$dir/mpi_links" ucx
exit $failed
