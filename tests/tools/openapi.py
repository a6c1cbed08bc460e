"""payment-api against its own OpenAPI document: `python3 tests/tools/openapi.py`.

Starts the payment services and has schemathesis send what the document allows and what it forbids,
one request after the other and in sequences. Every answer has to be as documented. The same
requests each time; SEED=n draws others. `PAYMESH_BIN_DIR` holds the programs. Logs stay when it
fails.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True

from catalogue import CATALOGUE, Missing, get  # noqa: E402

TOP = Path(__file__).resolve().parents[2]
HERE = TOP / "tests" / "payments" / "openapi"
DOCUMENT = TOP / "services" / "contracts" / "openapi.json"
# Requests that are drawn for each operation and kind of data, beside those of the coverage phase.
EXAMPLES = "60"
DISPUTED_MAX_S = 60


class Merchant:
    """Asks the API for something."""

    def __init__(self, card):
        self.card = card

    def ask(self, method, path, body=None, key=None):
        """The answer as JSON."""
        headers = {"Authorization": f"Bearer {self.card['api_key']}", "Content-Type": "application/json"}
        if key:
            headers |= {"Idempotency-Key": key, "Prefer": "wait=30"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.card["api_url"] + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=40) as answer:
            return json.load(answer)

    def disputed(self, key):
        """A payment that its customer disputes; gives the ids of both."""
        order = {"amount": {"amount": 1250, "currency": "EUR"}, "payment_method": "tok_dispute"}
        payment = self.ask("POST", "/v1/payments", order, key)["id"]
        limit = time.monotonic() + DISPUTED_MAX_S
        while time.monotonic() < limit:
            disputes = self.ask("GET", f"/v1/payments/{payment}").get("disputes")
            if disputes:
                return payment, disputes[0]["id"]
            time.sleep(0.1)
        raise TimeoutError(f"{payment} is not disputed after {DISPUTED_MAX_S} s")


def drawn(card, place) -> int:
    """Schemathesis on a stack that runs; what it keeps is in `place`."""
    merchant = Merchant(card)
    environment = os.environ | {"PAYMESH_API_KEY": card["api_key"], "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"),
                                "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("CONTESTED", "ACCEPTED"):
        payment, dispute = merchant.disputed(f"openapi {name}")
        environment |= {f"{name}_PAYMENT": payment, f"{name}_DISPUTE": dispute}
    python = get(CATALOGUE["schemathesis"]).path
    command = [python, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml", "run", DOCUMENT,
               "--url", card["api_url"], "--seed", os.environ.get("SEED", "1"), "--max-examples", EXAMPLES]
    return subprocess.run(command, cwd=place, env=environment).returncode


def main() -> int:
    """The command."""
    # All of it is on loopback.
    os.environ["NO_PROXY"] = "127.0.0.1"
    program = Path(os.environ["PAYMESH_BIN_DIR"]) / "paymesh-payments"
    place = Path(tempfile.mkdtemp(prefix="paymesh-openapi-"))
    # PostgreSQL runs as another user when we are root.
    place.chmod(0o755)
    stack = place / "stack"
    if subprocess.run([program, "up", stack]).returncode:
        return 1
    failed = 1
    try:
        failed = drawn(json.loads((stack / "card.json").read_text("utf-8")), place)
    except (Missing, OSError) as reason:
        print(f"\nopenapi: {reason}", file=sys.stderr)
    finally:
        if failed:
            for log in stack.glob("*.log"):
                shutil.copy2(log, place)
            print(f"\nopenapi: the logs are in {place}", file=sys.stderr)
        ended = subprocess.run([program, "down", stack]).returncode
    if failed or ended:
        return 1
    shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
