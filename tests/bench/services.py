"""Benchmarks of the payment services: `make bench-payments`, or `python3 tests/bench/services.py [ROW]...`.

Without a row the headline rows run, in less than 75 minutes once everything is built; the others run by
name. How long all of it takes at most is printed before it begins, and a row that takes longer than its
part is ended. What a row found is kept in `target/bench/payments`, and a row that was not void is not
measured again for the same commit, build and lengths. STEP, WARM_UP and WINDOW are seconds, WINDOWS, LOSSES
and LEDGER numbers; less of them make a short try, which says so.

Prints a table, what stands beside what, and what each payment cost; writes all of it to
`target/bench/payments.json`. Builds for release, unless PAYMESH_BIN_DIR names what is built already.
"""

import dataclasses
import json
import math
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "tools"))

import payments as demo  # noqa: E402
from catalogue import CATALOGUE, Missing, get  # noqa: E402

HEADLINE = ("fsync", "pgbench-one", "pgbench-fifty", "full", "hot", "half")
BY_NAME = ("bare", "few-rows", "kafka", "loss", "many-rows", "pgbench-hot", "pgbench-rate", "profile", "slow", "twice")
LENGTHS = {"STEP": 20, "WARM_UP": 30, "WINDOW": 180, "WINDOWS": 3, "LOSSES": 30, "LEDGER": 10_000_000}
# Which of them a row has, if not all of the first four.
LENGTHS_OF = {"loss": ("LOSSES",), "many-rows": ("STEP", "WARM_UP", "WINDOW", "WINDOWS", "LEDGER")}
# How many steps have time on the way to a knee, what is waited for between them included; two knees that
# are compared are found more closely.
SEARCH, CLOSE_SEARCH = 17, 30
# Seconds of a row beside its steps and windows: servers and services begin, their books are compared at the
# end, and everything is deleted.
AROUND = 75
# Seconds of them in which a row that is given up ends what it started.
ENDS = 15
# How many clients or callers are tried, each for a step.
TRIED = {"pgbench-one": 3, "pgbench-fifty": 3, "pgbench-hot": 3, "bare": 4}
# Seconds for the loss of a primary: payments go on, it is lost, and a new standby takes its place.
LOSS = 60
# Milliseconds for each row of a ledger that has grown: it is written, copied to two standbys, and sealed.
GROW_MS = 2
FEW_ROWS = 10_000
# Seconds after an overload in which all that was taken in comes to its end.
DRAIN = 600
KEPT = TOP / "target" / "bench" / "payments"
# What a headline row is compared with too, measured by name: with it all of them would take too long.
BESIDE = {"hot": "pgbench-hot", "half": "pgbench-rate"}
# Rows whose load is a part of a knee that has to be the right one: one that may be higher proves nothing.
OF_KNEE = ("half", "profile", "slow", "twice")
# What a merchant's payment has costs what it costs.
ON = "on: audit chain, traces of every payment, mutual TLS, metrics, logs, webhooks"


class NotRun(Exception):
    """A row cannot be measured; the text says why."""


