"""The folder where fetched tools live, outside every clone.

Invariants: a tool's folder appears whole or not at all (made aside, then renamed), two runs at
once wait for each other, and nothing that is there is ever changed: a new version is a new folder.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path


def root() -> Path:
    """The cache of this user, `${XDG_CACHE_HOME:-~/.cache}/paymesh/tools`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(Path.home(), ".cache")
    return Path(base) / "paymesh" / "tools"


def folder(name: str) -> Path:
    """Where the tool called `name` is, or will be."""
    return root() / name


@contextlib.contextmanager
def _lock(name: str):
    root().mkdir(parents=True, exist_ok=True)
    with open(root() / f"{name}.lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released by the kernel if this process dies
        yield


def ensure(name: str, make) -> Path:
    """The folder of `name`; if there is none, `make(empty_folder)` fills one first."""
    done = folder(name)
    if done.is_dir():
        return done
    with _lock(name):
        if done.is_dir():
            return done
        for left in root().glob(f".{name}.*"):  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root()))
        try:
            make(aside)
            aside.chmod(0o755)
            aside.rename(done)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return done
