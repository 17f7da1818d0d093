"""A chart of an earlier run once more: in another size or format, without running the code again.

It is drawn where it was made, by the interpreter of its container, which keeps the last ones: with that they go.
"""

from __future__ import annotations

import re

from belljar import errors, orders, results
from belljar.gateway.activity import Activity
from belljar.gateway.parts import Parts
from belljar.wire.charts import CHART_ID_PATTERN, MEDIA_TYPES, DrawingRequest

DRAW_SECONDS = 20
"""At most, whatever a run may have."""


class ChartForgotten(errors.BelljarError):
    """The interpreter that drew the chart lives on, and has kept others since."""

    status = 410
    kind = "not_found_error"
    details = {"error_code": "chart_forgotten"}  # noqa: RUF012 - read only


async def draw(
    parts: Parts, container_id: str, chart_id: str, asked: DrawingRequest, activity: Activity
) -> tuple[bytes, str]:
    """The picture and its media type. Raises NotFound, Conflict, ChartForgotten, and InvalidRequest where it cannot be
    drawn as asked."""
    container = parts.placement.find(container_id, activity.client.tenant)
    if re.fullmatch(CHART_ID_PATTERN, chart_id) is None:
        raise _never_drawn(chart_id, container_id)
    if container.state == "asleep":
        raise _asleep(chart_id, container_id)
    activity.container_id = container_id
    seconds = min(DRAW_SECONDS, parts.settings.timeout_seconds)
    drawing = orders.Drawing(chart_id, asked.format, asked.dpi, asked.width, asked.height)
    async with parts.placement.use(container_id) as session:
        if session.was_put_away:  # it fell asleep before its turn came
            raise _asleep(chart_id, container_id)
        result = await session.execute(orders.Run(None, seconds, drawing=drawing))
    activity.meter.ran(result.usage.wall_seconds)
    media_type = MEDIA_TYPES[asked.format]
    for output in result.outputs:
        if isinstance(output, results.Display) and media_type in output.data:
            return output.data[media_type], media_type
    raise _why_not(result, chart_id, container_id)


def _why_not(result: results.Result, chart_id: str, container_id: str) -> errors.BelljarError:
    raised = next((o for o in result.outputs if isinstance(o, results.Raised)), None)
    if raised is None:
        said = "it is too large" if result.displays_left_out else result.outcome.message
        return errors.InvalidRequest(f"The chart {chart_id} could not be drawn: {said}")
    if raised.ename == "LookupError" and raised.evalue == "forgotten":
        return ChartForgotten(
            f"The chart {chart_id} is not kept any more: {container_id} has drawn others since, or it was too large to "
            "keep. Run the code that draws it again."
        )
    if raised.ename == "LookupError" and raised.evalue == "unknown":
        return _never_drawn(chart_id, container_id)
    return errors.InvalidRequest(f"The chart {chart_id} could not be drawn: {raised.evalue or raised.ename}")


def _never_drawn(chart_id: str, container_id: str) -> errors.NotFound:
    return errors.NotFound(
        f"The interpreter of {container_id} has drawn no chart {chart_id}. Charts go with the interpreter that drew "
        "them: run the code again, and use the id in its result."
    )


def _asleep(chart_id: str, container_id: str) -> errors.Conflict:
    return errors.Conflict(
        f"The container {container_id} was put away since it drew the chart {chart_id}: its files are kept, its "
        "variables and charts are gone. Run the code that draws it again."
    )
