"""Tries the alert rules on series that bring each alert about, with promtool. It comes with
Prometheus, and no package that `make k8s-check` installs has it (`make promtool` unpacks
Debian's). Where it is missing, what is left is that the rules are PromQL over metrics that there
are (observed.py)."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

from overlays import HERE
from promql import faults

OBSERVED = HERE.parent / "components" / "observed"
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
RULES = yaml.safe_load((OBSERVED / "rules.yaml").read_text())["spec"]
TESTS = yaml.safe_load((OBSERVED / "rules_test.yaml").read_text())


def promtool(arguments, tests=TESTS):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rules.json").write_text(json.dumps(RULES))
        Path(folder, "rules_test.json").write_text(json.dumps(tests))
        return subprocess.run(
            [PROMTOOL, *arguments], cwd=folder, capture_output=True, text=True
        )


class Alerts(unittest.TestCase):
    def test_every_alert_is_brought_about_and_kept_quiet(self):
        named = {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}
        asked = [one for test in TESTS["tests"] for one in test["alert_rule_test"]]
        fired = {one["alertname"] for one in asked if one.get("exp_alerts")}
        quiet = {one["alertname"] for one in asked if not one.get("exp_alerts")}
        self.assertEqual(fired, named)
        self.assertEqual(quiet, named)

    @unittest.skipUnless(PROMTOOL, "there is no promtool here: make promtool")
    def test_promtool_finds_every_alert_as_it_should_be(self):
        for arguments in (
            ["check", "rules", "--lint=all", "--lint-fatal", "rules.json"],
            ["test", "rules", "rules_test.json"],
        ):
            with self.subTest(arguments):
                done = promtool(arguments)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(PROMTOOL, "there is no promtool here: make promtool")
    def test_promtool_finds_an_alert_that_does_not_come(self):
        wrong = json.loads(json.dumps(TESTS))
        wrong["tests"][0]["input_series"][0]["values"] = "1x20"
        self.assertNotEqual(promtool(["test", "rules", "rules_test.json"], wrong).returncode, 0)


class Queries(unittest.TestCase):
    def test_what_nobody_exposes_is_found(self):
        for query, fault in (
            ("sum(rate(countersign_auth_logins_total[5m])", "no PromQL"),
            ("sum(rate(countersign_auth_login_total[5m]))", "nobody exposes"),
            ('countersign_auth_logins_total{result="busy"}', "no label result"),
            ("sum by (outcome) (countersign_auth_hashing_waiting)", "has a label outcome"),
            ("1 + 1", "nothing"),
        ):
            with self.subTest(query):
                self.assertIn(fault, " ".join(faults(query)))
