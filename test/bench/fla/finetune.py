"""Finetunes a converted folder in flash-linear-attention on text that its softmax teacher writes,
and saves it so that glaze serves it. First `finetune.py --json OUT sample TEACHER --out TEXT`, then
for each student `finetune.py --json OUT train FOLDER` with --teacher, --text, --heldout and --out.
"""

import math
import shutil
import time
from pathlib import Path

import environment

parser = environment.parser("finetunes a converted folder in FLA")
commands = parser.add_subparsers(dest="command", required=True)
sample = commands.add_parser("sample", help="lets the teacher write text")
sample.add_argument("teacher", type=Path)
sample.add_argument("--out", type=Path, required=True, help="file for the tokens")
sample.add_argument("--sequences", type=int, default=12800)
sample.add_argument("--length", type=int, default=512, help="tokens of a sequence")
sample.add_argument("--batch", type=int, default=3200, help="sequences at a time")
sample.add_argument("--seconds", type=float, default=100, help="no new batch after this time")
sample.add_argument("--seed", type=int, default=1)
train = commands.add_parser("train", help="trains a student on it")
train.add_argument("folder", type=Path)
train.add_argument("--teacher", type=Path, required=True)
train.add_argument("--text", type=Path, required=True, help="what sample wrote")
train.add_argument("--heldout", type=Path, required=True, help="text that is never trained on")
train.add_argument("--out", type=Path, required=True, help="folder to make")
train.add_argument("--steps", type=int, default=200)
train.add_argument("--batch", type=int, default=64, help="sequences of a step")
train.add_argument("--lr", type=float, default=1e-3, help="highest learning rate")
train.add_argument("--measure", type=int, default=50, help="steps between perplexities")
train.add_argument("--window", type=int, default=512, help="tokens of a window of held-out text")
train.add_argument("--windows", type=int, help="the first windows only")
train.add_argument("--seed", type=int, default=1)
options = parser.parse_args()

environment.fix_autotuner()
environment.import_fla()

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, StaticCache

torch.backends.cuda.matmul.allow_tf32 = True
DEVICE = environment.device()
BOS = 1
# Steps from which on a student must have become much better.
LONG = 100

# What glaze serves a folder with, beside config.json and the weights.
TEXT_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")


def load(folder):
    model, found = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    wrong = {key: sorted(map(str, names)) for key, names in found.items() if names}
    environment.check(not wrong, f"{folder}: {wrong}")
    return model.to(DEVICE)


@torch.no_grad()
def write_text(teacher, sequences, length, generator):
    """Draws from the teacher's own distribution: ids [sequences, length] and their mean logprob."""
    ids = torch.empty(sequences, length, dtype=torch.long, device=DEVICE)
    ids[:, 0] = BOS
    cache = StaticCache(config=teacher.config, max_cache_len=length)
    total = torch.zeros((), device=DEVICE, dtype=torch.double)
    for at in range(length - 1):
        positions = torch.full((sequences, 1), at, device=DEVICE)
        # [sequences, vocab]
        logits = teacher(
            ids[:, at : at + 1], position_ids=positions, past_key_values=cache, use_cache=True
        ).logits[:, -1]
        logprobs = logits.log_softmax(-1)
        # The largest of p / Exp(1) is a draw from p.
        noise = torch.empty_like(logprobs).exponential_(generator=generator)
        drawn = (logprobs - noise.log()).argmax(-1, keepdim=True)
        ids[:, at + 1] = drawn[:, 0]
        total += logprobs.gather(1, drawn).sum()
    return ids, total.item() / (sequences * (length - 1))


@torch.no_grad()
def nats_per_token(model, windows, batch=30):
    """Mean of -log p(next token) over windows [N, T + 1], each from an empty state."""
    total = 0.0
    for part in windows.split(batch):
        logits = model(part[:, :-1], use_cache=False).logits
        wanted = part[:, 1:].flatten()
        total += F.cross_entropy(logits.flatten(0, 1), wanted, reduction="sum").item()
    return total / windows[:, 1:].numel()


