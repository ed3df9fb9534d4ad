"""`recorder node`: the machines of a site with several."""

import typer

from recorder.cli.node_list import list_nodes

node = typer.Typer(no_args_is_help=True, help="The machines of a site with several recorders.")
node.command("list")(list_nodes)
