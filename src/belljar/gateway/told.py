"""What the model is told of a tool's outcome. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from belljar import results
from belljar.gateway.history import tool_result
from belljar.gateway.placement import Container
from belljar.gateway.search import citing
from belljar.gateway.store import File
from belljar.gateway.tokens import cut
from belljar.gateway.tools import Edited, Failed, Image, Outcome, Ran, Searched

_LISTED_FILES = 50
_NOTED_FILES = 30
_TOLD_CHARTS = 8

Block = dict[str, Any]


def tell(
    use_id: str, outcome: Outcome, most_tokens: int, whole: str = "", pictures: Sequence[Block] = ()
) -> Block:
    """The `tool_result`: what was printed or seen, what else there is to know, and the pictures.

    Where the text has more than `most_tokens` it is cut; `whole` is where all of it can be read. `pictures` are
    those of the outcome as the model can be shown them.
    """
    match outcome:
        case Failed():
            text = f"The tool failed ({outcome.error_code}): {outcome.message}"
            return tool_result(use_id, [_text(text)], is_error=True)
        case Edited():
            return tool_result(use_id, [*_edited(outcome, most_tokens), *pictures], is_error=False)
        case Searched():
            return tool_result(use_id, citing.content(outcome.pages), is_error=False)
        case Ran():
            text = cut(printed(outcome), most_tokens, whole)
            content = [_text(text if text.strip() else "(no output)")]
            notes = [note for note in (_notes(outcome), _in_words(outcome.images)) if note]
            if notes:
                content.append(_text(cut("\n".join(notes), most_tokens)))
            content += pictures
            return tool_result(use_id, content, is_error=outcome.is_error)


def container_note(container: Container, *, has_code: bool) -> str:
    """What a container has from earlier requests; empty where nothing has happened in it."""
    names = [name if name.isprintable() else ascii(name) for name in container.given]
    parts = []
    if names:
        listed = ", ".join(names[:_NOTED_FILES])
        more = f" and {len(names) - _NOTED_FILES} more" if len(names) > _NOTED_FILES else ""
        parts.append(f"Files that were put or written there so far: {listed}{more}.")
    if has_code and container.state == "asleep":
        parts.append("Variables and imports of earlier code are gone, the files are kept.")
    elif has_code and container.last_word:
        # The keeper's own word on how the last run ended: what became of the variables stands in it.
        is_lost = "variables are lost" in container.last_word
        parts.append(
            container.last_word if is_lost else "Variables and imports of earlier code are still there."
        )
    return f"[The sandbox, as the last request left it. {' '.join(parts)}]" if parts else ""


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
    text: str = fields["content"] if fields["content"].strip() else "(empty)"
    last = fields["start_line"] + fields["num_lines"] - 1
    if fields["num_lines"] < fields["total_lines"]:
        text += f"\n[lines {fields['start_line']} to {last} of {fields['total_lines']}]"
    return text


def _edited(edited: Edited, most_tokens: int) -> list[Block]:
    content = [_text(cut(edit_text(edited), most_tokens))]
    if edited.note:
        content.append(_text(edited.note))
    if edited.pdf is not None:
        source = {"type": "base64", "media_type": "application/pdf", "data": edited.fields["content"]}
        content.append({"type": "document", "source": source})
    return content


def _in_words(images: Sequence[Image]) -> str:
    """What the charts among the pictures show: for models that cannot see, and for those that read a value wrong."""
    alts = [image.chart.alt for image in images[:_TOLD_CHARTS] if image.chart is not None]
    if len(alts) == 1:
        return f"The chart, by its data: {alts[0]}"
    return "\n".join(f"Chart {number}, by its data: {alt}" for number, alt in enumerate(alts, start=1))


def printed(ran: Ran) -> str:
    """What a run wrote, and the value of its last expression, as one text; an exception with what helps to mend it."""
    values = ran.values if ran.call is None else []
    parts = [ran.stdout.rstrip("\n"), *values, _with_help(ran).rstrip("\n")]
    return "\n".join(part for part in parts if part)


def _with_help(ran: Ran) -> str:
    """stderr; of code with what helps to mend it."""
    return ran.stderr if ran.call is not None else results.with_help(ran.stderr, ran.result.outputs)


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
    outcome = ran.result.outcome
    is_well = ran.call is not None and ran.return_code == 0
    if outcome.limit is not None and not is_well and outcome.status in {"completed", "raised", "exited"}:
        notes.append(outcome.message)  # of a limit that the kernel has held a part of it to
    if ran.return_code not in {0, 1} or (ran.call is not None and ran.return_code == 1):
        notes.append(f"Return code: {ran.return_code}.")
    return " ".join(notes)


def _listed(file: File, ran: Ran) -> str:
    was_there = ", changed" if file.id in ran.modified else ""
    return f"{file.path} ({file.mime_type}, {file.size_bytes} bytes{was_there})"


def _text(text: str) -> Block:
    return {"type": "text", "text": text}
