"""Finds the operations for which the host would wait for a GPU."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Waits(TorchDispatchMode):
    """Collects the operations for which the host would wait for a GPU."""

    NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "bincount")

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        name = operation.overloadpacket.__name__
        chosen = arguments[1] if name in ("index", "index_put_") else ()
        by_mask = any(index is not None and index.dtype == torch.bool for index in chosen)
        if name in self.NAMES or by_mask:
            self.found.append(name)
        return operation(*arguments, **(keywords or {}))
