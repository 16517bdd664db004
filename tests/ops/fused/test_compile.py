"""What Triton's compiler makes of the fused kernels for a GPU that is not here: they compile, and fit."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="needs triton, which has no wheels for this machine")

# Bytes of shared memory that a program may have on every card since Ampere.
SHARED = 99 * 1024
COMPILE = """
import sys
import triton, triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from sc_mamba2.ops.fused.convolution import convolution_backward_kernel, convolution_kernel
from sc_mamba2.ops.fused.norm import norm_backward_kernel, norm_kernel
from sc_mamba2.ops.fused.scan import scan_backward_kernel, scan_kernel

sums = "dt_bias A_log D entering added through ddt dA dD dweight dtaps bias weight".split()

def type_of(name):
    if name == "near_ptr":
        return "*i32"
    if name.endswith("_ptr"):
        return "*fp32" if name[:-4] in sums else "*bf16"
    return "fp32" if name == "eps" else "i32"

def compiled(kernel, **constants):
    signature = {n: "constexpr" if n in constants else type_of(n) for n in kernel.arg_names}
    aligned = {(at,): [["tt.divisibility", 16]] for at, n in enumerate(kernel.arg_names) if n.endswith("_ptr")}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
    options = {"num_warps": 8, "num_stages": 1}
    made = triton.compile(source, target=GPUTarget("cuda", int(sys.argv[1]), 32), options=options)
    print(kernel.__name__, made.metadata.shared)

scan = {"H": 16, "P": 64, "N": 64, "Q": 64, "ACC": tl.float32, "DOT": tl.bfloat16}
compiled(scan_kernel, OUTPUT=True, KEEP=True, ENTERING=True, **scan)
compiled(scan_kernel, OUTPUT=False, KEEP=False, ENTERING=False, **scan)
compiled(scan_backward_kernel, OUTPUT=True, ENTERING=True, **scan)
compiled(scan_backward_kernel, OUTPUT=False, ENTERING=False, **scan)
tile = {"WAYS": 2, "C": 1152, "F": 64, "Q": 64, "K": 4, "ACC": tl.float32}
compiled(convolution_kernel, **tile)
compiled(convolution_backward_kernel, **tile)
for inner, wide in ((1024, 1024), (3072, 4096)):
    compiled(norm_kernel, WAYS=2, INNER=inner, J=wide, ACC=tl.float32)
    compiled(norm_backward_kernel, WAYS=2, INNER=inner, J=wide, ACC=tl.float32)
"""


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_every_kernel_compiles_and_fits_into_shared_memory(tmp_path, capability):
    script = tmp_path / "compile_kernels.py"
    script.write_text(COMPILE)
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, script, str(capability)],
        capture_output=True, text=True, env=environment, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    shared = [(name, int(size)) for name, size in map(str.split, done.stdout.splitlines())]
    assert len(shared) == 10
    assert max(size for _, size in shared) <= SHARED, shared
