"""Providers of others, unmodified, built from where they are published.

The null example of tf-provider, the other framework in Rust: it is not kept any more (last release
2024-07) and speaks protocol 6.5. And HashiCorp's `time`, on the framework in Go that most providers
are written on: its `time_static` asks nobody for anything, as our small resource does.
"""

import dataclasses
import os
import subprocess
from pathlib import Path

import cache
from catalogue import CATALOGUE, Missing, get

TF_PROVIDER = "0.2.2"
TIME = "0.14.2"


@dataclasses.dataclass(frozen=True)
class Peer:
    """A provider of somebody else."""

    name: str  # of its program, `terraform-provider-NAME`, and of its types
    called: str
    program: Path
    type: str
    most: int  # resources; more take it minutes


def all_peers() -> list:
    """All of them, from the cache or built now."""
    rust = cache.ensure(f"tf-provider-{TF_PROVIDER}", build_null) / "bin" / "terraform-provider-null"
    go = cache.ensure(f"terraform-provider-time-{TIME}", build_time) / "terraform-provider-time"
    return [
        Peer("null", f"tf-provider {TF_PROVIDER}, in Rust", rust, "null_resource", 1_000),
        Peer("time", f"hashicorp/time {TIME}, in Go", go, "time_static", 10_000),
    ]


def build_null(folder: Path):
    """Its build script calls a protoc, which PyPI has as a Python module."""
    protoc = folder / "protoc"
    protoc.write_text(f'#!/bin/sh\nexec "{get(CATALOGUE["protoc"]).path}" -m grpc_tools.protoc "$@"\n', "utf-8")
    protoc.chmod(0o755)
    install = ["cargo", "install", "-q", "--locked", "--root", str(folder), "--example", "terraform-provider-null",
               f"tf-provider@{TF_PROVIDER}"]
    build(f"tf-provider {TF_PROVIDER}'s null example from its crate (2 minutes on 2 cores)", install, folder,
          {"PROTOC": str(protoc)})


def build_time(folder: Path):
    """A Go module that names its own dependencies."""
    install = [get(CATALOGUE["go"]).path, "install", f"github.com/hashicorp/terraform-provider-time@v{TIME}"]
    build(f"hashicorp/time {TIME} from its Go module (1 minute on 2 cores)", install, folder, {"GOBIN": str(folder)})


def build(what, command, folder, environment):
    """Runs a build in `folder`."""
    print(f"tools: building {what}", flush=True)
    if subprocess.run(command, cwd=folder, env=os.environ | environment, check=False).returncode:
        raise Missing(f"cannot be built: {what}: {' '.join(command)}")
