"""HealthChain with a trivial handler of the same hook, as its documentation writes one; run by its own environment.

`python with_healthchain.py PORT`. It authenticates nobody and keeps nothing.
"""

from __future__ import annotations

import sys

import uvicorn
from healthchain.gateway import CDSHooksService, HealthChainAPI
from healthchain.models.requests.cdsrequest import CDSRequest
from healthchain.models.responses.cdsresponse import Card, CDSResponse, Source

cds = CDSHooksService()


@cds.hook("patient-view", id="depression-suicide-risk")
def call(request: CDSRequest) -> CDSResponse:
    card = Card(summary="A card", indicator="info", source=Source(label="HealthChain"), detail="What a card says")
    return CDSResponse(cards=[card, card])


app = HealthChainAPI(title="benchmark")
app.register_service(cds)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
