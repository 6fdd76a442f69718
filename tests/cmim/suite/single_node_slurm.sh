#!/usr/bin/env bash
# A Slurm of this machine alone, for tests: single_node_slurm.sh start|stop FOLDER [CPUS]
# Needs root, slurm-wlm and munge. Nothing outside of FOLDER is written or read: with
# SLURM_CONF=FOLDER/slurm.conf sbatch, squeue and scancel speak to it. There is no
# accounting, as on many small clusters.
set -euo pipefail
what=$1 folder=$(realpath -m "$2") cpus=${3:-2}

start() {
    mkdir -p "$folder"/{munge,state,spool}
    local host controller worker
    host=$(hostname -s)
    read -r controller worker < <(free_ports)
    dd if=/dev/urandom of="$folder/munge/key" bs=1 count=1024 status=none
    chmod 700 "$folder/munge"
    chmod 400 "$folder/munge/key"
    munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
        --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" \
        --seed-file="$folder/munge/seed" --num-threads=2
    cat >"$folder/slurm.conf" <<CONF
ClusterName=single
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
SlurmctldPort=$controller
SlurmdPort=$worker
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
KillWait=2
InactiveLimit=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
    export SLURM_CONF="$folder/slurm.conf"
    slurmctld -c
    slurmd
    for _ in $(seq 100); do
        if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then
            return
        fi
        sleep 0.2
    done
    tail "$folder"/*.log >&2
    exit 1
}

free_ports() {
    python3 -c '
import socket
probes = [socket.socket() for _ in range(2)]
for probe in probes:
    probe.bind(("127.0.0.1", 0))
print(*(probe.getsockname()[1] for probe in probes))'
}

stop() {
    for file in "$folder"/slurmd.pid "$folder"/slurmctld.pid "$folder"/munge/pid; do
        if [ -f "$file" ]; then
            kill "$(cat "$file")" 2>/dev/null || true
        fi
    done
}

"$what"
