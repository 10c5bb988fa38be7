"""Secrets in gatewayd.toml: in the file itself, in another file, in systemd's credentials or in the environment.

A wrong value is a ValueError whose text goes on behind the key's path, and never holds what should be secret.
"""

import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from gatewayd.config import small_file
from gatewayd.config.pem import signing_key

MOST_BYTES = 65536
"""Of a file that holds a secret: no header, password or key has more."""


ELSEWHERE = ("file:", "credential:", "env:")
"""How a text begins that is no secret, and says where one is."""


class Secret:
    """A value that prints as stars; `reveal` gives the text. `path` is the file that it was read from."""

    __slots__ = ("_path", "_text")

    def __init__(self, text: str, path: Path | None = None) -> None:
        self._text = text
        self._path = path

    def again(self) -> "Secret":
        """As its file has it now; as it is, where it stands in none, or that one can't be read."""
        if self._path is None:
            return self
        try:
            return _secret_file(self._path)
        except ValueError:
            return self

    def reveal(self) -> str:
        """The secret itself: for the wire and for comparisons only."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "<secret>"


def secret(value: object, info: ValidationInfo) -> Secret:
    """`value` as a secret: the text itself, or what file:, credential: or env: (the context's `environ`) points to."""
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError('is not a secret: a string, "file:/path", "credential:name" or "env:NAME"')
    return read_secret(value, (info.context or {}).get("environ", {}))


def read_secret(value: str, environ: Mapping[str, str]) -> Secret:
    """As `secret`, from the text in the file. Raises ValueError."""
    kind, _, rest = value.partition(":")
    if kind == "env":
        if rest not in environ:
            raise ValueError(f"environment variable {rest} is not set")
        return Secret(environ[rest])
    if kind == "credential":
        directory = environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise ValueError("credential: needs systemd's $CREDENTIALS_DIRECTORY, which is not set")
        return _secret_file(Path(directory) / rest)
    return _secret_file(Path(rest)) if kind == "file" else Secret(value)


def _secret_file(path: Path) -> Secret:
    try:
        text = small_file.read(path, MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ValueError(f"cannot read secret file {path}: {reason}") from None
    # Line breaks are read as those of any text file.
    return Secret(StringIO(text, newline=None).read().removesuffix("\n"), path)


def printable(value: Secret) -> Secret:
    """`value`, where it can stand in a header. Raises ValueError."""
    if not re.fullmatch(r"[\t\x20-\x7e]*", value.reveal()):
        raise ValueError("has a character that a header has no place for")
    return value


def _revealed(value: object, info: ValidationInfo) -> object:
    return secret(value, info).reveal() if isinstance(value, str) else value


def _full_secret(value: Secret) -> Secret:
    if not value:
        raise ValueError("the secret is empty")
    return value


def _proof(value: object, info: ValidationInfo) -> Secret:
    """An empty text is the default, nothing to prove with; an empty file is a mistake that would switch it off."""
    return secret(value, info) if value == "" else _full_secret(secret(value, info))


def _callers_secret(value: Secret) -> Secret:
    """What comes in a header: RFC 9110 5.5 lets no reader see blanks around a value, and no writer send the others."""
    text = value.reveal()
    if text != text.strip(" \t\r\n"):
        raise ValueError("has a blank or a line break before or behind it: no request can match that")
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):
        raise ValueError("has a control character: no request can match that")
    return value


def _long_secret(value: Secret) -> Secret:
    if len(value.reveal().encode()) < 32:
        raise ValueError("must have at least 32 bytes")
    return value


def _signing_key(value: Secret) -> Secret:
    signing_key(value.reveal())
    return value


SecretText = Annotated[Secret, BeforeValidator(secret)]
RevealedSecret = Annotated[Any, BeforeValidator(_revealed)]
"""An argument of somebody else's code: a text is taken as a secret and given plain, all else is left as it is."""
FullSecret = Annotated[Secret, BeforeValidator(secret), AfterValidator(_full_secret)]
ProofSecret = Annotated[Secret, BeforeValidator(_proof)]
"""What others prove with that they are who they say; none where the configuration has none."""
CallersSecret = Annotated[
    Secret, BeforeValidator(secret), AfterValidator(_full_secret), AfterValidator(_callers_secret)
]
SigningKey = Annotated[Secret, BeforeValidator(secret), AfterValidator(_full_secret), AfterValidator(_signing_key)]
SecretKey = Annotated[Secret, BeforeValidator(secret), AfterValidator(_long_secret)]
