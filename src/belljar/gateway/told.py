"""What the model is told of a tool's outcome. Pure."""

from __future__ import annotations

import base64
from typing import Any

from belljar import results
from belljar.gateway.history import tool_result
from belljar.gateway.search import citing
from belljar.gateway.store import File
from belljar.gateway.tokens import cut
from belljar.gateway.tools import Edited, Failed, Image, Outcome, Ran, Searched
from belljar.wire import media

MODEL_IMAGES = 8
MODEL_IMAGE_BYTES = 5 * 1024 * 1024 * 3 // 4
"""Of one image, so that its base64 has at most 5 MiB: what model servers accept."""
MODEL_IMAGE_PIXELS = 8000
"""Of the longer side; a model server refuses the whole request for one that is larger."""
_LISTED_FILES = 50

Block = dict[str, Any]


def tell(use_id: str, outcome: Outcome, most_tokens: int, whole: str = "") -> Block:
    """The `tool_result`: what was printed or seen, what else there is to know, and the pictures.

    Where the text has more than `most_tokens` it is cut; `whole` is where all of it can be read.
    """
    match outcome:
        case Failed():
            text = f"The tool failed ({outcome.error_code}): {outcome.message}"
            return tool_result(use_id, [_text(text)], is_error=True)
        case Edited():
            return tool_result(use_id, _edited(outcome, most_tokens), is_error=False)
        case Searched():
            return tool_result(use_id, citing.content(outcome.pages), is_error=False)
        case Ran():
            content = [_text(cut(printed(outcome), most_tokens, whole) or "(no output)")]
            if notes := _notes(outcome):
                content.append(_text(notes))
            content += _pictures(outcome.images)
            return tool_result(use_id, content, is_error=outcome.is_error)


def image_source(image: Image) -> dict[str, str]:
    return {"type": "base64", "media_type": image.media_type, "data": base64.b64encode(image.body).decode()}


def edit_text(edited: Edited) -> str:
    """An edit in words."""
    fields = edited.fields
    if edited.command == "create":
        return (
            "The file was written, over one that was there."
            if fields["is_file_update"]
            else "The file was made."
        )
    if edited.command == "str_replace":
        head = (
            f"@@ -{fields['old_start']},{fields['old_lines']} +{fields['new_start']},{fields['new_lines']} @@"
        )
        return "\n".join([head, *fields["lines"]])
    if fields["file_type"] != "text":
        return f"[{'A PDF' if fields['file_type'] == 'pdf' else 'An image'}]"
    text: str = fields["content"] or "(empty)"
    last = fields["start_line"] + fields["num_lines"] - 1
    if fields["num_lines"] < fields["total_lines"]:
        text += f"\n[lines {fields['start_line']} to {last} of {fields['total_lines']}]"
    return text


def _edited(edited: Edited, most_tokens: int) -> list[Block]:
    content = [_text(cut(edit_text(edited), most_tokens))]
    if edited.note:
        content.append(_text(edited.note))
    if edited.image is not None:
        content += _pictures([edited.image])
    if edited.pdf is not None:
        source = {"type": "base64", "media_type": "application/pdf", "data": edited.fields["content"]}
        content.append({"type": "document", "source": source})
    return content


def _pictures(images: list[Image]) -> list[Block]:
    """The pictures that a model can be shown, and a word on the others."""
    fitting = [image for image in images if _fits(image)][:MODEL_IMAGES]
    blocks: list[Block] = [{"type": "image", "source": image_source(image)} for image in fitting]
    if left_out := len(images) - len(fitting):
        blocks.append(
            _text(
                f"{left_out} picture(s) are not shown to you: there may be {MODEL_IMAGES}, each of at most "
                f"{MODEL_IMAGE_PIXELS} pixels a side and {MODEL_IMAGE_BYTES // 2**20} MiB. Make smaller ones."
            )
        )
    return blocks


def _fits(image: Image) -> bool:
    sides = media.dimensions(image.body)
    return len(image.body) <= MODEL_IMAGE_BYTES and (sides is None or max(sides) <= MODEL_IMAGE_PIXELS)


def printed(ran: Ran) -> str:
    """What a run wrote, and the value of its last expression, as one text; an exception with what helps to mend it."""
    values = ran.values if ran.call is None else []
    parts = [ran.stdout.rstrip("\n"), *values, _with_help(ran).rstrip("\n")]
    return "\n".join(part for part in parts if part)


def _with_help(ran: Ran) -> str:
    """stderr, in which the traceback is the one in brief, with the values and the hint behind it."""
    raised = next((o for o in ran.result.outputs if isinstance(o, results.Raised)), None)
    if raised is None or ran.call is not None:
        return ran.stderr
    before, plain, behind = ran.stderr.rpartition("\n".join(raised.traceback))
    return before + "\n".join([*(raised.brief or [plain]), *raised.notes]) + behind


def _notes(ran: Ran) -> str:
    notes = []
    if ran.figures:
        notes.append(f"{len(ran.figures)} figure(s) were shown to the user.")
    if ran.files:
        listed = [_listed(file, ran) for file in ran.files[:_LISTED_FILES]]
        left_out = ran.result.files_left_out if ran.call is None else 0
        more = len(ran.files) + left_out - len(listed)
        notes.append(
            f"Files handed to the user: {', '.join(listed)}{f' and {more} more' if more > 0 else ''}."
        )
    if ran.archive is not None:
        notes.append(ran.archive.word)
    if ran.result.deleted and ran.call is None:
        gone = ran.result.deleted[:_LISTED_FILES]
        more = len(ran.result.deleted) + ran.result.deleted_left_out - len(gone)
        notes.append(f"Deleted: {', '.join(gone)}{f' and {more} more' if more > 0 else ''}.")
    if ran.return_code not in {0, 1} or (ran.call is not None and ran.return_code == 1):
        notes.append(f"Return code: {ran.return_code}.")
    return " ".join(notes)


def _listed(file: File, ran: Ran) -> str:
    was_there = ", changed" if file.id in ran.modified else ""
    return f"{file.path} ({file.mime_type}, {file.size_bytes} bytes{was_there})"


def _text(text: str) -> Block:
    return {"type": "text", "text": text}
