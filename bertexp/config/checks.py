"""A setting says of itself what it means and which values it takes; the check and the pages of help read that.

learning_rate: float | None = setting(None, "at its peak; null: as the weights are", above=0, maximum=1)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from bertexp.errors import IS_EMPTY, ConfigError, did_you_mean

_KEY = "bertexp"  # of a field's metadata


@dataclass(frozen=True)
class About:
    """What a setting says of itself; null is always allowed if it is the default.

    Attributes:
        unit: of a number.
        choices: the values that there are; empty: any.
        minimum, maximum, above, below: the range of a number, its ends included in the first two and not in the others.
        names_folder: whether a text is a part of a folder's name, and must not lead out of the folder above.
    """

    meaning: str
    unit: str = ""
    choices: Collection[Any] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    names_folder: bool = False

    def holds(self, value: Any) -> bool:
        """Whether ``value`` lies in the range; not a number (nan) lies in none."""
        if self.names_folder:
            return "/" not in value and value not in (".", "..")
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.above is None or value > self.above)
            and (self.maximum is None or value <= self.maximum)
            and (self.below is None or value < self.below)
        )

    @property
    def range(self) -> str:
        """The range in words that follow "must be"; empty if there is none."""
        if self.names_folder:
            return "one name without /, since a folder is called so"
        if self.minimum is not None and self.maximum is not None:
            return f"in {self.minimum} .. {self.maximum}"
        low = f"at least {self.minimum}" if self.minimum is not None else ""
        low = f"greater than {self.above}" if self.above is not None else low
        high = f"at most {self.maximum}" if self.maximum is not None else ""
        high = f"less than {self.below}" if self.below is not None else high
        return " and ".join(filter(None, (low, high)))


def setting(default: Any, meaning: str, **values: Any) -> Any:
    """A dataclass field that says of itself what it means.

    Args:
        default: a value, or a function that makes one, such as ``list``.
        meaning: part of a sentence; what null stands for is said here.
        values: the other attributes of ``About``, which say what values there are.
    """
    given: dict[str, Any] = {"default_factory" if callable(default) else "default": default}
    return dataclasses.field(**given, metadata={_KEY: About(meaning, **values)})


def about(field: dataclasses.Field[Any]) -> About:
    """What a field of a group of settings says of itself."""
    return field.metadata[_KEY]


class Settings:
    """A group of settings: a dataclass whose fields are made by ``setting``, and whose values are checked when it is made.

    ``class OptimizerConfig(Settings, group="optimizer")`` is what ``optimizer.learning_rate`` belongs to. A rule over several
    settings stands in a ``__post_init__`` that calls this one first.
    """

    group: ClassVar[str]

    def __init_subclass__(cls, group: str | None = None, **others: Any) -> None:
        super().__init_subclass__(**others)
        if group is not None:
            cls.group = group

    def __post_init__(self) -> None:
        """Raises ``ConfigError`` for the first value that is not one of its setting's."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value, says, name = getattr(self, field.name), about(field), f"{self.group}.{field.name}"
            if value is None:
                continue
            if value == "" != field.default:
                raise ConfigError(f"{name} {IS_EMPTY}")
            if isinstance(value, float) and not math.isfinite(value):
                bounds = f", {says.range}" if says.range else ""
                raise ConfigError(f"{name}={value} must be a finite number{bounds}")
            if says.choices and value not in says.choices:
                listed = [str(choice) for choice in says.choices]
                raise ConfigError(f"{name}={value} is not one of {', '.join(listed)}{did_you_mean(str(value), listed)}")
            if says.range and not says.holds(value):
                raise ConfigError(f"{name}={value} must be {says.range}")
