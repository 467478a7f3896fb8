"""docs/incidents.md says what the code does: kinds, the form of a message, and how to verify one."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import jsonschema_rs
import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from webhook_receiver import SECRET

from cds_service.incidents.incidents import Handling, NewIncident, close, open_incident
from cds_service.incidents.kinds import KINDS
from cds_service.storage import tables
from cds_service.storage.opening import prepare

PAGE = (Path(__file__).parents[3] / "docs" / "incidents.md").read_text(encoding="utf-8")
BLOCKS = dict.fromkeys(re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL))
EXAMPLE, SCHEMA = (json.loads(text) for kind, text in BLOCKS if kind == "json")
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def test_the_table_of_kinds_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    assert rows == [(kind.value, row.severity.value, row.means, row.to_do) for kind, row in KINDS.items()]


def test_the_example_and_every_message_are_of_the_form_that_is_documented(tmp_path: Path) -> None:
    form = jsonschema_rs.validator_for(SCHEMA, validate_formats=True)
    form.validate(EXAMPLE)
    store = prepare(f"sqlite:///{tmp_path / 'mhcds.db'}")
    for kind, row in KINDS.items():
        facts = {name: 1 if name in ("answers", "affected", "seq") else "x" for name in row.facts}
        with store.transaction() as connection:
            new = NewIncident(site="north", kind=kind, occasion=kind.value, facts=facts)
            close(connection, open_incident(connection, new, NOW), Handling(by="Ann", at=NOW))
    bodies = [json.loads(row["body"]) for row in store.rows(tables.delivery)]
    store.close()
    assert len(bodies) == 2 * len(KINDS)
    for body in bodies:
        form.validate(body)
    assert set(EXAMPLE["data"]) | {"closed"} == set(bodies[0]["data"]) | set(bodies[1]["data"])
    with pytest.raises(jsonschema_rs.ValidationError):
        form.validate({**EXAMPLE, "patient": "Mrs. Miller"})


def test_the_example_of_a_receiver_takes_a_message_once_and_no_forged_one() -> None:
    (code,) = [text for kind, text in BLOCKS if kind == "python"]
    names: dict = {}
    exec(code, names)  # noqa: S102  # our own page
    received, body, now = names["received"], json.dumps(EXAMPLE), datetime.now(UTC)
    headers = {"webhook-id": "3f9a2c7be04d-001", "webhook-timestamp": str(int(now.timestamp()))}
    headers["webhook-signature"] = Webhook(SECRET).sign(headers["webhook-id"], now, body)
    seen: set[str] = set()
    assert received(SECRET, body, headers, seen) == EXAMPLE
    assert received(SECRET, body, headers, seen) is None
    with pytest.raises(WebhookVerificationError):
        received(SECRET, body.replace("north", "south"), headers, set())
