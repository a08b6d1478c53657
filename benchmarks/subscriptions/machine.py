"""The machine: what it is called, how its processors are shared out, how many files a process may open."""

import os
import platform
import resource
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which

CPU_INFO = Path("/proc/cpuinfo")
PROCESSORS = sorted(os.sched_getaffinity(0))
# The server that is measured has the first one for itself, if there is another for all the rest.
OF_SERVER, OF_OTHERS = PROCESSORS[:1], PROCESSORS[1:] or PROCESSORS


def describe_machine() -> str:
    """What it is called, and what runs on it."""
    node = subprocess.run([which("node") or "node", "--version"], capture_output=True, text=True, check=True)
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}, Node {node.stdout.strip()}"
    return f"{_processor()}, {len(PROCESSORS)} processors, {system}"


def _processor() -> str:
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


@contextmanager
def processors(numbers: Sequence[int]) -> Iterator[None]:
    """Have this process, and those that are started meanwhile, run on these processors alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, numbers)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def open_many_files() -> None:
    """Let this process, and those that it starts, open as many files as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
