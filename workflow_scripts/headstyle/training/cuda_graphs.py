"""Functions recorded as CUDA graphs: many short kernels, started by the host at once."""

import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch

Replay = Callable[[], Any]
Record = Callable[[Callable[[], None]], Replay]

RECORDING = threading.Lock()
"""Held during a recording; other threads hold it while they use the device, or might end it."""


class Graphs:
    """Records functions as CUDA graphs that share their memory."""

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()
        # Memory that no graph uses any more cannot be shared again; this graph stays.
        self.first = self(lambda: torch.zeros(1, device=device).add_(1))

    def __call__(self, function: Callable[[], object]) -> Replay:
        """Record what a function starts on the device, without doing it."""
        graph = torch.cuda.CUDAGraph()
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with RECORDING, torch.cuda.stream(self.stream), warnings.catch_warnings():
            # Earlier iterations added gradients up on the usual stream; both wait for each other.
            warnings.filterwarnings("ignore", message="The AccumulateGrad node's stream")
            # `torch.cuda.graph` would collect garbage and empty the cache, for a tenth of a second.
            graph.capture_begin(pool=self.pool, capture_error_mode="thread_local")
            try:
                function()
            finally:
                graph.capture_end()
        current.wait_stream(self.stream)
        return graph.replay
