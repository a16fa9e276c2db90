"""What the executable says of itself: its settings, its commands, and what health knows.

It is asked, not read: a name that changes in the code changes the answer."""

import json
import os
import re
import subprocess
import tempfile
from functools import cache

# Nobody listens at port 1: a broker or auth service that is away is no reason not to start.
AWAY = {
    "COUNTERSIGN_BUS__URL": "nats://127.0.0.1:1",
    "COUNTERSIGN_KEYS__SOURCE": "http://127.0.0.1:1",
}


class Program:
    def __init__(self, executable, grpcurl):
        self.executable = executable
        self.grpcurl = grpcurl

    @cache
    def settings(self):
        """The default of each variable; `None` where it has none."""
        page = self.run(["config", "--reference"], {}).stdout
        rows = re.findall(r"^\| `[^`]+` \| (.+?) \| .+? \| (.+?) \| ", page, flags=re.MULTILINE)
        return {
            variable: default.strip("`") if default.startswith("`") else None
            for variables, default in rows
            for variable in re.findall(r"`(COUNTERSIGN_[A-Z_]+)`", variables)
        }

    @cache
    def keys(self):
        """The names of all settings, as a file of settings has them."""
        page = self.run(["config", "--reference"], {}).stdout
        return frozenset(re.findall(r"^\| `([^`]+)` \|", page, flags=re.MULTILINE))

    def refusal(self, environment):
        """What it says of these variables, where it does not take them."""
        return self.refusal_of(tuple(sorted(environment.items())))

    @cache
    def refusal_of(self, variables):
        done = self.run(["config"], dict(variables))
        return None if done.returncode == 0 else done.stderr.strip()

    @cache
    def knows(self, *arguments):
        """Whether these are a command of its own."""
        return self.run([*arguments, "--help"], {}).returncode == 0

    @cache
    def health_names(self, *arguments):
        """The names that health answers to in the server that these arguments start."""
        with tempfile.TemporaryDirectory() as folder:
            command = [
                self.executable,
                *arguments,
                "--listen",
                "127.0.0.1:0",
                "--data-dir",
                f"{folder}/data",
            ]
            env = {"PATH": os.defpath, **(AWAY if arguments else {})}
            server = subprocess.Popen(
                command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            try:
                lines = (re.search(r"serves (127\.0\.0\.1:\d+)", line) for line in server.stdout)
                found = next(filter(None, lines), None)
                if found is None:
                    return frozenset()
                ask = [self.grpcurl, "-plaintext", "-max-time", "30", found[1]]
                ask.append("grpc.health.v1.Health/List")
                told = subprocess.run(ask, capture_output=True, text=True, check=True)
                return frozenset(json.loads(told.stdout)["statuses"])
            finally:
                server.kill()
                server.communicate()

    def run(self, arguments, environment):
        # Nothing of the caller's own settings.
        env = {"PATH": os.defpath, **environment}
        return subprocess.run(
            [self.executable, *arguments], env=env, capture_output=True, text=True, cwd="/"
        )
