"""Where built runtimes lie: which build is current, who keeps one from being deleted, and what of others is left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from belljar import builds
from belljar.builds import Build, Facts, ModuleReport, Problem, Runtimes
from belljar.client import building, requirements, uv
from belljar.errors import InvalidRequest, NotFound, RuntimeUnavailable

FACTS = Facts(
    name="ml",
    python="3.12.1",
    base_python="/usr/bin/python3.12",
    base_prefix="/usr",
    packages={"numpy": "2.0"},
    direct=["numpy"],
    owners={"numpy": ["numpy"]},
    requires={"numpy": []},
    programs=[],
    folder="/",
    preload=[["numpy", "bad"], ["bad"], ["torch"]],
    modules=[
        ModuleReport(module="numpy", milliseconds=1, memory_bytes=1),
        ModuleReport(
            module="bad",
            milliseconds=1,
            memory_bytes=1,
            problems=[Problem(kind="threads", detail="left running: 2")],
        ),
        ModuleReport(module="torch", milliseconds=1, memory_bytes=1),
    ],
    built_at="2026-01-01T00:00:00.000000Z",
    belljar="0.1.0",
)


@pytest.fixture
def runtimes(tmp_path: Path) -> Runtimes:
    return Runtimes(tmp_path / "runtimes")


def build(runtimes: Runtimes, name: str = "ml") -> Build:
    with runtimes.builder(name, "create"):
        directory = runtimes.new_directory(name)
        return runtimes.make_current(directory, replace(FACTS, name=name))


def test_zygotes_import_nothing_that_was_reported() -> None:
    assert list(FACTS.tiers) == ["bare", "preload-1", "preload-3"]
    assert FACTS.tiers["preload-1"] == ("numpy",)
    assert FACTS.tiers["preload-3"] == ("torch",)


def test_there_is_none_at_first(runtimes: Runtimes) -> None:
    assert runtimes.names() == []
    with pytest.raises(NotFound, match=r"Those that are there: default$"):
        runtimes.find("ml")


def test_what_was_built_is_found_by_anybody(runtimes: Runtimes) -> None:
    made = build(runtimes)
    assert runtimes.names() == ["ml"]
    assert runtimes.find("ml") == Runtimes(runtimes.root).find("ml") == made
    for name in ("ML", "../ml", "ml/builds", "", "ml\0", "m" * 200):
        with pytest.raises(NotFound, match="default, ml"):
            runtimes.find(name)


def test_what_is_not_whole_says_so(runtimes: Runtimes) -> None:
    made = build(runtimes)
    (made.directory / "in-use").unlink()
    with pytest.raises(RuntimeUnavailable, match="belljar runtime rebuild ml"):
        runtimes.use("ml")
    (made.directory / "runtime.json").write_text('{"name": 5}')
    with pytest.raises(RuntimeUnavailable, match=r"runtime\.json: name is .* belljar runtime remove ml"):
        runtimes.find("ml")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ((), [], "the whole is not"),
        (("owners",), [["numpy", ["numpy"]]], "owners is not"),
        (("owners", "numpy"), "numpy", "owners.numpy is not"),
        (("preload",), [["numpy", 5]], "preload.0.1 is not"),
        (("modules", 1, "problems", 0, "kind"), "strange", "modules.1.problems.0.kind is not"),
        (("modules", 0, "milliseconds"), None, "modules.0.milliseconds is not"),
        (("modules", 0, "memory_bytes"), ..., "modules.0.memory_bytes is missing"),
    ],
)
def test_facts_that_are_others_are_named(
    runtimes: Runtimes, place: tuple[str | int, ...], value: object, said: str
) -> None:
    path = build(runtimes).directory / "runtime.json"
    told: dict[str, Any] = {"all": json.loads(path.read_bytes())}
    assert runtimes.find("ml").facts == FACTS
    *steps, last = "all", *place
    within: Any = told
    for step in steps:
        within = within[step]
    if value is ...:
        del within[last]
    else:
        within[last] = value
    path.write_text(json.dumps(told["all"]))
    os.utime(path, ns=(1, 1))
    with pytest.raises(RuntimeUnavailable, match=rf"runtime\.json: {re.escape(said)}"):
        runtimes.find("ml")


@pytest.mark.parametrize("text", ["", "{", "\ud800", "[" * 100_000], ids=["none", "begun", "half", "deep"])
def test_facts_that_are_no_json_are_named(runtimes: Runtimes, text: str) -> None:
    path = build(runtimes).directory / "runtime.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(RuntimeUnavailable, match=r"cannot be read: .*runtime\.json: \w"):
        runtimes.find("ml")


def test_a_changed_report_is_read_anew(runtimes: Runtimes) -> None:
    made = build(runtimes)
    assert "bad" in runtimes.find("ml").facts.reported
    builds.write_facts(made.directory, replace(made.facts, modules=[]))
    os.utime(made.directory / "runtime.json", ns=(1, 1))
    assert runtimes.find("ml").facts.reported == {}


def test_a_build_stays_while_anybody_uses_it(runtimes: Runtimes) -> None:
    old = build(runtimes)
    uses = [runtimes.use("ml"), Runtimes(runtimes.root).use("ml")]
    new = build(runtimes)
    assert new.directory != old.directory
    assert runtimes.use("ml").build == new
    for use in uses:
        assert old.directory.exists()
        assert use.build == old
        use.release()
    assert not old.directory.exists()
    assert new.directory.exists()


def test_what_was_removed_goes_with_its_last_use(runtimes: Runtimes) -> None:
    build(runtimes)
    use = runtimes.use("ml")
    with runtimes.builder("ml", "remove"):
        runtimes.forget("ml")
        assert runtimes.clear_all("ml") == [use.build.directory]
    assert runtimes.names() == []
    use.release()
    assert list(runtimes.root.iterdir()) == []


def test_what_a_builder_leaves_half_done_goes(runtimes: Runtimes) -> None:
    with pytest.raises(RuntimeError), runtimes.builder("ml", "create"):
        (runtimes.new_directory("ml") / "environment").mkdir()
        raise RuntimeError
    assert list(runtimes.root.iterdir()) == []
    made = build(runtimes)
    left = runtimes.new_directory("ml")  # by one that was killed, as its link is
    (runtimes.root / "ml" / ".current").symlink_to("builds/nowhere")
    with runtimes.builder("ml", "rebuild"):
        assert not left.exists()
        assert runtimes.find("ml") == made
    assert sorted(os.listdir(runtimes.root / "ml")) == ["builds", "current"]


def test_one_builds_at_a_time(runtimes: Runtimes) -> None:
    with runtimes.builder("ml", "create"):
        with (
            pytest.raises(InvalidRequest, match=rf"process {os.getpid()} \(create, since "),
            runtimes.builder("ml", "rebuild"),
        ):
            pytest.fail("two at once")
        with runtimes.builder("other", "create"):
            assert runtimes.names() == []
    with runtimes.builder("ml", "create"):
        assert runtimes.names() == []


@pytest.mark.parametrize("name", ["default", "", "A", "a b", "../x", "-x", ".x", "x" * 64])
def test_names_that_nothing_is_built_under(name: str, runtimes: Runtimes) -> None:
    with pytest.raises(InvalidRequest), runtimes.builder(name, "create"):
        pytest.fail("built")
    assert not runtimes.root.exists()


def test_users_and_builders_at_the_same_time(runtimes: Runtimes) -> None:
    """Whoever gets a build has it whole, whatever is built and deleted meanwhile."""
    build(runtimes)
    over = threading.Event()
    wrong: list[str] = []

    def use() -> None:
        mine = Runtimes(runtimes.root)
        try:
            while not over.is_set():
                used = mine.use("ml")
                if not (used.build.directory / "runtime.json").exists():
                    wrong.append(str(used.build.directory))
                used.release()
        except Exception as error:
            wrong.append(repr(error))

    users = [threading.Thread(target=use) for _ in range(3)]
    for user in users:
        user.start()
    for _ in range(40):
        build(runtimes)
    over.set()
    for user in users:
        user.join()
    assert wrong == []
    assert len(list((runtimes.root / "ml" / "builds").iterdir())) == 1


LOCK = """\
certifi @ file:///wheels/certifi-1.0-py3-none-any.whl \\
    --hash=sha256:00
    # via -r /state/requirements.txt
