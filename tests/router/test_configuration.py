from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.certificates import CertificateTrouble
from router.certificates import CertificateUse, certificate_ends, known_ends
from router.config.load import ConfigurationFault, load
from router.config.model import EngineSection
from router.config.reference import reference

VALID = """\
[journal]
data = "data"

[sources.labo]
connector = "mllp"
listen = "127.0.0.1:0"
format = "hl7v2"

[sources.depot]
connector = "directory"
folder = "in"

[destinations.tool]
connector = "fhir"
url = "http://127.0.0.1:9/fhir"

[[routes]]
name = "results"
when = "item.kind == 'lab_report' && patient.in_coordination"
to = ["tool"]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "passerelle.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigurationFault) as fault:
        load(write(folder, text), environment)
    return list(fault.value.problems)


def test_a_valid_file_is_resolved(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, VALID), {})
    assert [source.name for source in loaded.sources] == ["labo", "depot"]
    assert loaded.destinations[0].format == "fhir"
    assert loaded.place.data == tmp_path / "data"
    depot = loaded.sources[1].settings.model_dump()
    assert depot["folder"] == tmp_path / "in", "relative paths start from the file's folder"


def test_what_ends_is_known_to_the_end_of_its_day(tmp_path: Path) -> None:
    text = VALID.replace('folder = "in"', 'folder = "in"\nends = { password = 2027-01-31 }')
    text = text.replace("[[routes]]", 'keys = { smime_certificate = "mail.pem" }\n\n[[routes]]')
    (tmp_path / "mail.pem").write_text("no certificate", encoding="utf-8")
    loaded = load(write(tmp_path, text), {})
    (end,) = known_ends(loaded)
    assert (end.owner, end.name) == ("source depot", "password")
    assert end.until.isoformat() == "2027-01-31T23:59:59.999999+01:00"
    (certificate,) = certificate_ends(loaded, datetime(2026, 11, 1, tzinfo=UTC))
    assert (certificate.owner, certificate.use) == ("destination tool", CertificateUse.MAIL)
    assert certificate.trouble is CertificateTrouble.UNREADABLE
    wrong = problems(tmp_path, VALID.replace('folder = "in"', 'folder = "in"\nends = { password = "soon" }'))
    assert wrong[0].startswith("line 12, sources.depot.ends")


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ('connector = "mllp"', 'connector = "mlp"', "line 5, sources.labo.connector: no connector 'mlp'; installed:"),
        ('listen = "127.0.0.1:0"', 'listen = "nowhere"', "line 6, sources.labo.listen: "),
        ('format = "hl7v2"', 'format = "hl7"', "line 7, sources.labo.format: no format 'hl7'; installed:"),
        ('folder = "in"', 'folder = "in"\ncolour = 3', "line 12, sources.depot.colour: there is no such key"),
        ('to = ["tool"]', 'to = ["tol"]', "line 20, routes.0.to: route 'results' sends to 'tol', which is not a"),
        (
            "patient.in_coordination",
            "patent.known",
            "line 19, routes.0.when: route 'results': the condition uses patent",
        ),
        ("&& patient", "&& (", "line 19, routes.0.when: route 'results': the condition is not valid CEL"),
        (
            'data = "data"',
            "retention_days = 0",
            "line 2, journal.retention_days: input should be greater than or equal",
        ),
        ("[journal]", "[jornal]", "line 1, jornal: there is no such key"),
        ('url = "http', 'url = "${NOT_SET}http', "line 15, destinations.tool.url: the environment variable NOT_SET"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_key(tmp_path: Path, was: str, becomes: str, said: str) -> None:
    assert was in VALID
    assert any(one.startswith(said) for one in problems(tmp_path, VALID.replace(was, becomes, 1)))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = VALID.replace('"mllp"', '"mlp"').replace('to = ["tool"]', 'to = ["tol"]')
    assert len(problems(tmp_path, text)) == 2


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "base").write_text("http://127.0.0.1:9/${x}\n")
    loaded = load(write(tmp_path, VALID.replace("http://127.0.0.1:9", "${BASE}")), {"BASE": "http://h:1"})
    assert str(loaded.destinations[0].settings.model_dump()["url"]).startswith("http://h:1/fhir")
    assert problems(tmp_path, VALID.replace("http://127.0.0.1:9", "${file:absent}"))[0].endswith("cannot be read")


def test_what_is_not_toml_or_not_there_is_told_in_one_sentence(tmp_path: Path) -> None:
    assert problems(tmp_path, "[[[")[0].startswith("is not valid TOML")
    with pytest.raises(ConfigurationFault, match="passerelle init"):
        load(tmp_path / "absent.toml", {})


def test_the_reference_lists_every_key_of_every_connector() -> None:
    text = reference()
    for expected in ("`retention_days`", "`max_attempts`", "## Connector `mllp`", "`listen`", "### As a destination"):
        assert expected in text
    assert "| text |  |  |" not in text, "every key has a meaning"


def test_the_printed_reference_in_the_docs_is_the_present_one() -> None:
    printed = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
    assert printed.read_text(encoding="utf-8").strip() == reference().strip(), "run: passerelle reference"


@pytest.mark.parametrize(("processors", "expected"), [(1, 1), (2, 1), (4, 3), (64, 4)])
def test_workers_follow_the_machine(monkeypatch: pytest.MonkeyPatch, processors: int, expected: int) -> None:
    monkeypatch.setattr("router.config.model._processors", lambda: processors)
    assert EngineSection().worker_count == expected
    assert EngineSection(workers=0).worker_count == 0
