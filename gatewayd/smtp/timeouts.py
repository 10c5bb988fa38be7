"""How long a relay may take at each stage. Pure."""

from dataclasses import dataclass

from gatewayd.smtp.replies import Stage


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a peer at each stage (RFC 5321 4.5.3.2)."""

    connect: float = 30.0
    greeting: float = 300.0
    ehlo: float = 300.0
    starttls: float = 120.0
    auth: float = 120.0
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    block: float = 180.0
    dot: float = 600.0
    noop: float = 4.0
    quit: float = 5.0

    def of(self, stage: Stage) -> float:
        """For the reply of `stage`."""
        return float(getattr(self, _TIMEOUT_OF[stage]))


_TIMEOUT_OF: dict[Stage, str] = {
    Stage.CONNECT: "greeting",
    Stage.EHLO: "ehlo",
    Stage.STARTTLS: "starttls",
    Stage.AUTH: "auth",
    Stage.MAIL: "mail",
    Stage.RCPT: "rcpt",
    Stage.DATA: "data",
    Stage.DOT: "dot",
    Stage.RSET: "mail",
    Stage.NOOP: "noop",
    Stage.QUIT: "quit",
}
