"""A Hub on loopback: enough of its API to create a model, commit to it, and fetch what lies there.

What it does not know it answers with 404 and keeps in `unknown`.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repo:
    """A model: whether it is private, and its files by commit."""

    private: bool = True
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], ref: str = "main") -> str:
        """Add files to what `ref` has, and return the commit."""
        whole = self.commits.get(self.refs.get(ref, ""), {}) | files
        count = str(len(self.commits)).encode()
        self.refs[ref] = commit = hashlib.sha1(count + b"".join(map(str.encode, whole))).hexdigest()
        self.commits[commit] = whole
        return commit


@dataclass
class Hub:
    """What lies on the server, and what was asked of it."""

    address: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and bytes."""
        if path == "/api/repos/create":
            given = json.loads(body)
            name = f"{given['organization']}/{given['name']}"
            there = name in self.repos
            if not there:
                self.repos[name] = Repo(private=given.get("visibility") != "public")
            return _json({"url": f"{self.address}/{name}"}, 409 if there else 200)
        if path == "/api/validate-yaml":
            return _json({"warnings": [], "errors": []})
        parts = re.fullmatch(
            r"/(?:api/models/)?([^/]+/[^/]+)(?:/(revision|tree|resolve|preupload|commit)/([^/]+))?(/.*)?",
            path,
        )
        repo = self.repos.get(parts[1]) if parts else None
        if repo is None or parts is None:
            self.unknown.append(path)
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        verb, revision = parts[2], unquote(parts[3] or "main")
        if verb == "preupload":
            files = json.loads(body)["files"]
            told = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files
            ]
            return _json({"files": told})
        if verb == "commit":
            lines = [json.loads(line) for line in body.splitlines()]
            sent = [line["value"] for line in lines if line["key"] == "file"]
            commit = repo.commit(
                {one["path"]: base64.b64decode(one["content"]) for one in sent}, revision
            )
            address = f"{self.address}/{parts[1]}/commit/{commit}"
            return _json({"commitUrl": address, "commitOid": commit})
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits and repo.commits:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        files = repo.commits.get(commit, {})
        if verb == "tree":
            rows = [
                {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}
                for name, content in files.items()
            ]
            return _json(rows)
        if verb == "resolve":
            content = files[unquote(parts[4].removeprefix("/"))]
            return 200, {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": commit}, content
        siblings = [{"rfilename": name} for name in files]
        told = {"id": parts[1], "private": repo.private, "sha": commit, "siblings": siblings}
        return _json(told)


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _json(table: object, status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json"}, json.dumps(table).encode()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Start the server, and end it."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            hub.asked.append(f"{self.command} {path}")
            hub.agents.add(self.headers.get("User-Agent", ""))
            status, headers, content = hub.answer(self.command, path, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
