"""`belljar completion`: what completes commands, options and names in a shell."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

from belljar.commands import Failure

VARIABLE = "_BELLJAR_COMPLETE"
"""By which a shell asks."""


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
    click.echo(kind(main, {}, "belljar", VARIABLE).source())


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
    """A name of a runtime that was built, or `default`."""

    name = "runtime"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from belljar.builds import DEFAULT, FOLDER, Runtimes
        from belljar.commands.given import settings_of

        names = [DEFAULT, *Runtimes(settings_of().state_dir / FOLDER).names()]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


CONTAINER = _Container()
RUNTIME = _Runtime()
