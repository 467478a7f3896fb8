"""HealthChain's SandboxClient, as it is, for tests/integration/test_foreign_clients.py: calls in on stdin, outcomes out.

A call has `url`, `headers`, `file`, `loader` ("path": the file is the prefetch; "registry": its resources by type) and
`context`, laid over the client's own random one. The client keeps neither status nor refusals and cannot send a token,
so httpx beneath it is listened to and given the headers. Outcomes are JSON, on the last line of stdout.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx
from healthchain.sandbox import SandboxClient

SEND = httpx.Client.send


def outcome(call: dict) -> dict:
    heard = []

    def send(self, request, **how):
        request.headers.update(call["headers"])
        heard.append(SEND(self, request, **how))
        return heard[-1]

    httpx.Client.send = send
    client, file = SandboxClient(url=call["url"], workflow="patient-view"), Path(call["file"])
    if call["loader"] == "path":
        client.load_from_path(file)
    else:
        client.load_from_registry("synthea-patient", data_dir=str(file.parent), patient_file=file.name)
    for member, value in call["context"].items():
        setattr(client.requests[0].context, member, value)
    (shown,) = client.send_requests()
    (answer,) = heard
    sent = json.loads(answer.request.content)
    return {"sent": sent, "status": answer.status_code, "answer": answer.json(), "shown": shown}


if __name__ == "__main__":
    print(json.dumps([outcome(call) for call in json.load(sys.stdin)]))
