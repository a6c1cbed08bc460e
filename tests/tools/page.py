"""Walks the merchant's page in a real browser: `python3 tests/tools/page.py`. See `tests/payments/browser/walk.py`.

`PAYMESH_BIN_DIR` holds the programs. Logs stay when it fails.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

from catalogue import CATALOGUE, Missing, get  # noqa: E402

TOP = Path(__file__).resolve().parents[2]
PICTURES = TOP / "target" / "page"


def main() -> int:
    """The command."""
    # All of it is on loopback.
    os.environ["NO_PROXY"] = "127.0.0.1"
    try:
        chromium, python = get(CATALOGUE["chromium"]).path, get(CATALOGUE["browser"]).path
    except Missing as reason:
        print(f"\npage: {reason}", file=sys.stderr)
        return 1
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    program = Path(os.environ["PAYMESH_BIN_DIR"]) / "paymesh-payments"
    place = Path(tempfile.mkdtemp(prefix="paymesh-page-"))
    # PostgreSQL runs as another user when we are root.
    place.chmod(0o755)
    stack = place / "stack"
    failed = 1
    try:
        failed = subprocess.run([program, "up", stack]).returncode
        if not failed:
            walk = TOP / "tests" / "payments" / "browser" / "walk.py"
            failed = subprocess.run([python, "-B", walk, stack / "card.json", chromium, PICTURES]).returncode
    finally:
        if failed:
            for log in stack.glob("*.log"):
                shutil.copy2(log, place)
            print(f"\npage: the logs are in {place}", file=sys.stderr)
        ended = subprocess.run([program, "down", stack]).returncode
    if failed or ended:
        return 1
    shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
