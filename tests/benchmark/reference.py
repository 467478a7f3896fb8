"""The reference: Flask under gunicorn that authenticates nobody, parses the body and answers."""

from __future__ import annotations

import json

from flask import Flask, Response, request

app = Flask(__name__)


@app.get("/health/ready")
def ready() -> Response:
    return Response("{}", content_type="application/json")


@app.post("/cds-services/depression-suicide-risk")
def call() -> Response:
    json.loads(request.get_data())
    return Response('{"cards":[]}', content_type="application/json")
