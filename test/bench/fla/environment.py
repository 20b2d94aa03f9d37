"""What the other scripts need before flash-linear-attention (FLA) runs: exact float32 products,
softmax attention without the package flash_attn, tied models under transformers 5, kernels that
start within seconds. Imported before torch, triton and fla; without a GPU the kernels run in Triton's
interpreter.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HAS_GPU = any(Path("/dev").glob("nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None
if not HAS_GPU:
    # Read by Triton when it is imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")


def exact_float32():
    """Float32 products of Triton and of torch keep all bits. Call before the first kernel."""
    os.environ["TRITON_F32_DEFAULT"] = "ieee"
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def import_fla():
    """Imports FLA with what it lacks here. Call fix_autotuner() first."""
    import fla
    import fla.layers.attn
    from fla.models import GLAForCausalLM, GSAForCausalLM

    fla.layers.attn.flash_attn_func = softmax_attention
    # FLA up to 0.5.2 names tied weights in a list; transformers 5 reads a mapping where
    # tie_word_embeddings is true, and fails on the list.
    for model in (GLAForCausalLM, GSAForCausalLM):
        if isinstance(model._tied_weights_keys, list):
            model._tied_weights_keys = {"lm_head.weight": "model.embeddings.weight"}
    return fla


def softmax_attention(q, k, v, causal=False, window_size=(-1, -1)):
    """flash_attn_func: q [B, Tq, H, d], k and v [B, Tk, Hk, d] -> [B, Tq, H, d].

    Query head h reads key/value head h // (H / Hk). The last query stands at the last key.
    window_size: keys to the left and to the right of its own that a query sees, -1 for all.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention

    (_, queries, heads, _), (_, keys, kv_heads, _) = q.shape, k.shape
    left, right = window_size
    if causal:
        right = 0
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    k, v = (x.repeat_interleave(heads // kv_heads, dim=1) for x in (k, v))
    plain = left < 0 and queries == keys
    mask = None
    if not plain or right > 0:
        # [Tq, Tk]: how far a key is behind its query
        own = torch.arange(keys - queries, keys, device=q.device)
        behind = own[:, None] - torch.arange(keys, device=q.device)[None, :]
        mask = torch.ones_like(behind, dtype=torch.bool)
        if left >= 0:
            mask &= behind <= left
        if right >= 0:
            mask &= behind >= -right
    exact = q.dtype == torch.float32 and not torch.backends.cuda.matmul.allow_tf32
    backends = [SDPBackend.MATH]
    if not exact:
        backends += [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    with sdpa_kernel(backends):
        o = scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None and right == 0)
    return o.transpose(1, 2)


def fix_autotuner(few=False):
    """Makes Triton choose among fewer shapes of each kernel. Call before fla is imported.

    FLA offers up to 48 for a kernel and compiles all, one after another: minutes for one model.
    few: those of 4 and 8 warps and of 2 and 3 stages, compiled at once by all cores, timed briefly.
    Otherwise one of each kernel is taken without measuring: 4 warps, the least stages and tiles.
    """
    import triton.runtime.autotuner as autotuner
    from triton.runtime._async_compile import AsyncCompileMode

    few = few and HAS_GPU
    build, run = autotuner.Autotuner.__init__, autotuner.Autotuner.run
    executor = ThreadPoolExecutor(os.cpu_count())

    def init(self, fn, arg_names, configs, *args, **kwargs):
        build(self, fn, arg_names, fewer(configs or [], few), *args, **kwargs)
        self._do_bench = lambda call, quantiles: _bench(call, quantiles)
        self.cache_results = False
        self.prepared = set()

    def compile_all(self, *args, **kwargs):
        if len(self.configs) > 1:
            self.nargs = dict(zip(self.arg_names, args))
            named = {**self.nargs, **kwargs}
            key = tuple(str(named[name]) for name in self.keys if name in named)
            key += tuple(str(arg.dtype) for arg in named.values() if hasattr(arg, "dtype"))
            if key not in self.prepared:
                self.prepared.add(key)
                with AsyncCompileMode(executor, ignore_errors=True):
                    for config in self.prune_configs(kwargs):
                        self.fn.run(*args, **{**kwargs, **config.all_kwargs(), "warmup": True})
        return run(self, *args, **kwargs)

    autotuner.Autotuner.__init__ = init
    if few:
        autotuner.Autotuner.run = compile_all


def fewer(configs, few):
    """Some of a kernel's configs, or one."""

    def near(warps_allowed, stages_allowed):
        return [
            config
            for config in configs
            if config.num_warps in warps_allowed and config.num_stages in stages_allowed
        ]

    def order(config):
        tiles = sum(value for value in config.kwargs.values() if isinstance(value, int))
        return (abs(config.num_warps - 4), config.num_stages, tiles)

    if few:
        return near((4, 8), (2, 3)) or configs
    return sorted(configs, key=order)[:1]


def _bench(call, quantiles):
    from triton.testing import do_bench

    return do_bench(call, warmup=2, rep=8, quantiles=quantiles)


def device():
    """Where models run: the first GPU, or the CPU."""
    import torch

    if HAS_GPU and not torch.cuda.is_available():
        sys.exit("there is an NVIDIA GPU, but torch does not see it")
    return torch.device("cuda" if HAS_GPU else "cpu")


def machine():
    """What a result was measured on and with."""
    import fla
    import torch
    import transformers
    import triton

    adapter = torch.cuda.get_device_name(0) if HAS_GPU else "Triton's interpreter on a CPU"
    return {
        "date": datetime.date.today().isoformat(),
        "adapter": adapter,
        "driver": driver_version(),
        "torch": torch.__version__,
        "triton": triton.__version__,
        "transformers": transformers.__version__,
        "fla": fla.__version__,
        "python": platform.python_version(),
    }


def driver_version():
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    if shutil.which(ask[0]) is None:
        return ""
    return subprocess.run(ask, capture_output=True, text=True).stdout.strip().split("\n")[0]


def parser(description):
    """Options that all scripts have."""
    parse = argparse.ArgumentParser(description=description)
    parse.add_argument("--json", type=Path, required=True, help="file for the results")
    return parse


def write_json(path, results):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**machine(), **results}, indent=2) + "\n")


def check(condition, message):
    """Ends the script with a message where an invariant does not hold."""
    if not condition:
        sys.exit(f"{Path(sys.argv[0]).name}: {message}")
