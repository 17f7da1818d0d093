"""What requests use: counted as it happens, priced by the plan, and written down off their path.

Time of a container is the wall time of a request's runs in it, by the keeper's clock; of calls that run side by side it
counts once, and of code that waits for its caller it is counted in the request in which it ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
import structlog

from belljar import errors
from belljar.gateway import tokens
from belljar.gateway.access import Client
from belljar.gateway.files import now_microseconds
from belljar.gateway.pricing import Counts, Plan, amount
from belljar.gateway.store import Store, UsageRow
from belljar.gateway.tools import BASH, CODE, EDITOR

log = structlog.get_logger("belljar.gateway")

_MOST_WAITING = 10_000
_ANOTHER_KEY = "Use another key, or ask the operator for a larger budget."
_TOGETHER_SECONDS = 0.2
"""Rows of so long are written in one transaction."""
_AGAIN_SECONDS = 1
_LAST_SECONDS = 10
"""At the server's end, for a store that does not take them."""


@dataclass(slots=True)
class Meter:
    """What one request has used so far."""

    at: int
    is_kept: bool = False
    """The request was let in, and is of a kind that leaves a row."""
    model: str = ""
    tools: tuple[str, ...] = ()
    turns: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_read_tokens: int = 0
    thinking_tokens: int = 0
    code_tokens: int = 0
    result_tokens: int = 0
    image_tokens: int = 0
    code_executions: int = 0
    bash_executions: int = 0
    editor_executions: int = 0
    container_microseconds: int = 0
    images: int = 0
    upstream_searches: int = 0
    own_searches: int = 0
    """Those that did not fail."""
    is_estimated: bool = False
    """Tokens that the model server has not counted are an estimate."""
    settled: tuple[int, int] | None = None
    """The amount and the container time that was counted, once they are known."""

    @property
    def searches(self) -> int:
        return self.upstream_searches + self.own_searches

    @property
    def executions(self) -> int:
        return self.code_executions + self.bash_executions + self.editor_executions

    def began(self, tool: str) -> None:
        """A use of one of our tools was taken up."""
        self.code_executions += tool == CODE
        self.bash_executions += tool == BASH
        self.editor_executions += tool == EDITOR

    def ran(self, wall_seconds: float) -> None:
        self.container_microseconds += round(wall_seconds * 1_000_000)

    def upstream(self, usage: dict[str, Any]) -> None:
        """All turns so far, in the model server's words."""
        self.input_tokens = _count(usage, "input_tokens")
        self.output_tokens = _count(usage, "output_tokens")
        self.cache_creation_tokens = _count(usage, "cache_creation_input_tokens")
        self.cache_read_tokens = _count(usage, "cache_read_input_tokens")
        self.thinking_tokens = _count(usage.get("output_tokens_details"), "thinking_tokens")
        self.upstream_searches = _count(usage.get("server_tool_use"), "web_search_requests")

    def told(self, block: dict[str, Any], images: int) -> None:
        """A `tool_result` for the model, and how many images went to it or to the client."""
        text, pictures = tokens.of_result(block)
        self.result_tokens += text
        self.image_tokens += pictures
        self.images += images

    def shown(self) -> dict[str, int]:
        """What a line of the log says of it, as far as there is anything."""
        numbers = {
            "turns": self.turns,
            "executions": self.executions,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
        }
        return {name: number for name, number in numbers.items() if number}

    def counts(self) -> Counts:
        tokens = {
            "input": self.input_tokens,
            "output": self.output_tokens,
            "cache_creation": self.cache_creation_tokens,
            "cache_read": self.cache_read_tokens,
            "thinking": self.thinking_tokens,
            "code": self.code_tokens,
            "results": self.result_tokens,
            "images": self.image_tokens,
        }
        has_run = self.executions > 0 or self.container_microseconds > 0
        return Counts(self.model, self.tools, tokens, self.container_microseconds, has_run)


