"""Walks the console in a real browser: `python3 tests/tools/console.py`. See `tests/cloudsim/browser/walk.py`."""

import shutil
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from bed import Bed, Disagreement  # noqa: E402
from catalogue import CATALOGUE, Missing, get  # noqa: E402

TOP = Path(__file__).resolve().parents[2]
PICTURES = TOP / "target" / "console"


def main() -> int:
    try:
        chromium, python = get(CATALOGUE["chromium"]).path, get(CATALOGUE["browser"]).path
        shutil.rmtree(PICTURES, ignore_errors=True)
        PICTURES.mkdir(parents=True)
        with Bed() as bed:
            module = bed.folder / "module"
            module.mkdir()
            shutil.copy2(TOP / "examples" / "local" / "main.tf", module)
            bed.terraform(module, "init", "-input=false", capture=True)
            walk = TOP / "tests" / "cloudsim" / "browser" / "walk.py"
            bed.run(python, walk, bed.card, chromium, PICTURES, module, bed.client)
    except (Disagreement, Missing) as reason:
        print(f"\nconsole: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
