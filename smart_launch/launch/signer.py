"""The name of the user, who signs what is written: of the ID token, else read once from the chart."""

from __future__ import annotations

import time
from urllib.parse import quote

import msgspec

from fhir_adapters.access.client import FhirClient
from fhir_adapters.errors import FetchFailed
from fhir_adapters.resources.identity import practitioner_name
from smart_launch.session.sessions import User

READ_S = 2.0


def with_name(user: User | None, base: str, token: str) -> User | None:
    """The user, with a name if the chart gives that of its Practitioner. Not being allowed to read it is no fault."""
    kind, _, name = (user.fhir_user or "").partition("/") if user else ("", "", "")
    if user is None or user.name or kind != "Practitioner":
        return user
    client = FhirClient(base=base, token=token, deadline=time.monotonic() + READ_S)
    try:
        found = client.get(f"Practitioner/{quote(name, safe='')}")
    except FetchFailed:
        return user
    ours = [one for one in found if one.kind == "Practitioner" and one.reference == user.fhir_user]
    return msgspec.structs.replace(user, name=practitioner_name(ours[0])) if ours else user
