"""The root command: lazy sub-commands, and one place where an error becomes one sentence and an exit status.

Exit status: 0 done, 1 done with error findings or a refused item, 2 unreadable input or wrong usage.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from pathlib import Path

import click

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("router.cli.lab", "Play the whole story on this machine: hospital, laboratory, router, dossier."),
    "cluster-demo": ("router.cli.lab", "Run three routers as one cluster on this machine, kill one, lose nothing."),
    "init": ("router.cli.setting_up", "Make a router's folder: configuration, key, administrator."),
    "presets": ("router.cli.presets", "Configurations to start from, for the coordination tools of French regions."),
    "check": ("router.cli.setting_up", "Check a configuration file."),
    "plan": ("router.cli.plan", "Show what a changed configuration would alter, on messages that were received."),
    "config": ("router.cli.configuring", "Apply a configuration without losing a message; its history, the way back."),
    "flow": ("router.cli.flow", "Pause, resume and test sources, destinations and routes."),
    "serve": ("router.cli.serving", "Run the router."),
    "convert": ("router.cli.files", "Translate files from one format to another."),
    "validate": ("router.cli.files", "List what is wrong with files."),
    "show": ("router.cli.files", "Read a file aloud: fields with their names, then what was understood."),
    "explain": ("router.cli.files", "Show, value by value, from which bytes it came and where it goes."),
    "formats": ("router.cli.files", "List the formats and what they carry."),
    "schema": ("router.cli.files", "Print the JSON Schema of the canonical model."),
    "send": ("router.cli.sending", "Send files to a router, as a laboratory would."),
    "patients": ("router.cli.people", "Register the patients that the dossier follows."),
    "dossier": ("router.cli.dossier", "Coordination dossiers: circle, consents, who may see what."),
    "tools": ("router.cli.tools", "Coordination tools that use the FHIR API: add, rotate, revoke, list."),
    "insi": ("router.cli.insi", "Ask INSi about a person, to test the access to it."),
    "directory": ("router.cli.directory", "Professionals, structures, secure mailboxes; the white list of MSSanté."),
    "sandbox": ("router.cli.sandbox", "Run a national service or a partner on this machine, for tests."),
    "pdsm": ("router.cli.pdsm", "Look at a document-sharing server, change the state of documents there."),
    "dmp": ("router.cli.dmp", "Look into the DMP of a patient, and change what was deposited there."),
    "users": ("router.cli.users", "Accounts of the dashboard: add, change, lock, list."),
    "key": ("router.cli.keys", "Keys of the API: make one for a role, list, withdraw."),
    "keys": ("router.cli.keyring", "The journal's master key: change it beside the traffic, retire the former one."),
    "codes": ("router.cli.codes", "Laboratories' own codes: what is not mapped, mapping it, bringing maps."),
    "messages": ("router.cli.journal", "List messages."),
    "deliveries": ("router.cli.journal", "List deliveries."),
    "dead-letters": ("router.cli.journal", "List what could not be delivered, by cause."),
    "replay": ("router.cli.journal", "Read messages again, or send deliveries again."),
    "cancel": ("router.cli.held", "Set deliveries aside: they will not be sent."),
    "merges": ("router.cli.merges", "Merges of two patients that messages made: list them, undo a wrong one."),
    "reroute": ("router.cli.bulk", "Send what messages said to another destination, or by another route."),
    "bulk": ("router.cli.bulk", "Actions on many rows: how far they are, stopping one, taking one back."),
    "mappings": ("router.cli.mappings", "Versions of the mappings that messages were read with."),
    "alarms": ("router.cli.alarms", "List the alarms that go on, or that are over."),
    "audit": (
        "router.cli.auditing",
        "Who did or saw what: list, verify that nothing was altered, export for one patient.",
    ),
    "journal": ("router.cli.retention", "What retention erases, in figures, and holds that keep something from it."),
    "backup": ("router.cli.keeping", "Back the journal up, beside a router that goes on."),
    "restore": ("router.cli.keeping", "Restore a back-up into an empty place, or verify it."),
    "migrate": ("router.cli.keeping", "Bring the journal's tables to this version, before nodes change one by one."),
    "bench": ("router.cli.lab", "Measure: acknowledged, delivered, latencies, memory, journal."),
    "prove-no-loss": ("router.cli.lab", "Kill a router under load, again and again, and account for every message."),
    "reference": ("router.cli.setting_up", "Print the configuration reference (Markdown)."),
}
"""Every command: its module (attribute `command_<name>`) and its line of help, known without importing it."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the commands in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, "command_" + cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table above, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="passerelle", prog_name="passerelle")
def passerelle() -> None:
    """Carry health data between hospitals, laboratories and the tools that coordinate care at home.

    Begin with `passerelle demo`, or `passerelle init my-router`.
    """


class Failed(click.ClickException):
    """A command cannot go on: one sentence on standard error, exit status 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """Print the sentence."""
        click.echo(f"passerelle: {self.message}", err=True)


def config_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add `--config` to a command that works on a router's folder."""
    return click.option(
        "--config",
        "config",
        type=click.Path(path_type=Path),
        envvar="PASSERELLE_CONFIG",
        default="passerelle.toml",
        show_default=True,
        help="Configuration file, or the folder that holds passerelle.toml.",
    )(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; gives the exit status. Nothing leaves here but a sentence."""
    try:
        result = passerelle.main(args=arguments, prog_name="passerelle", standalone_mode=False)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.Abort:
        click.echo("passerelle: interrupted", err=True)
        return 130
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except BrokenPipeError:
        # The reader of our output (`head`) has left: there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        click.echo("passerelle: interrupted", err=True)
        return 130
    except Exception as problem:
        sentence = known_sentence(problem)
        if sentence is None:
            if os.environ.get("PASSERELLE_DEBUG"):
                raise
            sentence = (
                f"a defect of ours ({type(problem).__name__}); "
                "run again with PASSERELLE_DEBUG=1 and report the trace, after checking that it holds no health data"
            )
        click.echo(f"passerelle: {sentence}", err=True)
        return 2
    return result if isinstance(result, int) else 0


def known_sentence(problem: Exception) -> str | None:
    """Give the sentence of an error that was made to be read, None for any other."""
    from mappings.contracts import FormatError
    from router.faults import Fault

    if isinstance(problem, Fault | FormatError):
        return str(problem)
    if isinstance(problem, OSError):
        return f"{problem.filename or 'a file'}: {problem.strerror or type(problem).__name__}"
    return None


def config_file(config: Path) -> Path:
    """Give the configuration file that `--config` means."""
    return config / "passerelle.toml" if config.is_dir() else config
