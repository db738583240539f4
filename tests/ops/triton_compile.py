"""Compile the kernels that a case would launch, without a GPU, and print what each of them takes.

    python tests/ops/triton_compile.py ligru,bfloat16,1024,90 sligru,float32,550,80

One line of JSON for each kernel: case, kernel, shared bytes, registers, stack bytes of a thread (where spilled
registers go) and whether one launch takes all frames. Everything is taken from the launch that the package would do for
16 utterances in two directions that share their weights.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from asr_ligru.ops.fused_triton import launch
from asr_ligru.ops.fused_triton.gated import gated_recurrence
from asr_ligru.ops.fused_triton.plan import WARPS, Device

GPUS = {80: Device(programs=108, shared_bytes=166912), 90: Device(programs=132, shared_bytes=232448)}  # A100, H100
TYPES = {
    torch.float32: "*fp32",
    torch.bfloat16: "*bf16",
    torch.float16: "*fp16",
    torch.int32: "*i32",
    torch.int64: "*i64",
}


def source(kernel: Any, arguments: dict[str, Any]) -> ASTSource:
    """Describe a launch's arguments as triton's just-in-time compiler would."""
    constants, types, aligned = {}, {}, {}
    for place, parameter in enumerate(kernel.params):
        name, value = parameter.name, arguments[parameter.name]
        one = isinstance(value, int) and value == 1 and not parameter.do_not_specialize
        if parameter.is_constexpr or value is None or one:
            types[name], constants[name] = "constexpr", value
        elif isinstance(value, Tensor):
            types[name] = TYPES[value.dtype]
        else:
            types[name] = "fp32" if isinstance(value, float) else "i32"
        if isinstance(value, Tensor) or (types[name] == "i32" and value % 16 == 0 and not parameter.do_not_specialize):
            aligned[place,] = [["tt.divisibility", 16]]
    return ASTSource(fn=kernel, signature=types, constexprs=constants, attrs=aligned)


def compile_for(arch: int, case: str, kernel: Any, arguments: dict[str, Any]) -> None:
    """Compile one launch and print its line."""
    options = {"num_warps": WARPS, "launch_cooperative_grid": arguments["MEETS"], **launch.COMPILER_OPTIONS}
    compiled = triton.compile(source(kernel, arguments), target=GPUTarget("cuda", arch, 32), options=options)
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage = subprocess.run([tool, "-res-usage", file.name], check=True, capture_output=True, text=True).stdout
    registers, stack = (int(re.findall(rf"{key}:(\d+)", usage)[-1]) for key in ("REG", "STACK"))
    found = {"shared": compiled.metadata.shared, "registers": registers, "stack": stack, "meets": arguments["MEETS"]}
    print(json.dumps({"case": case, "kernel": kernel.fn.__name__, **found}), flush=True)


def run(case: str) -> None:
    """Take one training step of a case, compiling what it would launch."""
    cell, dtype, hidden, arch = case.split(",")
    launch.Device.of = lambda _: GPUS[int(arch)]
    launch.Launch._launch = lambda self, kernel, groups, arguments: compile_for(int(arch), case, kernel, arguments)
    wx, u, h0, mask = (
        torch.zeros(*shape, int(hidden)) for shape in ((2, 16, 1, 2), (1, 2 * int(hidden)), (2, 16), (2, 16))
    )
    u = u.to(getattr(torch, dtype)).requires_grad_()
    gated_recurrence(cell, wx.flatten(3).to(u.dtype), u, h0, mask).sum().backward()


if __name__ == "__main__":
    for case in sys.argv[1:]:
        run(case)
