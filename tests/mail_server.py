"""A site's mail server on loopback (aiosmtpd): takes mails, or does to them what a test says."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from ehr import free_port

PASSWORD = "correct horse"


class Postbox:
    """got: the mails, in order; `encrypted` and `users`: of each, whether and as whom it came.

    at_recipient, at_data: the answer instead of taking it; "drop" ends the connection once the mail is there.
    """

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.encrypted: list[bool] = []
        self.users: list[str | None] = []
        self.at_recipient: str | None = None
        self.at_data: str | None = None
        self.asked = 0
        self.port = 0

    async def handle_RCPT(  # noqa: N802  # as aiosmtpd calls it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.asked += 1
        if self.at_recipient:
            return self.at_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # as above
        if self.at_data and self.at_data != "drop":
            return self.at_data
        self.got.append(message_from_bytes(envelope.content))
        self.encrypted.append(session.ssl is not None or server.transport.get_extra_info("cipher") is not None)
        self.users.append(session.auth_data.login.decode() if session.auth_data else None)
        if self.at_data == "drop":
            server.transport.abort()
        return "250 OK"


def _authenticated(_server: Any, _session: Any, _envelope: Any, _how: str, given: Any) -> AuthResult:
    good = isinstance(given, LoginPassword) and (given.login, given.password) == (b"cds", PASSWORD.encode())
    return AuthResult(success=good, handled=False, auth_data=given if good else None)


@contextmanager
def post_office(
    certificate: tuple[Path, Path] | None = None, *, login: bool = False, from_the_start: bool = False
) -> Iterator[Postbox]:
    """A mail server for as long as the block lasts. login: required.

    certificate: STARTTLS with it, or TLS from the start; else no encryption.
    """
    box, context = Postbox(), None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=free_port(),
        ssl_context=context if from_the_start else None,
        tls_context=None if from_the_start else context,
        require_starttls=context is not None and not from_the_start,
        authenticator=_authenticated if login else None,
        auth_required=login and not from_the_start,  # with both, this server warns of what is not so here
        auth_require_tls=not from_the_start,
    )
    controller.start()
    box.port = controller.port
    try:
        yield box
    finally:
        controller.stop()