@dataclasses.dataclass(frozen=True)
class Span:
    """A median, with the least and the most."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values):
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self):
        return f"{number(self.middle)} ({number(self.least)}..{number(self.most)})"


class Row:
    """What came of a row."""

    def __init__(self, name, kept):
        self.name, self.at, self.run = name, kept["at"], kept["run"]
        self.outcome = kept["outcome"]
        self.windows = self.outcome["windows"]
        # Absent in rows that were written before it was told.
        self.is_knee_cut = bool(self.outcome.get("is_knee_cut"))
        self.void = list(self.outcome["void"])
        if name in OF_KNEE and self.is_knee_cut:
            self.void.append("time was over before its knee was found: the load may be too small")

    def rate(self) -> Span:
        """Payments, or their postings, a second."""
        return Span.of([window["seen"]["ended"] * 1000 / window["seen"]["milliseconds"] for window in self.windows])

    def latency(self, quantile) -> Span:
        """In milliseconds."""
        return Span.of([window["seen"]["latency"][f"{quantile}_us"] / 1000 for window in self.windows])

    def has_latency(self) -> bool:
        return bool(self.windows) and all(window["seen"]["latency"] for window in self.windows)

    def refusal(self, quantile) -> "Span | None":
        """In milliseconds; none if there is a window in which nobody was refused."""
        refusals = [window["seen"].get("refusal") for window in self.windows]
        return Span.of([one[f"{quantile}_us"] / 1000 for one in refusals]) if refusals and all(refusals) else None

    def slowest_first(self) -> float:
        """Seconds from the loss of a primary to the first payment; one loss in twenty took longer."""
        firsts = sorted(self.outcome["firsts_ms"])
        return firsts[math.ceil(0.95 * len(firsts)) - 1] / 1000

    def recovery(self) -> Span:
        """In seconds."""
        return Span.of([window["recovery_ms"] / 1000 for window in self.windows])

    def each(self, cost) -> Span:
        """What one payment cost; `cost` reads it of a window."""
        return Span.of([cost(window["cost"]) / max(window["seen"]["ended"], 1) for window in self.windows])

    def commits_per_second(self) -> int:
        rates = [window["cost"]["commits"] * 1000 / window["seen"]["milliseconds"] for window in self.windows]
        return round(statistics.median(rates))


@dataclasses.dataclass(frozen=True)
class Figure:
    """A measure of ours beside a peer or an aim."""

    what: str
    ours: float
    beside: str
    theirs: float
    least: "float | None" = None  # the smallest ratio that is wanted
    most: "float | None" = None  # the greatest
    is_one_run: bool = True

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def verdict(self) -> str:
        if self.least is None and self.most is None:
            return ""
        if self.least is not None:
            return f"{'met' if self.ratio >= self.least else 'missed'} (at least {self.least:g})"
        return f"{'met' if self.ratio <= self.most else 'missed'} (at most {self.most:g})"

    def cells(self) -> tuple:
        ratio = f"{self.ratio:.2f}" + ("" if self.is_one_run else " of two runs")
        return (self.what, number(self.ours), self.beside, number(self.theirs), ratio, self.verdict)


def number(value) -> str:
    """Three digits are enough."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def figures(rows, kept=None) -> list:
    """Everything that both sides are there for and that is not void; one of them may be of an earlier run."""
    found = []
    known = (kept or {}) | rows

    def beside(what, row, ours, words, theirs, peer=None, **wanted):
        needed = {name: known.get(name) for name in (row, peer) if name}
        is_asked = any(name in rows for name in needed)
        if is_asked and all(one is not None and not one.void for one in needed.values()):
            is_one_run = len({one.run for one in needed.values()}) == 1
            found.append(Figure(what, ours(known[row]), words, theirs(known.get(peer)), is_one_run=is_one_run, **wanted))

    def rate(row):
        return row.rate().middle

    def p99(row):
        return row.latency("p99").middle

    def knee(row):
        return row.outcome["knee_per_second"]

    full, hot, half = "full payments a second", "payments a second of one merchant", "at half the knee, ms:"
    bare = "bare postings a second through db-controller's store"
    slow = "the same, less what the acquirer took, ms:"
    beside(full, "full", rate, "aim with a standby, 0.6 x 1,000", lambda _: 600, least=1)
    beside(full, "full", rate, "pgbench, one statement each", rate, peer="pgbench-one")
    beside(full, "full", rate, "pgbench, sets of fifty", rate, peer="pgbench-fifty")
    beside(hot, "hot", rate, "pgbench, one statement each", rate, peer="pgbench-hot", least=5)
    beside(f"{half} p50", "half", lambda row: row.latency("p50").middle, "aim", lambda _: 8, most=1)
    beside(f"{half} p99", "half", p99, "3 x pgbench at as many commits, + 5", lambda row: 3 * p99(row) + 5,
           peer="pgbench-rate", most=1)
    beside(bare, "bare", rate, "pgbench, one statement each", rate, peer="pgbench-one", least=1)
    beside(bare, "bare", rate, "pgbench, sets of fifty", rate, peer="pgbench-fifty", least=0.4)
    beside(f"{slow} p50", "slow", lambda row: row.latency("p50").middle, "aim", lambda _: 8, most=1)
    beside(f"{slow} p99", "slow", p99, "3 x pgbench at as many commits, + 5", lambda row: 3 * p99(row) + 5,
           peer="pgbench-rate", most=1)
    beside("payments a second over Kafka", "kafka", rate, "aim, 0.5 x 1,000", lambda _: 500, least=1)
    beside("paid a second at twice the knee", "twice", rate, "the knee", knee, peer="twice", least=0.8)
    many, few = known.get("many-rows"), known.get("few-rows")
    if many is not None and few is not None:
        said, other = (f"{row.outcome['ledger_rows'] or 0:,} rows in the ledger" for row in (many, few))
        # As many are sent as to the small one, or what its own knee allows if that is less.
        loads = [row.outcome["per_second"] for row in (many, few)]
        beside(f"knee, {said}", "many-rows", knee, other, knee, peer="few-rows")
        beside(f"payments a second, {said}", "many-rows", rate, other, rate, peer="few-rows", least=0.9)
        beside(f"p99 in ms of {loads[0]} a second, {said}", "many-rows", p99, f"of {loads[1]} a second, {other}", p99,
               peer="few-rows", most=1.5 if loads[0] == loads[1] else None)
    loss = known.get("loss")
    if loss is not None and loss.outcome.get("firsts_ms"):
        beside(f"first payment after a lost primary, s: p95 of {len(loss.outcome['firsts_ms'])}", "loss",
               lambda row: row.slowest_first(), "aim", lambda _: 10, most=1)
    twice = known.get("twice")
    if twice is not None and not twice.void:
        if twice.refusal("p99"):
            beside("refused at twice the knee, ms: p99", "twice", lambda row: row.refusal("p99").middle,
                   "when to ask again (Retry-After)", lambda _: 1000, most=1)
        beside("after twice the knee, s: until all is as before", "twice", lambda row: row.recovery().middle,
               "aim", lambda _: 10, most=1)
    return found


