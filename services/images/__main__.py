"""Container images of the payment services and the Database operator: `python3 services/images`.

Builds the programs, linked statically, and writes an OCI image layout of each into `target/images`:
the program, the authorities of this machine where it asks for them, and nothing else. No daemon and
no root is needed. Prints digests and sizes.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import oci  # noqa: E402

TOP = Path(__file__).resolve().parents[2]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PACKAGES = ("db-operator", "merchant-page", "payment-api", "payment-processor", "persistence", "probe")
# Each program, and whether it believes the authorities of its machine: payment-processor those of
# merchants and acquirer, payment-api that of a collector of spans, merchant-page and probe that of
# payment-api, the other two that of a database for which nobody named one.
IMAGES = {
    "db-controller": True,
    "db-migrate": True,
    "db-operator": False,
    "merchant-page": True,
    "payment-api": True,
    "payment-processor": True,
    "probe": True,
}
# Where rustls-native-certs looks on every Linux that has it, and where Debian's ca-certificates puts it.
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def metadata() -> dict:
    """What cargo knows of the workspace."""
    command = ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"]
    return json.loads(subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True).stdout)


def build(target: str) -> None:
    """The programs, with glibc inside.

    glibc and not musl: its archive comes with the C compiler, while musl wants a target of rustup
    and a compiler of its own for aws-lc and zstd, and its allocator is slow under threads. Since
    glibc 2.34 a static program finds names in /etc/hosts and DNS without loading anything. The
    target is named so that these flags are not those of procedural macros, which cannot be static.
    """
    cargo_home = os.environ.get("CARGO_HOME") or Path.home() / ".cargo"
    flags = ["-Ctarget-feature=+crt-static",
             # A static program cannot look whether its C library has getrandom(2), and would read /dev.
             '--cfg=getrandom_backend="linux_getrandom"',
             # Panics name source files: no path of the machine that builds is in an image.
             f"--remap-path-prefix={cargo_home}=/cargo", f"--remap-path-prefix={TOP}=/paymesh"]
    packages = [word for package in PACKAGES for word in ("-p", f"paymesh-{package}")]
    subprocess.run(["cargo", "build", "--release", "--locked", "--bins", "--target", target, *packages],
                   cwd=TOP, check=True, env=os.environ | {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags)})


def files(program: Path, has_authorities: bool) -> dict:
    """What is in the image of a program."""
    found = {program.name: (0o755, program.read_bytes())}
    if has_authorities:
        found[str(AUTHORITIES.relative_to("/"))] = (0o644, AUTHORITIES.read_bytes())
    return found


def main() -> int:
    """The command."""
    machine = platform.machine()
    if platform.system() != "Linux" or machine not in ARCHITECTURES:
        print(f"images: made on Linux, on {' or '.join(ARCHITECTURES)}; this is {platform.system()} {machine}", file=sys.stderr)
        return 1
    if not AUTHORITIES.is_file():
        print(f"images: {AUTHORITIES} is missing: apt-get install ca-certificates", file=sys.stderr)
        return 1
    target = f"{machine}-unknown-linux-gnu"
    try:
        build(target)
        workspace = metadata()
    except subprocess.CalledProcessError as failed:
        print(f"images: {failed}", file=sys.stderr)
        return 1
    version = next(it["version"] for it in workspace["packages"] if it["name"] == "paymesh-payment-api")
    folder = Path(workspace["target_directory"])
    print(f"{'image':<18} {'MB':>5}  digest")
    for name, has_authorities in IMAGES.items():
        program = folder / target / "release" / f"paymesh-{name}"
        labels = {"org.opencontainers.image.title": program.name, "org.opencontainers.image.version": version,
                  "org.opencontainers.image.licenses": "Apache-2.0"}
        digest, size = oci.write(folder / "images" / name, files(program, has_authorities),
                                 f"/{program.name}", ARCHITECTURES[machine], labels)
        print(f"{name:<18} {size / 1e6:>5.1f}  {digest}")
    print(f"\nnext: skopeo copy oci:{folder / 'images' / 'payment-api'} docker://REGISTRY/payment-api:{version}")
    print("      make images-test   # runs each of them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
