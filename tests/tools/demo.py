"""The demo: `python3 tests/tools/demo.py up|down|install`.

`up` builds Paymesh, starts the simulated cloud, applies `examples/local` with a real Terraform and
shows what came of it. `down` destroys it all again and stops the simulated cloud. Both can be
repeated and interrupted: each step looks at what is there and goes on from it.

Everything lies in `target/demo` except Terraform's state, which lies in `examples/local`.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

from catalogue import CATALOGUE, Missing, get  # noqa: E402
from mirror import mirror, version  # noqa: E402

TOP = Path(__file__).resolve().parents[2]
PLACE = TOP / "target" / "demo"
MODULE = TOP / "examples" / "local"
STEPS = []


class Stop(Exception):
    """The demo cannot go on; the text says why and what to do."""


@contextlib.contextmanager
def step(title, hint=""):
    """One timed step, announced before and listed at the end."""
    print(f"==> {title}{hint}", flush=True)
    began = time.monotonic()
    yield
    STEPS.append((title, time.monotonic() - began))


def run(*command, accept=(0,), capture=False, **environment):
    """Runs a command to its end, also when Ctrl-C is pressed: the command gets it too."""
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=TOP, env=os.environ | environment, text=True, stdout=subprocess.PIPE if capture else None,
    )
    output, _ = process.communicate()
    if interrupted:
        raise Stop("interrupted; the same command goes on where this one stopped." + still_running())
    if process.returncode not in accept:
        raise Stop(f"exit code {process.returncode}: {' '.join(map(str, command))}\n"
                   "Mend what it says above; then the same command goes on from there." + still_running())
    return output, process.returncode


def still_running() -> str:
    """A sentence about the simulated cloud of the demo, if it runs."""
    try:
        process = json.loads((PLACE / "simulator.json").read_text("utf-8"))["pid"]
        os.kill(process, 0)
    except (OSError, ValueError, KeyError):
        return ""
    return f"\nThe simulated cloud still runs (process {process}); make demo-down takes it away."


interrupted = []


def programs() -> Path:
    """Builds the provider, the command and the simulated cloud; gives their folder.

    Tests name in PAYMESH_BIN_DIR what they have built already.
    """
    if built := os.environ.get("PAYMESH_BIN_DIR"):
        return Path(built)
    for name in ("cargo", "cc"):
        get(CATALOGUE[name])
    run("cargo", "build", "--locked", "-p", "paymesh", "-p", "paymesh-cli", "-p", "paymesh-cloudsim")
    target = json.loads(run("cargo", "metadata", "--no-deps", "--format-version", "1", "--offline", capture=True)[0])
    return Path(target["target_directory"]) / "debug"


class Demo:
    """The programs and settings of one run."""

    def __init__(self):
        with step("find Terraform or OpenTofu"):
            self.client = client()
            print(f"    {self.client}")
        with step("build the provider, the command and the simulated cloud", " (the first time, several minutes)"):
            self.bin = programs()
        PLACE.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PAYMESH_SIMULATOR": str(PLACE / "simulator.json"),
            "TF_CLI_CONFIG_FILE": str(PLACE / "terraform.rc"),
        }
        settings = mirror(PLACE / "mirror", self.bin / "terraform-provider-paymesh")
        (PLACE / "terraform.rc").write_text("disable_checkpoint = true\n" + settings, "utf-8")
        lines = [f"export {name}='{value}'" for name, value in self.environment.items()]
        paths = f"export PATH='{self.bin}':'{Path(self.client).parent}':\"$PATH\""
        (PLACE / "env").write_text("\n".join([*lines, paths, ""]), "utf-8")

    def terraform(self, *words, **options):
        """Runs Terraform in `examples/local`; without colours unless somebody looks at a terminal."""
        plain = [] if sys.stdout.isatty() else ["-no-color"]
        return run(self.client, f"-chdir={MODULE}", *words, *plain, **options, **self.environment)

    def sim(self, *words, **options):
        """Runs `paymesh sim`."""
        return run(self.bin / "paymesh", "sim", *words, **options, **self.environment)

    def start(self):
        """Starts the simulated cloud and prepares the module."""
        with step("start the simulated cloud"):
            self.sim("up")
        with step("terraform init"):
            # A provider that was built anew has another checksum than the lock file knows.
            (MODULE / ".terraform.lock.hcl").unlink(missing_ok=True)
            self.terraform("init", "-input=false", capture=True)

    def inventory(self):
        """What the simulated cloud holds."""
        return json.loads(self.sim("status", "--json", capture=True)[0])


def client() -> str:
    """Terraform from PATH or the cache; OpenTofu only if it alone is here."""
    terraform, tofu = CATALOGUE["terraform"], shutil.which("tofu")
    try:
        return get(terraform).path
    except Missing:
        if tofu:
            return tofu
        raise


def up():
    """`make demo`."""
    demo = Demo()
    demo.start()
    with step("terraform apply"):
        demo.terraform("apply", "-auto-approve", "-input=false")
    with step("terraform plan (should find nothing to do)"):
        _, code = demo.terraform("plan", "-input=false", "-detailed-exitcode", accept=(0, 2))
        if code == 2:
            raise Stop("a second plan wants to change something; that is a mistake in Paymesh, please report it")
    show(demo)


def card():
    """What the simulated cloud says of itself."""
    return json.loads((PLACE / "simulator.json").read_text("utf-8"))


def table(inventory):
    """What a simulated cloud holds, a line for each object."""
    for cloud, objects in inventory.items():
        for entry in objects:
            print(f"  {cloud:<7} {entry.get('type', '-'):<55} {str(entry.get('id', '-')).rsplit('/', 1)[-1]}")


def show(demo):
    """What exists, what it took, where to look, what to type next."""
    print("\nWhat exists")
    table(demo.inventory())
    print("\nHow long it took")
    for title, seconds in STEPS:
        print(f"  {seconds:7.1f} s  {title}")
    print(f"""
