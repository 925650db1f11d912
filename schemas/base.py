"""The base of every settings class: frozen, typed, unknown keys refused with the nearest name."""

from __future__ import annotations

from typing import Any, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from pdstore.errors import UsageError, nearest

S = TypeVar("S", bound=BaseModel)

__all__ = ["Settings", "file_setting", "operational", "parse_settings"]

_NOT_NODES = {"pipeline", "source"}
_NOT_IDENTITY = {"operational", "file"}


class Settings(BaseModel):
    """Frozen settings. A field that changes no result is declared with :func:`operational`."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), serialize_by_alias=True)

    def identity(self) -> dict[str, Any]:
        """The settings that change results, as JSON values: what a fingerprint is taken over."""
        fields = type(self).model_fields
        chosen = {name for name, field in fields.items() if not _marks(field.json_schema_extra) & _NOT_IDENTITY}
        return self.model_dump(mode="json", include=chosen)

    def files(self) -> dict[str, str]:
        """Name of every file setting that is set -> its path: their digests go into the fingerprint instead."""
        fields = type(self).model_fields
        found = {n: str(getattr(self, n)) for n, f in fields.items() if "file" in _marks(f.json_schema_extra)}
        return {name: path for name, path in found.items() if path}

    @classmethod
    def parse(cls, values: dict[str, Any], where: str) -> Self:
        """Validated settings.

        Raises:
            UsageError: one error that lists every wrong key with its path, what was expected and what was found.
        """
        return parse_settings(cls, values, where)


def operational(default: Any, **keywords: Any) -> Any:
    """A field that changes no result (batch size of inference, workers): it stays out of the fingerprint."""
    return Field(default, json_schema_extra={"operational": True}, **keywords)


def file_setting(default: Any, **keywords: Any) -> Any:
    """A field that names a file: the digest of the file's content, not its path, goes into the fingerprint."""
    return Field(default, json_schema_extra={"file": True}, **keywords)


def parse_settings(cls: type[S], values: dict[str, Any], where: str) -> S:
    """``cls`` from plain values, with every fault in one :class:`UsageError`."""
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        faults = [_describe(cls, fault, where) for fault in error.errors()]
        raise UsageError(
            expected=f"valid settings of {where}",
            found=f"{len(faults)} fault{'s' * (len(faults) > 1)}:\n  " + "\n  ".join(faults) + "\n",
            where=where,
            fix="Mend them" if where in _NOT_NODES else f"See them all with: pd config show {where}",
        ) from None


def _marks(extra: object) -> set[str]:
    return {str(name) for name, value in extra.items() if value} if isinstance(extra, dict) else set()


def _describe(cls: type[BaseModel], fault: ErrorDetails, where: str) -> str:
    path = ".".join([where, *(str(part) for part in fault["loc"])])
    if fault["type"] == "extra_forbidden":
        return f"{path}: unknown setting. {nearest(str(fault['loc'][-1]), _known(cls, fault['loc'][:-1]))}"
    return f"{path}: {fault['msg'][:1].lower()}{fault['msg'][1:]}, found {fault['input']!r}"


def _known(cls: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        field = cls.model_fields.get(str(part))
        options = (get_args(field.annotation) or (field.annotation,)) if field else ()
        cls = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), cls)
    return [field.alias or name for name, field in cls.model_fields.items()]
