"""Runs what the model's uses of our tools ask for, in the container of one request.

In the order of the uses: what stands between two Python cells runs side by side, first searches, then shell commands
and edits; cells, which share an interpreter, run one after the other. A cell that waits for the caller's tools ends the
request, and what stands behind it in the same turn is run by the next one.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import count

import structlog

from belljar import errors, orders, results
from belljar.gateway import tokens
from belljar.gateway.activity import Activity
from belljar.gateway.attachments import Attachment, Upload, digest_of
from belljar.gateway.feed import Feed, watched
from belljar.gateway.files import Files
from belljar.gateway.history import Block
from belljar.gateway.kept import run_calls, run_code
from belljar.gateway.offered import Offered
from belljar.gateway.pending import Own, PendingCode, PendingRuns
from belljar.gateway.placement import Container, Placement, Session
from belljar.gateway.runtimes import Choices
from belljar.gateway.searching import Searches
from belljar.gateway.sse import Event
from belljar.gateway.tokens import cut
from belljar.gateway.told import printed
from belljar.gateway.tools import (
    CODE,
    EDITOR,
    SEARCH,
    Edited,
    Failed,
    Outcome,
    Ran,
    Searched,
    code_execution,
    text_editor,
)
from belljar.gateway.turn import Use
from belljar.logged import words_of
from belljar.settings import Settings
from belljar.wire.ids import new_id

log = structlog.get_logger("belljar.gateway")

Tell = Callable[[str, Event], Awaitable[None]]
"""Passes on what a cell has shown: by the client's id of its use."""


@dataclass(frozen=True)
class Parts:
    """What answers are made with. Made once, by the application."""

    settings: Settings
    placement: Placement
    pending: PendingRuns
    files: Files
    runtimes: Choices


@dataclass(frozen=True)
class Waiting:
    """Code that has called the caller's tools: each call by its id, with the tool's own name, and its input."""

    calls: list[tuple[str, str, dict[str, object]]]


@dataclass(frozen=True)
class Nested:
    """A use by code, which was answered here: the model does not hear of it."""

    outcome: Outcome
    by: str
    """The client's id of the code's use."""
    is_over: bool
    """The code has ended."""


@dataclass(frozen=True)
class Replies:
    """What the caller says to code that waits."""

    asked: Mapping[str, Sequence[str]]
    """By the client's id of the code's use: the ids of the calls that it has made."""
    answers: Mapping[str, Block]
    """The tool results of the last message, by the id of the call."""


