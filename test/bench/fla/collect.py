"""Puts the results of finetune.py and of `glaze eval` into one file, and fails unless glaze finds
the perplexity that flash-linear-attention found: collect.py OUT sample.json train-*.json eval.json
"""

import json
import sys
from pathlib import Path

# Of FLA's products in TF32, and of glaze's in the arithmetic that it chooses for the GPU.
LIMIT = 0.005

out, *files = map(Path, sys.argv[1:])
found = {file.stem: json.loads(file.read_text()) for file in files if file.exists()}
missing = [file.name for file in files if not file.exists()]
rows = {row["model"]: row for row in found.get("eval", {}).get("rows", [])}
far = []
print(f"{'perplexity':<12}{'converted':>12}{'finetuned':>12}{'in glaze':>12}{'tokens':>10}")
for name, train in found.items():
    if not name.startswith("train-"):
        continue
    model = name.removeprefix("train-")
    pairs = {
        model: train["points"][0]["perplexity"],
        f"{model}-finetuned": train["savedPerplexity"],
    }
    for folder, perplexity in pairs.items():
        row = rows.get(folder, {"perplexity": float("nan"), "tokens": 0})
        near = abs(row["perplexity"] / perplexity - 1) <= LIMIT
        if not near or row["tokens"] != train["heldoutTokens"]:
            far.append(folder)
    first, last = pairs.values()
    print(f"{model:<12}{first:>12.2f}{last:>12.3f}{row['perplexity']:>12.3f}{row['tokens']:>10}")
found["disagree"] = far
if "eval" in found:
    # Where the files lay says nothing to others.
    found["eval"]["text"] = Path(found["eval"]["text"]).name
    for row in rows.values():
        del row["folder"]
out.write_text(json.dumps(found, indent=1) + "\n")
if missing or far:
    sys.exit(f"collect.py: missing {missing}, glaze and FLA disagree on {far}")
