"""The other framework in Rust: the null example of tf-provider, built from its crate.

It is not kept any more (last release 2024-07) and speaks protocol 6.5, but there is no other to stand
beside.
"""

import os
import subprocess
from pathlib import Path

import cache
from catalogue import CATALOGUE, Missing, get

VERSION = "0.2.2"
PROGRAM = "terraform-provider-null"


def program() -> Path:
    """The example, from the cache or built now."""
    return cache.ensure(f"tf-provider-{VERSION}", build) / "bin" / PROGRAM


def build(folder: Path):
    """Its build script calls a protoc, which PyPI has as a Python module."""
    protoc = folder / "protoc"
    protoc.write_text(f'#!/bin/sh\nexec "{get(CATALOGUE["protoc"]).path}" -m grpc_tools.protoc "$@"\n', "utf-8")
    protoc.chmod(0o755)
    print(f"tools: building tf-provider {VERSION}'s null example from its crate (2 minutes on 2 cores)", flush=True)
    install = ["cargo", "install", "-q", "--locked", "--root", str(folder), "--example", PROGRAM, f"tf-provider@{VERSION}"]
    if subprocess.run(install, cwd=folder, env=os.environ | {"PROTOC": str(protoc)}, check=False).returncode:
        raise Missing(f"tf-provider {VERSION} cannot be built: {' '.join(install)}")
