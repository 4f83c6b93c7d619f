#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Latency and bandwidth of every kind of link on this machine, as a Markdown table.
# Run from the build directory: sh ../bench/links.sh [path of bench/links]
links=${1:-bench/links}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# A core for each rank: on one core, each waits until the other has spun.
launch="${MPIRUN:-mpirun} --bind-to core -n 2"

"$links" --head
"$links" loopback
UCX_TLS=posix,self $launch "$links" ucx "ucx, shared memory"
UCX_TLS=tcp,self $launch "$links" ucx "ucx, tcp"
UCX_TLS=tcp,self UCX_RNDV_THRESH=auto UCX_ZCOPY_THRESH=auto $launch \
	"$links" ucx "ucx, tcp, rendezvous auto"
UCX_TLS=posix,self UCX_RNDV_THRESH=auto UCX_ZCOPY_THRESH=auto $launch \
	"$links" ucx "ucx, shared memory, rendezvous auto"
$launch --mca btl vader,self "$links" mpi "mpi, shared memory"
$launch --mca btl tcp,self "$links" mpi "mpi, tcp"