def sample_text():
    generator = torch.Generator(DEVICE).manual_seed(options.seed)
    teacher = load(options.teacher).eval()
    started = time.monotonic()
    parts, logprobs = [], []
    for done in range(0, options.sequences, options.batch):
        if parts and time.monotonic() - started > options.seconds:
            print(f"stopped after {options.seconds} s with {done} of {options.sequences} sequences")
            break
        count = min(options.batch, options.sequences - done)
        ids, logprob = write_text(teacher, count, options.length, generator)
        parts.append(ids.cpu())
        logprobs.append(logprob)
        # The cache has hidden nothing: the whole sequences at once say the same.
        again = -nats_per_token(teacher, ids[:64]), -nats_per_token(teacher, ids[-64:])
        print(f"{done + count} sequences, logprob {logprob:.4f}; at once {again}", flush=True)
        if count >= 1000:
            error = abs(sum(again) / 2 - logprob)
            environment.check(error < 0.05, f"teacher's text has logprob {logprob}, not {again}")
    ids = torch.cat(parts)
    seconds = time.monotonic() - started
    ends = (ids == teacher.config.eos_token_id).float().mean().item()
    words = ids.unique().numel()
    enough = words > teacher.config.vocab_size / 2 or ids.numel() < 1e5
    environment.check(enough, f"the text has only {words} different tokens")
    save_file({"ids": ids.int()}, options.out)
    results = {
        "sequences": len(ids),
        "length": options.length,
        "tokens": ids.numel(),
        "seconds": round(seconds, 1),
        "tokensPerSecond": round(ids.numel() / seconds),
        "natsPerToken": -sum(logprobs) / len(logprobs),
        "endsOfText": ends,
    }
    print(results)
    text = AutoTokenizer.from_pretrained(options.teacher).decode(ids[0, :80])
    print(f"it begins: {text!r}")
    environment.write_json(options.json, results)


def heldout_windows():
    """[N, window + 1]: as `glaze eval` cuts a text; the last id of a window begins the next."""
    tokenizer = AutoTokenizer.from_pretrained(options.teacher)
    ids = tokenizer(options.heldout.read_text()).input_ids + [tokenizer.eos_token_id]
    environment.check(ids[0] == BOS, "the tokenizer puts no BOS in front of a text")
    count = (len(ids) - 1) // options.window
    windows = torch.tensor(ids[: count * options.window + 1]).unfold(
        0, options.window + 1, options.window
    )
    return windows[: options.windows].to(DEVICE)


def loss_of(student, teacher, ids):
    """Half cross-entropy, half KL divergence from the teacher. ids [B, T]"""
    with torch.no_grad():
        wanted = teacher(ids[:, :-1], use_cache=False).logits.flatten(0, 1).log_softmax(-1)
    found = student(ids[:, :-1], use_cache=False).logits.flatten(0, 1).log_softmax(-1)
    entropy = F.nll_loss(found, ids[:, 1:].flatten())
    divergence = F.kl_div(found, wanted, log_target=True, reduction="batchmean")
    return entropy, divergence


def rate(step):
    """Part of the highest learning rate: a tenth of the steps to get there, then a cosine down."""
    warm = max(1, options.steps // 10)
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, options.steps - warm)
    return 0.05 + 0.95 * (1 + math.cos(math.pi * done)) / 2


def save(student):
    """Float16 weights under FLA's names, with what glaze needs beside them."""
    student.half().save_pretrained(options.out)
    for name in TEXT_FILES:
        shutil.copy(options.folder / name, options.out / name)


