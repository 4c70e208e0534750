"""A preset's page of the documentation, `docs/tools/NAME.md`: printed from the preset, it says what is there."""

from __future__ import annotations

from router.dossier.matrix import default_matrix, differences
from router.presets import Preset, matrix_of

INTERFACES = {
    "hospital": "HL7v2 over MLLP (`[sources.hospital]`)",
    "results": "HPRIM files in a folder (`[sources.results]`)",
    "mailboxes": "MSSanté, both ways (`[sources.mailbox]`, `[destinations.mailboxes]`)",
    "dmp": "the DMP (`[destinations.dmp]`, written out and commented: it needs a homologation)",
    "outbox": "FHIR files in a folder (`[destinations.outbox]`)",
}
"""The parts of presets, and by which interface they work."""


def page_of(one: Preset) -> str:
    """Write the page, as Markdown."""
    words = one.vocabulary
    rhythm = (
        f"is told by webhook ({', '.join(words.topics)}; content `{words.content}`)"
        if words.rhythm == "webhook"
        else f"comes every {words.every:g} seconds and takes what changed, {words.page} at a time"
    )
    lines = [
        f"# {one.label}",
        "",
        f"{one.summary} {one.region}. What is known of it was last looked at in {one.version}.",
        "",
        "The tool publishes no interface of its own: everything goes through the dossiers' FHIR API",
        f"([its page](../dossier-api.md)), to which its maker connects it. In the sandbox and the tests it {rhythm}.",
        "",
        "```console",
        f"$ passerelle init router --preset {one.name}",
        f"$ passerelle tools add {one.name} --config router",
        f"$ passerelle sandbox tool --profile {one.name} --secret pst_… --user 'https://rpps.esante.gouv.fr|8…'",
        "```",
        "",
        "## What is served",
        "",
        "| function | feeds it | leaves | unverified |",
        "|---|---|---|---|",
        *(
            f"| {row.feature} | {row.feeds or '–'} | {row.leaves or '–'} | {row.unverified or '–'} |"
            for row in one.served
        ),
        "",
        "By which interfaces, each of which can be switched off by itself:",
        "",
        *(f"- {INTERFACES[part]}" for part in one.parts),
        "",
        "## Its words",
        "",
        "| kind of note | type (TRE_R234) |",
        "|---|---|",
        *(f"| {word} | {code} |" for word, code in words.notes.items()),
        "",
        "| role | column of the matrix |",
        "|---|---|",
        *(f"| {role} | {family.value} |" for role, family in one.roles.items()),
        "",
        "## Its matrix and rules",
        "",
    ]
    changes = differences(default_matrix(), matrix_of(one))
    lines += [
        f"- {cell.family.value}, {cell.category.value}: `{cell.after.text}` in place of `{cell.before.text}`"
        for cell in changes
    ] or ["The matrix is the default."]
    lines += ["", "Beside the default rules of notices:", "", "```toml", one.rules.strip(), "```"] if one.rules else []
    return "\n".join([*lines, ""])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell or '–' for cell in cells)} |"
