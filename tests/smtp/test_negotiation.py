"""What is said until mail can be sent, without a connection."""

import base64

import pytest

from gatewayd.smtp.negotiation import Command, Login, Negotiation, RelayTrouble
from gatewayd.smtp.replies import Reply, Stage

GREETED = Reply(220, "hi")


def negotiation(login: Login, *, loopback: bool = False) -> Negotiation:
    """One that has just been connected, in the clear."""
    opening = Negotiation(login)
    opening.connected("[192.0.2.1]", secure=False, loopback=loopback)
    return opening


def offer(*lines: str) -> Reply:
    """The answer to EHLO."""
    return Reply(250, "", ("relay.test", *lines))


def test_it_says_its_name_or_else_its_address() -> None:
    """An older relay is asked once more by HELO; one that wants neither is no relay."""
    assert negotiation(Login(name="gw.test")).next_command(Stage.CONNECT, GREETED) == (b"EHLO gw.test\r\n", Stage.EHLO)
    nameless = negotiation(Login())
    assert nameless.next_command(Stage.CONNECT, GREETED) == (b"EHLO [192.0.2.1]\r\n", Stage.EHLO)
    assert nameless.next_command(Stage.EHLO, Reply(502, "what?")) == (b"HELO [192.0.2.1]\r\n", Stage.EHLO)
    with pytest.raises(RelayTrouble):
        nameless.next_command(Stage.EHLO, Reply(502, "what?"))


def test_tls_comes_before_the_log_in_and_the_offer_is_read_anew_under_it() -> None:
    """What was offered in the clear counts for nothing."""
    opening = negotiation(Login(tls=lambda: "context", username="u", password="p"))
    opening.next_command(Stage.CONNECT, GREETED)
    assert opening.next_command(Stage.EHLO, offer("STARTTLS", "AUTH LOGIN")) == (b"STARTTLS\r\n", Stage.STARTTLS)
    assert opening.next_command(Stage.STARTTLS, GREETED) is None
    assert opening.switching
    assert opening.tls_context() == "context"
    assert not opening.switching
    said: Command | None = opening.under_tls()
    assert said == (b"EHLO [192.0.2.1]\r\n", Stage.EHLO)
    said = opening.next_command(Stage.EHLO, offer("AUTH PLAIN"))
    assert said == (b"AUTH PLAIN " + base64.b64encode(b"\0u\0p") + b"\r\n", Stage.AUTH)
    assert opening.next_command(Stage.AUTH, Reply(235)) is None
    assert opening.offer.mechanisms == {"PLAIN"}


def test_a_log_in_step_by_step_goes_to_loopback_in_the_clear_and_nowhere_else() -> None:
    """AUTH LOGIN: first the name, then the password, and no third time."""
    opening = negotiation(Login(username="u", password="p"), loopback=True)
    assert opening.next_command(Stage.EHLO, offer("AUTH LOGIN")) == (b"AUTH LOGIN\r\n", Stage.AUTH)
    for secret in (b"u", b"p"):
        said = opening.next_command(Stage.AUTH, Reply(334, "go"))
        assert said == (base64.b64encode(secret) + b"\r\n", Stage.AUTH)
    with pytest.raises(RelayTrouble):
        opening.next_command(Stage.AUTH, Reply(334, "go"))
    with pytest.raises(RelayTrouble, match="without TLS"):
        negotiation(Login(username="u", password="p")).next_command(Stage.EHLO, offer("AUTH LOGIN"))


def test_a_relay_that_asks_again_for_auth_plain_is_told_again_once() -> None:
    """It took the command and not the initial response behind it; what it says then counts."""
    opening = negotiation(Login(username="u", password="p"), loopback=True)
    secret = base64.b64encode(b"\0u\0p") + b"\r\n"
    opening.next_command(Stage.EHLO, offer("AUTH PLAIN"))
    assert opening.next_command(Stage.AUTH, Reply(334, "")) == (secret, Stage.AUTH)
    with pytest.raises(RelayTrouble):
        opening.next_command(Stage.AUTH, Reply(334, ""))


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_reply_that_repeats_the_log_in_comes_without_it(mechanism: str) -> None:
    """Later, too: a relay's trouble may quote the session that it had, and its words go into log and timeline."""
    opening = negotiation(Login(username="user", password="pass-word-1"), loopback=True)
    opening.next_command(Stage.EHLO, offer(f"AUTH {mechanism}"))
    both, alone = (base64.b64encode(words).decode() for words in (b"\0user\0pass-word-1", b"pass-word-1"))
    said = opening.without_secrets(Reply(451, f"4.3.0 {both} {alone} pass-word-1 of user"))
    assert said == Reply(451, "4.3.0 *** *** *** of user")
    assert negotiation(Login()).without_secrets(Reply(250, "pass-word-1")) == Reply(250, "pass-word-1")


@pytest.mark.parametrize(("code", "lasting"), [(535, True), (454, False)])
def test_a_refused_log_in_is_told_by_its_code_alone(code: int, lasting: bool) -> None:
    """Only a refusal for good waits for a person; what the relay says may repeat the name."""
    opening = negotiation(Login(username="u", password="p"), loopback=True)
    opening.next_command(Stage.EHLO, offer("AUTH PLAIN"))
    with pytest.raises(RelayTrouble) as trouble:
        opening.next_command(Stage.AUTH, Reply(code, "no such user jane"))
    assert trouble.value.lasting is lasting
    assert str(code) in trouble.value.reason
    assert "jane" not in trouble.value.reason
