"""What a setting's value must be, said in one sentence where it is not."""

from __future__ import annotations

from bertexp.errors import ConfigError, did_you_mean


def require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name}={value} is not one of {', '.join(allowed)}{did_you_mean(str(value), allowed)}")


def positive(name: str, value: float | None) -> None:
    require(value is None or value > 0, f"{name}={value} must be greater than 0")


def fraction(name: str, value: float | None) -> None:
    require(value is None or 0 <= value < 1, f"{name}={value} must be at least 0 and less than 1")
