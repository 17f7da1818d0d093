"""Pictures of results as models are shown them: made smaller in a jail of their own where they are over the budget."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from chatting import ChatModel
from fakes import Keepers, open_placement, settings
from serving import TOOL, Model, Server, code, serving, text

from belljar import link, orders
from belljar.gateway import pictures
from belljar.gateway.pictures import Pictures
from belljar.gateway.tools import Image
from belljar.gateway.upstream import IMAGE_EDGE, Traits
from belljar.records import Limits
from belljar.settings import Settings
from belljar.wire import media

DRAWN = """
from PIL import Image
Image.effect_noise((1960, 200), 90).save("noise.png")
Image.new("RGBA", (40, 20), (255, 0, 0, 128)).save("small.png")
"""


def ask(words: str, **more: Any) -> dict[str, Any]:
    body = {
        "model": "m",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": words}],
        "tools": [TOOL],
    }
    return body | more


def seen(message: dict[str, Any]) -> list[dict[str, Any]]:
    return list(message["content"][0]["content"])


def body_of(block: dict[str, Any]) -> bytes:
    return base64.b64decode(block["source"]["data"])


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """With what it says of itself, and no more than these rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_a_picture_over_the_budget_is_made_smaller_for_the_model_alone(
    http: httpx2.Client, server: Server, model: Model
) -> None:
    model.play([code(DRAWN)], [text("Seen.")], [text("Seen again.")])
    first = http.post("/v1/messages", json=ask("Draw."), headers={"belljar-profile": "inline"}).json()
    shown = [block for block in seen(model.requests[1]["messages"][-1]) if block["type"] == "image"]
    assert sorted(media.dimensions(body_of(block)) or () for block in shown) == [(40, 20), (1568, 160)]
    told = " ".join(
        block["text"] for block in seen(model.requests[1]["messages"][-1]) if block["type"] == "text"
    )
    assert "noise.png: image/png, 1960 x 200 pixels" in told
    assert "You see it at 1568 x 160 pixels" in told
    originals = [
        base64.b64decode(block["output"]["data"])
        for block in first["content"]
        if block.get("output", {}).get("type") == "image"
    ]
    assert sorted(media.dimensions(one) or () for one in originals) == [(40, 20), (1960, 200)]
    large = max(originals, key=len)
    # What comes back with the conversation is sized as it was the first time.
    again = [
        {"role": "user", "content": "Draw."},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [text("And?"), {"type": "image", "source": as_source(large)}]},
    ]
    http.post("/v1/messages", json=ask("", messages=again), headers={"belljar-profile": "inline"})
    resent = model.requests[2]["messages"]
    kept = [block for block in seen(resent[2]) if block["type"] == "image"]
    assert [body_of(block) for block in kept] == [body_of(block) for block in shown]
    own = [block for block in resent[-1]["content"] if block["type"] == "image"]
    assert [body_of(block) for block in own] == [large], "what the user sends goes on as it came"


def as_source(body: bytes) -> dict[str, str]:
    return {"type": "base64", "media_type": "image/png", "data": base64.b64encode(body).decode()}


def test_what_a_table_says_of_pictures(tmp_path: Path) -> None:
    with ChatModel() as chat:
        (tmp_path / "models.toml").write_text(
            f'[[upstream]]\nname = "local"\nkind = "openai"\nurl = "{chat.url}"\n'
            '[[model]]\nid = "blind"\nupstream = "local"\nimages = false\nresult_tokens = 100\n'
            '[[model]]\nid = "narrow"\nupstream = "local"\nimage_edge = 300\nimage_bytes = 20000\n'
        )
        with (
            serving(tmp_path / "state", models=str(tmp_path / "models.toml"), preload={}, parked=0) as server,
            httpx2.Client(base_url=server.url, timeout=60) as http,
        ):
            chat.play(
                [code(DRAWN + "print('x' * 2000)")], [text("It is drawn.")], [code(DRAWN)], [text("I see.")]
            )
            official = {"belljar-profile": "anthropic"}
            blind = http.post("/v1/messages", json=ask("Draw.", model="blind"), headers=official).json()
            result = next(one for one in chat.requests[1]["messages"] if one["role"] == "tool")
            assert "small.png: image/png, 40 x 20 pixels" in result["content"]
            assert "You cannot look at pictures" in result["content"]
            assert "bytes in 1 lines left out; all of it is in output-1.txt" in result["content"]
            assert "image_url" not in json.dumps(chat.requests[1])
            assert len(files_of(blind)) == 2
            http.post("/v1/messages", json=ask("Draw.", model="narrow"))
            urls = [
                part["image_url"]["url"]
                for part in chat.requests[3]["messages"][-1]["content"]
                if part["type"] == "image_url"
            ]
            bodies = [base64.b64decode(url.partition("base64,")[2]) for url in urls]
            assert all(len(body) <= 20_000 for body in bodies)
            sides = [media.dimensions(body) or (0, 0) for body in bodies]
            assert (40, 20) in sides
            assert all(max(pair) <= 300 for pair in sides)


def files_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = [block for block in message["content"] if block["type"] == "code_execution_tool_result"]
    return list(blocks[0]["content"]["content"])


