"""The base of every settings class: frozen and typed; an unknown key is refused with the nearest known name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from pdstore.errors import UsageError, nearest

S = TypeVar("S", bound=BaseModel)

__all__ = [
    "SEED_MAX",
    "Settings",
    "checkpoint_setting",
    "file_setting",
    "later_setting",
    "operational",
    "parse_settings",
]

SEED_MAX = 2**32 - 1
"""scikit-learn takes no larger seed."""
_NOT_IDENTITY = {"operational", "file"}


class Settings(BaseModel):
    """Frozen settings. Fields that change no result are declared with :func:`operational`.

    Attributes:
        former: a setting that was here in an earlier release -> the stage whose setting it is now.
    """

    former: ClassVar[Mapping[str, str]] = {}

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        serialize_by_alias=True,
        allow_inf_nan=False,
        defer_build=True,  # a pipeline has a few of the stages, so most validators are never needed
    )

    def identity(self) -> dict[str, Any]:
        """The settings that change results, as JSON values: the part that enters the fingerprint."""
        fields = type(self).model_fields
        chosen = {name for name, field in fields.items() if not _marks(field.json_schema_extra) & _NOT_IDENTITY}
        later = {name for name in chosen if "later" in _marks(fields[name].json_schema_extra)}
        unset = {name for name in later if getattr(self, name) == fields[name].default}
        return self.model_dump(mode="json", include=chosen - unset)

    def files(self) -> dict[str, str]:
        """Name of each file setting that is set -> path. Instead of paths, digests of the files enter the fingerprint.

        A setting that names several files appears as ``name.0``, ``name.1``, …
        """
        paths: dict[str, str] = {}
        for name, field in type(self).model_fields.items():
            if "file" in _marks(field.json_schema_extra):
                value = getattr(self, name)
                values = value if isinstance(value, tuple) else (value,)
                paths |= {f"{name}.{i}" if len(values) > 1 else name: str(path) for i, path in enumerate(values)}
        return {name: path for name, path in paths.items() if path}

    def checkpoints(self) -> set[str]:
        """Those of :meth:`files` that may also be a folder or a hub name: see :func:`checkpoint_setting`."""
        fields = type(self).model_fields
        return {name for name in self.files() if "checkpoint" in _marks(fields[name.split(".")[0]].json_schema_extra)}

    @classmethod
    def parse(cls, values: dict[str, Any], where: str, fix: str = "Correct these settings") -> Self:
        """Validated settings.

        Args:
            where: what the settings belong to, such as a node. fix: what the reader can do to correct them.

        Raises:
            UsageError: one error that lists every wrong key with its path, the expected and the given value.
        """
        return parse_settings(cls, values, where, fix)


def operational(default: Any, **keywords: Any) -> Any:
    """A field that changes no result (batch size of inference, workers) and stays out of the fingerprint."""
    return Field(default, json_schema_extra={"operational": True}, **keywords)


def file_setting(default: Any, **keywords: Any) -> Any:
    """A field that names a file. The digest of the file's content, not its path, enters the fingerprint."""
    return Field(default, json_schema_extra={"file": True}, **keywords)


def checkpoint_setting(default: Any, **keywords: Any) -> Any:
    """A file setting that may also name a folder, or ``org/name@revision`` on the Hugging Face hub.

    For a folder the digests of all its files enter the fingerprint. For a hub name the name and its revision do,
    because the content is not known before it is downloaded.
    """
    return Field(default, json_schema_extra={"file": True, "checkpoint": True}, **keywords)


def later_setting(default: Any, **keywords: Any) -> Any:
    """A field that came after layers of its stage had been made, and whose default does what was done before.

    At its default it stays out of the fingerprint, so those layers are current. Of nested settings it has no effect.
    """
    return Field(default, json_schema_extra={"later": True}, **keywords)


def parse_settings(cls: type[S], values: dict[str, Any], where: str, fix: str) -> S:
    """``cls`` from plain values. All faults are reported in one :class:`UsageError`."""
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        faults = [_describe(cls, fault, where) for fault in error.errors()]
        raise UsageError(
            f"{len(faults)} setting{'s are' if len(faults) > 1 else ' is'} not valid:\n  " + "\n  ".join(faults) + "\n",
            where=where,
            fix=fix,
        ) from None


def _marks(extra: object) -> set[str]:
    return {str(name) for name, value in extra.items() if value} if isinstance(extra, dict) else set()


def _describe(cls: type[BaseModel], fault: ErrorDetails, where: str) -> str:
    path = ".".join([where, *(str(part) for part in fault["loc"])])
    if fault["type"] == "extra_forbidden":
        name = str(fault["loc"][-1])
        if stage := getattr(cls, "former", {}).get(name):
            place = f"the node of this stage that {where} reads, such as {stage}.{name}"
            return f"{path}: this is a setting of stage {stage} now; set it at {place}"
        return f"{path}: unknown setting. {nearest(name, _known(cls, fault['loc'][:-1]))}"
    if fault["type"] == "model_type":
        return f"{path}: expected nested settings ({path}.KEY=VALUE), found {fault['input']!r}"
    return f"{path}: {fault['msg'][:1].lower()}{fault['msg'][1:]}, found {fault['input']!r}"


def _known(cls: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        field = cls.model_fields.get(str(part))
        options = (get_args(field.annotation) or (field.annotation,)) if field else ()
        cls = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), cls)
    return [field.alias or name for name, field in cls.model_fields.items()]
