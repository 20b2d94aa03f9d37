#!/usr/bin/env bash
# Everything in this folder on a machine with an NVIDIA GPU, in less than nine minutes: run.sh RESULTS
# [logits|finetune|throughput]... Needs bun and the project's packages, python3 with torch, transformers
# and flash-linear-attention. What fails is named at the end; the rest goes on.
set -uo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
parts=${*:-logits finetune throughput}
cd "$(dirname "$0")/../../.."
here=test/bench/fla
checkpoints=models/checkpoints
teacher=$checkpoints/tales-mistral-5m
work=$(mktemp -d)
failed=()
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TOKENIZERS_PARALLELISM=false
exec > >(tee "$out/run.log") 2>&1
tee=$!

wants() { [[ " $parts " == *" $1 "* ]]; }

# step NAME SECONDS COMMAND...: at most until 520 s after the start of this script
step() {
  local name=$1 most=$2 begun=$SECONDS status=0
  shift 2
  local left=$((520 - SECONDS))
  if ((left < most)); then most=$left; fi
  if ((most < 5)); then
    echo "== $name: left out, no time"
    failed+=("$name")
    return 1
  fi
  timeout -k 5 "$most" "$@" || status=$?
  echo "== $name: status $status, $((SECONDS - begun)) s, at $SECONDS s"
  if ((status != 0)); then failed+=("$name"); fi
  return "$status"
}

# In the background: `later NAME SECONDS COMMAND...` writes a log and a status, `finish NAME` shows them.
later() {
  local name=$1
  (step "$@" >"$work/$name.log" 2>&1; echo $? >"$work/$name.status") &
  echo $! >"$work/$name.pid"
}
finish() {
  wait "$(cat "$work/$1.pid")"
  echo "-- $1"
  grep -v 'Loading weights' "$work/$1.log"
  if [[ $(cat "$work/$1.status") != 0 ]]; then failed+=("$1"); fi
}

make() {
  local name=$1
  shift
  step "convert-$name" 30 bun src/main.ts convert "$teacher" "$work/$name" "$@" >"$work/convert.log" 2>&1 ||
    cat "$work/convert.log"
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
make gla --to gla
make gsa --to gsa
make hybrid --to hybrid --softmax-layers 2,5 --window 256
if wants logits; then
  make gla-gate-conv --to gla --output-gate --short-conv --feature-map swish
  make gsa-t2r-conv --to gsa --num-slots 32 --feature-map t2r --short-conv
  make hybrid-window --to hybrid --softmax-layers 2,5 --window 64
  make hybrid-gsa --to hybrid --mixer gsa --softmax-layers 0
  folders=("$work"/{gla,gla-gate-conv,gsa,gsa-t2r-conv,hybrid-window,hybrid-gsa})
  for weights in "$checkpoints"/*/model.safetensors; do folders+=("$(dirname "$weights")"); done
  later reference 150 bun $here/reference.ts "$work/reference" "${folders[@]}"
fi

if wants finetune; then
  step sample 170 python3 $here/finetune.py --json "$work/sample.json" sample "$teacher" \
    --out "$work/text.safetensors"
  for name in gla gsa hybrid; do
    later "train-$name" 170 python3 $here/finetune.py --json "$work/train-$name.json" train \
      "$work/$name" --teacher "$teacher" --text "$work/text.safetensors" \
      --heldout $checkpoints/heldout.txt --out "$work/$name-finetuned"
  done
fi

if wants logits; then
  finish reference
  step logits 150 python3 $here/logits.py "${folders[@]}" \
    --reference "$work/reference/model.safetensors" --json "$out/logits.json"
fi

if wants finetune; then
  for name in gla gsa hybrid; do finish "train-$name"; done
  models=()
  for name in {gla,gsa,hybrid}{,-finetuned}; do
    if [[ -f $work/$name/model.safetensors ]]; then models+=("$work/$name"); fi
  done
  step eval 90 bun src/main.ts eval "$teacher" "${models[@]}" --json "$work/eval.json"
  step collect 20 python3 $here/collect.py "$out/finetune.json" \
    "$work"/{sample,train-gla,train-gsa,train-hybrid,eval}.json
fi

if wants throughput; then
  for shape in gla-7b gsa-7b; do
    step "$shape" 150 python3 $here/throughput.py --shape $shape --json "$out/$shape.json"
  done
fi

rm -rf "$work"
echo "done after $SECONDS s; failed: ${failed[*]:-nothing}"
exec >&- 2>&-
wait "$tee"
((${#failed[@]} == 0))
