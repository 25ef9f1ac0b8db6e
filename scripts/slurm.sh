#!/usr/bin/env bash
# A sweep under a real Slurm: controller, daemon and munge on this machine, begun here and ended here. Runs
# are stopped by their time limit, lose their node and are handed over twice; in the end the sweep must be
# complete, and nothing done twice.
#
# usage: scripts/slurm.sh [FOLDER]
#
# FOLDER is where to work [default: a temporary one, removed in the end]. What else may be set: AUTOREP (the
# program), MINUTES (time limit of a job, 1), TEACHER_EPOCHS (300: longer than the limit), SEARCH_EPOCHS (20).
# Exit code 3: there is no Slurm and none could be installed, nothing was run.
set -euo pipefail
cd "$(dirname "$0")/.."

autorep=$(realpath "${AUTOREP:-target/release/autorep}")
user=$(id -un)

not_run() {
    echo "NOT RUN: $1" >&2
    exit 3
}

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

installed() {
    PATH=$PATH:/usr/sbin command -v slurmctld slurmd munged sbatch scontrol >/dev/null
}

installed || {
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null ||
        not_run "Slurm is missing; install it (Debian: slurm-wlm, munge), or run this as root"
    echo "installing Slurm with the system's package manager"
    apt-get update -qq </dev/null || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge \
        </dev/null >/dev/null || true
    installed || not_run "Slurm could not be installed"
}
# Its daemons run jobs as other users, and munge wants its folders to be nobody else's.
[ "$(id -u)" -eq 0 ] || not_run "Slurm's daemons have to be begun as root"
PATH=$PATH:/usr/sbin

if [ $# -gt 0 ]; then
    mkdir -p "$1"
    work=$(realpath "$1")
    keep=yes
else
    work=$(mktemp -d)
    keep=
fi
state=$work/state
mkdir -p "$state"/{controller,daemon,munge}
chmod 700 "$state/munge"

daemons=()
begin() {
    "$@" >>"$state/daemons.log" 2>&1 &
    daemons+=($!)
}
end() {
    local code=$?
    trap - EXIT
    scancel --user="$user" 2>/dev/null || true
    sleep 1
    [ ${#daemons[@]} -eq 0 ] || kill "${daemons[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    if [ $code -ne 0 ]; then
        tail -n 20 "$state"/*.log "$work"/sweep/*.log >&2 || true
    fi
    [ -n "$keep" ] || rm -rf "$work"
    exit $code
}
trap end EXIT

# munge, by a key and a socket of its own.
socket=$state/munge/socket
head -c 1024 /dev/urandom >"$state/munge/key"
chmod 600 "$state/munge/key"
begin munged --foreground --force --key-file="$state/munge/key" --socket="$socket" \
    --pid-file="$state/munge/pid" --log-file="$state/munge/log" --seed-file="$state/munge/seed"

node=$(hostname -s)
cpus=$(nproc)
memory=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
# Ports above those of a Slurm that may be here already.
controller=$((20000 + $$ % 10000))
export SLURM_CONF=$state/slurm.conf
cat >"$SLURM_CONF" <<END
ClusterName=rehearsal
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$controller
SlurmdPort=$((controller + 1))
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$socket
CredType=cred/munge
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/daemon
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdTimeout=30
KillWait=5
MinJobAge=3600
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=60 State=UP
END
for _ in $(seq 50); do [ ! -S "$socket" ] || break; sleep 0.1; done
begin slurmctld -D
begin slurmd -D -N "$node"
slurmd=${daemons[-1]}
idle() { sinfo --noheader --format=%T 2>/dev/null | grep -q "idle"; }
for _ in $(seq 300); do ! idle || break; sleep 0.2; done
idle || fail "the node does not come up: $(sinfo 2>&1 || true)"
echo "Slurm $(sinfo --version | cut -d' ' -f2): controller and daemon on $node, $cpus processors"

# A teacher that takes longer than its minute, and two searches.
out=$work/sweep
sweep() {
    "$autorep" sweep --out "$out" --data builtin:train=256,test=64,size=16 --model resnet8 --width 0.5 \
        --batch 16 --teacher-epochs "${TEACHER_EPOCHS:-300}" --set search.epochs="${SEARCH_EPOCHS:-20}" \
        --set finish.epochs=2 --budgets 10%,0 --launcher slurm --partition all --gpus 0 --time-limit "${MINUTES:-1}" \
        --mem-gib 1 "$@"
}
finished() { [ -e "$out/$1/summary.json" ]; }
gather() { "$autorep" sweep --gather "$out"; }
begun() { cat "$out/$1.log" 2>/dev/null | grep -c '^begun: ' || true; }
# Slurm lets two minutes pass before a job that was put back may begin. Ten seconds are enough for the daemon to
# forget that it has ended the job.
hasten() {
    local job reason start
    squeue --noheader --states=pending --format='%i %r %S' | while read -r job reason start; do
        if [ "$reason" = BeginTime ] && [ "$start" != N/A ] &&
            [ $(($(date -d "$start" +%s) - $(date +%s))) -gt 20 ]; then
            scontrol update jobid="$job" starttime=now+10
        fi
    done
}
# Waits up to so many seconds for a command to succeed.
await() {
    local seconds=$1
    shift
    for _ in $(seq "$seconds"); do
        ! "$@" || return 0
        hasten
        sleep 1
    done
    fail "after $seconds seconds still not: $*; $(squeue 2>&1)"
}
again() { [ "$(begun "$1")" -ge "$2" ]; }

export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$work}
begun_at=$SECONDS
# Slurm may be a minute early with the signal: a grace of ten seconds within a minute is what is left.
sweep --pass=--signal=B:USR1@10
echo "handed over: $((SECONDS - begun_at)) s"
# A second time: what is queued already is done once all the same.
sweep --resume --pass=--signal=B:USR1@10

await 300 again teacher 3
grep -q 'interrupted; continue' "$out/teacher.log" || fail "the time limit has not stopped the teacher"
grep -q 'resuming at ' "$out/teacher.log" || fail "the teacher has not gone on"
echo "the teacher was told of its time limit, put back, and has gone on"

before=$(begun teacher)
scontrol update nodename="$node" state=down reason=rehearsal
sleep 3
# It may have come back by itself.
scontrol update nodename="$node" state=resume 2>/dev/null || true
await 120 again teacher $((before + 1))
echo "its node went down; it was put back, and has gone on"

await 600 finished teacher
await 600 finished autorep-10pct-s0
await 600 finished autorep-0-s0
await 200 eval '[ -z "$(squeue --noheader)" ]'
gather
[ "$(grep -c 'search' "$out/sweep.json")" -gt 0 ] || fail "nothing was gathered"
gather | grep -q '2 of 2 searches are done' || fail "the sweep is not complete"
# What was done twice would have left a step twice.
for run in teacher autorep-10pct-s0 autorep-0-s0; do
    steps=$(sed -n '/"gradient_norm"/ s/.*"phase":"\([a-z]*\)","step":\([0-9]*\).*/\1 \2/p' "$out/$run/metrics.jsonl")
    [ -n "$steps" ] || fail "$run has logged no step"
    twice=$(sort <<<"$steps" | uniq -d)
    [ -z "$twice" ] || fail "$run has done steps twice: $twice"
    echo "$run: $(begun "$run") processes, $(grep -c 'resuming at' "$out/$run.log" || true) went on," \
        "$(wc -l <"$out/$run/metrics.jsonl") records, none twice"
done
echo "complete after $((SECONDS - begun_at)) s"
kill -0 "$slurmd" || fail "Slurm's daemon has ended on the way"
