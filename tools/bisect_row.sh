#!/usr/bin/env bash
# Names the commit that moved a row's figures: make bisect ROW=57fea454 DATA_ROOT=data/nyuv2
#
# The row is run again at commits between its own and today's, in a worktree of its own, by
# `git bisect`: each try takes as long as the row. Commits at which it cannot be run are skipped.
set -euo pipefail

# Status 0: the figures came back; 1: they did not; 125: not to be told at this commit.
if [ "${1:-}" = --try ]; then
    shift
    python=$1; shift
    status=0
    "$python" tools/reproduce.py "$@" || status=$?
    # cmim/commands/reproduce.py: 3 says that the figures moved, all else that it cannot run.
    case $status in 0) ;; 3) status=1 ;; *) status=125 ;; esac
    exit $status
fi

[ $# -ge 1 ] || { echo "usage: tools/bisect_row.sh ROW [RESULTS [DATA_ROOT]]" >&2; exit 2; }
row=$1
results=$(realpath "${2:-results}")
data=${3:+$(realpath "$3")}
python=${PYTHON:-python3}
cd "$(dirname "$0")/.."
home=$PWD

good=$("$python" - "$results" "$row" <<'PY'
import sys
from pathlib import Path
sys.path.insert(0, ".")
from cmim.suite.reproduce import find_record
found = find_record(Path(sys.argv[1]), sys.argv[2])
print((found.get("code") or {}).get("commit") or "")
PY
)
case $good in
"") echo "error: the record of '$row' names no commit: it was not run from a checkout" >&2; exit 2 ;;
*+) echo "error: '$row' was run with changes that no commit has (${good%+} and more)" >&2; exit 2 ;;
esac

tree=$(mktemp -d)/tree
git worktree add --quiet --detach "$tree" HEAD
trap 'cd "$home"; git worktree remove --force "$tree"' EXIT
cd "$tree"
export PYTHONPATH=$tree
try=("$home/tools/bisect_row.sh" --try "$python" "$row" --results "$results")
[ -z "$data" ] || try+=(--data-root "$data")

echo "today, $(git rev-parse --short HEAD):"
# 0: the figures came back, 1: they did not, anything else: they could not be computed.
status=0; "${try[@]}" || status=$?
if [ "$status" = 0 ]; then echo "nothing has moved"; exit 0; fi
if [ "$status" != 1 ]; then
    echo "error: today's code cannot run the row (see above): mend that, or bisect that" >&2
    exit 1
fi
git checkout --quiet "$good"
echo "then, ${good:0:9}:"
status=0; "${try[@]}" || status=$?
if [ "$status" = 1 ]; then
    echo "error: the row does not come back at its own commit: look at packages and processor" >&2
    exit 1
elif [ "$status" != 0 ]; then
    echo "error: the row cannot be run at its own commit (see above)" >&2
    exit 1
fi
git bisect start "$(git -C "$home" rev-parse HEAD)" "$good"
git bisect run "${try[@]}"
git bisect reset >/dev/null 2>&1 || true
