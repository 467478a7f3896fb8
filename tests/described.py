"""Answers held against `/openapi.json`: the right status, type, headers and body for that method at that path."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import jsonschema_rs

# What we send is ours alone: nothing beside what is described. Clients may send more than is described.
CLOSED = ("OperationOutcome", "CardsResponse", "Card", "Source", "Coding", "Suggestion", "Action", "Link",
          "FeedbackReceipt", "Liveness", "Readiness")  # fmt: skip
EITHER_WAY = "/cds-services"  # with a slash at the end or without


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`headers` have names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


class Described:
    """The description, ready to judge by."""

    def __init__(self, document: dict) -> None:
        self.document = document
        self.parts = json.loads(json.dumps(document["components"]))
        for name in CLOSED:
            self.parts["schemas"][name]["additionalProperties"] = False
        self.paths = {path: re.compile(_pattern(path)) for path in document["paths"]}
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def path_of(self, path: str) -> str | None:
        """The described path that an address is one of."""
        return next((name for name, pattern in self.paths.items() if pattern.fullmatch(path)), None)

    def fault(self, method: str, path: str, answer: Answer) -> str | None:
        """What is not as described, in words; None when all is."""
        known = self.path_of(path)
        methods = self.document["paths"].get(known, {})
        if known is None:
            if f"{path}/".startswith("/smart/") and answer.headers.get("content-type", "").startswith("text/html"):
                return None if answer.status == 404 else f"expected a page with status 404; found {answer.status}"
            return self._wrong(answer, self._refusals(400, 404, 405), empty=method == "HEAD")
        allowed = {m.upper() for m in methods} | {"OPTIONS"} | ({"HEAD"} if "get" in methods else set())
        if answer.status == 400 and not path.startswith("/smart/"):
            return self._wrong(answer, self._refusals(400), empty=method == "HEAD")
        if answer.status == 405 or method == "OPTIONS":
            if set(answer.headers.get("allow", "").split(", ")) != allowed:
                return f"expected Allow: {allowed}; found {answer.headers.get('allow')}"
            if method == "OPTIONS":
                return None if (answer.status, answer.body) == (200, b"") else "expected an empty 200"
        if method not in allowed:
            return self._wrong(answer, self._refusals(405), empty=method == "HEAD")
        answers = methods["get" if method == "HEAD" else method.lower()]["responses"]
        return self._wrong(answer, answers, empty=method == "HEAD")

    def _refusals(self, *statuses: int) -> dict:
        return {str(status): self.parts["responses"][str(status)] for status in statuses}

    def _wrong(self, answer: Answer, answers: dict, *, empty: bool) -> str | None:
        wanted = answers.get(str(answer.status))
        if wanted is None:
            return f"status {answer.status} is not described; {sorted(answers)} are"
        if "$ref" in wanted:
            wanted = self.parts["responses"][wanted["$ref"].rpartition("/")[2]]
        missing = [name for name in wanted.get("headers", {}) if name.lower() not in answer.headers]
        if missing:
            return f"expected headers {missing}"
        content = wanted.get("content", {})
        if empty or not content:
            return f"expected no body; found {len(answer.body)} bytes" if answer.body else None
        found = answer.headers.get("content-type")
        if found not in content:
            return f"expected one of {list(content)}; found {found}"
        if found != "application/json":
            answer.body.decode()
            return None
        return self._invalid(content[found]["schema"]["$ref"], answer.body)

    def _invalid(self, reference: str, body: bytes) -> str | None:
        try:
            content = json.loads(body, parse_constant=_no_number)
        except ValueError as error:
            return f"no JSON: {error}"
        error = next(self.validator(reference).iter_errors(content), None)
        return None if error is None else f"{reference}: {error.message} at {list(error.instance_path)}"

    def validator(self, reference: str) -> jsonschema_rs.Draft202012Validator:
        """For the schema of that name."""
        if reference not in self._validators:
            self._validators[reference] = jsonschema_rs.Draft202012Validator(
                {"$ref": reference, "components": self.parts}, validate_formats=True
            )
        return self._validators[reference]


def _pattern(path: str) -> str:
    return re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + ("/?" if path.startswith(EITHER_WAY) else "")


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
