"""Training throughput of flash-linear-attention in the shape of the 7B models (../shapes.ts) on one
GPU, random weights: throughput.py --shape gla-7b --json OUT. Bfloat16 weights, gradients and moments of
Adam, each layer recomputed in the backward pass, logits and loss in FLA's fused kernel.
"""

import time

import environment

SEVEN = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_heads": 32,
    "num_kv_heads": 8,
    "vocab_size": 32000,
    "norm_eps": 1e-5,
    "fuse_cross_entropy": False,
    "fuse_linear_cross_entropy": True,
    "tie_word_embeddings": False,
}
GLA = {"expand_k": 1, "expand_v": 1, "feature_map": "relu", "use_output_gate": False}
GSA = {"num_slots": 64, "gate_logit_normalizer": 8}
TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_heads": 2,
    "num_kv_heads": 1,
    "vocab_size": 256,
}
# Class, configuration, weights in billions; 0: whatever it has.
SHAPES = {
    "gla-7b": ("GLA", {**SEVEN, **GLA}, 7.24),
    "gsa-7b": ("GSA", {**SEVEN, **GSA}, 7.31),
    "gla-tiny": ("GLA", {**SEVEN, **GLA, **TINY}, 0),
    "gsa-tiny": ("GSA", {**SEVEN, **GSA, **TINY}, 0),
}
# Dense bfloat16 products of an H100 or H200 (SXM), FLOP/s, by its data sheet.
PEAK = 989.4e12

parser = environment.parser("measures the training throughput of FLA")
parser.add_argument("--shape", choices=SHAPES, required=True)
parser.add_argument("--lengths", type=int, nargs="+", default=[2048, 8192], metavar="TOKENS")
parser.add_argument("--tokens", type=int, default=16384, help="tokens of a step")
parser.add_argument("--warmup", type=int, default=2, help="steps before time is taken")
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--seconds", type=float, default=90, help="no length is begun after this time")
options = parser.parse_args()

environment.fix_autotuner(few=True)
environment.import_fla()

import torch
from fla.models import GLAConfig, GLAForCausalLM, GSAConfig, GSAForCausalLM

DEVICE = environment.device()
# The interpreter that stands in for a GPU has no bfloat16.
DTYPE = torch.bfloat16 if environment.HAS_GPU else torch.float32
GIB = 2**30


def build(kind, config):
    """A model with random weights, on the GPU from the start."""
    configuration, model = {
        "GLA": (GLAConfig, GLAForCausalLM),
        "GSA": (GSAConfig, GSAForCausalLM),
    }[kind]
    torch.set_default_dtype(DTYPE)
    with DEVICE:
        made = model(configuration(**config))
    torch.set_default_dtype(torch.float32)
    made.gradient_checkpointing_enable({"use_reentrant": False})
    recomputes = all(layer.gradient_checkpointing for layer in made.model.layers)
    environment.check(recomputes, "layers are not recomputed")
    types = {parameter.dtype for parameter in made.to(DTYPE).parameters()}
    environment.check(types == {DTYPE}, f"weights are {types}")
    return made.train()


def synchronize():
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def peak_memory():
    return torch.cuda.max_memory_allocated() if DEVICE.type == "cuda" else 0


def timed_steps(model, optimizer, batch, length):
    """Seconds of each step, forward, backward and update, and the losses."""
    vocab = model.config.vocab_size
    seconds, losses = [], []
    for step in range(options.warmup + options.steps):
        ids = torch.randint(0, vocab, (batch, length), device=DEVICE)
        synchronize()
        started = time.perf_counter()
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        synchronize()
        seconds.append(time.perf_counter() - started)
        losses.append(loss.item())
        print(f"  step {step}: {seconds[-1]:.3f} s, loss {losses[-1]:.3f}", flush=True)
        environment.check(torch.isfinite(loss).item(), f"step {step}: loss {losses[-1]}")
    return seconds[options.warmup :], losses


torch.manual_seed(1)
begun = time.monotonic()
kind, config, billions = SHAPES[options.shape]
model = build(kind, config)
weights = sum(parameter.numel() for parameter in model.parameters())
environment.check(not billions or round(weights / 1e9, 2) == billions, f"{weights} weights")
optimizer = torch.optim.AdamW(
    model.parameters(), lr=1e-5, betas=(0.9, 0.95), fused=DEVICE.type == "cuda"
)
print(f"{options.shape}: {weights / 1e9:.2f} G weights", flush=True)
rows = []
for length in options.lengths:
    if rows and time.monotonic() - begun > options.seconds:
        print(f"length {length} left out: {time.monotonic() - begun:.0f} s are over")
        continue
    batch = max(1, options.tokens // length)
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds, losses = timed_steps(model, optimizer, batch, length)
    median = sorted(seconds)[len(seconds) // 2]
    rate = batch * length / median
    rows.append({
        "length": length,
        "batch": batch,
        "stepSeconds": [round(each, 4) for each in seconds],
        "tokensPerSecond": round(rate),
        # Recomputed layers are not counted: 2 operations forward, 4 backward for each weight.
        "flops": 6 * weights * rate,
        "utilisation": round(6 * weights * rate / PEAK, 4),
        "peakBytes": peak_memory(),
        "losses": [round(loss, 4) for loss in losses],
    })
    print(
        f"{options.shape} {batch} x {length}: {rate:.0f} tokens/s, {6 * weights * rate / 1e12:.0f}"
        f" TFLOP/s, {rows[-1]['utilisation']:.1%} of peak, {peak_memory() / GIB:.1f} GiB",
        flush=True,
    )
environment.write_json(options.json, {
    "shape": options.shape,
    "weights": weights,
    "arithmetic": f"{DTYPE} weights, gradients and moments, AdamW fused",
    "recomputed": "every layer",
    "autotune": "4 and 8 warps, 2 and 3 stages",
    "peakFlops": PEAK,
    "rows": rows,
})
