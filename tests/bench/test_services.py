"""What the benchmark of the payment services promises: `python3 -m unittest discover -s tests/bench`."""

import json
import os
import select
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True

import services  # noqa: E402

CHOSEN = {"STEP": 20, "WARM_UP": 30, "WINDOW": 180, "WINDOWS": 3, "LOSSES": 30, "LEDGER": 10_000_000}


def window(ended, p99_us=10_000, commits=100):
    latency = {"p50_us": 5_000, "p99_us": p99_us, "p999_us": p99_us, "max_us": p99_us}
    return {
        "seen": {"ended": ended, "milliseconds": 10_000, "latency": latency},
        "cost": {"commits": commits, "wal_bytes": 1_000 * ended, "cpu_ms": {"paymesh-payment-api": 2 * ended}},
    }


def kept(*windows, run="one", void=()):
    """What a row found, as it is written down."""
    outcome = {"windows": list(windows), "void": list(void), "knee_per_second": 100, "per_second": 90, "clients": None,
               "ledger_rows": None, "notes": [], "durability": "fsync=on"}
    return {"run": run, "at": "then", "outcome": outcome}


def row(name, *windows, **options):
    return services.Row(name, kept(*windows, **options))


class Figures(unittest.TestCase):
    def cells(self, *rows, kept=()):
        kept = {row.name: row for row in kept}
        return [figure.cells() for figure in services.figures({row.name: row for row in rows}, kept)]

    def test_a_rate_is_the_median_of_windows_with_least_and_most(self):
        self.assertEqual(str(row("full", window(9_000), window(7_000), window(8_000)).rate()), "800 (700..900)")

    def test_a_row_stands_beside_its_peer_and_its_aim(self):
        hot, peer = row("hot", window(60_000)), row("pgbench-hot", window(10_000))
        self.assertEqual(self.cells(hot, peer), [
            ("payments a second of one merchant", "6,000", "pgbench, one statement each", "1,000", "6.00", "met (at least 5)")])

    def test_statements_are_told_by_what_they_write_for_one_payment(self):
        profile = row("profile", window(100))
        write = "with part_0 as (insert into payment (id) select $1), part_1 as (update outbox set id = $2) select 1"
        profile.outcome |= {"statements_of": 50, "statements": [
            {"calls": 10, "microseconds": 20_000, "text": write},
            {"calls": 100, "microseconds": 5_000, "text": "select\n  1"},
        ]}
        self.assertEqual([line.split() for line in services.statements(profile).splitlines()[1:]], [
            ["400", "0.20", "2000", "insert", "payment,", "update", "outbox"], ["100", "2.00", "50", "select", "1"]])

    def test_the_slow_ones_may_be_three_times_as_slow_and_five_milliseconds(self):
        half, peer = row("half", window(100, p99_us=36_000)), row("pgbench-rate", window(100, p99_us=10_000))
        self.assertEqual(self.cells(half, peer)[1][1:], (
            "36", "3 x pgbench at as many commits, + 5", "35", "1.03", "missed (at most 1)"))

    def test_bare_postings_stand_beside_both_denominators(self):
        rows = row("bare", window(20_000)), row("pgbench-one", window(10_000)), row("pgbench-fifty", window(80_000))
        self.assertEqual([cells[2:] for cells in self.cells(*rows)], [
            ("pgbench, one statement each", "1,000", "2.00", "met (at least 1)"),
            ("pgbench, sets of fifty", "8,000", "0.25", "missed (at least 0.4)")])

    def test_a_slow_acquirer_is_judged_like_one_that_is_not(self):
        slow = row("slow", window(100, p99_us=40_000))
        self.assertEqual(self.cells(slow, row("pgbench-rate", window(100, p99_us=10_000))), [
            ("the same, less what the acquirer took, ms: p50", "5", "aim", "8", "0.62", "met (at most 1)"),
            ("the same, less what the acquirer took, ms: p99", "40", "3 x pgbench at as many commits, + 5", "35", "1.14",
             "missed (at most 1)")])

    def test_of_twenty_lost_primaries_the_slowest_does_not_count_and_the_next_does(self):
        found = row("loss")
        found.outcome["firsts_ms"] = [12_000, 9_000] + 18 * [4_000]
        self.assertEqual(self.cells(found), [
            ("first payment after a lost primary, s: p95 of 20", "9", "aim", "10", "0.90", "met (at most 1)")])
        found.outcome["firsts_ms"] = [12_000, 4_000, 4_000]
        self.assertEqual(self.cells(found)[0][1], "12")

    def test_a_ledger_that_has_grown_stands_beside_one_that_has_not(self):
        many, few = row("many-rows", window(8_000, p99_us=16_000)), row("few-rows", window(10_000))
        many.outcome |= {"ledger_rows": 10_000_000, "knee_per_second": 80, "per_second": 72}
        few.outcome["ledger_rows"] = 10_000
        self.assertEqual(self.cells(many, few), [
            ("knee, 10,000,000 rows in the ledger", "80", "10,000 rows in the ledger", "100", "0.80", ""),
            ("payments a second, 10,000,000 rows in the ledger", "800", "10,000 rows in the ledger", "1,000", "0.80",
             "missed (at least 0.9)"),
            ("p99 in ms of 72 a second, 10,000,000 rows in the ledger", "16",
             "of 90 a second, 10,000 rows in the ledger", "10", "1.60", "")])
        many.outcome["per_second"] = 90
        self.assertEqual(self.cells(many, few)[2][-1], "missed (at most 1.5)")

    def test_twice_the_knee_is_judged_by_what_is_paid_how_soon_the_rest_is_refused_and_when_it_is_over(self):
        found = window(800)
        found["seen"]["refusal"] = {"p99_us": 1_500_000}
        found["recovery_ms"] = 4_000
        self.assertEqual(self.cells(row("twice", found)), [
            ("paid a second at twice the knee", "80", "the knee", "100", "0.80", "met (at least 0.8)"),
            ("refused at twice the knee, ms: p99", "1,500", "when to ask again (Retry-After)", "1,000", "1.50",
             "missed (at most 1)"),
            ("after twice the knee, s: until all is as before", "4", "aim", "10", "0.40", "met (at most 1)")])
        found["seen"]["refusal"] = None
        self.assertEqual(len(self.cells(row("twice", found))), 2)

    def test_rows_of_two_runs_say_so(self):
        hot, peer = row("hot", window(60_000)), row("pgbench-hot", window(10_000), run="two")
        self.assertEqual(self.cells(hot, peer)[0][4], "6.00 of two runs")
        self.assertEqual(self.cells(hot, kept=[peer])[0][4], "6.00 of two runs")
        self.assertEqual(self.cells(kept=[hot, peer]), [])

    def test_what_is_void_has_no_figure_and_says_why(self):
        void = row("full", window(10_000), void=["the backlog grew from 1 to 900"])
        self.assertEqual(self.cells(void, row("pgbench-one", window(10_000))), [])
        self.assertIn("  VOID: the backlog grew from 1 to 900", services.measured({"full": void}).splitlines())