numpy==2.0 \\
    --hash=sha256:00
    # via
    #   -r /state/requirements.txt
    #   scikit-learn
scikit-learn==1.7 \\
    --hash=sha256:00
    # via -r /state/requirements.txt
scipy==1.16 ; python_version >= "3.11" \\
    --hash=sha256:00
    # via scikit-learn
./wheels/own-1.0-py3-none-any.whl \\
    --hash=sha256:00
    # via -r /state/requirements.txt
"""


def test_a_lock_says_what_was_asked_for_by_name() -> None:
    assert building.direct_of(LOCK) == ["certifi", "numpy", "scikit-learn"]
    assert building.direct_of("") == []


def test_what_an_environment_has_is_held_against_its_lock() -> None:
    there = {"Certifi": "1.0", "numpy": "2.0", "scikit_learn": "1.7", "SciPy": "1.16"}
    assert building.differences(LOCK, there) == []
    assert building.differences(LOCK, {**there, "numpy": "2.1"}) == [
        "numpy is locked as 2.0, and 2.1 is installed"
    ]
    assert building.differences(LOCK, {}) == [
        f"{name} is locked and not installed" for name in ("certifi", "numpy", "scikit-learn", "scipy")
    ]


def test_options_of_requirements_are_those_of_the_lock() -> None:
    text = "--index-url https://a.invalid/simple\nnumpy \\\n  --hash=sha256:00\n  --pre\n# -r x\nscipy\n"
    assert requirements.options_of(text) == "--index-url https://a.invalid/simple\n  --pre\n"
    assert requirements.options_of("") == ""


@pytest.mark.parametrize("line", ["-r a.txt", "-ra.txt", " -c a.txt", "--requirement=a", "--constraint a"])
def test_requirements_that_include_others(line: str) -> None:
    with pytest.raises(InvalidRequest, match="include another file"):
        requirements.options_of(f"numpy\n{line}\n")


@pytest.mark.parametrize("user", ["me:geheim", "geheim", "me:ge@heim", ":geheim", "me:geheim${"])
def test_passwords_in_requirements_are_neither_kept_nor_repeated(user: str) -> None:
    for line in (f"--index-url https://{user}@a.invalid/simple", f"own @ git+https://{user}@a.invalid/x"):
        with pytest.raises(InvalidRequest, match=r"line 2 has a user or password for a\.invalid") as raised:
            requirements.options_of(f"numpy\n{line}\n")
        assert "heim" not in str(raised.value)
    assert requirements.options_of("own @ https://me:${TOKEN}@a.invalid/own-1.0-py3-none-any.whl") == ""


def test_requirements_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "r.txt"
    file.write_bytes("\N{BOM}numpy  # größer".encode())
    assert requirements.read(file) == "numpy  # größer"
    file.write_bytes(b"\xff\xfen")
    with pytest.raises(InvalidRequest, match="no text in UTF-8"):
        requirements.read(file)


@pytest.mark.anyio
async def test_a_compiler_that_is_cancelled_takes_its_workers_along(tmp_path: Path) -> None:
    (tmp_path / "0.py").write_text("x = 1 + 1 if True else [2]\n" * 20_000)
    for number in range(1, 200):
        os.link(tmp_path / "0.py", tmp_path / f"{number}.py")

    def count() -> int:
        found = 0
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                found += os.fsencode(tmp_path) in process.read_bytes()
        return found

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(building.compile_all, Path(sys.executable), tmp_path)
        with anyio.fail_after(60):
            while count() < 2:
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    with anyio.fail_after(60):
        while count():
            await anyio.sleep(0.01)


@pytest.mark.parametrize("text", ["numpy,", "a b", "1a", "a..b", "a;b", ".a"])
def test_what_is_no_modules_name(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is no module's name"):
        building.modules_of(text)


def test_modules_names() -> None:
    assert building.modules_of("numpy, torch.nn ,größe") == ["numpy", "torch.nn", "größe"]


def test_uv_is_heard_in_its_own_words() -> None:
    news = "warning: The `UV_NATIVE_TLS` environment variable is deprecated\n"
    said = uv.explained(f"{news}error: No solution found\n  cause: x")
    assert said.startswith("uv says:\nerror: No solution found\n  cause: x\n")
    assert "loosen" in said
    assert uv.explained("error: odd") == "uv says:\nerror: odd"
    folded = "error: In `--require-hashes` mode, all requirements\n  │ must have a hash, but none were provided for: x"
    said = uv.explained(folded)
    assert said.startswith(f"uv says:\n{folded}\n")
    assert "made of wheels" in said
    assert "without a word" in uv.explained("")


def test_they_may_lie_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runtimes").symlink_to("elsewhere")
    made = build(Runtimes(tmp_path / "runtimes"))
    assert made.environment.is_relative_to(tmp_path / "elsewhere")
    assert Runtimes(tmp_path / "runtimes").find("ml") == made
