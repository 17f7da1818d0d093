"""Pictures of results, as a model can be shown them: those over its budget are made smaller first.

A picture is whatever the code in a session says it is, so it is not decoded here: that is done in a session of
Belljar's own, fresh for each, with small limits, and what comes back is checked by its first bytes. The client's files
stay as they were.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio
import structlog

from belljar import errors, orders, results
from belljar.gateway.history import uses_of_ours
from belljar.gateway.placement import Placement
from belljar.gateway.tools import Edited, Image, Outcome, Ran
from belljar.gateway.upstream import Traits
from belljar.logged import words_of
from belljar.records import MIB, Limits
from belljar.settings import Settings
from belljar.wire import media

log = structlog.get_logger("belljar.gateway")

Block = dict[str, Any]

MOST = 8
"""Of one result."""
_SECONDS = 10
"""For one picture, with the wait for a place; and for the code alone:"""
_RUN_SECONDS = 5
_ALL_SECONDS = 20
"""For those of one result together."""
_MOST_PIXELS = 100_000_000
"""As they are decoded: four bytes each."""
_MEMORY_BYTES = 640 * MIB
_PIDS = 16
_DISK_BYTES = 64 * MIB
"""Where any session may have less, so may these."""
_KEPT_BYTES = 32 * MIB
_KEPT = 1000
"""Of what became of pictures: a history is sent again with each request."""
_MADE = frozenset({"image/png", "image/jpeg"})

_CODE = """
import sys, warnings
from PIL import Image, ImageOps

warnings.simplefilter("ignore")
edge, budget = int(sys.argv[1]), int(sys.argv[2])


def plain(image):
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("1", "L", "RGB", "RGBA"):
        return image
    has_alpha = image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def on_white(image):
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def saved(image, kind, **more):
    with open("smaller", "wb") as file:
        image.save(file, kind, **more)
        return file.tell() <= budget


with Image.open("picture", formats=("PNG", "JPEG", "GIF", "WEBP")) as opened:
    is_photograph = opened.format == "JPEG"
    opened.draft("RGB", (edge, edge))
    opened.load()
    image = plain(ImageOps.exif_transpose(opened))
