"""[directories.NAME]: where the operator's players are looked up."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationInfo

from gatewayd.config.secret import RevealedSecret, Secret, printable, secret
from gatewayd.config.table import Table
from gatewayd.config.times import Duration, duration
from gatewayd.config.values import ReachedUrl, Region, Text, header_name

Column = Literal[
    "id",
    "email",
    "phone",
    "im",
    "opted_out",
    "email_opted_out",
    "sms_opted_out",
    "im_opted_out",
    "excluded",
    "consented_at",
]
"""What a directory may say of a player."""


def _json_path(value: str) -> str:
    if not value or "" in value.split("."):
        raise ValueError('is not a path such as "data.contact.email"')
    return value


HeaderValue = Annotated[Secret, BeforeValidator(secret), AfterValidator(printable)]


class Opening(Struct, frozen=True):
    """What decides whether a directory can be opened at all; "" is what it has not, or what could not be read."""

    type: str = ""
    driver: str = ""
    query: str = ""
    url: str = ""


def opening(table: Mapping[str, Any]) -> Opening:
    """That of a table as it stands in the file, whatever else is wrong with it."""
    return Opening(**{key: text for key in Opening.__struct_fields__ if isinstance(text := table.get(key), str)})


class _AnyDirectory(Table):
    """What is said of look-ups, wherever they are made."""

    timeout: Duration = 2.0
    cache: Annotated[float, BeforeValidator(duration)] = 30.0
    default_region: Region = ""

    @property
    def opening(self) -> Opening:
        """What it is opened by."""
        return opening(vars(self))


class SqlDirectory(_AnyDirectory):
    """[directories.NAME] with type = "sql" """

    type: Literal["sql"]
    driver: Text
    connect: dict[str, RevealedSecret] = {}
    query: Text
    clear_text: bool = False

    def __repr__(self) -> str:
        return f"<SqlDirectory {self.driver}>"


class HttpDirectory(_AnyDirectory):
    """[directories.NAME] with type = "http" """

    type: Literal["http"]
    url: ReachedUrl
    authorization: HeaderValue = Secret("")
    headers: dict[Annotated[str, AfterValidator(header_name)], HeaderValue] = {}
    fields: dict[Column, Annotated[str, AfterValidator(_json_path)]] = {}
    not_found: Annotated[tuple[Annotated[int, Field(ge=200, le=599)], ...], Strict(False)] = (404,)
    clear_text: bool = False
    ca_file: str = ""
    certificate: str = ""
    private_key: str = ""


class PluginDirectory(_AnyDirectory):
    """[directories.NAME] whose type names an operator's own twistd plugin (IRecipientDirectoryMaker)."""

    type: Text
    options: dict[str, Any] = {}


Directory = SqlDirectory | HttpDirectory | PluginDirectory
DIRECTORIES: Mapping[str, type[Table]] = {"sql": SqlDirectory, "http": HttpDirectory}


def directory_of(value: object, info: ValidationInfo) -> object:
    """`value` as the table of its type: another type than ours is the name of a plug-in."""
    if not isinstance(value, dict):
        raise ValueError("must be a table")
    kind = value.get("type")
    if not isinstance(kind, str):
        # Whose other keys these are is not known: only the type itself is wrong.
        return PluginDirectory.model_validate({"type": kind} if "type" in value else {})
    return DIRECTORIES.get(kind, PluginDirectory).model_validate(value, context=info.context)
