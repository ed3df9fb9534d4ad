"""`recorder config`: about the configuration file."""

from recorder.cli.output import print_json


def schema() -> None:
    """Print a JSON Schema of recorder.toml, so that an editor completes and checks its keys.

    Editors with a TOML language server, such as Taplo, use the schema that the first line of the file names:
    `#:schema ./schema.json`.
    """
    from recorder.config.schema import json_schema  # noqa: PLC0415 - pydantic takes a tenth of a second to import

    print_json(json_schema())
