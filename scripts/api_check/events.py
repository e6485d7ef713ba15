"""The stream of events: every kind of event that is described is made to happen, and must be as described."""

import http.client
import json
import threading
import urllib.parse

from .agents import PROBES, wait

STREAM = "/api/events"
KIND = "text/event-stream"
# Seconds without an event after which a stream is given up; it says something each 10 s.
LIMIT = 60


class Stream:
    """A stream that is read in the background."""

    def __init__(self, url, token, query="", headers=None):
        self.query, self.events, self.problem = query, [], None
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=LIMIT)
        headers = {"Authorization": f"Bearer {token}", **(headers or {})}
        self.connection.request("GET", STREAM + query, headers=headers)
        self.answer = self.connection.getresponse()
        kind = self.answer.headers.get("Content-Type")
        if (self.answer.status, kind) != (200, KIND):
            self.problem = f"{STREAM}{query} answered {self.answer.status} {kind}"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        event = {}
        try:
            for line in self.answer:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    event[name] = value
                elif "data" in event:
                    self.events.append(event)
                    event = {}
                else:
                    event = {}
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            # It was closed by either side.
            pass

    def has(self, name):
        return any(event.get("event") == name for event in self.events)


def check(fleet, document, validator):
    """Yields each kind of event, and what is wrong with it or nothing. Changes the fleet."""
    checked = fleet.checked
    described = document["components"]["schemas"]["Events"]["properties"]
    streams = [Stream(checked.url, checked.token, f"?scope={scope}") for scope in [
        "all", "overview", "group&group=checks", "host&host=checked", "logs&hostname=checked", "none",
    ]]
    streams.append(Stream(checked.url, checked.token, "?scope=all", {"Last-Event-ID": "of-another-agent"}))
    wait("the greeting", lambda: all(stream.has("counts") for stream in streams))
    make_it_happen(fleet, streams)

    def seen():
        return {event["event"] for stream in streams for event in stream.events if "event" in event}
    wait("`time`", lambda: "time" in seen())
    validate = {
        name: validator({**schema, "components": document["components"]}) for name, schema in described.items()
    }
    for name in sorted(set(described) | seen()):
        events = [event for stream in streams for event in stream.events if event.get("event") == name]
        yield f"event {name}", next((wrong for wrong in map(wrongs(validate.get(name)), events) if wrong), None) \
            if events else "it did not come"
    for stream in streams:
        yield f"stream {stream.query}", stream.problem


def wrongs(validator):
    """Says what is wrong with an event."""
    def wrong(event):
        if validator is None:
            return "it is not described"
        if "id" not in event:
            return f"it has no id: {event}"
        try:
            data = json.loads(event["data"])
        except ValueError as error:
            return f"{error}: {event['data']}"
        return next((f"{error.message} at {list(error.instance_path)}: {data}" for error in
                     validator.iter_errors(data)), None)
    return wrong


def make_it_happen(fleet, streams):
    checked, everything = fleet.checked, streams[0]

    def told(name):
        wait(f"the event `{name}`", lambda: everything.has(name))
    checked.probe("fine", """echo '{"Status": 300, "Message": "not so fine any more"}'""")
    for name in ["probe", "log", "host", "incident"]:
        told(name)
    checked.ask("/api/silences?labels=number=7&for=1h", "POST")
    told("suppressions")
    (checked.home / "probes/2/broken").unlink()
    told("probe_gone")
    checked.ask("/api/probes/loud/disable?reason=checked", "POST")
    told("changed")
    status, text = checked.ask("/api/hosts/gone/forget", "POST")
    if status != 200:
        raise SystemExit(f"the host that is gone cannot be forgotten: {status} {text}")
    told("host_gone")
    # One whose token is revoked is told so.
    status, text = checked.ask("/api/tokens?name=short&role=readonly", "POST")
    made = json.loads(text)
    streams.append(Stream(checked.url, made["Secret"], "?scope=none"))
    checked.ask(f"/api/tokens/{made['Token']['Id']}/revoke", "POST")
    wait("the event `bye`", lambda: streams[-1].has("bye"))
