"""The players' directories: asked for players whom nobody has, and looked at for what the labels need of them."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from gatewayd import config
from gatewayd.check.finding import FAIL, OK, WARN, Finding
from gatewayd.config.clear_text import why_unproven
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.redact import redact
from gatewayd.directories import open_directory
from gatewayd.directories.remembered import Remembered
from gatewayd.directories.rows import COLUMNS, FLAGS, unread_flags

_NUMBER = "2147483646"
"""An id that a directory with numbers for ids can be asked for, too; nobody is expected to have it."""

_NEEDS = (("email", "relays", "email"), ("phone", "sms_routes", "SMS"))
"""A column, the label's key that makes it needed, and what for."""

_FLAGS = ", ".join(FLAGS)


async def look(reactor: Any, name: str, table: config.Directory, labels: Mapping[str, config.Label]) -> list[Finding]:
    """Look up a word and a number that are nobody's ids: a directory that knows them does not look at the id.

    `labels` are those that use it.
    """
    what = f"directory {name}"
    try:
        opened = open_directory(reactor, name, table)
    except ValueError as error:
        return [Finding(FAIL, what, redact(str(error), 300))]
    asked = next(iter(labels), "gatewayd-check")
    try:
        begun = reactor.seconds()
        found = [await _ask(opened, asked, kind, user) for kind, user in _strangers()]
        took = (reactor.seconds() - begun) * 1000 / len(found)
    finally:
        await opened.close()
    faults = [fault for fault in found if fault]
    # Of two look-ups that fail alike one line is enough.
    findings = [Finding(FAIL, what, fault) for fault in dict.fromkeys(faults)]
    if not findings:
        findings = [Finding(OK, what, f"answers in {took:.0f} ms; an unknown id is not found, as it should be")]
    return [*findings, *_of_proof(what, table), *_of_columns(what, opened.directory, labels)]


def _strangers() -> Iterator[tuple[str, str]]:
    yield "a word", f"gatewayd-check-{uuid4().hex}"
    yield "a number", _NUMBER


async def _ask(opened: Remembered, label: str, kind: str, user: str) -> str:
    """What is wrong with the answer, or ""."""
    try:
        found = await opened.find(label, user)
    except TemporaryFailure as error:
        return error.reason
    return f"knows a player who does not exist ({kind}): does the query look at :ext_user_id?" if found else ""


def _of_proof(what: str, table: config.Directory) -> Iterator[Finding]:
    """Where players' data go to whoever takes the connection, encrypted or not."""
    if not isinstance(table, config.SqlDirectory) or table.clear_text:
        return
    if how := why_unproven(table.driver, table.connect):
        text = f"the database's certificate is not verified: who is between may read and change it; {how} in connect"
        yield Finding(WARN, what, text)


def _of_columns(what: str, directory: Any, labels: Mapping[str, config.Label]) -> Iterator[Finding]:
    """What can be said by the names of a query's columns, where there is one."""
    columns = getattr(directory, "columns", ())
    if not columns:
        return
    for column, key, use in _NEEDS:
        users = [name for name, label in labels.items() if getattr(label, key)]
        if users and column not in columns:
            text = f"the query has no column {column}, and labels.{users[0]} sends {use}: nobody would get any"
            yield Finding(FAIL, what, text)
    for column in COLUMNS:
        if columns.count(column) > 1:
            text = f"the query has several columns {column}, of which the last counts: name the one that is meant by AS"
            yield Finding(WARN, what, text)
    if unread := unread_flags(columns):
        text = f"the query's {', '.join(unread)} keeps nobody from getting messages: by AS it may be one of {_FLAGS}"
        yield Finding(WARN, what, text)
    if directory.finds_another_player():
        text = "ids are numbers there, and the database may find player 7 for '7abc': compare texts (manual 6.2)"
        yield Finding(WARN, what, text)
    if why := directory.why_it_may_coerce():
        text = f"the query has no column id, and {why}: another spelling of an id passes the stop list and erase"
        yield Finding(WARN, what, text)
