"""What the tools promise, without a network: `python3 -m unittest discover -s tests/tools`."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True

import before  # noqa: E402
import cache  # noqa: E402
import catalogue  # noqa: E402
import stages  # noqa: E402
from catalogue import CATALOGUE, Fetch, Found, Missing, Tool  # noqa: E402


def program(path: Path, says: str) -> Path:
    """An executable that says this, whatever it is asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n", "utf-8")
    path.chmod(0o755)
    return path


class Case(unittest.TestCase):
    """A machine with nothing on it but what a test puts there."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "path"
        variables = {"PATH": str(self.path), "XDG_CACHE_HOME": str(self.folder / "cache")}
        self.swap(mock.patch.dict(os.environ, variables))
        self.swap(mock.patch.object(catalogue, "_elsewhere", lambda command: []))

    def swap(self, patch):
        """What `patch` puts in the place of something, until the test ends."""
        self.addCleanup(patch.stop)
        return patch.start()


class Tools(Case):
    """Where a tool is looked for, and what is said of one that cannot be had."""

    def tool(self, registry):
        """A tool of version 1.11 that `registry` can make."""
        fetch = Fetch("saw-1.11", "bin/saw", registry)
        return Tool("saw", ("saw",), r"1\.11\.", "1.11", ("version",), "cuts", "apt-get install saw", fetch)

    def test_a_tool_in_path_is_taken_if_its_version_fits(self):
        here = program(self.path / "saw", "Saw v1.11.9")
        registry = mock.Mock()
        self.assertEqual(catalogue.get(self.tool(registry)), Found("1.11.9", "PATH", str(here)))
        registry.assert_not_called()

    def test_another_version_in_path_is_passed_over_for_the_registry_which_is_asked_once(self):
        program(self.path / "saw", "Saw v1.12.0")
        registry = mock.Mock(side_effect=lambda folder: program(folder / "bin/saw", "Saw v1.11.4"))
        tool = self.tool(registry)
        for _ in range(2):
            self.assertEqual(catalogue.get(tool), Found("1.11.4", "cache", str(tool.fetch.path)))
        registry.assert_called_once()

    def test_what_the_registry_gives_must_fit_too(self):
        tool = self.tool(lambda folder: program(folder / "bin/saw", "Saw v1.10.0"))
        with self.assertRaisesRegex(Missing, "answers version 1.10.0, wanted 1.11: apt-get install saw"):
            catalogue.get(tool)

    def test_a_fetch_that_fails_leaves_nothing_behind(self):
        def cut(folder):
            program(folder / "bin/saw", "half")
            raise Missing("the registry does not answer")

        with self.assertRaisesRegex(Missing, "does not answer"):
            catalogue.get(self.tool(cut))
        self.assertEqual([path.name for path in cache.root().iterdir()], ["saw-1.11.lock"])

    def test_what_cannot_be_had_is_named_with_the_one_line_to_type(self):
        for tool in CATALOGUE.values():
            self.assertTrue(tool.hint and "\n" not in tool.hint, tool.name)
            if tool.fetch is None:
                with self.assertRaises(Missing) as missing:
                    catalogue.get(tool)
                self.assertEqual(str(missing.exception), f"{tool.name} {tool.wanted} is not installed: {tool.hint}")

    def test_the_command_lists_it_so_and_fails(self):
        command = [sys.executable, "-B", str(stages.TOP / "tests/tools"), "get", "go"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(CATALOGUE["go"].hint, done.stdout)
        self.assertIn(f"tools: go 1.21 or newer is not installed: {CATALOGUE['go'].hint}", done.stderr)


class Stages(Case):
    """When a whole run is a failure although no test is one."""

    def run_of(self, stage, **environment):
        """The exit code and the words of a run with one stage."""
        self.swap(mock.patch.dict(stages.STAGES, {"stage": stage}, clear=True))
        self.swap(mock.patch.dict(os.environ, {"CI": "", "PAYMESH_TEST_MINUTES_MAX": "inf"} | environment))
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            return stages.main([]), said.getvalue()

    def lasting(self, minutes):
        """A stage that takes so long."""
        clock = self.swap(mock.patch.object(stages.time, "monotonic", return_value=0.0))

        def stage():
            clock.return_value += 60.0 * minutes
            return stages.PASSED

        return stage

    def test_a_run_that_takes_longer_than_its_limit_fails(self):
        self.assertEqual(self.run_of(self.lasting(79), PAYMESH_TEST_MINUTES_MAX="80")[0], 0)
        code, said = self.run_of(self.lasting(81), PAYMESH_TEST_MINUTES_MAX="80")
        self.assertEqual(code, 1)
        self.assertIn("81.0 minutes; failed: the limit of 80 minutes", said)

    def test_continuous_integration_has_eighty_minutes(self):
        program(self.path / "make", "'$CI $PAYMESH_TEST_MINUTES_MAX $*'")
        environment = os.environ | {"PATH": f"{self.path}:{os.defpath}"}
        command = [str(stages.TOP / ".ci/run")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        self.assertEqual(done.stdout, "true 80 test\n")

    def test_a_stage_that_cannot_run_is_named_and_fails_in_continuous_integration(self):
        stage = mock.Mock(side_effect=Missing("go is not installed"))
        code, said = self.run_of(stage)
        self.assertEqual(code, 0)
        self.assertIn("NOT RUN: go is not installed", said)
        code, said = self.run_of(stage, CI="true")
        self.assertEqual(code, 1)
        self.assertIn("failed: stage", said)

    def test_what_is_compared_by_way_of_go_is_not_passed_without_it(self):
        code, said = self.run_of(stages.protocol)
        self.assertEqual(code, 0)
        self.assertIn(f"NOT RUN: go 1.21 or newer is not installed: {CATALOGUE['go'].hint}", said)
        self.assertEqual(self.run_of(stages.protocol, CI="true")[0], 1)


class TheReleaseBefore(Case):
    def test_a_clone_that_has_not_its_commit_says_how_to_have_it(self):
        self.swap(mock.patch.object(before, "RELEASE", "0" * 40))
        self.swap(mock.patch.dict(os.environ, PATH=os.defpath))
        with self.assertRaisesRegex(Missing, "git fetch --unshallow"):
            before.programs()
        self.assertFalse(cache.folder("services-000000000000").exists())


if __name__ == "__main__":
    unittest.main()