class Ledger:
    """Prices requests, holds them against budgets, and writes them down. Made by `open_ledger`."""

    def __init__(self, store: Store, plan: Plan | None) -> None:
        self.plan = plan
        self._store = store
        self._rows: deque[UsageRow] = deque()
        self._writing = anyio.Lock()
        self._came = anyio.Event()
        self._spent: dict[tuple[str, int], int] = {}
        """By key and the beginning of its period. Loaded before the first request that is charged, kept up by hand."""
        self._billed: dict[tuple[str, int], int] = {}
        """By tenant and month, in microseconds."""

    async def admit(self, client: Client, meter: Meter) -> None:
        """Have a request leave a row. Raises BudgetSpent where its key has none left."""
        meter.is_kept = True
        if self.plan is None:
            return
        month = month_of(meter.at)
        if self.plan.container is not None and (client.tenant, month) not in self._billed:
            found = await self._store.billed_microseconds(client.tenant, month)
            _forget(self._billed, month)
            self._billed.setdefault((client.tenant, month), found)
        if client.budget is None:
            return
        period = period_of(client, meter.at)
        if (client.key_id, period) not in self._spent:
            found = await self._store.spent_amount(client.key_id, period)
            _forget(self._spent, month)
            self._spent.setdefault((client.key_id, period), found)
        if over := self._over(client, meter, 0):
            raise errors.BudgetSpent(f"{over} Nothing was run. {_ANOTHER_KEY}")

    def over_budget(self, client: Client, meter: Meter) -> str:
        """That the budget is spent, with what this request has used so far; empty where it is not."""
        if self.plan is None or client.budget is None:
            return ""
        billed = self._billed.get((client.tenant, month_of(meter.at)), 0)
        return self._over(client, meter, amount(self.plan, meter.counts(), billed).micro)

    def _over(self, client: Client, meter: Meter, more: int) -> str:
        spent = self._spent.get((client.key_id, period_of(client, meter.at)), 0) + more
        if self.plan is None or client.budget is None or spent < client.budget:
            return ""
        when = "this month" if client.budget_period == "month" else "in all"
        budget = f"{money(client.budget)} {self.plan.currency} {when}"
        return f"This API key may spend {budget}, and has spent {money(spent)}."

    def settle(self, client: Client, meter: Meter) -> tuple[int, int]:
        """The amount of a request, and the container time that was counted: as of the first call."""
        if meter.settled is None:
            if self.plan is None:
                meter.settled = 0, 0
                return meter.settled
            month = client.tenant, month_of(meter.at)
            found = amount(self.plan, meter.counts(), self._billed.get(month, 0))
            if month in self._billed:
                self._billed[month] += found.billed_microseconds
            period = client.key_id, period_of(client, meter.at)
            if period in self._spent:
                self._spent[period] += found.micro
            meter.settled = found.micro, found.billed_microseconds
        return meter.settled

    async def record(self, request_id: str, endpoint: str, client: Client, meter: Meter, status: int) -> None:
        """Have a request that has ended written down. Waits only where the store is far behind."""
        while len(self._rows) >= _MOST_WAITING:
            await self.flush()
        micro, billed = self.settle(client, meter)
        self._rows.append(
            UsageRow(
                request_id,
                meter.at,
                client.tenant,
                client.key_id or None,
                endpoint,
                meter.model,
                status,
                meter.input_tokens,
                meter.output_tokens,
                meter.cache_creation_tokens,
                meter.cache_read_tokens,
                meter.thinking_tokens,
                meter.code_executions,
                meter.bash_executions,
                meter.editor_executions,
                meter.container_microseconds,
                meter.images,
                meter.searches,
                self.plan.name if self.plan else None,
                self.plan.currency if self.plan else None,
                micro,
                billed,
                int(meter.is_estimated),
            )
        )
        if len(self._rows) == 1:
            self._came.set()

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return len(self._rows)

    async def flush(self) -> None:
        """Write all that has come until now."""
        async with self._writing:
            rows = list(self._rows)
            if rows:
                await self._store.add_usage(rows)
                for _ in rows:
                    self._rows.popleft()

    async def prune(self, keep_days: float) -> None:
        await self._store.remove_old_usage(now_microseconds() - int(keep_days * 86_400_000_000))

    async def write(self) -> None:
        """What the task does."""
        while True:
            await self._came.wait()
            self._came = anyio.Event()
            await anyio.sleep(_TOGETHER_SECONDS)
            is_told = False
            while self._rows:
                try:
                    await self.flush()
                except (
                    errors.StoreFailed
                ) as error:  # a full disk must not end the server; they stay until it is not
                    if not is_told:  # once, for the log may be on that disk
                        log.warning("usage is not written, until it can be", error=str(error))
                        is_told = True
                    await anyio.sleep(_AGAIN_SECONDS)
                except Exception:
                    log.exception("usage was not written", rows=len(self._rows))
                    await anyio.sleep(_AGAIN_SECONDS)


@asynccontextmanager
async def open_ledger(store: Store, plan: Plan | None) -> AsyncIterator[Ledger]:
    """The block's end writes down what is not yet."""
    ledger = Ledger(store, plan)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.write)
        try:
            yield ledger
        finally:
            tasks.cancel_scope.cancel()
            with anyio.move_on_after(_LAST_SECONDS, shield=True):
                try:
                    await ledger.flush()
                except errors.StoreFailed as error:  # the rest of the server ends as it has to all the same
                    log.warning("usage is lost", rows=ledger.waiting, error=str(error))


def month_of(at: int) -> int:
    """When the month of a time began, in UTC."""
    first = datetime.fromtimestamp(at // 1_000_000, UTC).replace(day=1, hour=0, minute=0, second=0)
    return int(first.timestamp()) * 1_000_000


def period_of(client: Client, at: int) -> int:
    """When that began for which a client's budget is."""
    return month_of(at) if client.budget_period == "month" else 0


def money(micro: int) -> str:
    """An amount as people write it, with as many digits as it has, and two at least."""
    whole, rest = divmod(micro, 1_000_000)
    digits = f"{rest:06d}".rstrip("0")
    return f"{whole}.{digits:0<2}"


def _forget(sums: dict[tuple[str, int], int], month: int) -> None:
    """Months that are over; a total, which begins at 0, stays."""
    for name in [name for name in sums if 0 < name[1] < month - 31 * 86_400_000_000]:
        del sums[name]


def _count(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
