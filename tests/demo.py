#!/usr/bin/env python3
"""Walks the whole flow with grpcurl against a server of its own, and shows after
each step what happened in the databases and which events were published.

It needs nothing but Python: `make demo` builds the server and gets grpcurl. The
exit code tells whether every step did what it should.
"""

import argparse
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

PERSON = {"email": "ada@example.org", "password": "violet harbour sings at dawn"}
PATIENCE = 15.0  # seconds that anything here may take
AUTH = "countersign.auth.v1.AuthService"
SESSIONS = "countersign.auth.v1.SessionService"
PROFILES = "countersign.user.v1.ProfileService"
LISTENS = re.compile(r"\b127\.0\.0\.1:[1-9][0-9]*\b")
TOKEN = re.compile(r"\b(v4\.public\.|csr1_)[\w-]+(?:\.[\w-]+)?([\w-]{6})")


class Failure(Exception):
    """Something is not as it should be."""


class Paint:
    """Colours, where somebody looks."""

    on = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    @classmethod
    def bold(cls, text):
        return f"\033[1m{text}\033[0m" if cls.on else text

    @classmethod
    def faint(cls, text):
        return f"\033[2m{text}\033[0m" if cls.on else text


class Server:
    """The executable on a port that the system chose, with data of its own."""

    def __init__(self, program, folder):
        self.program = program
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("COUNTERSIGN_")
        }
        self.environment["COUNTERSIGN_DATA_DIR"] = str(self.data)
        self.environment["COUNTERSIGN_LISTEN"] = "127.0.0.1:0"
        self.process = None

    def start(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [self.program],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.environment,
                text=True,
            )
        for line in self.process.stdout:
            found = LISTENS.search(line)
            if found:
                return found.group()
        raise Failure("the server ended before it listened")

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure("the server did not stop when it was asked to") from None
        if code != 0:
            raise Failure(f"the server stopped with exit code {code}")

    def command(self, *arguments):
        done = subprocess.run(
            [self.program, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode != 0:
            raise Failure(f"countersign {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def rows(self, file, statement):
        """Reads a database as it is, without a way to change it."""
        uri = f"{(self.data / file).as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as db:
            cursor = db.execute(statement)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor]


class Tour:
    """The steps, and what is known from one to the next."""

    def __init__(self, server, grpcurl):
        self.server = server
        self.grpcurl = grpcurl
        self.address = server.start()
        self.seen = set()
        self.steps = 0

    def step(self, title):
        self.steps += 1
        print(f"\n{Paint.bold(f'{self.steps}. {title}')}")

    def call(self, method, message=None, token=None, refused=None):
        """Calls with grpcurl and returns the answer; with `refused`, the call has to
        be refused with that code and reason."""
        arguments = ["-plaintext"]
        if token is not None:
            arguments += ["-H", f"authorization: Bearer {token}"]
        if message is not None:
            arguments += ["-d", json.dumps(message)]
        arguments += [self.address, method]
        print(Paint.faint("   $ " + brief(shlex.join(["grpcurl", *arguments]))))
        done = subprocess.run(
            [self.grpcurl, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        answer = done.stdout + done.stderr
        for line in brief(answer).rstrip().splitlines():
            print(f"   {line}")
        if refused is None:
            if done.returncode != 0:
                raise Failure(f"{method} was refused")
            return json.loads(done.stdout)
        if done.returncode == 0:
            raise Failure(f"{method} was to be refused and was not")
        for word in refused:
            if word not in answer:
                raise Failure(f"{method} was refused without {word}")
        return None

    def until(self, what, condition):
        """Waits for something that happens in the background."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise Failure(f"waited {PATIENCE:.0f} s in vain: {what}")
            time.sleep(0.02)

    def events(self, *expected):
        """Shows the events since the last look, once all are published."""

        def published():
            waiting = self.server.command("events", "list", "--unpublished")
            return len(waiting.splitlines()) == 1

        self.until("every event is published", published)
        listed = self.server.command("events", "list").splitlines()
        new = [line for line in listed[1:] if line.split()[-1] not in self.seen]
        self.seen.update(line.split()[-1] for line in new)
        print("   events:" if new else "   events: none")
        for line in new:
            _, service, state, kind, *_ = line.split()
            print(f"     {service}: {kind} ({state})")
        kinds = [line.split()[3] for line in new]
        for kind in expected:
            if kind not in kinds:
                raise Failure(f"there is no event {kind}")

    def rows(self, file, statement):
        rows = self.server.rows(file, statement)
        table = re.search(r"\bFROM (\w+)", statement).group(1)
        print(f"   {file}, {table}:")
        for row in rows:
            cells = (f"{name}={readable(name, value)}" for name, value in row.items())
            print(f"     {'  '.join(cells)}")
        return rows


def brief(text):
    """Tokens are long, and only their ends differ."""
    return TOKEN.sub(r"\1…\2", text)


def readable(name, value):
    if value is None or value == "":
        return "-"
    if isinstance(value, bytes):
        return str(uuid.UUID(bytes=value)) if len(value) == 16 else f"({len(value)} bytes)"
    if name.endswith("_time"):
        return datetime.fromtimestamp(value / 1_000_000, timezone.utc).strftime("%H:%M:%S.%f")
    return value


def check(holds, sentence):
    if not holds:
        raise Failure(sentence)


def walk(tour):
    tour.step("Register: one transaction writes the account and its event")
    answer = tour.call(f"{AUTH}/Register", PERSON)
    check(answer["account"]["status"] == "ACCOUNT_STATUS_PENDING", "the account is not pending")
    accounts = "SELECT id, length(email_sealed) AS sealed_bytes, status FROM accounts"
    tour.until(
        "the account is active",
        lambda: [row["status"] for row in tour.server.rows("auth.db", accounts)] == ["active"],
    )
    print("   … and the events of two services made it active:")
    tour.events("UserCreated", "ProfileCreated")
    tour.rows("auth.db", accounts)
    tour.rows("auth.db", "SELECT account_id, substr(hash, 1, 31) || '…' AS hash FROM credentials")
    tour.rows("user.db", "SELECT user_id, status, version FROM profiles")

    tour.step("Login: a session is one row, however many tokens it will see")
    login = tour.call(f"{AUTH}/Login", {**PERSON, "device_label": "Ada's laptop"})
    token, refresh = login["accessToken"], login["refreshToken"]
    tour.events("LoginSucceeded")
    sessions = "SELECT id, generation, length(device_label_sealed) AS sealed_bytes, revoke_reason FROM sessions"
    tour.rows("auth.db", sessions)

    tour.step("Read the profile: the guard verifies the token and asks the policies")
    profile = tour.call(f"{PROFILES}/GetProfile", {"user_id": "me"}, token)["profile"]
    tour.events()

    tour.step("Change the profile: the event names the fields and not their values")
    change = {"display_name": "Ada Lovelace", "locale": "en-GB", "time_zone": "Europe/London"}
    change["etag"] = profile["etag"]
    tour.call(f"{PROFILES}/UpdateProfile", {"user_id": "me", "profile": change}, token)
    tour.events("ProfileUpdated")
    tour.rows("user.db", "SELECT display_name, locale, time_zone, version FROM profiles")

    tour.step("The same change again: somebody else was faster, says the etag")
    change["display_name"] = "Countess of Lovelace"
    stale = {"user_id": "me", "profile": change}
    tour.call(f"{PROFILES}/UpdateProfile", stale, token, refused=("Aborted", "ETAG_MISMATCH"))
    tour.events()

    tour.step("Refresh: the next generation of the same session")
    first = tour.call(f"{AUTH}/Refresh", {"refresh_token": refresh})
    tour.rows("auth.db", sessions)

    tour.step("The answer was lost? The same token gets the same successor")
    again = tour.call(f"{AUTH}/Refresh", {"refresh_token": refresh})
    check(again["refreshToken"] == first["refreshToken"], "the successors differ")
    token = again["accessToken"]
    rows = tour.rows("auth.db", sessions)
    check([row["generation"] for row in rows] == [2], "the chain of tokens forked")

    tour.step("List the sessions")
    listed = tour.call(f"{SESSIONS}/ListSessions", {"user_id": "me"}, token)["sessions"]
    check([session.get("current") for session in listed] == [True], "the session is not listed")

    tour.step("Log out")
    tour.call(f"{AUTH}/Logout", None, token)
    tour.events("UserLoggedOut", "SessionRevoked")
    tour.rows("auth.db", sessions)
    tour.rows("user.db", "SELECT user_id, last_active_time FROM profiles")

    tour.step("From now on both tokens are refused")
    denied = ("Unauthenticated", "SESSION_REVOKED")
    tour.call(f"{PROFILES}/GetProfile", {"user_id": "me"}, token, refused=denied)
    tour.call(
        f"{AUTH}/Refresh",
        {"refresh_token": again["refreshToken"]},
        refused=("Unauthenticated",),
    )

    tour.step("The audit trail holds together")
    chained = re.compile(
        r"^(\w+: [1-9]\d* entries are sound, 0 are not chained yet\n"
        r"(\w+: signed up to place \d+ at .*\n)?){2}$"
    )
    tour.until(
        "the audit trail is chained",
        lambda: chained.match(tour.server.command("audit", "verify")),
    )
    print("   " + tour.server.command("audit", "verify").strip().replace("\n", "\n   "))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--countersign", required=True, type=Path, help="the executable")
    arguments.add_argument("--grpcurl", required=True, type=Path, help="grpcurl")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="countersign-demo-") as folder:
        server = Server(str(given.countersign.absolute()), Path(folder))
        try:
            try:
                walk(Tour(server, str(given.grpcurl.absolute())))
            finally:
                server.stop()
        except (Failure, KeyError, subprocess.TimeoutExpired) as failure:
            print(f"\nThe demo failed: {failure!r}", file=sys.stderr)
            if server.log.exists():
                print(server.log.read_text(errors="replace")[-4000:], file=sys.stderr)
            return 1
    print(f"\n{Paint.bold('Every step did what it should.')} `make run` starts a server that stays.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
