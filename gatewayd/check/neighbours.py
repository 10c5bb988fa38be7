"""Relays, SMSCs and callback hosts: each is reached the way the daemon reaches it, and left politely."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory

from gatewayd import config
from gatewayd.check.finding import FAIL, LISTENED, OK, PATIENCE, SKIP, WARN, Finding
from gatewayd.core import reaching, tls
from gatewayd.core.callback_urls import why_own_refused
from gatewayd.core.redact import redact
from gatewayd.http_client.origin import origin_of
from gatewayd.smpp.codec.codes import PASSWORD_ROOM
from gatewayd.smpp.dial import each_host
from gatewayd.smpp.probe import probe
from gatewayd.smtp.client import RelaySession
from gatewayd.smtp.negotiation import Login, RelayTrouble
from gatewayd.smtp.own_name import HostsOwnName
from gatewayd.smtp.timeouts import Timeouts
from gatewayd.smtp.tls import ClientTls

_OF_CALLBACKS = (
    "put it into the system's store, or name a file of authorities in SSL_CERT_FILE",
    "callback hosts are shown none",
)
"""What to do about a callback host's certificate: the caller's is a public one, so that there are no keys for it."""


def words(error: BaseException, advice: tuple[str, ...] = ()) -> str:
    """What went wrong, in one line, without an address; `advice` as tls.fault takes it, where it differs."""
    unreached = reaching.known(error)
    no_connection = f"no connection: {unreached}" if unreached else ""
    text = tls.fault(error, *advice) or no_connection or str(error) or type(error).__name__
    return redact(text.splitlines()[0], 300)


async def relay(reactor: Any, name: str, table: config.Relay) -> list[Finding]:
    """EHLO, TLS, AUTH, QUIT; no mail."""
    what = f"relay {name}"
    certificates = ClientTls(table)
    starttls = certificates.options if table.tls == "starttls" else None
    name = table.helo or await HostsOwnName(reactor)()
    login = Login(starttls, table.username, table.password.reveal(), name)
    gone: Deferred[Any] = Deferred()
    quick = Timeouts(greeting=PATIENCE, ehlo=PATIENCE, starttls=PATIENCE, auth=PATIENCE, quit=2.0)
    session = RelaySession(reactor, login, timeouts=quick, on_lost=gone.callback)
    endpoint: Any = HostnameEndpoint(reactor, table.host, table.port, timeout=PATIENCE)
    try:
        if table.tls == "implicit":
            endpoint = wrapClientTLS(certificates.options(), endpoint)
        await endpoint.connect(Factory.forProtocol(lambda: session))
        await session.ready
    except CancelledError:
        session.drop("no answer in time")
        raise
    except RelayTrouble as error:
        return [Finding(FAIL, what, f"{table.host}:{table.port}: {error.reason}")]
    except Exception as error:
        return [Finding(FAIL, what, f"{table.host}:{table.port}: {words(error)}")]
    offers = sorted(word for word in ("PIPELINING", "DSN", "SMTPUTF8", "8BITMIME") if word in session.negotiation.offer)
    parts = [
        "TLS with a good certificate" if session.negotiation.secure else "no TLS",
        "logged in" if table.username else "no log-in",
        f"offers {', '.join(offers) or 'no extension of use'}",
    ]
    session.quit()
    await gone
    found = [Finding(OK, what, f"{table.host}:{table.port}: EHLO, {', '.join(parts)}, QUIT")]
    if "DSN" not in session.negotiation.offer:
        found.append(Finding(WARN, what, "does not offer DSN: an email is `delivered` only by an ESP's event"))
    return found


async def smsc(reactor: Any, name: str, table: config.Smsc) -> list[Finding]:
    """Bind, enquire_link, unbind; a line for each host and each kind of bind that is configured. No message."""
    what, words_of = f"smsc {name}", {True: OK, False: FAIL}
    findings = [
        Finding(WARN if found.no_bind_left else words_of[found.ok], what, f"{one.host}:{one.port}: {found.text}")
        for one in each_host(table)
        for found in await probe(reactor, one)
    ]
    if len(table.password.reveal()) > PASSWORD_ROOM:
        warning = f"has more than the {PASSWORD_ROOM} characters that SMPP has room for: not every SMSC takes it"
        findings.append(Finding(WARN, what, f"smscs.{name}.password {warning}"))
    return findings


def callback_targets(labels: Mapping[str, config.Label]) -> dict[tuple[str, str, int], str]:
    """Scheme, host and port to connect to, each with the first label that wants it.

    The label's own URL, and each listed host that is not a pattern; nobody knows the ports of the latter, so https's
    is taken.
    """
    targets: dict[tuple[str, str, int], str] = {}
    for name, label in labels.items():
        if label.callback_url:
            parts = urlsplit(label.callback_url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            targets.setdefault((parts.scheme, parts.hostname or "", port), name)
        known = {host for _, host, _ in targets}
        for host in label.callback_hosts:
            if "*" not in host and host not in known and not label.callback_http:
                targets.setdefault(("https", host.strip("[]"), 443), name)
    return targets


def callback_rules(name: str, label: config.Label) -> list[Finding]:
    """What can be said of a label's callbacks without connecting."""
    if not label.callback_url:
        return [Finding(SKIP, f"callback of {name}", "no callback_url of its own: each request brings one")]
    refused = why_own_refused(label.callback_url, label.callback_hosts, plain_http=label.callback_http)
    text = f"labels.{name}.callback_url {refused}: a request that brings none of its own gets error_code 7"
    return [Finding(FAIL, f"callback of {name}", text)] if refused else []


async def callback(
    reactor: Any, scheme: str, host: str, port: int, patience: float = PATIENCE, listened: float = LISTENED
) -> list[Finding]:
    """A TLS handshake (for http only a connection), and not a byte more: a GET would be a status. It is to stand for
    `listened` seconds.
    """
    what = f"callback host {host}:{port}"
    netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        await origin_of(reactor, f"{scheme}://{netloc}", timeout=patience).listen(listened)
    except CancelledError:
        raise
    except TooLate:
        return [Finding(FAIL, what, f"connected, but no end of the TLS handshake within {patience:g} s")]
    except Exception as error:
        return [Finding(FAIL, what, words(error, _OF_CALLBACKS))]
    return [
        Finding(OK, what, "TLS handshake with a good certificate" if scheme == "https" else "connected, without TLS")
    ]
