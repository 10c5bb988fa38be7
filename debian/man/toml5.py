"""Writes gatewayd.toml(5) from the commented configuration: stdin the file, stdout roff. So it cannot fall behind."""

import re
import sys

HEAD = r""".TH GATEWAYD.TOML 5 "" gatewayd "File formats"
.SH NAME
gatewayd.toml \- configuration of gatewayd
.SH SYNOPSIS
.I /etc/gatewayd/gatewayd.toml
.SH DESCRIPTION
The file is TOML.
A key that is not described here is an error, and a file with an error is not used at all:
.BR gatewayd (8)
does not start, and a running one keeps what it has.
All errors are told at once, each with its full key.
.PP
Times are strings such as \(lq30s\(rq, \(lq4h\(rq or \(lq7d\(rq; rates such as \(lq100/s\(rq or \(lq10/m\(rq, and
\(lq\(rq for no limit.
.PP
A secret is a string: \(lqfile:/path\(rq (a trailing newline is dropped), \(lqcredential:name\(rq (from
.IR $CREDENTIALS_DIRECTORY ;
under systemd each file NAME in /etc/gatewayd/secrets is the credential secrets_NAME), \(lqenv:NAME\(rq, or the text
itself.
.PP
Below, each key stands with its default, or with an example where there is none.
"""

TAIL = r""".SH FILES
.TP
.I /etc/gatewayd/secrets
Secrets, readable by root and by the daemon only.
.SH SEE ALSO
.BR gatewayd (8),
.BR gatewayctl (1)
"""


def roff(text: str) -> str:
    """`text` so that roff shows it as it is."""
    shown = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq")
    return f"\\&{shown}" if shown.startswith((".", "'")) else shown


def page(lines: list[str]) -> str:
    """The whole page."""
    parts, words = [HEAD], []
    for line in lines:
        key = re.match(r"#?([a-z_]+) = (.*)", line)
        table = re.match(r"#?\[(.+)\]$", line)
        if table:
            parts += [f'.SH "[{roff(table[1]).replace(chr(34), "")}]"', *(roff(word) for word in words)]
        elif key:
            parts += [".TP", f"\\fB{roff(key[1])}\\fR = {roff(key[2])}", *(roff(word) for word in words)]
        if line.startswith("# ") and not table and not key:
            words.append(line[2:].strip())
        else:
            words = []
    return "\n".join([*parts, TAIL])


if __name__ == "__main__":
    sys.stdout.write(page(sys.stdin.read().splitlines()))
