"""The provider as Terraform finds it without a registry: in a filesystem mirror."""

import platform
import shutil
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
REGISTRIES = ("registry.terraform.io", "registry.opentofu.org")


def version() -> str:
    """The version of the provider, as the workspace names it."""
    lines = (TOP / "Cargo.toml").read_text("utf-8").splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("version = "))


def mirror(folder: Path, provider: Path) -> str:
    """Puts the provider into a filesystem mirror; gives the CLI configuration that uses it."""
    system = {"Darwin": "darwin"}.get(platform.system(), "linux")
    machine = {"x86_64": "amd64", "AMD64": "amd64"}.get(platform.machine(), "arm64")
    for registry in REGISTRIES:
        package = folder / registry / "paymesh" / "paymesh" / version() / f"{system}_{machine}"
        package.mkdir(parents=True, exist_ok=True)
        aside = package / ".new"
        shutil.copy2(provider, aside)  # a copy: a later build must not change what was installed
        aside.replace(package / f"terraform-provider-paymesh_v{version()}")
    ours = ", ".join(f'"{registry}/paymesh/paymesh"' for registry in REGISTRIES)
    return (f'provider_installation {{\n  filesystem_mirror {{\n    path    = "{folder}"\n    include = [{ours}]\n'
            f"  }}\n  direct {{\n    exclude = [{ours}]\n  }}\n}}\n")
