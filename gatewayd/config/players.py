"""[directories.NAME]: where the operator's players are looked up."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationInfo

from gatewayd.config.table import Table
from gatewayd.config.values import (
    Duration,
    Region,
    RevealedSecret,
    Secret,
    SecretText,
    Text,
    Url,
    duration,
)


class SqlDirectory(Table):
    """[directories.NAME] with type = "sql" """

    type: Literal["sql"]
    driver: Text
    connect: dict[str, RevealedSecret] = {}
    query: Text
    timeout: Duration = 2.0
    cache: Annotated[float, BeforeValidator(duration)] = 30.0
    default_region: Region = ""

    def __repr__(self) -> str:
        return f"<SqlDirectory {self.driver}>"


class HttpDirectory(Table):
    """[directories.NAME] with type = "http" """

    type: Literal["http"]
    url: Url
    authorization: SecretText = Secret("")
    timeout: Duration = 2.0
    cache: Annotated[float, BeforeValidator(duration)] = 30.0
    default_region: Region = ""


class PluginDirectory(Table):
    """[directories.NAME] whose type names an operator's own twistd plugin (IRecipientDirectoryMaker)."""

    type: Text
    options: dict[str, Any] = {}
    timeout: Duration = 2.0
    cache: Annotated[float, BeforeValidator(duration)] = 30.0
    default_region: Region = ""


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