def table(headings, rows) -> str:
    """Columns as wide as they have to be."""
    rows = [headings, *rows]
    wide = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, wide)).rstrip() for row in rows)


def measured(rows) -> str:
    """Each row with its median, least and most, or why it is void."""
    lines = []
    for row in rows.values():
        if not row.windows and not row.void:
            continue
        cells = [row.name, "-", "-", "-", "-", "-", "-"]
        if row.windows:
            knee, clients = row.outcome["knee_per_second"], row.outcome["clients"]
            at_least = "at least " if row.is_knee_cut else ""
            cells[1] = f"{at_least}{knee}" if knee else f"{clients} clients" if clients else "-"
            cells[2] = str(row.rate())
            cells[5] = str(row.each(lambda cost: cost["commits"]))
            cells[6] = str(row.each(lambda cost: cost["wal_bytes"]))
        if row.has_latency():
            cells[3:5] = str(row.latency("p50")), str(row.latency("p99"))
        lines.append(tuple(cells))
        lines += [(f"  VOID: {reason}",) + ("",) * 6 for reason in row.void]
    # A reason is as long as it is and makes no column wider.
    wide = table(("row", "knee", "a second", "p50 ms", "p99 ms", "commits each", "WAL bytes each"),
                 [line for line in lines if line[1]]).splitlines()
    shown = [wide[0]]
    rest = iter(wide[1:])
    for line in lines:
        shown.append(next(rest) if line[1] else line[0])
    return "\n".join(shown)


