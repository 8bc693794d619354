"""Functions recorded as CUDA graphs: the host starts many short kernels with one call."""

import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch

Replay = Callable[[], Any]
Record = Callable[[Callable[[], None]], Replay]

RECORDING = threading.Lock()
"""Held during a recording. Other threads hold it while they use the device: their calls could break
the recording."""


class Graphs:
    """Records functions as CUDA graphs that share their memory."""

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()
        # The graphs' pool of memory is lost when no graph uses it. This first graph keeps it alive.
        self.first = self(lambda: torch.zeros(1, device=device).add_(1))

    def __call__(self, function: Callable[[], object]) -> Replay:
        """Record the kernels that a function starts, without running them."""
        graph = torch.cuda.CUDAGraph()
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with RECORDING, torch.cuda.stream(self.stream), warnings.catch_warnings():
            # PyTorch warns because earlier iterations accumulated gradients on the current stream.
            # The two streams wait for each other, so the warning does not apply.
            warnings.filterwarnings("ignore", message="The AccumulateGrad node's stream")
            # `torch.cuda.graph` would also collect garbage and empty the cache, which takes 0.1 s.
            graph.capture_begin(pool=self.pool, capture_error_mode="thread_local")
            try:
                function()
            finally:
                graph.capture_end()
        current.wait_stream(self.stream)
        return graph.replay
