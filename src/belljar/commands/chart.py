"""`belljar chart`: a chart that a server's container has drawn, in another format or size."""

from __future__ import annotations

import click

from belljar.commands.asking import asking, checked, container_path, id_part, of_server
from belljar.commands.given import FORCE, Whole
from belljar.commands.printing import AS_JSON
from belljar.commands.run import CHART_DPI, CHART_FORMAT
from belljar.commands.writing import OUTPUT, place_of, writing
from belljar.wire.charts import LEAST_PIXELS, MOST_PIXELS, ChartFormat, DrawingRequest
from belljar.wire.execution import json_of
from belljar.wire.media import extension_of

_PIXELS = Whole(LEAST_PIXELS, MOST_PIXELS)


@click.command()
@click.argument("container_id")
@click.argument("chart_id")
@click.option("--format", "kind", type=CHART_FORMAT, default="png", show_default=True, help="Of the picture.")
@click.option("--dpi", type=CHART_DPI, metavar="N", help="Dots per inch.")
@click.option(
    "--width", type=_PIXELS, metavar="N", help="In pixels; the height follows where it is not given."
)
@click.option("--height", type=_PIXELS, metavar="N", help="In pixels.")
@OUTPUT
@of_server
@FORCE
@AS_JSON
def chart(
    container_id: str,
    chart_id: str,
    kind: ChartFormat,
    dpi: float | None,
    width: int | None,
    height: int | None,
    output: str | None,
    url: str | None,
    api_key: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Draw a chart of an earlier run again, without running the code.

    CONTAINER_ID and CHART_ID are those of the run's result; its own name is CHART_ID with the format's ending.
    A file that is there is not overwritten, but with --force.
    """
    path = f"{container_path(container_id)}/charts/{id_part(chart_id, 'chart')}"
    wanted = DrawingRequest(format=kind, dpi=dpi, width=width, height=height)
    with asking(url, api_key) as client:
        answer = checked(client.post(path, json=json_of(wanted)))
        media_type = answer.headers["content-type"].partition(";")[0]
    target = place_of(output, f"{chart_id}.{extension_of(media_type)}")
    with writing(target, force=force, as_json=as_json) as write:
        write(answer.content)