def costs(rows) -> str:
    """Processor time of each process for one payment."""
    busy = [row for row in rows.values() if row.windows]
    names = sorted({name for row in busy for window in row.windows for name in window["cost"]["cpu_ms"]})
    lines = []
    for name in names:
        shown = [
            f"{row.each(lambda cost: cost['cpu_ms'][name]).middle:.3f}" if name in row.windows[0]["cost"]["cpu_ms"] else "-"
            for row in busy
        ]
        lines.append((name, *shown))
    return table(("CPU ms each", *(row.name for row in busy)), lines)


def called(text) -> str:
    """A statement by what it writes and where it does; one that only reads, by its first words."""
    written = re.findall(r"\b(insert into|update|delete from) (\w+)", text)
    words = [f"{verb.split()[0]} {table}" for verb, table in written] or [" ".join(text.split())[:90]]
    return ", ".join(words)


def statements(row) -> str:
    """What each kind of statement cost the primary for one payment."""
    made = max(row.outcome["statements_of"], 1)
    lines = [
        (f"{one['microseconds'] / made:.0f}", f"{one['calls'] / made:.2f}", f"{one['microseconds'] / max(one['calls'], 1):.0f}",
         called(one["text"]))
        for one in row.outcome["statements"]
    ]
    return table(("us of a payment", "times", "us each", "in the primary, by statement"), lines)


def lengths() -> dict:
    """The lengths of steps and windows."""
    try:
        chosen = {name: int(os.environ.get(name) or usual) for name, usual in LENGTHS.items()}
    except ValueError as reason:
        raise NotRun(f"{', '.join(LENGTHS)} are whole numbers: {reason}") from None
    if any(value < 1 for value in chosen.values()):
        raise NotRun(f"{', '.join(LENGTHS)} are at least 1")
    return chosen


def lengths_of(name) -> tuple:
    """The lengths that a row depends on."""
    return LENGTHS_OF.get(name, ("STEP", "WARM_UP", "WINDOW", "WINDOWS"))


def build() -> Path:
    """The programs, for release."""
    if built := os.environ.get("PAYMESH_BIN_DIR"):
        return Path(built)
    for name in ("cargo", "cc"):
        get(CATALOGUE[name])
    chosen = [word for package in demo.PACKAGES for word in ("-p", f"paymesh-{package}")]
    if subprocess.run(["cargo", "build", "--release", "--locked", "--bins", "--examples", *chosen], cwd=TOP).returncode:
        raise Missing("the services could not be built, see above")
    answer = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1", "--offline"],
                            cwd=TOP, check=True, capture_output=True, text=True).stdout
    return Path(json.loads(answer)["target_directory"]) / "release"


