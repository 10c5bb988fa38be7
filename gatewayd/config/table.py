"""What all tables of gatewayd.toml have in common."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table whose values are frozen, of just the type that stands there, and whose unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)
