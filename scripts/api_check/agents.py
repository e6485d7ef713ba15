"""Real agents with everything switched on: one that is checked, and others below it."""

import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

# Seconds for an agent to start, and for what it then does by itself.
START_LIMIT = 60
# Seconds between two looks.
POLL = 0.1
# Of everybody who has one.
PASSWORD = "made-up-for-the-check"

PROBES = {
    "fine": """echo '{"Status": 100, "Message": "all is well", "Value": 1.5}'""",
    "loud": """echo '{"Status": 250, "Message": "<b>so so</b>", "Detail": {"rows": [[1, null]]},
        "Metrics": [{"Value": 3, "Tags": {"disk": "a"}}]}'""",
    "broken": "echo nonsense; exit 3",
    # The one that is switched off, so that the others stay.
    "victim": "echo '{\"Status\": 101, \"Message\": \"it runs\"}'",
}

# Lists in pages, and what the ends of their pages are called here.
PAGES = {f"/api/summary/{name}": f"pages_of_{name}" for name in ["problems", "groups", "hosts"]}
PAGES["/api/disabled"] = "pages_of_disabled"

CONFIG = """
[Global]
Hostname = "{name}"
Group = "checks"
ProbesDirectory = "{home}/probes"
ProbesConfigDirectory = "{home}/conf.d"
UuidFile = "{home}/uuid"
Database = "{home}/wigo.db"

[Http]
Address = "127.0.0.1"
Port = 0
AllowWriteActions = true
{http}
[Labels]
env = "test"

{more}
"""

# Nobody listens at the provider's, so that the way there is tried.
CHECKED = """
[PushServer]
Enabled = true
Address = "127.0.0.1"
Port = 0
SslCert = "{home}/wigo.crt"
SslKey = "{home}/wigo.key"
AllowedClientsFile = "{home}/allowed"

[OpenIdConnect]
Enabled = true
Issuer = "http://127.0.0.1:9/nobody"
ClientId = "wigo"
PublicUrl = "http://127.0.0.1:4000"
GroupsClaim = "groups"
OperatorGroups = ["ops"]

[RemoteWigos]
CheckInterval = 1
List = ["{asked}"]

[Notifications]
OnProbeChange = true
OnHostChange = true
HttpEnabled = 1
HttpUrl = "{receiver}"
"""

CLIENT = """
[PushClient]
Enabled = true
Address = "{master}"
PushInterval = 1
SslCert = "{home}/master.crt"
UuidSig = "{home}/uuid.sig"
JoinToken = "{token}"
AllowRemoteControl = true
"""


