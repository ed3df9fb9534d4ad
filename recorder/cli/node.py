"""`recorder node`: the machines of a site with several."""

import typer

from recorder.cli.node_keys import add, join, remove, request
from recorder.cli.node_list import list_nodes

node = typer.Typer(no_args_is_help=True, help="The machines of a site with several recorders.")
node.command("list")(list_nodes)
node.command("request")(request)
node.command("add")(add)
node.command("join")(join)
node.command("remove")(remove)
