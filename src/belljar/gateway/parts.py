"""What a request is answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from belljar.gateway import running
from belljar.gateway.access import Access
from belljar.gateway.activity import Activity
from belljar.gateway.page import Page
from belljar.gateway.pictures import Pictures
from belljar.gateway.search import Backend
from belljar.gateway.store import Store
from belljar.gateway.telemetry import Telemetry
from belljar.gateway.timeline import Kept, Timelines
from belljar.gateway.upstream import Upstream
from belljar.gateway.usage import Ledger

if TYPE_CHECKING:
    from belljar.gateway.mcp import Endpoint
    from belljar.gateway.spans import Tracing


@dataclass(frozen=True)
class Parts(running.Parts):
    """The same as for a run, and what a model is asked with."""

    upstream: Upstream
    telemetry: Telemetry
    access: Access
    pictures: Pictures
    search: Backend | None
    ledger: Ledger
    store: Store
    mcp: Endpoint
    timelines: Timelines
    page: Page | None
    """None where the settings want none."""
    tracing: Tracing | None = None

    async def admit(self, activity: Activity) -> None:
        """Have a request that asks a model or runs code leave a row and a timeline. Raises BudgetSpent."""
        await self.ledger.admit(activity.client, activity.meter)
        kept = Kept(activity.request_id, activity.what, activity.meter.at, activity.timeline, activity.meter)
        self.timelines.begin(activity.client.tenant, kept)
