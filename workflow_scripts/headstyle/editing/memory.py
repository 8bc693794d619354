"""Free memory of a device, and the number of views that fit into it."""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from headstyle.base.errors import InputError

GIB = 2**30
# Part of the memory to use: the allocator's blocks never fit exactly, and compiled networks keep
# some memory.
USABLE = 0.85


def exact_device(device: str | torch.device) -> torch.device:
    """A device with its number: `cuda` is the current CUDA device."""
    device = torch.device(device)
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


class DeviceMemory:
    """The memory of one device. On the CPU nothing is measured or limited."""

    def __init__(self, device: str | torch.device, max_gb: float | None = None) -> None:
        """Limit this process to `max_gb` gibibytes of a CUDA device; None sets no limit."""
        self.device = exact_device(device)
        self.is_cuda = self.device.type == "cuda"
        self._peak = 0
        self._limit: int | None = None
        self.total_bytes = 0
        """Largest memory that this process may use [bytes]; 0 on the CPU."""
        if self.is_cuda:
            total = torch.cuda.get_device_properties(self.device).total_memory
            self.total_bytes = total
            if max_gb is not None and max_gb * GIB < total:
                self._limit = self.total_bytes = round(max_gb * GIB)
                torch.cuda.set_per_process_memory_fraction(self._limit / total, self.device)

    def free_bytes(self) -> int | None:
        """Memory that can be allocated, with the allocator's unused blocks; None on the CPU."""
        if not self.is_cuda:
            return None
        allocated = torch.cuda.memory_allocated(self.device)
        unused = torch.cuda.memory_reserved(self.device) - allocated
        free = torch.cuda.mem_get_info(self.device)[0] + unused
        return free if self._limit is None else min(free, self._limit - allocated)

    def needed_by(self, action: Callable[[], object]) -> int:
        """Memory that an action needs in addition to the memory in use [bytes].

        The action runs twice, because the first run also chooses the kernels and needs more.
        """
        action()
        self._peak = self.peak_bytes() or 0
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        action()
        return torch.cuda.max_memory_allocated(self.device) - before

    def peak_bytes(self) -> int | None:
        """Largest memory that was allocated at any time [bytes]; None on the CPU."""
        if not self.is_cuda:
            return None
        return max(self._peak, torch.cuda.max_memory_allocated(self.device))

    def release(self) -> None:
        """Return unused blocks to the device, so that they serve allocations of any size."""
        if self.is_cuda:
            torch.cuda.empty_cache()


def room_for_weights(device: str | torch.device) -> int:
    """Memory into which weights can be loaded [bytes]; on the CPU, all that the machine has."""
    device = exact_device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_weights_fit(
    key: str,
    parameters: Mapping[str, int],
    dtype: torch.dtype,
    device: str | torch.device,
    next_move: str,
    one_at_a_time: bool = False,
) -> None:
    """Check that a model's weights fit into a device's memory, before any of them is read.

    Args:
        key: Key of the configuration that names the model.
        parameters: Number of parameters of each part.
        dtype: Number type that the parts are loaded as.
        device: Where they are loaded to.
        next_move: What the user can do if they do not fit.
        one_at_a_time: Whether a single part is on the device at any time.

    Raises:
        InputError: they do not fit.
    """
    sizes = [count * dtype.itemsize for count in parameters.values()] or [0]
    needed, room = max(sizes) if one_at_a_time else sum(sizes), room_for_weights(device)
    if needed > room:
        what = "the largest part" if one_at_a_time else "its weights"
        raise InputError(
            f"{key}: {what} as {str(dtype).removeprefix('torch.')} need {needed / GIB:.1f} GiB, and"
            f" {device} has {room / GIB:.1f} GiB free; {next_move}"
        )


def sent(tensor: Tensor, device: str | torch.device) -> Tensor:
    """Copy the host's tensor to a device. Neither a GPU nor the host waits for the copy.

    A plain copy to CUDA would wait until the GPU has finished all earlier work.
    """
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def sent_together(arrays: Sequence[np.ndarray], device: str | torch.device) -> Tensor:
    """Copy arrays of one shape and type to a device, stacked. As in `sent`, nothing waits."""
    tensors = [torch.from_numpy(array) for array in arrays]
    if torch.device(device).type != "cuda":
        return torch.stack(tensors).to(device)
    # The allocator keeps such memory for the next batch, and copies from it at full speed.
    shape = (len(tensors), *tensors[0].shape)
    host = torch.empty(shape, dtype=tensors[0].dtype, pin_memory=True)
    for place, tensor in zip(host, tensors, strict=True):
        place.copy_(tensor)
    return host.to(device, non_blocking=True)


def fitting_batch(needed: Callable[[int], int], free_bytes: int, most: int) -> int:
    """Number of views that fit into memory together, from 1 to `most`.

    Args:
        needed: Function that returns the memory of a number of views [bytes]. It is called with 1
            and 2.
        free_bytes: Free memory.
        most: Largest useful number of views.
    """
    one, two = needed(1), needed(2)
    each = max(two - one, 1)
    shared = max(one - each, 0)
    return int(max(1, min(most, (USABLE * free_bytes - shared) // each)))


def even_batch(count: int, most: int) -> int:
    """The batch size that divides `count` views into the fewest batches as evenly as possible."""
    batches = -(-count // most)
    return -(-count // batches)