Where to look
  console         {card()['console']}   (in a browser: what exists, operations, requests, faults)
  configuration   {MODULE}/main.tf
  state           {MODULE}/terraform.tfstate
  every request   curl --cacert {card()['ca']} {card()['control']}/journal
  simulator log   {PLACE}/simulator.log

What to type next
  . {PLACE}/env      # puts paymesh and {Path(demo.client).name} into PATH, finds the simulated cloud
  paymesh sim status    # what the simulated cloud holds
  {Path(demo.client).name} -chdir={MODULE} plan    # after a change of main.tf
  make -C {TOP} demo-down    # destroys everything and stops the simulated cloud""")


def down():
    """`make demo-down`."""
    state = MODULE / "terraform.tfstate"
    managed = state.exists() and json.loads(state.read_text("utf-8"))["resources"]
    if not managed and not (PLACE / "simulator.json").exists():
        print("There is no demo to take down.")
        return
    demo = Demo()
    demo.start()
    with step("terraform destroy"):
        demo.terraform("destroy", "-auto-approve", "-input=false")
    left = demo.inventory()
    if any(left.values()):
        print("\nWhat the simulated cloud still holds")
        table(left)
        raise Stop(f"what is left is no part of the demo's state, so the simulated cloud still runs.\n"
                   f"Look at it:  {card()['console']}\n"
                   f"Forget it:   . {PLACE}/env && paymesh sim reset\n"
                   f"Then:        make -C {TOP} demo-down")
    with step("stop the simulated cloud"):
        demo.sim("down")
    print(f"""The demo is gone; make demo brings it back. These files stay, and git ignores them:
  {PLACE}    (keys and journal of the simulated cloud, the provider)
  {MODULE}/.terraform*, terraform.tfstate*    (empty state and its last backup)""")


def install():
    """`make install`."""
    with step("build the provider, the command and the simulated cloud", " (the first time, several minutes)"):
        found = programs()
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    folder, commands = base / "paymesh" / "providers", base / "paymesh" / "bin"
    settings = mirror(folder, found / "terraform-provider-paymesh")
    commands.mkdir(parents=True, exist_ok=True)
    for name in ("paymesh", "paymesh-cloudsim"):
        aside = commands / f".{name}"
        shutil.copy2(found / name, aside)
        aside.replace(commands / name)
    print(f"""
The provider {version()} is in {folder},
the command paymesh and the simulated cloud in {commands}.

Put this into ~/.terraformrc (OpenTofu: ~/.tofurc), and {commands} into PATH:

{settings}
A folder that was initialised with an earlier build of this version knows its checksum:
delete its .terraform.lock.hcl and run terraform init again.""")


def main(words) -> int:
    """The command."""
    acts = {"up": up, "down": down, "install": install}
    if len(words) != 1 or words[0] not in acts:
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
    try:
        acts[words[0]]()
    except (Stop, Missing) as reason:
        print(f"\npaymesh: {reason}", file=sys.stderr)
        return 130 if interrupted else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