class Kept(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        swap = mock.patch.object(services, "KEPT", Path(folder.name))
        swap.start()
        self.addCleanup(swap.stop)

    def bench(self, commit="abc", **chosen):
        return services.Bench(Path("/built/release"), commit, CHOSEN | chosen)

    def keep(self, bench, name, *windows, **options):
        found = kept(*windows, **options) | {"key": bench.key(name)}
        (services.KEPT / f"{name}.json").write_text(json.dumps(found), "utf-8")

    def test_a_row_is_kept_for_its_commit_and_lengths_alone(self):
        self.keep(self.bench(), "full", window(1_000))
        self.assertIsNotNone(self.bench().kept("full"))
        self.assertIsNone(self.bench(commit="def").kept("full"))
        self.assertIsNone(self.bench(WINDOW=5).kept("full"))
        self.assertIsNone(self.bench().kept("hot"))
        self.assertIsNotNone(self.bench(LOSSES=3).kept("full"))

    def test_losses_are_kept_for_their_number_alone(self):
        self.keep(self.bench(), "loss")
        self.assertIsNotNone(self.bench(WINDOW=5).kept("loss"))
        self.assertIsNone(self.bench(LOSSES=3).kept("loss"))
        self.assertEqual(self.bench(LOSSES=3).words("loss")[-2:], ["--losses", 3])

    def test_changed_files_are_measured_again_in_another_run(self):
        bench = self.bench(commit="abc-dirty")
        self.keep(bench, "full", window(1_000))
        self.assertIsNone(bench.kept("full"))
        bench.run = "one"
        self.assertIsNotNone(bench.kept("full"))

    def test_half_the_knee_is_half_of_the_knee_that_was_found(self):
        bench = self.bench()
        self.assertNotIn("--knee", bench.words("half"))
        self.keep(bench, "full", window(1_000))
        for name in ("half", "slow", "twice"):
            self.assertEqual(bench.words(name)[-2:], ["--knee", 100])

    def test_a_knee_whose_search_was_cut_short_is_told_and_no_load_is_a_part_of_it(self):
        found = kept(window(1_000))
        found["outcome"]["is_knee_cut"] = True
        full = services.Row("full", found)
        self.assertEqual(full.void, [])
        self.assertIn("at least 100", services.measured({"full": full}))
        for name in ("half", "slow", "twice"):
            cut = services.Row(name, found)
            self.assertEqual(len(cut.void), 1)
            self.assertIn("  VOID: time was over before its knee was found", services.measured({name: cut}))
        bench = self.bench()
        (services.KEPT / "full.json").write_text(json.dumps(found | {"key": bench.key("full")}), "utf-8")
        for name in ("half", "slow", "twice"):
            self.assertTrue(bench.searches(name))
            self.assertNotIn("--knee", bench.words(name))

    def test_no_row_is_measured_by_one_that_proves_nothing(self):
        bench = self.bench()
        for name in ("full", "half", "few-rows"):
            self.keep(bench, name, window(1_000), void=["the generator was late"])
        self.assertNotIn("--knee", bench.words("half"))
        for name in ("pgbench-rate", "many-rows"):
            with self.assertRaises(services.NotRun):
                bench.words(name)

    def test_each_ledger_has_a_knee_of_its_own_and_the_grown_one_no_more_load(self):
        bench = self.bench(LEDGER=1_000)
        with self.assertRaises(services.NotRun):
            bench.words("many-rows")
        self.keep(self.bench(), "full", window(1_000))
        self.keep(self.bench(), "few-rows", window(1_000))
        self.assertEqual(bench.words("many-rows")[-4:], ["--most", 90, "--ledger", 1_000])
        for name in ("few-rows", "many-rows"):
            self.assertNotIn("--knee", bench.words(name))
            self.assertTrue(bench.searches(name))

    def test_the_peer_of_the_latency_commits_as_often(self):
        bench = self.bench()
        with self.assertRaises(services.NotRun):
            bench.words("pgbench-rate")
        self.keep(bench, "half", window(1_000, commits=4_000))
        self.assertEqual(bench.words("pgbench-rate")[-2:], ["--rate", 400])

    def test_the_headline_rows_take_less_than_75_minutes_whatever_happens(self):
        bench = self.bench()
        budget = bench.budget(services.HEADLINE)
        self.assertLess(sum(budget.values()), 75 * 60)
        self.assertIn("at most 74 minutes: fsync 1.2, pgbench-one 11.8,", services.told(budget))
        self.keep(bench, "full", window(1_000))
        kept = bench.budget(services.HEADLINE)
        self.assertEqual((kept["full"], budget["half"] - kept["half"]), (0, bench.search("half")))
        self.assertIn(", full kept, ", services.told(kept))

    def test_a_row_ends_itself_before_it_is_ended(self):
        bench = self.bench()
        for name in services.HEADLINE:
            words = bench.words(name)
            self.assertEqual(words[words.index("--limit") + 1], bench.limit(name) - services.ENDS)


class Limit(unittest.TestCase):
    def test_what_takes_too_long_is_ended_with_all_that_it_started(self):
        with tempfile.TemporaryDirectory() as folder:
            pipe = os.path.join(folder, "pipe")
            os.mkfifo(pipe)
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            self.addCleanup(os.close, reader)
            start = time.monotonic()
            self.assertFalse(services.run(["sh", "-c", f"(echo runs; exec sleep 60) > {pipe} & wait"], None, 1))
            self.assertLess(time.monotonic() - start, 30)
            self.assertEqual(os.read(reader, 100), b"runs\n")
            # Nobody has the other end any more.
            self.assertTrue(select.select([reader], [], [], 30)[0])
            self.assertEqual(os.read(reader, 100), b"")

    def test_what_ends_in_time_says_itself_whether_it_succeeded(self):
        self.assertTrue(services.run(["true"], None, 30))
        self.assertFalse(services.run(["false"], None, 30))


if __name__ == "__main__":
    unittest.main()