def check_saved():
    """The finetuned folder has the tensors of the converted one, with other values."""
    with safe_open(options.folder / "model.safetensors", "pt") as before:
        with safe_open(options.out / "model.safetensors", "pt") as after:
            names = set(before.keys()), set(after.keys())
            environment.check(names[0] == names[1], f"other tensors: {names[0] ^ names[1]}")
            for name in before.keys():
                old, new = before.get_tensor(name), after.get_tensor(name)
                environment.check(old.shape == new.shape, f"{name}: shape {tuple(new.shape)}")
                environment.check(new.dtype == torch.float16, f"{name}: type {new.dtype}")
                environment.check(bool(new.isfinite().all()), f"{name}: not all finite")
                if options.steps >= LONG:
                    environment.check(not torch.equal(old, new), f"{name} was not trained")


def train_student():
    environment.check(not options.out.exists(), f"{options.out}: exists already")
    torch.manual_seed(options.seed)
    windows = heldout_windows()
    teacher = load(options.teacher).eval().requires_grad_(False)
    teacher_perplexity = math.exp(nats_per_token(teacher, windows))
    student = load(options.folder)
    text = load_file(options.text)["ids"].long()
    length = text.shape[1]
    order = torch.randperm(len(text))
    # AdamW as FLA's recipes have it; norms and biases do not decay.
    parameters = [
        {"params": [p for p in student.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in student.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        parameters, lr=options.lr, betas=(0.9, 0.95), fused=DEVICE.type == "cuda"
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    points, losses = [], []
    training = 0.0

    def measure(step):
        perplexity = math.exp(nats_per_token(student.eval(), windows))
        student.train()
        tokens = step * options.batch * length
        points.append({"step": step, "tokens": tokens, "perplexity": perplexity})
        print(f"{step:>6}{tokens:>12}{perplexity:>12.3f}{training:>9.1f} s", flush=True)

    print(f"{options.folder}: teacher {teacher_perplexity:.3f} on {windows[:, 1:].numel()} tokens")
    print(f"{'step':>6}{'tokens':>12}{'perplexity':>12}", flush=True)
    measure(0)
    for step in range(options.steps):
        started = time.monotonic()
        rows = order[torch.arange(step * options.batch, (step + 1) * options.batch) % len(text)]
        entropy, divergence = loss_of(student, teacher, text[rows].to(DEVICE))
        loss = (entropy + divergence) / 2
        loss.backward()
        if step == 0:
            for name, weight in student.named_parameters():
                moves = weight.grad is not None and bool(weight.grad.abs().max() > 0)
                environment.check(moves, f"{name} has no gradient")
        norm = torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 10 == 0 or step == options.steps - 1:
            values = [entropy.item(), divergence.item(), norm.item()]
            environment.check(all(map(math.isfinite, values)), f"step {step}: loss {values}")
            losses.append([step, *(round(value, 4) for value in values)])
            print(f"{step:>6} cross-entropy, KL, norm {values}", flush=True)
        training += time.monotonic() - started
        if (step + 1) % options.measure == 0 or step + 1 == options.steps:
            measure(step + 1)

    save(student)
    saved = math.exp(nats_per_token(load(options.out).eval(), windows))
    print(f"saved {saved:>24.3f}")
    first, last = points[0]["perplexity"], points[-1]["perplexity"]
    results = {
        "folder": options.folder.name,
        "class": type(student).__name__,
        "arithmetic": "float32 weights, TF32 products",
        "lr": options.lr,
        "batchTokens": options.batch * length,
        "textTokens": text.numel(),
        "heldoutTokens": windows[:, 1:].numel(),
        "teacherPerplexity": teacher_perplexity,
        "points": points,
        "savedPerplexity": saved,
        "losses": losses,
        "trainingSeconds": round(training, 1),
        "peakBytes": torch.cuda.max_memory_allocated() if DEVICE.type == "cuda" else 0,
    }
    environment.write_json(options.json, results)
    check_saved()
    environment.check(abs(saved / last - 1) < 0.01, f"saved {saved}, trained {last}")
    if options.steps >= LONG:
        environment.check(last < first / 5, f"perplexity went only from {first} to {last}")


sample_text() if options.command == "sample" else train_student()
