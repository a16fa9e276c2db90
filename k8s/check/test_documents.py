"""Whether docs/operations.md names commands, settings and files that there are."""

import os
import re
import unittest

from overlays import HERE
from program import Program

PROGRAM = Program(
    os.path.abspath(os.environ["COUNTERSIGN"]), os.path.abspath(os.environ["GRPCURL"])
)
ROOT = HERE.parent.parent
PAGE = (ROOT / "docs" / "operations.md").read_text()
SETTING = r"`((?:server|token|database|bus|keys|auth|user|log|telemetry)\.[a-z_.]+)`"


class Operations(unittest.TestCase):
    def test_every_command_is_one(self):
        named = re.findall(r"k8s/operate\.sh ([a-z]+ [a-z-]+)", PAGE)
        named += re.findall(r"/usr/bin/countersign ([a-z]+ [a-z-]+)", PAGE)
        self.assertGreater(len(named), 5)
        for words in named:
            with self.subTest(command=words):
                self.assertTrue(PROGRAM.knows(*words.split()))

    def test_every_setting_is_one(self):
        named = re.findall(SETTING, PAGE)
        self.assertGreater(len(named), 5)
        self.assertEqual([name for name in named if name not in PROGRAM.keys()], [])

    def test_every_link_leads_somewhere(self):
        headings = re.findall(r"^#+ (.+)$", PAGE, flags=re.MULTILINE)
        anchors = {heading.lower().replace(" ", "-") for heading in headings}
        for target in re.findall(r"\]\(([^)]+)\)", PAGE):
            with self.subTest(link=target):
                if target.startswith("#"):
                    self.assertIn(target[1:], anchors)
                elif not target.startswith("https://"):
                    self.assertTrue((ROOT / "docs" / target).exists())
