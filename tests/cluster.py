#!/usr/bin/env python3
"""Runs the whole distributed system on this machine: NATS with JetStream,
PostgreSQL, and two of each service, on free ports of the loopback interface.

`make up`, `make down` and `make status` call it. Data and logs are kept in one
folder; a second `up` starts what is not running, on the same ports. It needs
nothing but Python: `make` builds the executable and gets the engines.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 60.0  # seconds that anything here may take to start or to end
NOBODY = 65534  # PostgreSQL refuses to run as root: then it runs as this user
ENGINES = ("nats", "postgres")
ROLES = ("auth1", "auth2", "user1", "user2")


class Failure(Exception):
    """Something is not as it should be."""


class Processes:
    """The processes of the system, as a file remembers them."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "processes.json"
        self.known = json.loads(self.file.read_text()) if self.file.exists() else {}

    def log(self, name):
        return self.folder / f"{name}.log"

    def port(self, name):
        """The port of this process, the same each time it is started."""
        entry = self.known.setdefault(name, {})
        entry.setdefault("port", free_port())
        self.save()
        return entry["port"]

    def address(self, name):
        return f"127.0.0.1:{self.port(name)}"

    def runs(self, name):
        entry = self.known.get(name, {})
        return "pid" in entry and started(entry["pid"]) == entry["started"]

    def start(self, name, command, env=None, user=None):
        with open(self.log(name), "ab") as log:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                start_new_session=True,
            )
        self.known[name] |= {"pid": child.pid, "started": started(child.pid)}
        self.save()
        return child

    def stop(self, name, gently):
        """Ends a process, and only the very one that was started."""
        if not self.runs(name):
            return
        pid = self.known[name]["pid"]
        os.kill(pid, gently)
        if not within(PATIENCE, lambda: not self.runs(name)):
            print(f"{name} does not end: it is killed")
            os.kill(pid, signal.SIGKILL)

    def save(self):
        self.file.write_text(json.dumps(self.known, indent=2))


