"""A stand-in for W&B's server: it notes which lines of a run's history are sent, and where they go."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["StandIn"]


class StandIn(ThreadingHTTPServer):
    """Answers as far as ``wandb sync`` needs it.

    Attributes:
        lines: the run's history as it is now. offsets: where each upload of lines began.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lines, self.offsets = list[dict[str, Any]](), list[int]()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def write(self, offset: int, content: list[str]) -> None:
        """Lines replace what the history has from ``offset`` on."""
        self.offsets.append(offset)
        self.lines[offset:] = [json.loads(line) for line in content]

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The answer to a GraphQL query."""
        project = {"id": "p", "name": "parts", "entity": {"id": "e", "name": "me"}}
        run = {"id": "r", "name": "run", "displayName": "run", "config": "{}", "project": project}
        run |= {"historyLineCount": len(self.lines)}
        if "upsertBucket" in query:
            return {"upsertBucket": {"bucket": run, "inserted": not self.lines}}
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.url}/{name}"} for name in variables["files"]]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
        if "RunResumeStatus" in query:
            tail = json.dumps([json.dumps(line) for line in self.lines[-1:]])
            rest = {"historyTail": tail, "eventsTail": "[]", "eventsLineCount": 0, "logLineCount": 0}
            rest |= {"summaryMetrics": "{}", "wandbConfig": "{}", "tags": []}
            return {"model": {**project, "bucket": run | rest} if self.lines else None}
        features = {"cliVersionInfo": {}, "latestLocalVersionInfo": None, "features": []}
        return {"viewer": {"id": "v", "entity": "me", "username": "me", "flags": "{}"}, "serverInfo": features}


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_HEAD(self) -> None:
        self._send({})

    def do_GET(self) -> None:
        self._send({})

    def do_PUT(self) -> None:
        self._body()
        self._send({})

    def do_POST(self) -> None:
        body = self._body()
        sent = json.loads(body) if body.startswith(b"{") else {}
        history = (sent.get("files") or {}).get("wandb-history.jsonl")
        if history:
            self.server.write(history["offset"], history["content"])
        self._send({"data": self.server.answer(sent.get("query", ""), sent.get("variables") or {})})

    def log_message(self, *_: object) -> None: ...

    def _body(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def _send(self, values: dict[str, Any]) -> None:
        data = json.dumps(values).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
