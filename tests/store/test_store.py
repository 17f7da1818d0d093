"""What every store keeps its word on. A second back-end is a second parameter."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from belljar.errors import StoreFailed
from belljar.gateway.store import File, GroupBy, Key, KnownContainer, Store, UsageRow
from belljar.gateway.store.sqlite import SqliteStore, open_store

pytestmark = pytest.mark.anyio

FILE = File("file_1", "default", "a.csv", "sub/a.csv", "text/csv", 12, "container_1", 1_000_000, 2_000_000)
ROOM = 2**40
KEY = Key("key_1", "mine", "default", "ab12", 60, None, 3, 10**12, 1_000_000)

CONTAINER = KnownContainer(
    "container_1", "default", '{"pids": 8}', 1_000_000, 1_500_000, 2_000_000, "awake", None, None, "{}"
)

DAY = 86_400_000_000
USED = UsageRow(
    *("req_1", 20_000 * DAY, "default", "key_1", "POST /v1/messages", "small", 200),
    *(100, 10, 1, 2, 3, 4, 5, 6, 7_000_000, 8, 9, "mine", "EUR", 1_000, 300_000_000, 1),
)


@asynccontextmanager
async def sqlite(place: Path) -> AsyncIterator[Store]:
    async with open_store(place / "deep" / "belljar.sqlite3") as store:
        yield store


@pytest.fixture(params=[sqlite], ids=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with request.param(tmp_path) as opened:
        yield opened


async def test_a_record_comes_back_as_it_was(store: Store) -> None:
    await store.add_file(FILE, ROOM, 100)
    assert await store.find_file("default", "file_1") == FILE
    assert await store.find_file("default", "file_2") is None


async def test_a_record_belongs_to_its_tenant(store: Store) -> None:
    await store.add_file(FILE, ROOM, 100)
    assert await store.find_file("other", "file_1") is None
    assert not await store.remove_file("other", "file_1")
    assert await store.remove_file("default", "file_1")
    assert not await store.remove_file("default", "file_1")


async def test_expiry_is_oldest_first_and_of_every_tenant(store: Store) -> None:
    await store.add_file(
        replace(FILE, id="file_2", tenant="other", expires_at=1_500_000, container_id=None), ROOM, 100
    )
    await store.add_file(FILE, ROOM, 100)
    await store.add_file(replace(FILE, id="file_3", expires_at=3_000_000), ROOM, 100)
    assert [file.id for file in await store.expired_files(2_000_000)] == ["file_2", "file_1"]
    assert await store.all_file_ids() == {"file_1", "file_2", "file_3"}


async def test_names_are_data(store: Store) -> None:
    nasty = replace(FILE, filename="'); DROP TABLE files; --", path="\u00e4\U0001f600\n")
    await store.add_file(nasty, ROOM, 100)
    assert await store.find_file("default", "file_1") == nasty


async def test_many_at_once(store: Store) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(store.add_file, replace(FILE, id=f"file_{number}"), ROOM, 100)
    assert len(await store.all_file_ids()) == 50


async def test_records_outlive_the_store(tmp_path: Path) -> None:
    async with sqlite(tmp_path) as store:
        await store.add_file(FILE, ROOM, 100)
    async with sqlite(tmp_path) as store:
        assert await store.find_file("default", "file_1") == FILE


async def test_pages_both_ways(store: Store) -> None:
    for number in range(5):
        await store.add_file(
            replace(FILE, id=f"file_{number}", container_id=f"container_{number % 2}"), ROOM, 100
        )
    await store.add_file(replace(FILE, id="file_7", tenant="other"), ROOM, 100)

    def names(found: list[File]) -> list[str]:
        return [file.id.removeprefix("file_") for file in found]

    assert names(await store.older_files("default", None, None, 2)) == ["4", "3"]
    assert names(await store.older_files("default", "file_3", None, 2)) == ["2", "1"]
    assert names(await store.newer_files("default", "file_1", None, 2)) == ["2", "3"]
    assert names(await store.older_files("default", None, "container_1", 9)) == ["3", "1"]
    assert names(await store.newer_files("default", "file_0", "container_0", 9)) == ["2", "4"]
    await store.remove_file("default", "file_3")
    assert names(await store.older_files("default", "file_3", None, 2)) == ["2", "1"]
    assert names(await store.find_files("default", ["file_1", "file_7", "file_9", "file_4"])) == ["4", "1"]


async def test_a_tenant_has_so_much_room(store: Store) -> None:
    assert await store.add_file(FILE, 12, 100)
    assert not await store.add_file(replace(FILE, id="file_2"), 23, 100)
    assert await store.find_file("default", "file_2") is None
    assert await store.add_file(replace(FILE, id="file_2"), 24, 100)
    assert await store.add_file(replace(FILE, id="file_3", tenant="other"), 12, 100)
    assert await store.stored_bytes("default", 1_999_999) == 24
    assert await store.stored_bytes("default", 2_000_000) == 0
    # What has expired takes none.
    assert await store.add_file(
        replace(FILE, id="file_4", created_at=2_000_000, expires_at=3_000_000), 12, 100
    )


async def test_a_tenant_has_so_many_files(store: Store) -> None:
    assert await store.add_file(FILE, ROOM, 1)
    assert not await store.add_file(replace(FILE, id="file_2"), ROOM, 1)
    assert await store.add_file(replace(FILE, id="file_3", tenant="other"), ROOM, 1)
    # What has expired is none of them.
    later = replace(FILE, id="file_4", created_at=2_000_000, expires_at=3_000_000)
    assert await store.add_file(later, ROOM, 1)


async def test_a_marked_record_stays_until_it_is_old(store: Store) -> None:
    await store.add_file(FILE, ROOM, 100)
    await store.add_file(replace(FILE, id="file_2"), ROOM, 100)
    await store.mark_emptied("file_1")
    assert [file.id for file in await store.expired_files(2_000_000)] == ["file_2"]
    assert await store.all_file_ids() == {"file_2"}
    await store.remove_emptied_files(1_999_999)
    assert await store.find_file("default", "file_1") == FILE
    await store.remove_emptied_files(2_000_000)
    assert await store.find_file("default", "file_1") is None
    assert await store.find_file("default", "file_2") is not None


async def test_keys(store: Store) -> None:
    assert await store.add_key(KEY)
    assert not await store.add_key(replace(KEY, id="key_2", digest="cd"))  # the name is taken
    assert await store.add_key(replace(KEY, id="key_2", name="yours", digest="cd"))
    assert await store.all_keys() == [KEY, replace(KEY, id="key_2", name="yours", digest="cd")]
    assert await store.revoke_key("mine", 5)
    assert not await store.revoke_key("mine", 6)
    assert await store.revoke_key("key_2", 7)
    assert [key.revoked_at for key in await store.all_keys()] == [5, 7]
    assert await store.add_key(replace(KEY, id="key_3", digest="ef"))  # and free again


async def test_a_keys_budget_comes_back(store: Store) -> None:
    key = replace(KEY, budget=12_500_000, budget_period="total")
    assert await store.add_key(key)
    assert await store.all_keys() == [key]


async def test_others_go_on_while_usage_is_added_up(tmp_path: Path) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def hold() -> int:
        begun.set()
        return 0 if may_end.wait(60) else 1

    async with sqlite(tmp_path) as store, anyio.create_task_group() as tasks:
        assert isinstance(store, SqliteStore)
        await store.add_usage([USED])
        store._summing.set_progress_handler(hold, 1)
        tasks.start_soon(store.usage_totals, "tenant", USED.at, USED.at + 1, None)
        with anyio.fail_after(60):
            await anyio.to_thread.run_sync(begun.wait)
            assert await store.add_key(KEY)
            await store.add_usage([replace(USED, request_id="req_2")])
        may_end.set()


async def test_usage_is_added_up_in_groups(store: Store) -> None:
    await store.add_usage(
        [
            USED,
            replace(USED, request_id="req_2", at=USED.at + 1, key_id=None, model="large"),
            replace(USED, request_id="req_3", at=USED.at + DAY, tenant="other", currency=None, amount=0),
        ]
    )
    start, end = USED.at, USED.at + 2 * DAY

    async def groups(by: GroupBy, tenant: str | None = None) -> list[tuple[str, int, int]]:
        found = await store.usage_totals(by, start, end, tenant)
        return [(total.what, total.requests, total.amount) for total in found]

    assert await groups("tenant") == [("default", 2, 2_000), ("other", 1, 0)]
    assert await groups("tenant", "other") == [("other", 1, 0)]
    assert await groups("day") == [("20000", 2, 2_000), ("20001", 1, 0)]
    assert sorted(await groups("model")) == [("large", 1, 1_000), ("small", 1, 0), ("small", 1, 1_000)]
    assert await groups("key", "default") == [("", 1, 1_000), ("key_1", 1, 1_000)]
    (total,) = await store.usage_totals("model", USED.at, USED.at + 1, None)  # `end` is not in it
    assert asdict(total) == {"what": "small", "requests": 1, "estimated_requests": 1} | {
        name: value for name, value in asdict(USED).items() if name in asdict(total)
    }


async def test_what_a_key_has_spent_and_a_tenant_used(store: Store) -> None:
    await store.add_usage([USED, replace(USED, request_id="req_2", at=USED.at + 5, tenant="other")])
    assert [await store.spent_amount("key_1", at) for at in (0, USED.at, USED.at + 1, USED.at + 6)] == [
        2_000,
        2_000,
        1_000,
        0,
    ]
    assert await store.billed_microseconds("default", 0) == 300_000_000
    assert await store.billed_microseconds("nobody", 0) == 0
    await store.remove_old_usage(USED.at + 5)
    assert await store.spent_amount("key_1", 0) == 1_000


async def test_others_come_between_where_much_use_is_forgotten(store: Store) -> None:
    """As where an operator has it kept for a month from now on, and not for a year."""
    rows = 25_000
    await store.add_usage(replace(USED, request_id=f"req_{number}") for number in range(rows))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.remove_old_usage, USED.at + 1)
        await anyio.sleep(0)  # it is under way
        found = await store.billed_microseconds(USED.tenant, 0)
        assert 0 < found < rows * USED.billed_microseconds
    assert await store.usage_totals("tenant", 0, USED.at + 1, None) == []


async def test_a_store_of_an_older_version_opens(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "belljar.sqlite3"
    place.parent.mkdir()
    old = sqlite3.connect(place)
    old.execute(
        "CREATE TABLE files (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, filename TEXT NOT NULL, path TEXT NOT NULL, "
        "mime_type TEXT NOT NULL, size_bytes BIGINT NOT NULL, container_id TEXT, created_at BIGINT NOT NULL, "
        "expires_at BIGINT NOT NULL)"
    )
    with old:
        old.execute(
            "INSERT INTO files VALUES ('file_1', 'default', 'a.csv', 'sub/a.csv', 'text/csv', 12, 'container_1', "
            "1000000, 2000000)"
        )
    old.close()
    for _ in range(2):
        async with sqlite(tmp_path) as store:
            assert await store.find_file("default", "file_1") == FILE
            assert await store.all_file_ids() == {"file_1"}


@pytest.mark.parametrize(
    ("is_ours", "says"), [(True, r"by a newer Belljar \(layout 16;"), (False, "of another program")]
)
async def test_a_store_of_a_newer_version_is_left_as_it_is(tmp_path: Path, is_ours: bool, says: str) -> None:
    place = tmp_path / "deep" / "belljar.sqlite3"
    async with sqlite(tmp_path) as store:
        await store.add_file(FILE, ROOM, 100)
    newer = sqlite3.connect(place)
    ours = newer.execute("PRAGMA application_id").fetchone()[0]
    newer.execute(f"PRAGMA application_id = {ours + 15 if is_ours else 12345}")
    newer.close()
    before = place.read_bytes()
    with pytest.raises(StoreFailed, match=says):
        async with sqlite(tmp_path):
            pass
    assert place.read_bytes() == before
    newer = sqlite3.connect(place)
    newer.execute(f"PRAGMA application_id = {ours}")
    newer.close()
    async with sqlite(tmp_path) as store:
        assert await store.find_file("default", "file_1") == FILE


async def test_a_store_that_cannot_be_opened_says_who_has_to_own_it(tmp_path: Path) -> None:
    """As where root has made a key for a server of an ordinary user's. Root itself cannot open a directory."""
    (tmp_path / "deep" / "belljar.sqlite3").mkdir(parents=True)
    with pytest.raises(StoreFailed, match=f"the uid {os.geteuid()} has to be able to write it"):
        async with sqlite(tmp_path):
            pass


