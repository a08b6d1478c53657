"""How much memory the servers may plan with."""

import os
import shutil
from pathlib import Path

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE
CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - not a temporary file: the size of this mount is asked for


def available_memory() -> int:
    """Return the bytes of memory of this machine, or of this container when it has less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(limit for path in CONTAINER_LIMITS if (limit := _read_limit(path)) is not None)])


def has_small_shared_memory() -> bool:
    """Tell whether there is too little POSIX shared memory for parallel queries, as in many containers."""
    return SHARED_MEMORY.exists() and shutil.disk_usage(SHARED_MEMORY).total < GIBIBYTE


def _read_limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
