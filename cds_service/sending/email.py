"""An e-mail over the site's own mail server: a link and nothing of the patient, whatever other channels may hold.

The delivery's id is the Message-ID, so that a mail that comes twice is one mail to whoever reads it.
"""

from __future__ import annotations

import smtplib
import ssl
import time
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from socket import SHUT_RDWR
from threading import Timer

from cds_service.sending import attempt
from cds_service.sending.attempt import SendResult
from cds_service.settings.escalation import Smtp
from explanations.words.pages.escalation_message import ContactWords

# Refusals that are about our access and not about this mail; whoever runs the server can undo them.
ACCESS = (530, 534, 535, 538)


def mail(smtp: Smtp, to: str, identifier: str, words: ContactWords, now: datetime) -> EmailMessage:
    """The mail. identifier: of the delivery."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = smtp.sender, to, words.subject
    made["Date"] = format_datetime(now)
    made["Message-ID"] = f"<{identifier}@{domain(smtp)}>"
    # So that no absence notice answers it (RFC 3834).
    made["Auto-Submitted"] = "auto-generated"
    made["Importance"] = "high"
    made.set_content(words.text)
    return made


def domain(smtp: Smtp) -> str:
    """That of the sender."""
    return smtp.sender.rpartition("@")[2]


def deliver(smtp: Smtp, made: EmailMessage) -> SendResult:
    """Hands the mail to the server once, within the time of an attempt."""
    deadline = time.monotonic() + attempt.ATTEMPT_S
    # How we greet: else this machine's name is looked up, for as long as that takes, and told.
    ours = domain(smtp)
    client = (
        smtplib.SMTP_SSL(local_hostname=ours, timeout=attempt.ATTEMPT_S, context=ssl.create_default_context())
        if smtp.security == "tls"
        else smtplib.SMTP(local_hostname=ours, timeout=attempt.ATTEMPT_S)
    )
    client._host = smtp.host  # type: ignore[attr-defined]  # noqa: SLF001  # what the certificate must name
    # A server that sends a byte now and then would never reach a time-out.
    cut = Timer(attempt.ATTEMPT_S, lambda: _shut(client))
    cut.daemon = True
    cut.start()
    try:
        _hand_over(client, smtp, made)
    except smtplib.SMTPRecipientsRefused as error:
        ((status, _words),) = error.recipients.values()
        return _refused(status)
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        return _refused(error.smtp_code)
    except smtplib.SMTPResponseException as error:
        return SendResult(failure=f"smtp {error.smtp_code}")
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return SendResult(failure="too late" if time.monotonic() >= deadline else type(error).__name__)
    finally:
        cut.cancel()
        client.close()
    return SendResult()


def _hand_over(client: smtplib.SMTP, smtp: Smtp, made: EmailMessage) -> None:
    client.connect(smtp.host, smtp.port)
    if smtp.security == "starttls":
        client.starttls(context=ssl.create_default_context())
    if smtp.user is not None:
        client.login(smtp.user, smtp.password or "")
    client.send_message(made)
    # It has the mail: how the conversation ends no longer matters.
    with suppress(smtplib.SMTPException, OSError):
        client.quit()


def _refused(status: int) -> SendResult:
    return SendResult(failure=f"smtp {status}", final=500 <= status < 600 and status not in ACCESS)


def _shut(client: smtplib.SMTP) -> None:
    with suppress(OSError, AttributeError):
        client.sock.shutdown(SHUT_RDWR)  # type: ignore[union-attr]  # None before it is connected