class Running:
    """The container of one request, and what runs in it. `stack` is the request's: its end lets go of the container."""

    def __init__(
        self,
        parts: Parts,
        offered: Offered,
        activity: Activity,
        stack: AsyncExitStack,
        is_told: Callable[[], bool],
        searches: Searches | None,
        most_tokens: int,
        runtime: str,
        tell: Tell | None = None,
    ) -> None:
        self._parts = parts
        self._runtime = runtime
        """Of a container that is to be made."""
        self._activity = activity
        self._stack = stack
        self._tell = tell
        self._client = activity.client
        self._meter = activity.meter
        self._files = parts.files.of(activity.client.tenant, activity.client.most_stored_bytes)
        self._is_told = is_told
        self._tools = {tool.name: tool for tool in offered.tools}
        self._functions = {code_execution.function_name(tool["name"]): tool for tool in offered.for_code}
        self._searches = searches
        self._most_tokens = most_tokens
        self._own: Own = {SEARCH: searches.answer} if searches and offered.searches_in_code else {}
        self.container: Container | None = None
        self._searched: list[tuple[results.Ask, Outcome]] = []
        """What code has searched for, and nobody was told of yet."""
        self.put: list[Attachment] = []
        """Files to be there before anything runs."""
        self.brings: set[str] = set()
        """The ids of the uploads that the last message has: they are to be there even if nothing runs."""

    async def hold(self, container_id: str) -> Container:
        """Have the request's container be this one."""
        container = await self._stack.enter_async_context(self._parts.placement.hold(container_id))
        self.container = container
        self._activity.container_id = container.id
        return container

    def keep_whole(self, outcome: Outcome) -> str:
        """Have what was printed lie in the container, where it is too long for the model; its name, or nothing."""
        text = printed(outcome) if isinstance(outcome, Ran) else ""
        if cut(text, self._most_tokens) == text:
            return ""
        body = text.encode("utf-8", "replace")
        digest = digest_of(body)
        taken = {attachment.name for attachment in self.put} | set(
            self.container.given if self.container else ()
        )
        name = next(name for n in count(1) if (name := f"output-{n}.txt") not in taken)
        self.put.append(Attachment(name, body, digest))
        return name

    async def run(
        self, uses: Sequence[Use], replies: Replies
    ) -> AsyncIterator[tuple[Use, Outcome | Waiting | Nested]]:
        """What each use comes to, in order, code behind what it has searched for. Nothing follows one that waits."""
        at = 0
        while at < len(uses):
            group = _group(uses[at:])
            at += len(group)
            for use in group:
                if use.client_id not in replies.asked and use.name != SEARCH:
                    self._meter.began(use.name)
                    self._meter.code_tokens += tokens.of_given(use.input)
            if group[0].name == CODE:
                outcome = await self._cell(group[0], replies)
                for nested in self._nested(group[0], is_over=not isinstance(outcome, Waiting)):
                    yield nested
                yield group[0], outcome
                if isinstance(outcome, Waiting):
                    return
            else:
                found = iter(await self._search([use for use in group if use.name == SEARCH]))
                done = iter(await self._calls([use for use in group if use.name != SEARCH]))
                for use in group:
                    yield use, next(found if use.name == SEARCH else done)

    async def bring_uploads(self) -> None:
        """Have what the last message brings lie in a container, whether anything has run or not.

        A client that names the container afterwards need not send it again. Where there is no place for a container
        the answer has none: it is good without.
        """
        given = self.container.given.values() if self.container is not None else ()
        if self.brings.issubset(given):
            return
        try:
            container = self.container or await self._make()
            async with self._parts.placement.use(container.id) as session:
                await self._give(session)
        except errors.BelljarError as error:
            log.info(
                "uploads were not put into a container",
                container=self._activity.container_id,
                why=words_of(error),
            )
            if self.container is not None and self._parts.placement.is_gone(self.container.id):
                self.container = None

    async def _make(self) -> Container:
        """A new container. Its id is told when the answer is finished: where that does not come, nobody can use it."""
        container = await self._parts.placement.create(
            self._parts.settings.limits(),
            self._client.tenant,
            self._client.most_containers,
            runtime=self._runtime,
        )

        async def end_unless_told() -> None:
            if not self._is_told():
                await self._parts.placement.discard(container.id, "the request that made it did not finish")

        self._stack.push_async_callback(end_unless_told)
        return await self.hold(container.id)

    # -- searches ------------------------------------------------------------------------------------------

    async def _search(self, uses: Sequence[Use]) -> list[Outcome]:
        """Search side by side."""
        if not uses:
            return []
        assert self._searches is not None  # else nobody was offered the tool
        done = await self._searches.run_all([use.input for use in uses])
        self._meter.own_searches += sum(isinstance(outcome, Searched) for outcome in done)
        return list(done)

    def _nested(self, use: Use, *, is_over: bool) -> list[tuple[Use, Nested]]:
        """What the code of a use has searched for since its last step."""
        searched, self._searched = self._searched, []
        self._meter.own_searches += sum(isinstance(outcome, Searched) for _, outcome in searched)
        return [
            (Use("", new_id("srvtoolu"), ask.name, ask.input), Nested(outcome, use.client_id, is_over))
            for ask, outcome in searched
        ]

    # -- shell commands and edits --------------------------------------------------------------------------

    async def _calls(self, uses: Sequence[Use]) -> list[Outcome]:
        """Run a group of shell commands and edits side by side."""
        asked = [self._tools[use.name].asked(use.input) for use in uses]
        calls = [call for call in asked if isinstance(call, orders.Command | orders.Edit)]
        done: Sequence[Outcome] = []
        note = ""
        if calls:
            called = [use for use, call in zip(uses, asked, strict=True) if not isinstance(call, Failed)]
            try:
                done, note = await self._called(called, calls)
            except errors.BelljarError as error:
                done = [self._failed(error)] * len(calls)
        outcomes: list[Outcome] = []
        left = iter(done)
        for use, call in zip(uses, asked, strict=True):
            if isinstance(call, Failed):
                outcomes.append(call)
                continue
            outcome = next(left)
            if use.name == EDITOR and not isinstance(outcome, Failed):
                outcome = _edited(outcome)
            if note and isinstance(outcome, Ran | Edited):
                outcome, note = replace(outcome, note=note), ""
            outcomes.append(outcome)
        return outcomes

    async def _called(
        self, uses: Sequence[Use], calls: Sequence[orders.Command | orders.Edit]
    ) -> tuple[list[Ran], str]:
        """What the calls of these uses come to, and what is to be said of a container that was restored for them."""
        what = orders.Run(None, self._parts.settings.timeout_seconds, calls=calls)
        names = [use.name for use in uses]

        async def run(feed: Feed | None = None) -> tuple[list[Ran], str]:
            async with self._parts.placement.use(container.id) as session:
                with self._client.execution():
                    await self._begin(session)
                    running = run_calls(session, what, self._files, None if feed is None else feed.add)
                    ran = await self._activity.execution(names, running)
                return ran, session.restored

        container = self.container or await self._make()
        if (tell := self._tell) is None:
            return await run()

        async def told(event: Event) -> None:
            call = event.pop("call", None)
            # Else it comes from something that an earlier cell has left.
            if call is not None:
                await tell(uses[call].client_id, event)

        return await watched(run, told)

    # -- Python cells --------------------------------------------------------------------------------------

    async def _cell(self, use: Use, replies: Replies) -> Outcome | Waiting:
        if use.client_id in replies.asked:
            return await self._resume(use, replies)
        code = code_execution.asked(use.input)
        if isinstance(code, Failed):
            return code
        tools = [
            orders.Tool(function, str(tool.get("description") or ""))
            for function, tool in self._functions.items()
        ]
        what = orders.Run(code, self._parts.settings.timeout_seconds, tools=tools)

        async def execute(
            session: Session,
            on_asks: Callable[[results.Asks], None] | None = None,
            on_event: Callable[[results.Event], None] | None = None,
        ) -> Outcome:
            with self._client.execution():
                await self._begin(session)
                running = run_code(
                    session, what, self._files, keep_figures=True, on_event=on_event, on_asks=on_asks
                )
                # Of code that can wait for the caller, the request counts in which it ends.
                ran = await self._activity.execution([CODE], running, is_metered=not tools)
                return replace(ran, note=session.restored)

        async def alone(feed: Feed | None = None) -> Outcome:
            async with self._parts.placement.use(container.id) as session:
                return await execute(session, on_event=None if feed is None else feed.add)

        try:
            container = self.container or await self._make()
            if not tools and (tell := self._tell) is not None:
                return await watched(alone, lambda event: tell(use.client_id, event))
            if not tools:
                return await alone()
            run = self._parts.pending.start(container.id, use.client_id, execute, self._own)
            return await self._step(run)
        except errors.BelljarError as error:
            return self._failed(error)

    async def _resume(self, use: Use, replies: Replies) -> Outcome | Waiting:
        """Go on with code that has waited for the caller."""
        container = self.container
        run = self._parts.pending.find(container.id, use.client_id) if container is not None else None
        if run is None:
            return Failed("unavailable", "The code that waited for these tools is gone, with its variables.")
        for call in replies.asked[use.client_id]:
            if call in run.waits_for:
                await run.reply(call, *_answer(replies.answers.get(call)))
        try:
            return await self._step(run)
        except errors.BelljarError as error:
            return self._failed(error)

    async def _step(self, run: PendingCode) -> Outcome | Waiting:
        assert self.container is not None
        began = time.perf_counter()
        try:
            found = await run.step()
            self._searched = run.answered()
        except BaseException:
            if run.has_run:
                self._meter.ran(time.perf_counter() - began)
            if not run.is_waited_for:
                self._parts.pending.forget(self.container.id, run)
            raise
        if isinstance(found, list):
            calls = []
            for call, ask in found:
                tool = self._functions.get(ask.name)
                calls.append((call, str(tool["name"]) if tool else ask.name, ask.input))
            return Waiting(calls)
        self._parts.pending.forget(self.container.id, run)
        if isinstance(found, Ran):
            self._meter.ran(found.result.usage.wall_seconds)
        return found

    async def _begin(self, session: Session) -> None:
        """Put the attachments into place; from here on code has perhaps run."""
        await self._give(session)
        self._activity.has_run_code = True

    async def _give(self, session: Session) -> None:
        for attachment in self.put:
            body = attachment.body
            if isinstance(body, Upload):
                await session.give(attachment.name, attachment.digest, self._files.reader(body.file_id))
            else:
                await session.give(attachment.name, attachment.digest, body)

    def _failed(self, error: errors.BelljarError) -> Failed:
        """What a use has come to that could not be run. Raises `error` where the whole request is to fail."""
        match error:
            case errors.Overloaded() | errors.RateLimited():
                if not self._activity.has_run_code:
                    raise error
                return Failed("too_many_requests", str(error))
            case (
                errors.KeeperLost()
                | errors.SessionLost()
                | errors.NotFound()
                | errors.NotKept()
                | errors.JailUnavailable()
            ):
                is_there = self.container and not self._parts.placement.is_gone(self.container.id)
                if not (
                    is_there and isinstance(error, errors.NotFound)
                ):  # else it was an upload that is gone
                    self.container = None  # what comes next gets a new one
                return Failed("unavailable", str(error))
            case _:
                raise error


def _group(uses: Sequence[Use]) -> Sequence[Use]:
    """The first use, with those behind it that can run beside it."""
    if uses[0].name == CODE:
        return uses[:1]
    end = next((at for at, use in enumerate(uses) if use.name == CODE), len(uses))
    return uses[:end]


def _edited(outcome: Outcome) -> Outcome:
    """An edit's own result, out of the run that it was a call of."""
    assert isinstance(outcome, Ran) and outcome.call is not None
    return text_editor.edited(outcome.result.calls[outcome.call], outcome.result.outcome.message)


def _answer(block: Block | None) -> tuple[orders.ReplyStatus, str]:
    """What the code gets of a `tool_result`: the texts in it."""
    if block is None:
        return "failed", "The caller has sent no result of this call."
    content = block.get("content")
    if isinstance(content, list):
        texts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
        text = "\n".join(str(part.get("text") or "") for part in texts)
    else:
        text = str(content or "")
    return ("failed" if block.get("is_error") else "answered"), text
