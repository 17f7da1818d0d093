"""`belljar completion`: what completes commands, options and names in a shell."""

from __future__ import annotations

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
)

from belljar.commands import COMPLETE, Failure


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands, options, and names of runtimes and containers.

    \b
    bash    belljar completion bash > ~/.local/share/bash-completion/completions/belljar
    zsh     belljar completion zsh > a file _belljar in a directory of $fpath
    fish    belljar completion fish > ~/.config/fish/completions/belljar.fish
    """
    from belljar.commands import main

    kind = get_completion_class(shell)
    if kind is None:
        raise Failure(f"{shell} cannot be completed")
    click.echo(kind(main, {}, "belljar", COMPLETE).source())


class _WholeWords(ShellComplete):
    """What completes `--option=val` begins with `--option=`: the shell puts it in the place of all of the word."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        option, is_one, _ = incomplete.partition("=")
        found = super().get_completions(args, incomplete)
        if is_one and option.startswith("--"):
            for item in found:
                item.value = f"{option}={item.value}"
        return found


class _Bash(BashComplete):
    """For which `=` is a word of its own."""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        return [word for word in args if word != "="], "" if incomplete == "=" else incomplete


class _Zsh(_WholeWords, ZshComplete):
    pass


class _Fish(_WholeWords, FishComplete):
    # Helps have commas.
    source_template = FishComplete.source_template.replace('split ","', 'split --max 1 ","')


for _kind in (_Bash, _Zsh, _Fish):
    add_completion_class(_kind)


class _Container(click.ParamType[str]):
    """An id of the server that is up."""

    name = "container"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from belljar.commands import background
        from belljar.commands.asking import ask, asking_at
        from belljar.commands.given import settings_of

        server = background.find(settings_of().state_dir)
        if server is None or server.facts is None:
            return []
        with asking_at(server) as client:
            found = ask(client, "GET", "/v1/containers", params={"limit": 100})["data"]
        return [CompletionItem(one["id"]) for one in found if one["id"].startswith(incomplete)]


class _Runtime(click.ParamType[str]):
    """A name of a runtime that was built, or one of `others`."""

    name = "runtime"

    def __init__(self, *others: str) -> None:
        self._others = others

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from belljar.builds import FOLDER, Runtimes
        from belljar.commands.given import settings_of

        names = [*self._others, *Runtimes(settings_of().state_dir / FOLDER).names()]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


CONTAINER = _Container()
RUNTIME = _Runtime("default")
BUILT = _Runtime()
"""One that can be built anew or removed."""
