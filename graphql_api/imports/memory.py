"""How this process asks for memory: blocks of a file come and go by the thousand and must leave nothing behind."""

import ctypes
import sys

import pyarrow as pa

# glibc's names for them are M_MMAP_THRESHOLD and M_ARENA_MAX.
MMAP_THRESHOLD, ARENA_MAX = -3, -8
LARGE_BYTES = 1 << 20
ARENAS = 2


def give_memory_back() -> None:
    """Have large pieces returned to the system when they are freed, and threads share two heaps.

    By itself glibc raises what it calls large to 32 MiB and keeps a heap for every thread, and Arrow's own pool keeps
    what it once had: together half as much again as an import needs. Other C libraries are left as they are.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform != "linux":
        return
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(MMAP_THRESHOLD, LARGE_BYTES)
        tune(ARENA_MAX, ARENAS)
