"""`recorder config`: about the configuration file."""

import typer

from recorder.cli.shared import print_json

config = typer.Typer(help="About the configuration file, recorder.toml.", no_args_is_help=True)


@config.command("schema")
def schema() -> None:
    """Print a JSON Schema of recorder.toml, so that an editor completes and checks its keys.

    Editors with a TOML language server, such as Taplo, use the schema that the first line of the file names:
    `#:schema ./schema.json`.
    """
    from recorder.config.schema import json_schema  # noqa: PLC0415 - pydantic takes a tenth of a second to import

    print_json(json_schema())
