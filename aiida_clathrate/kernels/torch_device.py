"""Where torch computes, and what it may use and has used there."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def chosen_device(name: str) -> torch.device:
    """Return the device of this name, ``cpu`` or ``cuda``, with its record of memory begun anew.

    :raises ValueError: if there is none.
    """
    if name == 'cuda':
        if not torch.cuda.is_available():
            raise ValueError('device: there is no CUDA device here; give cpu')
        torch.cuda.reset_peak_memory_stats()
    return torch.device(name)


def peak_memory(device: torch.device) -> float:
    """Return the most memory that was in use, of the GPU or of the whole process [GB]."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


@contextmanager
def limited_threads(number: int) -> Iterator[None]:
    """Let torch use this many threads of the CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
