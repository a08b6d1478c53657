"""The npm packages that the clients of these tests are made of."""

import fcntl
import subprocess
from pathlib import Path
from shutil import which

import pytest

FOLDER = Path(__file__).parent
INSTALLED = FOLDER / "node_modules/.package-lock.json"
WANTED = FOLDER / "package-lock.json"
INSTALL_SECONDS = 300


def install_packages() -> None:
    """Install what the lock file names, unless it is there; parallel test processes wait for each other."""
    npm = which("npm")
    if npm is None:
        pytest.fail("These tests run clients on Node.js: install Node.js 20.19 or newer with npm")
    with WANTED.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_installed():
            command = [npm, "ci", "--no-audit", "--no-fund"]
            done = subprocess.run(
                command, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr


def _is_installed() -> bool:
    return INSTALLED.exists() and INSTALLED.stat().st_mtime >= WANTED.stat().st_mtime