class Agent:
    """A running agent with files of its own."""

    def __init__(self, programs, name, more="", http="", **values):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"wigo-{name}-"))
        self.programs, self.name, self.said = programs, name, []
        self.process = None
        for folder in ["probes/2", "conf.d"]:
            (self.home / folder).mkdir(parents=True, mode=0o755)
        for probe, script in PROBES.items():
            self.probe(probe, script)
        more = more.format(home=self.home, **values)
        self.config = self.home / "wigo.conf"
        self.config.write_text(CONFIG.format(name=name, home=self.home, http=http, more=more))
        self.config.chmod(0o600)
        self.token = None

    def probe(self, name, script):
        """Puts a probe there, in one piece, or another one in its place."""
        made = self.home / name
        made.write_text(f"#!/bin/sh\n{script}\n")
        made.chmod(0o755)
        made.rename(self.home / "probes/2" / name)

    def make_authority(self):
        make = [self.programs / "generate_cert", "-ca", "-host", "127.0.0.1"]
        subprocess.run(make, cwd=self.home, stdout=subprocess.DEVNULL, check=True)

    def start(self):
        command = [self.programs / "wigo", "--config", self.config]
        out = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(command, text=True, **out)
        threading.Thread(target=self._read, daemon=True).start()
        self.url = self._told("listening on ").strip("/").rstrip(",")
        return self

    def _read(self):
        """Goes on reading, so that the agent never waits for us."""
        for line in self.process.stdout:
            self.said.append(line)

    def _told(self, words):
        """The word after these in what the agent says."""
        def said():
            return next((line.split(words)[1].split()[0] for line in self.said if words in line), None)
        return wait(f"`{words}` from {self.name}", said)

    def push_address(self):
        return self._told("taking push clients on ")

    def wigo(self, *arguments, told=""):
        """What `wigo` says when it is run beside the agent."""
        command = [self.programs / "wigo", "--config", self.config, *arguments]
        done = subprocess.run(command, input=told, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def ask(self, path, method="GET", token=None):
        """Status and text of an answer."""
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("X-Wigo-Request", "1")
        token = token or self.token
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=START_LIMIT) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def json(self, path):
        status, text = self.ask(path)
        if status != 200:
            sys.exit(f"{path} at {self.name}: {status} {text}")
        return json.loads(text)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(START_LIMIT)

    def remove(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes every message."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


def wait(what, look):
    """Until there is something; gives it."""
    end = time.monotonic() + START_LIMIT
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(POLL)
    sys.exit(f"waited for {what} in vain for {START_LIMIT} s")


class Fleet:
    """The agent that is checked, one that it asks, one that pushes, two that did, and one that waits."""

    def __init__(self, programs):
        self.programs, self.all = programs, []
        self.known = {}
        self.receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self.receiver.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for agent in reversed(self.all):
            agent.remove()
        self.receiver.shutdown()

    def start(self):
        asked = self._add("asked").start()
        login = f'Login = "configured"\nPassword = "{PASSWORD}"\n'
        receiver = f"http://127.0.0.1:{self.receiver.server_port}/"
        places = {"asked": asked.url.removeprefix("http://"), "receiver": receiver}
        checked = self._add("checked", CHECKED, login, **places)
        checked.make_authority()
        self.checked = checked.start()
        self._make_accounts()
        place = {"master": checked.push_address()}
        join = checked.wigo("token", "join", "--uses", "3").splitlines()[0].split()[-1]
        self._add("pushes", CLIENT, token=join, **place).start()
        away = [self._add(name, CLIENT, token=join, **place).start() for name in ["gone", "left"]]
        self._add("stranger", CLIENT, token="", **place).start()
        here = {"asked": "alive", "pushes": "alive"}
        self._wait_seen({**here, "gone": "alive", "left": "alive"})
        for agent in away:
            agent.stop()
        self._wait_seen({**here, "gone": "stopped", "left": "stopped"})
        self._learn()
        return self

    def _add(self, name, *arguments, **values):
        self.all.append(Agent(self.programs, name, *arguments, **values))
        return self.all[-1]

    def _make_accounts(self):
        checked = self.checked
        self.tokens = {
            role: checked.wigo("token", "create", f"of-{role}", "--role", role)
            for role in ["operator", "readonly"]
        }
        for number in range(3):
            checked.wigo("token", "create", f"spare-{number}", "--role", "readonly")
        for name in ["somebody", "leaver"]:
            checked.wigo("user", "add", name, "--role", "readonly", told=PASSWORD)
        checked.token = self.tokens["operator"]
        wait("the token is known", lambda: checked.ask("/api")[0] == 200)

    def _wait_seen(self, wanted):
        def seen():
            rows = {row["Name"]: row for row in self.checked.json("/api/summary/hosts")["Items"]}
            has_run = all(rows[name]["Probes"]["Total"] >= len(PROBES) for name in wanted if name in rows)
            return has_run and all(name in rows and rows[name]["Presence"] == how for name, how in wanted.items())
        wait(f"{wanted}", seen)

    def _learn(self):
        """Names that are there: made up ones would never get beyond "not found"."""
        checked = self.checked
        clients = wait("a client that waits", lambda: checked.json("/api/authority/hosts")["waiting"])
        tokens = checked.json("/api/tokens")
        ordered = [checked.ask("/api/hosts/gone/probes/victim/run", "POST") for _ in range(2)]
        orders = [json.loads(text)["Id"] for status, text in ordered if status == 202]
        incidents = wait("an incident", lambda: checked.json("/api/incidents")["Incidents"])
        messages = wait("a message", lambda: checked.json("/api/notifications")["Notifications"])
        made = [checked.ask(f"/api/silences?labels=number={number}&for=7d", "POST") for number in range(3)]
        silences = [json.loads(text)[0]["Id"] for status, text in made if status == 200]
        window = "/api/maintenance?name=work&labels=number=1&every=week&days=mon&at=02:00&for=2h"
        made = [checked.ask(window, "POST") for _ in range(3)]
        windows = [json.loads(text)["Id"] for status, text in made if status == 200]
        spare = [token["Id"] for token in tokens if token["Name"].startswith("spare-")]
        self.known = {
            "hosts": ["checked", "asked", "pushes", "gone", checked.json("/api")["Uuid"]],
            "forgettable": ["checked", "asked", "pushes", "left"],
            "probes": [*PROBES, "wigo"],
            "victims": ["victim"],
            "groups": ["checks"],
            "clients": list(clients),
            "users": ["somebody", "configured"],
            "leavers": ["leaver", "configured"],
            "logins": ["configured"],
            "passwords": [PASSWORD],
            "orders": orders,
            "spans": ["60s", "30m", "4h", "7d"],
            **{name: ["", checked.json(f"{path}?limit=1")["Next"]] for path, name in PAGES.items()},
            "incidents": [incident["Id"] for incident in incidents],
            "messages": [message["Id"] for message in messages],
            "silences": silences,
            "windows": windows,
            "channels": [channel["Name"] for channel in checked.json("/api/channels")["Channels"]],
            "troubled": ["checked", "asked", "pushes"],
            "troubles": ["broken"],
            "yes": ["true"],
            "nothing": [""],
            "spare_tokens": spare,
            "join_tokens": [token["Id"] for token in checked.json("/api/authority/tokens")],
        }

    def complaints(self):
        """What has gone wrong with the agent that is checked, whatever it answered."""
        checked = self.checked
        found = [line.strip() for line in checked.said if "panicked" in line]
        if checked.process.poll() is not None:
            found.append(f"the agent has ended with {checked.process.returncode}")
        return found
