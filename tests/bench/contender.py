"""Terraform with one provider, in a folder of its own."""

import os
import re
import resource
import shutil
import subprocess
import time
from datetime import datetime
from pathlib import Path

from bed import Disagreement

SMALLEST = """
terraform {{
  required_providers {{
    smallest = {{ source = "paymesh/smallest" }}
  }}
}}
resource "smallest_echo" "it" {{
  count = {count}
  input = "note-${{count.index}}"
}}
"""
BUILT_IN = """
resource "terraform_data" "it" {{
  count = {count}
  input = "note-${{count.index}}"
}}
"""
# No attribute is set. A type is called after its provider, whatever its address.
PEER = """
terraform {{{{
  required_providers {{{{
    {name} = {{{{ source = "paymesh/{name}" }}}}
  }}}}
}}}}
resource "{type}" "it" {{{{
  count = {{count}}
}}}}
"""


class Contender:
    """One provider under Terraform: a program, or what is built into Terraform itself."""

    def __init__(self, bed, name, program=None):
        self.bed, self.name = bed, name
        self.module = bed.folder / name / "module"
        self.module.mkdir(parents=True)
        self.environment = bed.environment
        if program:
            # The name is what Terraform looks for.
            self.program = bed.folder / name / f"terraform-provider-{name}"
            shutil.copy2(program, self.program)
            settings = bed.folder / name / "terraform.rc"
            settings.write_text(
                f'disable_checkpoint = true\nprovider_installation {{\n  dev_overrides {{ "paymesh/{name}" = '
                f'"{self.program.parent}" }}\n  direct {{}}\n}}\n', "utf-8")
            self.environment = bed.environment | {"TF_CLI_CONFIG_FILE": str(settings)}

    def write(self, text):
        """Makes `text` the configuration."""
        (self.module / "main.tf").write_text(text, "utf-8")

    def terraform(self, *words, **environment):
        """Runs Terraform to its end; what it did, and the seconds it took."""
        began = time.monotonic()
        done = subprocess.run(
            [self.bed.client, f"-chdir={self.module}", *words], env=self.environment | environment,
            capture_output=True, text=True, check=False,
        )
        seconds = time.monotonic() - began
        if done.returncode:
            raise Disagreement(f"{self.name}: terraform {words[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done, seconds

    def schema_milliseconds(self) -> float:
        """From the start of the process until Terraform has its schema and has ended it, as Terraform's own
        log tells it of every provider."""
        log = self.terraform("validate", TF_LOG="trace")[0].stderr
        moment = {}
        words = {"start": "starting plugin:", "end": "provider: plugin process exited:"}
        for line in log.splitlines():
            for key, mark in words.items():
                if mark in line and (stamp := re.match(r"(\S+T\S+?)(Z|[+-]\d\d:?\d\d)? ", line)):
                    moment.setdefault(key, datetime.fromisoformat(stamp.group(1)))
        if len(moment) < len(words):
            raise Disagreement(f"{self.name}: Terraform's log tells no start and end of the process")
        return (moment["end"] - moment["start"]).total_seconds() * 1000

    def plan_megabytes(self) -> float:
        """The most memory (MB of 10^6 bytes) of a process that served one plan."""
        status, _ = self.planned("status")
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) * 1024 / 1e6

    def plan_seconds(self) -> tuple:
        """The processor time of the provider and of Terraform in one plan."""
        stat, terraform = self.planned("stat")
        user, system = stat.rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK"), terraform

    def planned(self, file) -> tuple:
        """What /proc says in `file` of a process that served one plan, and Terraform's processor time."""
        process = subprocess.Popen(
            [self.program, "-debug"], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            line = next(line for line in process.stdout if "TF_REATTACH_PROVIDERS=" in line)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.terraform("plan", "-input=false", TF_REATTACH_PROVIDERS=line.split("'")[1])
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            said = Path(f"/proc/{process.pid}/{file}").read_text("utf-8")
        finally:
            process.terminate()
            process.wait()
        return said, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Trivial(Contender):
    """A provider with a resource that does next to nothing."""

    def __init__(self, bed, name, template, program=None, called=None):
        super().__init__(bed, name, program)
        self.template, self.called = template, called or name

    def hold(self, count):
        """Wants `count` resources."""
        self.write(self.template.format(count=count))

    def forget(self):
        """Has no state."""
        for state in self.module.glob("terraform.tfstate*"):
            state.unlink()


def smallest(bed, programs):
    """The least that a provider on our framework is."""
    return Trivial(bed, "smallest", SMALLEST, programs / "examples" / "smallest", "smallest provider")


def built_in(bed):
    """`terraform_data`: no plugin, no process, no wire."""
    return Trivial(bed, "terraform_data", BUILT_IN)


def peer(bed, of):
    """Somebody else's provider (`peers.Peer`)."""
    return Trivial(bed, of.name, PEER.format(name=of.name, type=of.type), of.program, of.called)
