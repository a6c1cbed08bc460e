"""Everything a fresh machine can check, in stages: `python3 tests/tools/stages.py [STAGE...]`.

Prints what each stage says, then a table of times and one closing line with the number of tests.
A stage that cannot run here is listed as NOT RUN with the reason; with CI=true that is a failure.
`PAYMESH_TEST_MINUTES_MAX` fails a run that took longer.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

import before  # noqa: E402
from catalogue import CATALOGUE, Missing, get  # noqa: E402

TOP = Path(__file__).resolve().parents[2]
CLIENTS = ("terraform-1.11", "terraform-1.15", "opentofu")
PASSED, FAILED, NOT_RUN = "passed", "FAILED", "NOT RUN"


class Counts:
    """Tests that ran, as cargo's own summary lines say."""

    passed = 0
    failed = 0


def run(*command, hears=lambda line: None, **environment) -> str:
    """Runs a command with its output shown; counts the tests that it reports."""
    print(f"\n$ {' '.join(command)}", flush=True)
    process = subprocess.Popen(
        command, cwd=TOP, env=os.environ | environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    for line in process.stdout:
        print(line, end="", flush=True)
        hears(line)
        if summary := re.match(r"test result: \S+ (\d+) passed; (\d+) failed", line):
            Counts.passed += int(summary.group(1))
            Counts.failed += int(summary.group(2))
    return PASSED if process.wait() == 0 else FAILED


def tools() -> str:
    """Fetches what the later stages use; those say themselves what they miss."""
    run(sys.executable, "tests/tools", "get", "cargo-deny", "promtool", "etcd", "kube-apiserver", *CLIENTS)
    return PASSED


def scripts() -> str:
    """What these scripts promise: which tools they take, when a whole run is a failure, what a figure is, what an image is."""
    results = [run(sys.executable, "-B", "-m", "unittest", "discover", "-s", folder) for folder in ("tests/tools", "tests/bench", "tests/images")]
    return FAILED if FAILED in results else PASSED


def deny() -> str:
    """Licences, bans and sources, from the lock file alone."""
    program = get(CATALOGUE["cargo-deny"]).path
    # It looks at every platform; a build fetched this one's crates only.
    if run("cargo", "fetch", "--locked") == FAILED:
        return FAILED
    return run(program, "--workspace", "--offline", "check", "bans", "licenses", "sources")


def binaries() -> str:
    """The folder of the programs that the stage `build` made, for the tests that start them."""
    metadata = ("cargo", "metadata", "--no-deps", "--offline", "--format-version", "1")
    answer = subprocess.run(metadata, cwd=TOP, check=True, capture_output=True, text=True).stdout
    return str(Path(json.loads(answer)["target_directory"]) / "debug")


def test() -> str:
    """Every test; those that need a Terraform run on the floor."""
    return run("cargo", "test", "--workspace", "--locked", "--no-fail-fast",
               PAYMESH_CLIENT=get(CATALOGUE[CLIENTS[0]]).path, PAYMESH_BIN_DIR=binaries())


def acceptance(client):
    """The tests that need a Terraform, with one more client."""

    def stage() -> str:
        # The whole workspace is named so that nothing is built with another choice of features. A third
        # of its time a test waits for a client that waits.
        return run("cargo", "test", "--workspace", "--locked", "--no-fail-fast", "--test", "acceptance*",
                   PAYMESH_CLIENT=get(CATALOGUE[client]).path, PAYMESH_BIN_DIR=binaries(),
                   RUST_TEST_THREADS=str(min(os.cpu_count() or 1, 8) + 1))

    return stage


def kafka() -> str:
    """The payment services with a real Apache Kafka between them."""
    get(CATALOGUE["java"])
    names = ("kafka", "traces", "canary", "brokers", "defects", "crash_points")
    programs = [word for name in names for word in ("--test", name)]
    return run("cargo", "test", "--workspace", "--locked", *programs, "--", "--ignored",
               PAYMESH_KAFKA=get(CATALOGUE["kafka"]).path, PAYMESH_BIN_DIR=binaries())


def operator() -> str:
    """The Database operator with a real Kubernetes API server, etcd and PostgreSQL, killed before every write."""
    # Most of its time a test waits for an operator that waits.
    return run("cargo", "test", "--workspace", "--locked", "--test", "operator", "--", "--ignored", RUST_TEST_THREADS="4",
               PAYMESH_ETCD=get(CATALOGUE["etcd"]).path, PAYMESH_KUBE_APISERVER=get(CATALOGUE["kube-apiserver"]).path,
               PAYMESH_BIN_DIR=binaries())


def images() -> str:
    """Each container image, really run: a charge on PostgreSQL, and a database that the operator makes."""
    servers = {"PAYMESH_ETCD": get(CATALOGUE["etcd"]).path,
               "PAYMESH_KUBE_APISERVER": get(CATALOGUE["kube-apiserver"]).path}
    if run(sys.executable, "services/images") == FAILED:
        return FAILED
    return run(sys.executable, "tests/images", **servers, PAYMESH_BIN_DIR=binaries())


def openapi() -> str:
    """payment-api, really started, against its own OpenAPI document; SEED=n draws other requests."""
    return run(sys.executable, "tests/tools/openapi.py", PAYMESH_BIN_DIR=binaries())


def upgrade() -> str:
    """The release before becomes this one under load, and back; by hand, since it builds that one first."""
    return run("cargo", "test", "--workspace", "--locked", "--test", "upgrade", "--", "--ignored",
               PAYMESH_BEFORE_DIR=str(before.programs()), PAYMESH_BIN_DIR=binaries())


def alerts() -> str:
    """The alert rules of the payment services: that they can be read, and when each fires."""
    promtool = get(CATALOGUE["promtool"]).path
    results = [run(promtool, "check", "rules", "--lint=all", "--lint-fatal", "services/alerts/rules.yml"),
               run(promtool, "test", "rules", "services/alerts/rules.test.yml")]
    return FAILED if FAILED in results else PASSED


def protocol() -> str:
    """The print of the plugin protocol against the one that its owner publishes as a Go module."""
    get(CATALOGUE["go"])
    return run("cargo", "test", "--workspace", "--locked", "--test", "protocol", "--", "--ignored")


def fuzz() -> str:
    """Every parser of the provider and the payment services against inputs near what is really sent: 5 seconds each, or MINUTES."""
    minutes = float(os.environ.get("MINUTES") or 5 / 60)
    # The targets of a program share the processors; each says at its end how many inputs it tried.
    return run("cargo", "test", "--workspace", "--locked", "--no-fail-fast", "--test", "fuzz", "--test", "services",
               "--", "--show-output", BOLERO_RANDOM_TEST_TIME_MS=str(round(minutes * 60_000)))


def judges() -> str:
    """Clients that nobody here wrote against the simulated cloud, and against what Terraform makes there."""
    return run(sys.executable, "tests/tools/judges.py", PAYMESH_CLIENT=get(CATALOGUE[CLIENTS[0]]).path,
               PAYMESH_BIN_DIR=binaries())


def crash_tiers(programs, budgets=None, **draw) -> str:
    """Runs are cut and an ordinary run ends them: without Terraform, then with it."""
    program = f"{programs['PAYMESH_BIN_DIR']}/paymesh-crash"
    results = []
    for tier in ("inside", "real"):
        budget = {"BUDGET": os.environ.get("BUDGET", budgets[tier])} if budgets else {}
        results.append(run(program, tier, **programs, **draw, **budget))
    return FAILED if FAILED in results else PASSED


def crash_programs() -> dict:
    """What the crash matrix starts."""
    return {"PAYMESH_CLIENT": get(CATALOGUE[CLIENTS[0]]).path, "PAYMESH_BIN_DIR": binaries()}


# Minutes: without Terraform for a fifth of the cases, with it for each kill of each procedure.
CRASH_MINUTES = {"inside": "3", "real": "8"}


def crash() -> str:
    """A draw of the crash matrix, the same for every commit; SEED=n draws others."""
    return crash_tiers(crash_programs(), CRASH_MINUTES)


def crash_matrix() -> str:
    """Every case of the tier without Terraform, then the draw with it; and the guards."""
    programs = crash_programs()
    if os.environ.get("BUGS") == "1":
        return crash_bugs(programs)
    if os.environ.get("POINTS") == "1":
        return crash_points(programs)
    results = [crash_tiers(programs)]
    # What a slip of the user may never do; it is refused before there is anything to cut.
    before = Counts.passed
    results.append(run("cargo", "test", "--workspace", "--locked", "--test", "acceptance", "guards::", **programs))
    results.append(PASSED if Counts.passed > before else FAILED)
    return FAILED if FAILED in results else PASSED


def crash_points(programs) -> str:
    """Rewrites the goldens of both tiers: which requests each procedure sends."""
    program = f"{programs['PAYMESH_BIN_DIR']}/paymesh-crash"
    results = [run(program, tier, UPDATE_EXPECT="1", ONLY="", **programs) for tier in ("points", "points-real")]
    return FAILED if FAILED in results else PASSED


# Each protection that is switched off, the scenarios that must turn red then, and what the books
# must say: red for another reason proves nothing.
BUGS = {
    "no_adoption": ("create on", "not recovered by apply"),
    "no_guard": ("create_before_destroy", "deleted without need"),
    "no_conditional_create": ("create on azure", "not repaired"),
    "no_resume": ("upgrade", "not recovered by apply"),
}


def crash_bugs(programs) -> str:
    """A provider with bugs put in on purpose: the matrix must be red on each of them."""
    build = ("cargo", "build", "--workspace", "--bins", "--locked")
    if run(*build, "--features", "paymesh/seeded-bugs") == FAILED:
        return FAILED
    there = Path(programs["PAYMESH_BIN_DIR"])
    here = there / "seeded-bugs"
    here.mkdir(exist_ok=True)
    for name in ("terraform-provider-paymesh", "paymesh-cloudsim", "paymesh", "paymesh-crash"):
        shutil.copy2(there / name, here / name)
    # The program with bugs must not stay where the others are.
    if run(*build) == FAILED:
        return FAILED
    missed = []
    for bug, (only, why) in BUGS.items():
        said = []
        result = run(str(here / "paymesh-crash"), "inside", hears=said.append, PAYMESH_BIN_DIR=str(here),
                     PAYMESH_CLIENT=programs["PAYMESH_CLIENT"], PAYMESH_SEEDED_BUG=bug, ONLY=only, STOPS="1", PAIRS="0")
        caught = result == FAILED and any(why in line for line in said)
        print(f"{bug}: {'caught' if caught else 'NOT CAUGHT'}", flush=True)
        missed += [] if caught else [bug]
    return FAILED if missed else PASSED


def mutants() -> str:
    """The share of small changes to engine and plugin that their tests notice."""
    return run(sys.executable, "tests/mutants/mutants.py", CARGO_MUTANTS=get(CATALOGUE["cargo-mutants"]).path,
               PAYMESH_CLIENT=get(CATALOGUE[CLIENTS[0]]).path)


def console() -> str:
    """The console in a real browser; by hand, since a browser is not everywhere."""
    return run(sys.executable, "tests/tools/console.py", PAYMESH_CLIENT=get(CATALOGUE[CLIENTS[0]]).path,
               PAYMESH_BIN_DIR=binaries())


def page() -> str:
    """The merchant's page in a real browser; by hand, since a browser is not everywhere."""
    return run(sys.executable, "tests/tools/page.py", PAYMESH_BIN_DIR=binaries())


def cargo(*words):
    """A stage that is one cargo command."""
    return lambda: run("cargo", *words)


# All stages that build choose all targets of all packages: one set of features, one build of each
# dependency.
STAGES = {
    "tools": tools,
    "scripts": scripts,
    "format": cargo("fmt", "--all", "--check"),
    "lint": cargo("clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"),
    "build": cargo("build", "--workspace", "--all-targets", "--locked"),
    "test": test,
    "deny": deny,
    **{f"acceptance {client}": acceptance(client) for client in CLIENTS[1:]},
    "kafka": kafka,
    "operator": operator,
    "openapi": openapi,
    "alerts": alerts,
    "protocol": protocol,
    "fuzz": fuzz,
    "judges": judges,
    "crash": crash,
}
BY_HAND = {"console": console, "crash-matrix": crash_matrix, "images": images, "mutants": mutants,
           "page": page, "upgrade": upgrade}


def main(names) -> int:
    """Runs the named stages, or all, and prints the closing table."""
    stages = STAGES | BY_HAND
    unknown = [name for name in names if name not in stages]
    if unknown:
        print(f"no stage {', '.join(unknown)}; there are: {', '.join(stages)}", file=sys.stderr)
        return 2
    start, rows = time.monotonic(), []
    for name in names or STAGES:
        began = time.monotonic()
        try:
            result = stages[name]()
        except Missing as reason:
            result = f"{NOT_RUN}: {reason}"
        rows.append((name, time.monotonic() - began, result))
    minutes = (time.monotonic() - start) / 60
    print(f"\n{'stage':<26} {'seconds':>8}  result")
    for name, seconds, result in rows:
        print(f"{name:<26} {seconds:>8.1f}  {result}")
    bad = [name for name, _, result in rows if result == FAILED]
    if os.environ.get("CI") == "true":
        bad += [name for name, _, result in rows if result.startswith(NOT_RUN)]
    limit = float(os.environ.get("PAYMESH_TEST_MINUTES_MAX", "inf"))
    if minutes > limit:
        bad.append(f"the limit of {limit:.0f} minutes")
    print(f"\n{minutes:.1f} minutes" + (f"; failed: {', '.join(bad)}" if bad else ""))
    print(f"{Counts.passed} passed, {max(Counts.failed, len(bad) and 1)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