def started(pid):
    """When a process was started; ids are used again, the pair is not."""
    shown = subprocess.run(
        ["ps", "-o", "lstart=,stat=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.split()
    ended = not shown or shown[-1].startswith("Z")
    return None if ended else " ".join(shown[:-1])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def within(seconds, done):
    """Whether it is done in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def answers(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class System:
    """What belongs to what."""

    def __init__(self, arguments):
        self.folder = Path(arguments.folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.processes = Processes(self.folder)
        self.arguments = arguments

    def up(self):
        self.start_nats()
        self.start_postgres()
        # The first one makes the tables, the master key and the first signing key.
        for name in ROLES:
            self.start_role(name)
            if name == "auth1":
                self.wait_for(name)
        for name in ROLES[1:]:
            self.wait_for(name)

    def down(self):
        for name in ROLES:
            if self.processes.runs(name):
                os.kill(self.processes.known[name]["pid"], signal.SIGTERM)
        for name in ROLES:
            self.processes.stop(name, signal.SIGTERM)
        self.processes.stop("nats", signal.SIGTERM)
        # A fast shutdown: open transactions are undone.
        self.processes.stop("postgres", signal.SIGINT)

    def start_nats(self):
        if self.processes.runs("nats"):
            return
        port = self.processes.port("nats")
        settings = self.folder / "nats.conf"
        # What is acknowledged is on disk, also where the power goes.
        settings.write_text(
            f'listen: "127.0.0.1:{port}"\n'
            f'jetstream {{ store_dir: "{self.folder / "nats"}", sync_interval: always }}\n'
        )
        child = self.processes.start("nats", [self.arguments.nats, "-c", settings])
        self.expect("nats", child, lambda: answers(port))

    def start_postgres(self):
        if self.processes.runs("postgres"):
            return
        port, data = self.processes.port("postgres"), self.folder / "postgres"
        user = self.postgres_user(data)
        password = self.secret("postgres.password")
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(data, ignore_errors=True)
            data.mkdir(mode=0o700)
            given = data.parent / "postgres.first"
            given.write_text(password)
            if user is not None:
                os.chown(data, user, user)
                os.chown(given, user, user)
            made = subprocess.run(
                [
                    self.program("initdb"), "-D", data, "--username=countersign",
                    f"--pwfile={given}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
                ],
                capture_output=True, text=True, user=user, group=user,
                extra_groups=None if user is None else [], cwd="/",
            )  # fmt: skip
            given.unlink()
            if made.returncode != 0:
                raise Failure(f"initdb failed: {made.stderr.strip()}")
        command = [
            self.program("postgres"), "-D", data, "-p", port,
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
        ]  # fmt: skip
        child = self.processes.start("postgres", command, user=user)
        self.expect("postgres", child, lambda: self.psql("SELECT 1") is not None)
        for name in ("auth", "user"):
            if not self.psql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
                self.psql(f'CREATE DATABASE "{name}"')
            url = f"postgres://countersign:{password}@127.0.0.1:{port}/{name}"
            self.secret(f"{name}.url", url)

    def postgres_user(self, data):
        """Who runs PostgreSQL: who runs this, but never root."""
        if os.geteuid() != 0:
            return None
        for folder in [data.parent, self.program("postgres").parent]:
            for parent in [folder, *folder.parents]:
                if not parent.stat().st_mode & 0o001:
                    raise Failure(
                        f"PostgreSQL does not run as root, and nobody else may enter {parent}: "
                        "run this as an ordinary user, or open the folder (chmod o+x)"
                    )
        return NOBODY

    def start_role(self, name):
        if self.processes.runs(name):
            return
        role = name[:-1]
        sources = ",".join(f"http://{self.processes.address(auth)}" for auth in ROLES[:2])
        env = os.environ | {
            "COUNTERSIGN_LISTEN": self.processes.address(name),
            "COUNTERSIGN_BUS__URL": f"nats://{self.processes.address('nats')}",
            f"COUNTERSIGN_DATABASE__{role.upper()}__URL_FILE": str(self.folder / f"{role}.url"),
            "COUNTERSIGN_KEYS__SOURCE": sources,
        }
        if role == "auth":
            # The user service gets neither this key nor the other database.
            env["COUNTERSIGN_MASTER_KEY_FILE"] = str(self.folder / "master.key")
        self.processes.start(name, [Path(self.arguments.countersign).resolve(), role], env)

    def wait_for(self, name):
        self.expect(name, None, lambda: self.health(name) == "SERVING")

    def expect(self, name, child, ready):
        def settled():
            return ready() or (child and child.poll() is not None) or not self.processes.runs(name)

        if within(PATIENCE, settled) and ready():
            return
        tail = self.processes.log(name).read_text(errors="replace").splitlines()[-5:]
        raise Failure("\n".join([f"{name} does not start; the end of its log:", *tail]))

    def health(self, name):
        asked = subprocess.run(
            [self.arguments.grpcurl, "-plaintext", "-max-time", "2",
             self.processes.address(name), "grpc.health.v1.Health/Check"],
            capture_output=True, text=True,
        )  # fmt: skip
        if asked.returncode != 0:
            return "no answer"
        return json.loads(asked.stdout).get("status", "UNKNOWN")

    def psql(self, statement):
        """The answer, or nothing where there is none."""
        asked = subprocess.run(
            [self.program("psql"), "-h", "127.0.0.1", "-p", str(self.processes.port("postgres")),
             "-U", "countersign", "-d", "postgres", "-Atc", statement],
            capture_output=True, text=True,
            env=os.environ | {"PGPASSWORD": self.secret("postgres.password")},
        )  # fmt: skip
        return asked.stdout.strip() if asked.returncode == 0 else None

    def secret(self, name, value=None):
        """A file that only its owner reads; made at the first time."""
        path = self.folder / name
        if value is not None or not path.exists():
            path.touch(mode=0o600)
            path.write_text(value or secrets.token_hex(16))
        return path.read_text().strip()

    def program(self, name):
        return Path(self.arguments.postgres).resolve() / name

    def status(self):
        """One line a process. True: all is well."""
        well = True
        for name in (*ENGINES, *ROLES):
            if not self.processes.runs(name):
                state, pid = "stopped", "-"
            else:
                state = "running" if name in ENGINES else self.health(name)
                pid = self.processes.known[name]["pid"]
            well &= state in ("running", "SERVING")
            port = self.processes.known.get(name, {}).get("port")
            address = f"127.0.0.1:{port}" if port else "-"
            print(f"{name:<9} {state:<12} {address:<16} pid {pid:<8} {self.processes.log(name)}")
        return well


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("command", choices=["up", "down", "status"])
    for name in ("folder", "countersign", "grpcurl", "nats", "postgres"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    system = System(arguments)
    try:
        if arguments.command == "up":
            system.up()
        elif arguments.command == "down":
            system.down()
        well = system.status()
        return 0 if well or arguments.command == "down" else 1
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
