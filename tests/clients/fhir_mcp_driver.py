"""fhir-mcp's CDS Hooks client, as it is, for tests/integration/test_foreign_clients.py: calls in on stdin, outcomes out.

A call has `base`, `headers`, `patient`, and `prefetch`, or `bundle`: a file that the package's tool for assistants
searches itself. With `pseudonym` the context names the patient as the package does in all that it sends; its assistant
knows no other name. The client keeps no refusals and cannot send a token, so httpx beneath it is listened to and given
the headers. Outcomes are JSON, on the last line of stdout.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

import httpx
from fhir_mcp import fhir_client
from fhir_mcp.backends.synthea import SyntheaBackend
from fhir_mcp.cds_hooks import client as cds_hooks
from fhir_mcp.deid import get_vault
from fhir_mcp.tools.run_cds_hook import RunCdsHookInput, run_cds_hook

HOOK = "patient-view"
SEND = httpx.AsyncClient.send


async def outcome(call: dict) -> dict:
    heard = []

    async def send(self, request, **how):
        request.headers.update(call["headers"])
        heard.append(await SEND(self, request, **how))
        return heard[-1]

    httpx.AsyncClient.send = send
    patient = await get_vault().pseudonymize("patient_ref", call["patient"]) if call["pseudonym"] else call["patient"]
    context = {"userId": "Practitioner/doc", "patientId": patient}
    client = cds_hooks._client = cds_hooks.CdsHooksClient(call["base"])
    if "prefetch" in call:
        shown = asdict(await client.invoke(HOOK, context, call["prefetch"], allow_live=True))
    else:
        fhir_client._backend_cache = SyntheaBackend([Path(call["bundle"])])
        asked = RunCdsHookInput(hook=HOOK, patient_pseudonym=patient, context=context, allow_live=True)
        shown = (await run_cds_hook(asked)).model_dump(mode="json")
    (answer,) = heard
    sent = json.loads(answer.request.content)
    return {"sent": sent, "status": answer.status_code, "answer": answer.json(), "shown": shown}


async def outcomes(calls: list[dict]) -> list[dict]:
    """In one event loop: the package's database belongs to the loop that opened it."""
    return [await outcome(call) for call in calls]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(outcomes(json.load(sys.stdin)))))
