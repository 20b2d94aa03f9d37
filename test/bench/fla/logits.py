"""Logits that flash-linear-attention computes from checkpoint folders, in float32, against those of
this project's float64 oracle (the file that reference.ts wrote). Ends with 1 where a folder does not
load completely or its logits are too far off: logits.py FOLDER... --reference FILE --json OUT
"""

import sys
import time
import traceback
from pathlib import Path

import environment

# A single token and 37 go through FLA's recurrent kernels, more than 64 through its chunk kernels,
# in whole chunks of 64 and a rest.
LENGTHS = (1, 37, 130, 300)
LIMIT = 1e-4

parser = environment.parser("compares FLA's logits with those of an oracle")
parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
parser.add_argument("--reference", type=Path, required=True, help="what reference.ts wrote")
parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, metavar="TOKENS")
options = parser.parse_args()

environment.fix_autotuner()
environment.exact_float32()
environment.import_fla()

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM


def load(folder):
    """The model in float32. Fails unless each tensor of the file is in it, and nothing else."""
    model, found = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    wrong = {key: sorted(map(str, names)) for key, names in found.items() if names}
    environment.check(not wrong, f"{folder}: {wrong}")
    weights = model.state_dict()
    with safe_open(folder / "model.safetensors", "pt") as file:
        for name in file.keys():
            same = torch.equal(weights[name], file.get_tensor(name).float())
            environment.check(same, f"{folder}: {name} is not what the file holds")
        rest = set(weights) - set(file.keys())
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    environment.check(rest == tied, f"{folder}: not from the file: {sorted(rest)}")
    if tied:
        shared = model.lm_head.weight is model.get_input_embeddings().weight
        environment.check(shared, f"{folder}: head and embeddings are not tied")
    return model.to(environment.device()).eval()


def compare(folder, reference):
    """One row of the results: {length: relative RMS error}."""
    started = time.monotonic()
    model = load(folder)
    # ids [T], expected [T, vocab]
    ids = reference.get_tensor(f"{folder.name}.ids").long()
    expected = reference.get_tensor(f"{folder.name}.logits").double()
    errors = {}
    for length in options.lengths:
        environment.check(length <= len(ids), f"the reference has {len(ids)} tokens, not {length}")
        with torch.no_grad():
            # With a cache, as for a prompt: FLA's kernel for a single token of GSA insists on one.
            logits = model(ids[None, :length].to(model.device), use_cache=True).logits[0]
        wanted = expected[:length]
        environment.check(logits.shape == wanted.shape, f"{folder}: logits {tuple(logits.shape)}")
        error = (logits.cpu().double() - wanted).square().mean() / wanted.square().mean()
        errors[str(length)] = error.sqrt().item()
    return {
        "model": folder.name,
        "class": type(model).__name__,
        "tensors": len(model.state_dict()),
        "errors": errors,
        "seconds": round(time.monotonic() - started, 1),
    }


rows, failures = [], []
head = "".join(f"{length:>10}" for length in options.lengths)
print(f"relative RMS error of logits, by tokens\n{'':<24}{'':<20}{head}", flush=True)
with safe_open(options.reference, "pt") as reference:
    for folder in options.folders:
        try:
            rows.append(compare(folder, reference))
        except (Exception, SystemExit) as error:
            # The other folders are compared all the same.
            traceback.print_exc()
            failures.append({"model": folder.name, "reason": repr(error)[:500]})
            continue
        row = rows[-1]
        cells = "".join(f"{error:>10.1e}" for error in row["errors"].values())
        print(f"{row['model']:<24}{row['class']:<20}{cells}{row['seconds']:>8} s", flush=True)

errors = [error for row in rows for error in row["errors"].values()]
# NaN is no number below the limit.
passed = not failures and len(errors) > 0 and all(error <= LIMIT for error in errors)
worst = max(errors, default=None)
environment.write_json(options.json, {
    "limit": LIMIT,
    "worst": worst,
    "passed": passed,
    "rows": rows,
    "failures": failures,
})
print(f"worst {worst}, limit {LIMIT}: {'passed' if passed else 'FAILED'}")
sys.exit(0 if passed else 1)
