"""Normalisation, padding, pixel shuffling and convolutions in C, for float32 on the CPU.

`kernels.c`, `spectral.c` and `winograd.c` are compiled once per machine, when a network first needs them, and kept in
i2i's cache folder. Where there is no C compiler, and with ``I2I_DISABLE_KERNELS=1``, layers use torch's operations,
which give the same up to rounding.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from i2i.storage.caches import cache_folder

DISABLE_KERNELS = "I2I_DISABLE_KERNELS"

_SOURCES = [Path(__file__).with_name(name) for name in ("kernels.c", "spectral.c", "winograd.c")]
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
_THREADING = ("-fopenmp", "-fopenmp-simd")  # the second where a compiler comes without OpenMP's library
_SECONDS = 60  # that a compiler may take
_TYPES = {"t": ctypes.c_void_p, "n": ctypes.c_long, "r": ctypes.c_double}  # tensor, number, real number
_ARGUMENTS = {
    "instance_forward": "ttttnnr",
    "instance_backward": "tttttnn",
    "layer_instance_forward": "tttttttttnnnr",
    "layer_instance_backward": "tttttttttttttttnnnr",
    "reflect_forward": "ttnnnn",
    "reflect_backward": "ttnnnn",
    "shuffle_forward": "ttnnnn",
    "shuffle_backward": "ttnnnn",
    "power_iteration": "tttttnnnn",
    "winograd_input": "ttnnnnnnn",
    "winograd_input_transposed": "ttnnnnnnn",
    "winograd_output": "ttnnnnnnn",
    "winograd_output_transposed": "ttnnnnnnn",
    "winograd_weights": "ttnn",
    "winograd_weights_transposed": "ttnn",
}


def have_kernels_for(x: Tensor) -> bool:
    """Return whether the kernels apply to ``x``: float32 with memory on the CPU, outside of tracing and compiling."""
    plain = type(x) in (Tensor, nn.Parameter) and x.device.type == "cpu" and x.dtype == torch.float32
    return plain and not torch.compiler.is_compiling() and _library() is not None


def call(name: str, *arguments: Tensor | int | float) -> None:
    """Call a function of the kernels with contiguous tensors and numbers, on as many threads as torch uses."""
    function = getattr(_library(), name)
    function(*(a.data_ptr() if isinstance(a, Tensor) else a for a in arguments), torch.get_num_threads())


@cache
def _library() -> ctypes.CDLL | None:
    """Return the compiled kernels, or None if they are turned off or cannot be built or loaded."""
    if os.environ.get(DISABLE_KERNELS) or not (compiler := shutil.which(os.environ.get("CC") or "cc")):
        return None
    try:
        library = ctypes.CDLL(str(_built(compiler)))
    except (OSError, subprocess.SubprocessError):
        return None
    for name, kinds in _ARGUMENTS.items():
        function = getattr(library, name)
        function.argtypes, function.restype = [*(_TYPES[kind] for kind in kinds), ctypes.c_int], None
    return library


def _built(compiler: str) -> Path:
    """Return the library for these sources, compiler and processor, compiled if it is not in the cache."""
    known = (*(source.read_bytes() for source in _SOURCES), " ".join(_FLAGS).encode(), _version(compiler), _processor())
    folder = cache_folder() / "kernels"
    library = folder / f"{hashlib.sha256(b'|'.join(known)).hexdigest()[:32]}.so"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else.")
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:  # several processes may build at the same time
            os.replace(_compiled(compiler, Path(scratch) / library.name), library)
    return library


def _compiled(compiler: str, target: Path) -> Path:
    for threading in _THREADING:
        command = [compiler, *_FLAGS, threading, *map(str, _SOURCES), "-o", str(target), "-lm"]
        if subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False).returncode == 0:
            return target
    raise OSError(f"{compiler} cannot compile {_SOURCES[0].parent}.")


def _version(compiler: str) -> bytes:
    return subprocess.run([compiler, "--version"], capture_output=True, timeout=_SECONDS, check=True).stdout


def _processor() -> bytes:
    """Return what tells processors apart that ``-march=native`` compiles differently for."""
    cpuinfo = Path("/proc/cpuinfo")
    known = cpuinfo.read_bytes().split(b"\n\n")[0].splitlines() if cpuinfo.exists() else []
    lines = [line for line in known if line.startswith((b"model name", b"flags", b"Features", b"CPU part"))]
    return b"\n".join([platform.machine().encode(), platform.processor().encode(), *lines])
