"""What a request costs by a price plan. Pure: the plan, the counts and what was used before go in, an amount comes out.

A plan is a TOML file; those of this package lie in `plans/`. Amounts are millionths of the plan's currency, so a price
for a million tokens is the amount of one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from belljar.errors import InvalidRequest

_MICRO = 1_000_000
_VERSION = re.compile(r"(.+)_([0-9]{8})")

Price = Annotated[Decimal, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelPrices(_Part):
    """Prices of a million tokens, by names that `charges` uses, for the models that fit the pattern."""

    model: str
    price: dict[str, Price]


class ContainerPrice(_Part):
    """What the time of a container costs."""

    per_hour: Price
    free_hours_a_month: Price = Decimal(0)
    """Of a tenant, before anything is charged."""
    minimum_seconds: int = Field(0, ge=0)
    """Of a request that has run code."""


class Plan(_Part):
    """A price plan, as its file says it."""

    name: str = Field(min_length=1)
    currency: str = Field(pattern="^[A-Z]{3}$")
    free_with: dict[str, int] = {}
    """Tools by the names before their versions, and the first version with which a request is free."""
    charges: dict[str, str] = {}
    """Which count is charged at which price: names of `Counts`, and of a model's prices."""
    models: list[ModelPrices] = []
    """The first one that fits counts; a model that none fits is free."""
    container: ContainerPrice | None = None


@dataclass(frozen=True)
class Counts:
    """What is charged of one request. Tokens of code and results are estimates, the others the model server's."""

    model: str
    tools: tuple[str, ...]
    """Types of the tools in the request."""
    tokens: Mapping[str, int]
    container_microseconds: int
    has_run: bool


TOKENS = ("input", "output", "cache_creation", "cache_read", "thinking", "code", "results", "images")
"""What `charges` may name."""


@dataclass(frozen=True)
class Amount:
    """What one request costs, and how much time of a container was counted for it."""

    micro: int
    billed_microseconds: int


def amount(plan: Plan, counts: Counts, used_microseconds: int) -> Amount:
    """`used_microseconds` is the container time that was counted for the tenant this month, before this request."""
    if is_free(plan, counts.tools):
        return Amount(0, 0)
    prices = next((m.price for m in plan.models if fnmatchcase(counts.model, m.model)), {})
    total = sum(
        (prices.get(price, Decimal(0)) * counts.tokens.get(what, 0) for what, price in plan.charges.items()),
        Decimal(0),
    )
    billed = 0
    if plan.container is not None and counts.has_run:
        billed = max(counts.container_microseconds, plan.container.minimum_seconds * _MICRO)
        free = int(plan.container.free_hours_a_month * 3600 * _MICRO)
        charged = billed - min(billed, max(0, free - used_microseconds))
        total += plan.container.per_hour * charged / 3600
    return Amount(int(total.quantize(Decimal(1), ROUND_HALF_UP)), billed)


def is_free(plan: Plan, tools: Iterable[str]) -> bool:
    """Whether the request has a tool with which all of it is free."""
    for tool in tools:
        found = _VERSION.fullmatch(tool)
        if found and found[1] in plan.free_with and int(found[2]) >= plan.free_with[found[1]]:
            return True
    return False


def load(name_or_path: str) -> Plan | None:
    """The plan of that name in this package, or in the file; None for no name. Raises InvalidRequest."""
    if not name_or_path:
        return None
    shipped = {
        file.name.removesuffix(".toml"): file for file in resources.files("belljar.gateway.plans").iterdir()
    }
    shipped = {name: file for name, file in shipped.items() if name.replace("-", "").isalpha()}
    try:
        source = shipped[name_or_path] if name_or_path in shipped else Path(name_or_path)
        return parsed(source.read_text("utf-8"), name_or_path)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"price_plan: {name_or_path!r} is none of {', '.join(sorted(shipped))}, and no file that can be "
            f"read: {error}"
        ) from error


def parsed(text: str, where: str) -> Plan:
    """A plan out of TOML. Raises InvalidRequest that names the place where it is none."""
    try:
        plan = Plan.model_validate(tomllib.loads(text, parse_float=Decimal))
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(f"price_plan: {where}: {error}") from error
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise InvalidRequest(f"price_plan: {where}: {path}: {first['msg']}") from error
    if unknown := sorted(plan.charges.keys() - set(TOKENS)):
        raise InvalidRequest(
            f"price_plan: {where}: charges.{unknown[0]}: there is no such count; there are {', '.join(TOKENS)}"
        )
    return plan