while True:
    image.thumbnail((edge, edge), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if not is_photograph and saved(image, "PNG"):
        break
    if any(saved(on_white(image), "JPEG", quality=quality) for quality in (90, 75, 50)):
        break
    edge = edge * 3 // 4
"""


@dataclass(frozen=True)
class _Smaller:
    """What became of a picture: it, or why there is none."""

    image: Image | None
    why: str = ""
    is_final: bool = True
    """It would be the same another time."""


class Pictures:
    """Makes pictures fit for models, for all requests."""

    def __init__(self, placement: Placement, settings: Settings) -> None:
        self._placement = placement
        self._limits = Limits(
            memory_bytes=min(settings.memory_bytes, _MEMORY_BYTES),
            pids=min(settings.pids, _PIDS),
            disk_bytes=min(settings.disk_bytes, _DISK_BYTES),
            output_bytes=64 * 1024,
            cpus=settings.cpus,
        )
        self._kept: OrderedDict[str, _Smaller] = OrderedDict()

    async def blocks(
        self, images: Sequence[Image], traits: Traits, tenant: str, deadline: float | None = None
    ) -> list[Block]:
        """The pictures for a model, and a word on each that it is not shown, or that was made smaller for it."""
        deadline = anyio.current_time() + _ALL_SECONDS if deadline is None else deadline
        if not traits.images:
            return [_text(f"[{_facts(image)}. You cannot look at pictures.]") for image in images]
        out: list[Block] = []
        for image in images[:MOST]:
            if fits(image, traits):
                out.append(block(image))
                continue
            smaller = await self._smaller(image, traits, tenant, deadline)
            if smaller.image is None:
                out.append(_text(f"[{_facts(image)}. It is not shown to you: {smaller.why}]"))
                continue
            out.append(block(smaller.image))
            out.append(_text(f"[{_facts(image)}. You see it at {_sides(smaller.image)}.]"))
        if (more := len(images) - MOST) > 0:
            out.append(
                _text(f"[{more} more picture(s) are not shown to you: there may be {MOST} in one result.]")
            )
        return out

    async def in_history(
        self, messages: list[dict[str, Any]], traits: Traits, tenant: str
    ) -> list[dict[str, Any]]:
        """The messages with the pictures in results of our tools as `blocks` has them; the caller's own stay."""
        ours = uses_of_ours(messages)
        deadline = anyio.current_time() + _ALL_SECONDS

        async def seen(part: Block) -> Block:
            is_ours = part.get("type") == "tool_result" and part.get("tool_use_id") in ours
            return await self._result(part, traits, tenant, deadline) if is_ours else part

        return [
            {**message, "content": [await seen(part) for part in message["content"]]}
            if message["role"] == "user"
            else message
            for message in messages
        ]

    async def _result(self, result: Block, traits: Traits, tenant: str, deadline: float) -> Block:
        content = result["content"]
        if not isinstance(content, list):
            return result
        made: list[Block] = []
        for part in content:
            image = _image_in(part)
            made += [part] if image is None else await self.blocks([image], traits, tenant, deadline)
        return {**result, "content": made}

    async def _smaller(self, image: Image, traits: Traits, tenant: str, deadline: float) -> _Smaller:
        width, height = media.dimensions(image.body) or (0, 0)
        if width * height > _MOST_PIXELS:
            return _Smaller(None, f"it has more than {_MOST_PIXELS:,} pixels. Make a smaller one.")
        name = f"{hashlib.sha256(image.body).hexdigest()} {traits.image_edge} {traits.image_bytes}"
        if (kept := self._kept.get(name)) is not None:
            self._kept.move_to_end(name)
            return kept
        made = _Smaller(
            None, "there was no time left to make it smaller. Make a smaller one.", is_final=False
        )
        with anyio.move_on_at(min(deadline, anyio.current_time() + _SECONDS)):
            made = await self._made(image, traits, tenant)
        if made.is_final:
            self._keep(name, made)
        return made

    async def _made(self, image: Image, traits: Traits, tenant: str) -> _Smaller:
        """Have it made smaller in a session that is gone afterwards."""
        arguments = f"import sys; sys.argv[1:] = ['{traits.image_edge}', '{traits.image_bytes}']\n"
        run = orders.Run(arguments + _CODE, _RUN_SECONDS, is_last=True)
        try:
            container = await self._placement.create(self._limits, tenant, is_kept=False)
            try:
                async with self._placement.use(container.id, ()) as session:
                    await session.put("picture", "", image.body)
                    result = await session.execute(run)
                    found = next((file for file in result.files if file.path == "smaller"), None)
                    if result.outcome.status != "completed" or found is None:
                        return _Smaller(None, *_why(result))
                    body = b""
                    async for piece in session.read(found):
                        body += piece
                        if len(body) > traits.image_bytes:
                            break
            finally:
                await self._placement.discard(container.id, "it was made for a picture")
        except (errors.Overloaded, errors.RateLimited):
            return _Smaller(
                None, "there was no place to make it smaller. Make a smaller one.", is_final=False
            )
        except errors.BelljarError as error:
            log.warning("a picture was not made smaller", error=words_of(error))
            return _Smaller(None, "it could not be made smaller. Make a smaller one.", is_final=False)
        made = replace(image, media_type=media.media_type("", body[: media.HEAD_BYTES]), body=body)
        if made.media_type not in _MADE or not fits(made, traits):
            return _Smaller(None, "it could not be made smaller. Make a smaller one.")
        return _Smaller(made)

    def _keep(self, name: str, made: _Smaller) -> None:
        self._kept[name] = made
        size = sum(len(one.image.body) for one in self._kept.values() if one.image)
        while size > _KEPT_BYTES or len(self._kept) > _KEPT:
            _, gone = self._kept.popitem(last=False)
            size -= len(gone.image.body) if gone.image else 0


def shown_in(outcome: Outcome) -> list[Image]:
    """The pictures of an outcome."""
    if isinstance(outcome, Ran):
        return outcome.images
    return [outcome.image] if isinstance(outcome, Edited) and outcome.image is not None else []


def fits(image: Image, traits: Traits) -> bool:
    """Whether a model can be shown it as it is. One whose size cannot be read is no picture, for all that is known."""
    sides = media.dimensions(image.body)
    return (
        len(image.body) <= traits.image_bytes
        and sides is not None
        and min(sides) >= 1
        and max(sides) <= traits.image_edge
    )


def block(image: Image) -> Block:
    return {"type": "image", "source": image_source(image)}


def image_source(image: Image) -> dict[str, str]:
    return {"type": "base64", "media_type": image.media_type, "data": base64.b64encode(image.body).decode()}


def _image_in(part: Block) -> Image | None:
    """A picture of a result that the client sends again; None for anything else, which is the upstream's to judge."""
    source = part.get("source")
    if part.get("type") != "image" or not isinstance(source, dict) or source.get("type") != "base64":
        return None
    try:
        body = base64.b64decode(str(source.get("data")), validate=True)
    except (binascii.Error, ValueError):
        return None
    return Image(str(source.get("media_type")), body)


def _why(result: results.Result) -> tuple[str, bool]:
    """Why nothing came of it, and whether that is final."""
    match result.outcome.status:
        case "timed_out":
            return "it took too long to make it smaller. Make a smaller one.", False
        case "out_of_memory":
            return "it takes too much memory to make it smaller. Make a smaller one.", True
        case _:
            last = result.stderr.strip().rpartition("\n")[2][:200]
            return f"it could not be read as a picture ({last or result.outcome.status}).", True


def _facts(image: Image) -> str:
    """Name, kind and size, for the model."""
    return f"{image.name or 'A picture'}: {image.media_type}, {_sides(image)}, {len(image.body):,} bytes"


def _sides(image: Image) -> str:
    sides = media.dimensions(image.body)
    return f"{sides[0]} x {sides[1]} pixels" if sides else "of unknown size"


def _text(text: str) -> Block:
    return {"type": "text", "text": text}
