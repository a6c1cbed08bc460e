"""A simulated cloud and a Terraform for the tests in Python.

`PAYMESH_BIN_DIR` holds the programs, `PAYMESH_CLIENT` is the Terraform.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from mirror import mirror


class Disagreement(Exception):
    """Something is not as it should be; the text says what."""


class Bed:
    """A simulated cloud in a folder that goes away with it, and a Terraform that uses it."""

    def __enter__(self):
        self.place = tempfile.TemporaryDirectory()
        self.folder = folder = Path(self.place.name)
        self.programs = Path(os.environ["PAYMESH_BIN_DIR"])
        self.client = os.environ["PAYMESH_CLIENT"]
        self.card = folder / "simulator.json"
        self.environment = os.environ | {
            "PAYMESH_SIMULATOR": str(self.card),
            "TF_CLI_CONFIG_FILE": str(folder / "terraform.rc"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        settings = mirror(folder / "mirror", self.programs / "terraform-provider-paymesh")
        (folder / "terraform.rc").write_text("disable_checkpoint = true\n" + settings, "utf-8")
        self.sim("up")
        return self

    def __exit__(self, *_):
        self.sim("down")
        self.place.cleanup()

    def run(self, *command, capture=False, cwd=None):
        """Runs a command; what it printed, if that is wanted."""
        done = subprocess.run(
            [str(word) for word in command], env=self.environment, cwd=cwd, text=True, check=False,
            stdout=subprocess.PIPE if capture else None,
        )
        if done.returncode:
            raise Disagreement(f"exit code {done.returncode}: {' '.join(map(str, command))}")
        return done.stdout

    def sim(self, *words):
        self.run(self.programs / "paymesh", "sim", *words)

    def terraform(self, module, *words, **options):
        return self.run(self.client, f"-chdir={module}", *words, **options)