@pytest.mark.parametrize("is_empty", [False, True])
async def test_blobs_without_a_database_are_not_forgotten(tmp_path: Path, is_empty: bool) -> None:
    """As where a copy came back in part: the blobs would be deleted, as nobody's."""
    place = tmp_path / "deep"
    blobs = place / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "lost+found").mkdir()
    (blobs / "file_1").write_text("worth something")
    if is_empty:
        (place / "belljar.sqlite3").touch()
    for _ in range(2):
        with pytest.raises(StoreFailed, match="is missing or empty") as refused:
            async with sqlite(tmp_path):
                pass
        assert f"the 1 files in {blobs} are" in str(refused.value)
    blobs.rename(place / "blobs-of-before")
    (blobs / "lost+found").mkdir(parents=True)
    async with sqlite(tmp_path) as store:
        await store.add_file(FILE, ROOM, 100)
    (blobs / "lost+found").rmdir()
    (place / "blobs-of-before").rename(blobs)
    async with sqlite(tmp_path) as store:
        assert await store.find_file("default", "file_1") == FILE


async def test_a_container_comes_back_as_it_was_last(store: Store) -> None:
    await store.save_container(CONTAINER)
    assert await store.all_containers() == [CONTAINER]
    later = replace(
        CONTAINER,
        last_used_at=5,
        expires_at=6,
        state="asleep",
        archive="archive_1",
        archived_at=4,
        given='{"ä": ""}',
    )
    await store.save_container(later)
    assert await store.all_containers() == [later]
    assert await store.remove_container("container_1")
    assert not await store.remove_container("container_1")
    assert await store.all_containers() == []


async def test_containers_are_touched_where_they_are(store: Store) -> None:
    await store.save_container(CONTAINER)
    await store.save_container(replace(CONTAINER, id="container_2", created_at=2_000_000))
    await store.touch_containers([("container_1", 7, 8), ("container_3", 7, 8)])
    found = await store.all_containers()
    assert [(c.id, c.last_used_at, c.expires_at) for c in found] == [
        ("container_1", 7, 8),
        ("container_2", 1_500_000, 2_000_000),
    ]


async def test_containers_expire_oldest_first_and_of_every_tenant(store: Store) -> None:
    await store.save_container(CONTAINER)
    await store.save_container(replace(CONTAINER, id="container_2", tenant="other", expires_at=1_500_000))
    await store.save_container(replace(CONTAINER, id="container_3", expires_at=3_000_000))
    assert [c.id for c in await store.expired_containers(2_000_000)] == ["container_2", "container_1"]
