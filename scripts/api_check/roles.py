"""Who may ask what: each operation is asked by everybody, and must refuse whom its description excludes."""

import http.client
import urllib.parse

METHODS = ["get", "put", "post", "delete", "patch"]
# Seconds for an answer to begin.
LIMIT = 60


def operations(document):
    """Each with its method and path."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def needed(operation):
    """`none`, `readonly` or `operator`: the role that a token has to have."""
    ways = [way["token"] for way in operation.get("security", []) if "token" in way]
    return ways[0][0] if ways else "none"


def status(url, method, path, token):
    """Only how an answer begins: a stream has no end."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=LIMIT)
    headers = {"X-Wigo-Request": "1", "Content-Length": "0"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def check(fleet, document):
    """Yields what was asked, and what is wrong with the answer or nothing."""
    for method, path, operation in operations(document):
        role = needed(operation)
        if role == "none":
            continue
        filled = "/".join("nobody" if part.startswith("{") else part for part in path.split("/"))
        for who, token in [("anonymous", None), *fleet.tokens.items()]:
            found = status(fleet.checked.url, method, filled, token)
            may = who == "operator" or who == role
            fits = found not in (401, 403) if may else found == (401 if who == "anonymous" else 403)
            wrong = None if fits else f"answered {found}, though it is for the role {role}"
            yield f"{method} {path} as {who}", wrong
