"""The command line. Exit codes: 0 done, 1 refused or failed with a reason, 2 wrong usage."""

import typer

from recorder.commands import live, people, records, service, setup

app = typer.Typer(
    name="recorder",
    help="A call recorder for public bodies: announced, pausable, sealed, found.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (setup.init, service.up, service.run, service.console, service.demo):
    app.command()(command)
app.command("site-check")(setup.site_check)
for command in (live.calls, live.pause, live.resume, live.reload):
    app.command()(command)
app.command("opt-out")(live.opt_out)
for command in (records.find, records.show, records.play, records.export, records.verify, records.recover):
    app.command()(command)
app.add_typer(people.users, name="users")
app.add_typer(people.tokens, name="tokens")
app.add_typer(live.agents, name="agents")
app.add_typer(setup.notice, name="notice")


def main() -> None:
    """Run the command line."""
    app()