KINDS = """
import sys
from PIL import Image
place = sys.argv[1] + "/"
drawn = Image.linear_gradient("L").resize((2000, 100)).convert("RGB")
drawn.convert("CMYK").save(place + "cmyk.jpg")
drawn.convert("P").save(place + "moves.gif", save_all=True, append_images=[Image.new("P", (2000, 100), 3)])
drawn.convert("I").point(lambda value: value * 257).convert("I;16").save(place + "deep.png")
drawn.convert("LA").save(place + "see-through.png")
drawn.save(place + "modern.webp")
turned = Image.Exif()
turned[0x0112] = 6
drawn.save(place + "turned.jpg", exif=turned)
"""


@pytest.mark.anyio
async def test_every_kind_of_picture(tmp_path: Path) -> None:
    """Written by the runtime's own library."""
    (tmp_path / "pictures").mkdir()
    python = Settings().runtime / "bin" / "python"
    command = [python, "-c", KINDS, tmp_path / "pictures"]
    await anyio.run_process([str(part) for part in command])
    sides = {}
    async with open_pictures(tmp_path / "state") as shown:
        for path in (tmp_path / "pictures").iterdir():
            body = path.read_bytes()
            image = Image(media.media_type(path.name, body[: media.HEAD_BYTES]), body, path.name)
            seen, note = await shown.blocks([image], Traits(image_edge=400), "t")
            sides[path.name] = seen["source"]["media_type"], media.dimensions(body_of(seen))
            assert path.name in note["text"]
    png, jpeg = ("image/png", (400, 20)), "image/jpeg"
    assert sides == {
        "cmyk.jpg": (jpeg, (400, 20)),
        "turned.jpg": (jpeg, (20, 400)),
        **dict.fromkeys(("moves.gif", "deep.png", "see-through.png", "modern.webp"), png),
    }


@asynccontextmanager
async def open_pictures(state: Path, **more: object) -> AsyncIterator[Pictures]:
    wanted = settings(state, preload={}, parked=0, **more)
    async with open_placement(wanted, link.start) as placement:
        yield Pictures(placement, wanted)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(png(30_000, 30_000), "more than 100,000,000 pixels", id="huge"),
        pytest.param(png(9000, 9000, bytes(1000)), "could not be read as a picture", id="hollow"),
        pytest.param(b"\xff\xd8\xff" + bytes(500), "could not be read as a picture", id="no picture"),
        pytest.param(b"GIF89a\x00\x00\x00\x00" + bytes(50), "could not be read as a picture", id="no sides"),
    ],
)
async def test_pictures_that_are_none(tmp_path: Path, body: bytes, says: str) -> None:
    async with open_pictures(tmp_path) as shown:
        kind = media.media_type("", body)
        (block,) = await shown.blocks([Image(kind, body, "odd.png")], Traits(), "t")
        assert block["type"] == "text"
        assert "odd.png" in block["text"]
        assert says in block["text"]


@pytest.mark.anyio
async def test_a_picture_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code is stopped with its session, and the model is told why it sees nothing."""
    monkeypatch.setattr(pictures, "_CODE", "while True: pass")
    monkeypatch.setattr(pictures, "_RUN_SECONDS", 0.2)
    async with open_pictures(tmp_path) as shown:
        (block,) = await shown.blocks([Image("image/png", png(2000, 2000))], Traits(), "t")
        assert "took too long" in block["text"]
        assert shown._placement.load.containers == 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    "made", [png(IMAGE_EDGE + 1, 4), b"<svg/>", b"GIF89a\x04\x00\x04\x00" + bytes(50), bytes(6_000_000)]
)
async def test_what_comes_back_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bytes
) -> None:
    written = f"import zlib\nopen('smaller', 'wb').write(zlib.decompress({zlib.compress(made)!r}))"
    monkeypatch.setattr(pictures, "_CODE", written)
    async with open_pictures(tmp_path) as shown:
        (block,) = await shown.blocks([Image("image/png", png(2000, 2000))], Traits(), "t")
        assert "could not be made smaller" in block["text"]


@pytest.mark.anyio
async def test_no_more_than_a_few_of_a_result(tmp_path: Path) -> None:
    async with open_pictures(tmp_path) as shown:
        content = await shown.blocks([Image("image/png", png(4, 4))] * 20, Traits(), "t")
    assert [block["type"] for block in content] == ["image"] * 8 + ["text"]
    assert content[-1]["text"].startswith("[12 more picture(s)")


@pytest.mark.anyio
async def test_where_every_place_is_taken_the_answer_does_not_wait_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_SECONDS", 0.1)
    wanted = settings(tmp_path, max_sessions=1)
    async with open_placement(wanted, Keepers().start) as placement:
        container = await placement.create(Limits(), "t")
        async with placement.use(container.id) as session:
            await session.execute(orders.Run("1", 30))
            (block,) = await Pictures(placement, wanted).blocks(
                [Image("image/png", png(2000, 2000))], Traits(), "t"
            )
        assert "no time left" in block["text"]
        assert placement.load.containers == 1
