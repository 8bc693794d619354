"""Whether this machine can compile the kernels for CUDA of the modules `triton_*`."""

import importlib.util
from functools import cache


@cache
def has_triton() -> bool:
    """Whether Triton is installed, as PyTorch for CUDA on Linux has it do."""
    return importlib.util.find_spec("triton") is not None
