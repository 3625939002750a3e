"""The program with all its commands."""

from __future__ import annotations

from sharedllm_docs.cli import (
    data_commands,
    index_commands,
    model_commands,
    question_commands,
    stay_commands,
    tenant_commands,
    train_command,
)
from sharedllm_docs.cli.add_command import add, watch
from sharedllm_docs.cli.confidence_command import fit_confidence
from sharedllm_docs.cli.evaluate_command import evaluate
from sharedllm_docs.cli.options import NAME
from sharedllm_docs.cli.panels import PanelCommand
from sharedllm_docs.cli.program import new_program
from sharedllm_docs.cli.serve_command import api_key, mcp, serve

app = new_program()
for _name, _function in (
    ("add", add),
    ("watch", watch),
    ("ask", question_commands.ask),
    ("summarise", question_commands.summarise),
    ("chat", question_commands.chat),
    ("status", stay_commands.status),
    ("stop", stay_commands.stop),
    ("list", index_commands.list_documents),
    ("show", index_commands.show),
    ("verify", index_commands.verify),
    ("remove", index_commands.remove),
    ("prune", index_commands.prune),
    ("read", index_commands.read),
    ("serve", serve),
    ("mcp", mcp),
    ("api-key", api_key),
):
    app.command(_name, cls=PanelCommand)(_function)
app.add_typer(tenant_commands.tenants_app, name="tenants")
app.add_typer(model_commands.models_app, name="models")
app.command("convert", cls=PanelCommand)(model_commands.convert)
app.command("calibrate", cls=PanelCommand)(model_commands.calibrate)
app.add_typer(data_commands.data_app, name="data")
for _name, _function in (
    ("train", train_command.train),
    ("train-tiny", train_command.train_tiny),
    ("evaluate", evaluate),
    ("fit-confidence", fit_confidence),
):
    app.command(_name, cls=PanelCommand)(_function)


def main() -> None:
    """The console script, whatever the command; ``start`` spares most of it where it can."""
    app(prog_name=NAME)