class Bench:
    """Rows of one commit, build and choice of lengths."""

    def __init__(self, programs, commit, chosen):
        self.programs, self.chosen = programs, chosen
        self.build = {"commit": commit, "build": programs.name}
        self.run = datetime.now(timezone.utc).isoformat(timespec="seconds")

    def key(self, name) -> dict:
        """What a row that is kept was measured with."""
        return self.build | {length: self.chosen[length] for length in lengths_of(name)}

    def kept(self, name) -> "Row | None":
        """What an earlier run of the same found, or this one; of changed files only this one."""
        try:
            kept = json.loads((KEPT / f"{name}.json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        is_changed = self.build["commit"].endswith("-dirty")
        is_same = kept["key"] == self.key(name) and (kept["run"] == self.run or not is_changed)
        return Row(name, kept) if is_same else None

    def source(self, name) -> "Row | None":
        """A row that another one is measured by, unless it proves nothing."""
        found = self.kept(name)
        return None if found is None or found.void else found

    def searches(self, name) -> bool:
        """Whether a row has to look for the knee itself."""
        if name in OF_KNEE:
            full = self.source("full")
            # Nobody knows whether one that was cut short is the knee.
            return full is None or full.is_knee_cut or not full.outcome["knee_per_second"]
        return name in ("full", "hot", "kafka", "few-rows", "many-rows")

    def search(self, name) -> int:
        """The seconds that steps on the way to a knee may take."""
        return self.chosen["STEP"] * (CLOSE_SEARCH if name in ("few-rows", "many-rows") else SEARCH)

    def limit(self, name) -> int:
        """The seconds after which a row is ended."""
        step, windows = self.chosen["STEP"], self.chosen["WINDOWS"]
        reported = self.chosen["WARM_UP"] + windows * self.chosen["WINDOW"]
        parts = {
            "fsync": 0,
            "loss": (self.chosen["LOSSES"] + 1) * LOSS,
            "twice": windows * (self.chosen["WARM_UP"] + self.chosen["WINDOW"] + DRAIN),
            "bare": reported + DRAIN,
            # Three brokers begin too.
            "kafka": reported + AROUND,
            "few-rows": reported + FEW_ROWS * GROW_MS // 1_000 + AROUND,
            "many-rows": reported + self.chosen["LEDGER"] * GROW_MS // 1_000 + AROUND,
        }
        search = self.search(name) if self.searches(name) else 0
        return AROUND + search + TRIED.get(name, 0) * step + parts.get(name, reported)

    def budget(self, names) -> dict:
        """The seconds that each row takes at most; those that are kept take none."""
        return {name: 0 if self.source(name) else self.limit(name) for name in names}

    def row(self, name) -> Row:
        """A row, measured unless it is kept."""
        found = self.kept(name)
        if found and not found.void:
            print(f"==> {name}: kept from {found.at}", file=sys.stderr, flush=True)
            return found
        print(f"==> {name}", file=sys.stderr, flush=True)
        place = demo.folder().with_name(f"{demo.folder().name}-bench")
        # What a row that failed left; a row is begun anew.
        shutil.rmtree(place, ignore_errors=True)
        KEPT.mkdir(parents=True, exist_ok=True)
        out = KEPT / f"{name}.new"
        command = [self.programs / "paymesh-payments-bench", name, place, "--out", out, *self.words(name)]
        if not run([str(word) for word in command], self.environment(name), self.limit(name)):
            raise NotRun(f"{name}: see above; everything is kept in {place}")
        at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        kept = {"key": self.key(name), "run": self.run, "at": at, "outcome": json.loads(out.read_text("utf-8"))}
        (KEPT / f"{name}.json").write_text(json.dumps(kept, indent=2), "utf-8")
        out.unlink()
        return Row(name, kept)

    def environment(self, name) -> dict:
        more = {"PAYMESH_BIN_DIR": str(self.programs)}
        if name == "kafka":
            get(CATALOGUE["java"])
            more["PAYMESH_KAFKA"] = get(CATALOGUE["kafka"]).path
        return os.environ | more

    def words(self, name) -> list:
        """How long everything takes, and what other rows found."""
        words = ["--step", self.chosen["STEP"], "--search", self.search(name), "--warm-up", self.chosen["WARM_UP"],
                 "--window", self.chosen["WINDOW"], "--windows", self.chosen["WINDOWS"],
                 "--limit", self.limit(name) - ENDS]
        if name == "loss":
            words += ["--losses", self.chosen["LOSSES"]]
        if name in OF_KNEE and not self.searches(name):
            words += ["--knee", self.source("full").outcome["knee_per_second"]]
        if name == "many-rows":
            few = self.source("few-rows")
            if few is None or not few.outcome["per_second"]:
                raise NotRun("many-rows: it is compared with the row few-rows, which is not there")
            words += ["--most", few.outcome["per_second"], "--ledger", self.chosen["LEDGER"]]
        if name == "pgbench-rate":
            half = self.source("half")
            if half is None or not half.windows:
                raise NotRun("pgbench-rate: it takes the commits a second of the row half, which is not there")
            words += ["--rate", max(half.commits_per_second(), 1)]
        return words


def run(words, environment, limit) -> bool:
    """Runs a program for at most so many seconds, and whatever it started; says whether it succeeded."""
    process = subprocess.Popen(words, env=environment, start_new_session=True)
    try:
        return process.wait(timeout=limit) == 0
    except subprocess.TimeoutExpired:
        print(f"bench: it did not end within {limit} s", file=sys.stderr, flush=True)
        return False
    finally:
        # Nothing of it goes on beside the next row, also after Ctrl-C, which does not reach it by itself.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def told(budget) -> str:
    """How long rows take at most, in minutes."""
    parts = ", ".join(f"{name} {seconds / 60:.1f}" if seconds else f"{name} kept" for name, seconds in budget.items())
    return f"at most {math.ceil(sum(budget.values()) / 60)} minutes: {parts}"


def commit() -> str:
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(words, cwd=TOP, check=True, capture_output=True, text=True).stdout.strip()


def report(about, rows, missing, kept):
    """Prints everything and writes it down; what is kept of other rows stands beside these."""
    print(f"\n{', '.join(f'{key} {value}' for key, value in about.items())}")
    for row in rows.values():
        if row.name == "fsync":
            said = [note for note in row.outcome["notes"] if note.startswith("fdatasync")]
            print(f"pg_test_fsync, 8 kB: {' '.join(said[0].split()) if said else 'no fdatasync here'}")
    durability = sorted({row.outcome["durability"] for row in rows.values() if row.outcome["durability"]})
    print("\n".join(f"PostgreSQL: {settings}" for settings in durability))
    print(f"{ON}\n")
    print(measured(rows))
    print(f"\n{costs(rows)}")
    for row in rows.values():
        if row.outcome.get("statements"):
            print(f"\n{statements(row)}")
    found = figures(rows, kept)
    if found:
        print("\n" + table(("what", "ours", "beside", "theirs", "ratio", "aim"), [figure.cells() for figure in found]))
    for name, peer in BESIDE.items():
        if name in rows and peer not in rows | kept:
            print(f"NOT COMPARED {name} with {peer}, which is measured by name: ROW={peer}")
    for reason in missing:
        print(f"NOT RUN {reason}")
    place = KEPT.with_suffix(".json")
    shown = [dataclasses.asdict(figure) | {"ratio": figure.ratio, "verdict": figure.verdict} for figure in found]
    outcomes = {name: row.outcome | {"at": row.at, "void": row.void} for name, row in rows.items()}
    place.write_text(json.dumps({"about": about, "figures": shown, "rows": outcomes, "not_run": missing}, indent=2), "utf-8")
    print(f"\nas JSON: {place}")


def main(names) -> int:
    """The command; 1 if a row is void or was not run."""
    if unknown := [name for name in names if name not in HEADLINE + BY_NAME]:
        there = ", ".join(HEADLINE + BY_NAME)
        print(f"bench-payments: no such row: {', '.join(unknown)}; there are {there}", file=sys.stderr)
        return 2
    rows, missing = {}, []
    try:
        chosen = lengths()
        bench = Bench(build(), commit(), chosen)
    except (Missing, NotRun) as reason:
        print(f"\nbench-payments: {reason}", file=sys.stderr)
        return 1
    print(f"==> {told(bench.budget(names or HEADLINE))}", file=sys.stderr, flush=True)
    for name in names or HEADLINE:
        try:
            rows[name] = bench.row(name)
        except (Missing, NotRun) as reason:
            missing.append(f"{reason}")
    used = {length for name in names or HEADLINE for length in lengths_of(name)}
    is_short = any(chosen[length] < LENGTHS[length] for length in used)
    about = {
        "date": bench.run,
        **bench.build,
        **{length: chosen[length] for length in LENGTHS if length in used},
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "kind": "A SHORT TRY: proves nothing" if is_short else "full length",
    }
    others = {name: bench.source(name) for name in HEADLINE + BY_NAME if name not in rows}
    report(about, rows, missing, {name: row for name, row in others.items() if row})
    return 1 if missing or any(row.void for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
