"""The device that PyTorch computes on."""

import torch

from headstyle.base.devices import has_gpu, promised_gpus, visible_gpus
from headstyle.base.errors import InputError


def best_device() -> str:
    """`cuda` where PyTorch finds a CUDA device, else `cpu`.

    Raises:
        InputError: a GPU was promised and is there, but PyTorch does not find it.
    """
    if torch.cuda.is_available():
        return "cuda"
    if promised_gpus() and has_gpu():
        raise InputError(
            f"GPU {visible_gpus()[0]} was promised, but PyTorch {torch.__version__} does not find"
            " it; install a PyTorch for this driver, or run on the CPU with --resources gpu=0"
        )
    return "cpu"
