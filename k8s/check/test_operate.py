"""Tries k8s/operate.sh on a cluster that is not there: who asks for the CronJob gets the one
of production, and what would be made is kept."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from overlays import HERE, parsed, render

KUBECTL = os.path.abspath(os.environ["KUBECTL"])
# Stands for kubectl, but for what needs no cluster: a patch of its input.
STAND_IN = """#!/bin/sh
case "$*" in
    *"create job"*) cat "$PLACE/job.json" ;;
    patch*) exec "$REAL" "$@" ;;
    *"create --filename=-"*) cat >"$PLACE/made.json" ;;
    *attach*) cat >"$PLACE/input" ;;
    *" logs "*) echo "what it says" ;;
esac
"""


class Operate(unittest.TestCase):
    def run_with(self, arguments, given=""):
        """What it prints, the Job that it makes, and what the Job is given to read."""
        job = parsed("prod", render(KUBECTL, "prod")).named("CronJob", "operate")
        template = job["spec"]["jobTemplate"] | {"apiVersion": "batch/v1", "kind": "Job"}
        template["metadata"] = {"name": "operate-1"}
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "job.json").write_text(json.dumps(template))
            (place / "kubectl").write_text(STAND_IN)
            (place / "kubectl").chmod(0o755)
            path = f"{folder}:{os.defpath}"
            done = subprocess.run(
                [HERE.parent / "operate.sh", *arguments],
                env={"PATH": path, "PLACE": folder, "REAL": KUBECTL},
                input=given,
                capture_output=True,
                text=True,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            read = place / "input"
            made = json.loads((place / "made.json").read_text())
            return done.stdout, made, read.read_text() if read.exists() else None

    def test_the_job_has_the_arguments_and_nothing_else_is_changed(self):
        arguments = ["events", "list", "--kind", 'a "quoted" \\ kind']
        told, made, _ = self.run_with(arguments)
        self.assertEqual(told, "what it says\n")
        pod = made["spec"]["template"]["spec"]
        self.assertEqual(pod["containers"][0]["args"], arguments)
        self.assertEqual(pod["serviceAccountName"], "operate")

    def test_a_password_goes_in_by_standard_input(self):
        arguments = ["account", "create", "--email", "root@example.org", "--password-stdin"]
        _, made, read = self.run_with(arguments, "quiet otters paint bridges\n")
        self.assertEqual(read, "quiet otters paint bridges\n")
        self.assertNotIn("otters", json.dumps(made))
