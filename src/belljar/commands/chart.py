"""`belljar chart`: a chart that a server's container has drawn, in another format or size."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote

import click

from belljar.commands.run import CHART_DPI, CHART_FORMAT
from belljar.errors import BelljarError, InvalidRequest
from belljar.settings import Settings
from belljar.wire.charts import LEAST_PIXELS, MOST_PIXELS, ChartFormat, DrawingRequest
from belljar.wire.execution import json_of
from belljar.wire.media import extension_of

_PIXELS = click.IntRange(LEAST_PIXELS, MOST_PIXELS)
_SECONDS = 90
"""For the answer: the drawing has 20, and what runs in the container before it goes first."""


@click.command()
@click.argument("container_id")
@click.argument("chart_id")
@click.option("--format", "kind", type=CHART_FORMAT, default="png", show_default=True, help="Of the picture.")
@click.option("--dpi", type=CHART_DPI, metavar="N", help="Dots per inch.")
@click.option(
    "--width", type=_PIXELS, metavar="N", help="In pixels; the height follows where it is not given."
)
@click.option("--height", type=_PIXELS, metavar="N", help="In pixels.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Where to save it, `-` for standard output [default: CHART_ID with the format's ending].",
)
@click.option("--server", metavar="URL", help="[default: this machine, BELLJAR_PORT]")
@click.option(
    "--api-key", envvar="BELLJAR_API_KEY", metavar="KEY", help="[default: the environment's BELLJAR_API_KEY]"
)
def chart(
    container_id: str,
    chart_id: str,
    kind: ChartFormat,
    dpi: float | None,
    width: int | None,
    height: int | None,
    output: Path | None,
    server: str | None,
    api_key: str | None,
) -> None:
    """Draw a chart of an earlier run again, without running the code.

    CONTAINER_ID and CHART_ID are those of the run's result. A file that is there is not overwritten.
    """
    url = server or f"http://127.0.0.1:{Settings().port}"
    path = f"/v1/containers/{quote(container_id, safe='')}/charts/{quote(chart_id, safe='')}"
    body, media_type = _fetched(
        f"{url.rstrip('/')}{path}",
        DrawingRequest(format=kind, dpi=dpi, width=width, height=height),
        {"x-api-key": api_key} if api_key else {},
        is_here=server is None,
    )
    if output is not None and str(output) == "-":
        sys.stdout.buffer.write(body)
        return
    target = output or Path(f"{chart_id}.{extension_of(media_type)}")
    try:
        with target.open("xb") as file:
            file.write(body)
    except OSError as error:
        raise InvalidRequest(f"{target} cannot be written: {error.strerror}") from error
    click.echo(f"belljar: saved {target}", err=True)


def _fetched(url: str, asked: DrawingRequest, headers: dict[str, str], *, is_here: bool) -> tuple[bytes, str]:
    """The picture and its media type. Raises BelljarError with what the server says instead. To
    this machine goes no proxy of the environment's."""
    import httpx2  # not for `run` to pay

    try:
        answer = httpx2.post(
            url, json=json_of(asked), headers=headers, timeout=_SECONDS, trust_env=not is_here
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise BelljarError(
            f"No server can be asked at {url} ({error or type(error).__name__}): is it running (belljar serve), and is "
            "--server its address?"
        ) from error
    if answer.status_code == 200:
        return answer.content, answer.headers["content-type"].partition(";")[0]
    try:
        message = str(answer.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        message = f"{url} answers with status {answer.status_code}, and not as Belljar does"
    raise BelljarError(message)
