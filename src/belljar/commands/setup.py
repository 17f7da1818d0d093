"""`belljar setup`: make this machine ready to run code."""

from __future__ import annotations

import click

from belljar import private
from belljar.commands.given import settings_of
from belljar.commands.printing import AS_JSON, print_json, say
from belljar.commands.runtime import working


@click.command()
@click.option(
    "--install-packages",
    is_flag=True,
    help="As root, install the Debian packages that are missing, with apt-get.",
)
@AS_JSON
def setup(install_packages: bool, as_json: bool) -> None:
    """Make what code runs in, the default runtime, and say which Debian packages are missing.

    It lies where BELLJAR_RUNTIME says; without that, in the user's data directory. Does nothing where all is as it
    should be, and goes on where it was broken off.
    """
    from belljar.client import provision  # its imports are not for others to pay

    settings = settings_of()
    runtime = settings.runtime.absolute()  # scripts of an environment name it by its whole path

    if runtime.is_relative_to(settings.state_dir):
        private.make_directory(settings.state_dir)  # as a server makes it

    async def work(tell: provision.Say) -> bool:
        await provision.provide_packages(tell, may_install=install_packages)
        return await provision.provide_runtime(runtime, tell)

    was_made = working(work, "what was begun is kept: run it again to go on")
    if as_json:
        print_json({"runtime": str(runtime), "was_made": was_made})
    else:
        say(f"ready: {runtime}. belljar doctor says what the jail has on this machine")
