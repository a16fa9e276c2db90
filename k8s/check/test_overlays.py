"""Checks every overlay by every rule, and that each rule can fail.

    make k8s-check

The environment names what it needs: KUBECTL, COUNTERSIGN, GRPCURL and CHECKOV.
"""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import encrypted
import house
import kube_linter
import network
import observed
import references
import schemas
import settings
from broken import BROKEN
from overlays import HERE, NAMES, Finding, parsed, render
from program import Program

KUBECTL = os.environ["KUBECTL"]
PROGRAM = Program(
    os.path.abspath(os.environ["COUNTERSIGN"]), os.path.abspath(os.environ["GRPCURL"])
)
RULES = [
    rule
    for module in (
        schemas,
        kube_linter,
        settings,
        references,
        network,
        house,
        encrypted,
        observed,
    )
    for rule in module.RULES
]
RENDERED = {name: render(KUBECTL, name) for name in NAMES}


def findings(overlay):
    """Each finding with the rule that has made it."""
    for rule in RULES:
        # A manifest can be broken so that a rule finds nothing to hold on to. The schema says why.
        try:
            for finding in rule(overlay, PROGRAM):
                yield rule, finding
        except (KeyError, TypeError, AttributeError, StopIteration, IndexError) as error:
            yield rule, Finding("unreadable", overlay.name, repr(error))


class Overlays(unittest.TestCase):
    def test_the_overlays_break_no_rule(self):
        for name in NAMES:
            with self.subTest(overlay=name):
                found = [str(finding) for _, finding in findings(parsed(name, RENDERED[name]))]
                self.assertEqual(found, [])


class Rules(unittest.TestCase):
    def test_what_is_broken_is_refused_and_each_rule_refuses_something(self):
        idle = set(RULES)
        for name, overlay, expected, breaks in BROKEN:
            with self.subTest(broken=name):
                copy = parsed(overlay, RENDERED[overlay])
                breaks(copy)
                found = list(findings(copy))
                self.assertIn(expected, {finding.rule for _, finding in found})
                idle -= {rule for rule, finding in found if finding.rule == expected}
        self.assertEqual({rule.__qualname__ for rule in idle}, set())


class Checkov(unittest.TestCase):
    """The rules of others, as they are; k8s/checkov.yaml says which are not asked."""

    def passes(self, manifests):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in manifests.items():
                Path(folder, f"{name}.yaml").write_text(text)
            settings = HERE.parent / "checkov.yaml"
            command = [os.environ["CHECKOV"], "--config-file", settings, "--directory", folder]
            done = subprocess.run(command, capture_output=True, text=True)
            # Without this line nothing was asked.
            self.assertIn("Passed checks:", done.stdout, done.stderr)
            return done.returncode == 0, done.stdout

    def test_checkov_finds_nothing(self):
        passes, told = self.passes(RENDERED)
        self.assertTrue(passes, told)

    def test_checkov_finds_what_is_wrong(self):
        passes, _ = self.passes(
            {"dev": RENDERED["dev"].replace("privileged: false", "privileged: true")}
        )
        self.assertFalse(passes)
