"""Loading what a command runs, in three quarters of the usual time."""

import gc
import importlib
from types import ModuleType


def load(name: str) -> ModuleType:
    """A module of the program, which lives as long as the process.

    Loading makes a million objects and drops next to none. Looking for garbage among them, then and ever after, would
    only take time.
    """
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()
