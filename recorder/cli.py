"""The command line. Exit codes: 0 done, 1 refused or failed with a reason, 2 wrong usage."""

from collections.abc import Callable

import typer

from recorder.commands import (
    archive,
    audit,
    cases,
    copies,
    erase,
    exports,
    forgot,
    hold,
    keys,
    live,
    opt_outs,
    people,
    records,
    repair,
    reports,
    requests,
    retention,
    service,
    setup,
    upkeep,
)

app = typer.Typer(
    name="recorder",
    help="A call recorder for public bodies: announced, pausable, sealed, found.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: dict[str, Callable[..., None]] = {
    "init": setup.init,
    "site-check": setup.site_check,
    "up": service.up,
    "run": service.run,
    "console": service.console,
    "reload": live.reload,
    "demo": service.demo,
    "calls": live.calls,
    "pause": live.pause,
    "resume": live.resume,
    "forgot": forgot.forgot,
    "opt-out": opt_outs.opt_out,
    "find": records.find,
    "show": records.show,
    "play": copies.play,
    "export": exports.export,
    "erase": erase.erase,
    "archive": archive.archive,
    "verify": upkeep.verify,
    "recover": upkeep.recover,
    "reindex": repair.reindex,
    "reconcile": repair.reconcile,
    "fsck": repair.fsck,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(people.users, name="users")
app.add_typer(people.tokens, name="tokens")
app.add_typer(opt_outs.opt_outs, name="opt-outs")
app.add_typer(requests.requests, name="requests")
app.add_typer(cases.sar, name="sar")
app.add_typer(hold.hold, name="hold")
app.add_typer(audit.audit, name="audit")
app.add_typer(keys.keys, name="keys")
app.add_typer(retention.retention, name="retention")
app.add_typer(live.agents, name="agents")
app.add_typer(reports.report, name="report")
app.add_typer(setup.notice, name="notice")
