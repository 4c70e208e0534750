"""The two catalogues say the same things, and every text that a page asks for is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markupsafe import escape
from pydantic import BaseModel

import router.web
from connectors.registry import connectors
from mappings.hl7v2.triggers import triggers
from router.bulk.jobs import BulkAction, JobState, Left
from router.config.model import DestinationSection, RouteSection, SourceSection
from router.desk.dossiers import SOUGHT
from router.desk.reasons import Why
from router.dossier.happenings import Event
from router.dossier.keeping import Refusal
from router.dossier.may import Rule
from router.dossier.notices import AlertLevel
from router.identity.candidates import FoundBy
from router.identity.comparison import Agreement
from router.identity.insi import InsiResult
from router.identity.insi_records import Accepted
from router.identity.matching import HoldReason
from router.identity.tasks import TaskKind
from router.journal.decisions import DeskAction
from router.journal.tables import DeliveryState, ItemState, MessageState
from router.web.setting_words import setting_words
from router.web.states import MARKS
from router.web.texts import LANGUAGES, Texts, catalogue
from schemas.circle import MemberState, RoleFamily
from schemas.consent import ConsentChannel, ConsentKind
from schemas.document import DocumentOperation
from schemas.dossier import DossierState
from schemas.habilitation import DataCategory
from schemas.identity import IdentityAttribute, IdentityStatus, Sex
from schemas.item import ItemKind
from schemas.lab import ResultStatus
from schemas.receipt import ReceiptStage
from schemas.stay import StayStatus
from schemas.visibility import RestrictionKind

ROOM = Path(router.web.__file__).parent
FILES = [*ROOM.rglob("*.html"), *ROOM.rglob("*.py"), *(ROOM.parent / "watch").glob("*.py")]
SAID = re.compile(r"""(?:\bt|\bsay|texts\.say)\(\s*f?["']([a-z_.]+)["']\s*(~|,|\)| if)""")
ANY_KEY = re.compile(r"""["']([a-z_]+(?:\.[a-zA-Z0-9_-]+)+)["']""")


def places(text: str | dict[str, str]) -> set[str]:
    texts = text.values() if isinstance(text, dict) else [text]
    return {place for one in texts for place in re.findall(r"\{(\w+)\}", one)}


def test_the_catalogues_have_the_same_keys_and_places() -> None:
    french, english = catalogue("fr"), catalogue("en")
    assert set(french) == set(english)
    for key in french:
        assert isinstance(french[key], dict) == isinstance(english[key], dict), key
        assert places(french[key]) == places(english[key]), key
    assert len(LANGUAGES) == 2


def test_pages_use_known_keys_only() -> None:
    known = catalogue("fr")
    used = 0
    for file in FILES:
        for key, following in SAID.findall(file.read_text(encoding="utf-8")):
            if following == "~" or key.endswith("."):
                assert any(name.startswith(key) for name in known), f"{file.name}: {key}"
            else:
                assert key in known, f"{file.name}: {key}"
            used += 1
    assert used > 200


def test_no_text_is_left_over() -> None:
    written = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
    quoted = set(re.findall(r"""["']([\w. -]+)["']""", written))
    prefixes = set(re.findall(r"""f?["']([a-z_]+\.(?:[a-z_]+[._])*)(?:["']\s*~|\{)""", written))
    families = set(re.findall(r"""words?\(\s*["']([a-z_.]+)["']""", written)) | {"state." + name for name in MARKS}
    left = [
        key
        for key in catalogue("fr")
        if key not in quoted
        and key.removesuffix("_title") not in quoted
        and not any(key.startswith(prefix) for prefix in prefixes)
        and not any(key.startswith(name + ".") for name in families)
    ]
    assert left == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_value_of_ours_has_its_word(language: str) -> None:
    texts = Texts.of(language)
    families: dict[str, list[str]] = {
        "state.message": [one.value for one in MessageState],
        "state.item": [one.value for one in ItemState],
        "state.delivery": [one.value for one in DeliveryState],
        "kind": [one.value for one in ItemKind],
        "reason": [one.value for one in HoldReason],
        "result_status": [one.value for one in ResultStatus],
        "stay_status": [one.value for one in StayStatus],
        "document_operation": [one.value for one in DocumentOperation],
        "receipt_stage": [*(one.value for one in ReceiptStage), "refused"],
        "identity_status": [one.value for one in IdentityStatus],
        "identity_attribute": [one.value for one in IdentityAttribute],
        "sex": [one.value for one in Sex],
        "desk_action": [one.value for one in DeskAction if one is not DeskAction.UNDO],
        "desk_done": [one.value for one in DeskAction],
        "desk_why": [one.value for one in Why],
        "found_by": [*(one.value for one in FoundBy), SOUGHT, "rules"],
        "agreement": [one.value for one in Agreement],
        "identity_task": [one.value for one in TaskKind],
        "dossier_state": [one.value for one in DossierState],
        "role_family": [one.value for one in RoleFamily],
        "member_state": [*(one.value for one in MemberState), "ended"],
        "data_category": [one.value for one in DataCategory],
        "consent_kind": [one.value for one in ConsentKind],
        "consent_channel": [one.value for one in ConsentChannel],
        "restriction_kind": [one.value for one in RestrictionKind],
        "alert_level": [one.value for one in AlertLevel],
        "happening": [one.value for one in Event],
        "dossier_rule": [one.value for one in Rule],
        "dossier_refused": [one.value for one in Refusal],
        "insi_result": [one.value for one in InsiResult],
        "insi": [f"accepted_{one.value}" for one in Accepted],
        "event": sorted({trigger.event for trigger in triggers().values() if trigger.event}),
        "bulk": [f"title_{one.value}" for one in BulkAction] + [f"state_{one.value}" for one in JobState],
        "bulk_left": [one.value for one in Left],
        "month": [str(number) for number in range(1, 13)],
    }
    for family, marks in MARKS.items():
        families[f"state.{family}"] = sorted({*families.get(f"state.{family}", []), *marks})
    for family, values in families.items():
        for value in values:
            assert texts.has(f"{family}.{value}"), f"{family}.{value}"


def test_facts_have_their_labels() -> None:
    source = (ROOM / "facts.py").read_text(encoding="utf-8")
    keys = set(re.findall(r'\(\s*"([a-z_]+)",', source)) | set(re.findall(r'yield "([a-z_]+)"', source))
    assert len(keys) > 40
    families = {"identity_attribute", "result_status", "stay_status", "document_operation", "receipt_stage"}
    for key in keys - families:
        assert f"fact.{key}" in catalogue("fr"), key


def test_plurals_are_those_of_the_language() -> None:
    french, english = Texts.of("fr"), Texts.of("en")
    assert french.say("list.newer", count=0) == "0 nouveau message"
    assert french.say("list.newer", count=1) == "1 nouveau message"
    assert english.say("list.newer", count=0) == "0 new messages"
    assert french.say("list.newer", count=2, shown="99+") == "99+ nouveaux messages"


def test_what_fills_a_place_is_escaped() -> None:
    said = Texts.of("fr").say("search.results", text='"><script>')
    assert "<script>" not in said
    assert '"' not in said


def test_an_unknown_word_is_shown_as_it_is_and_escaped() -> None:
    texts = Texts.of("xx")
    assert texts.language == "fr"
    assert texts.word("state.flow", "<odd>") == "&lt;odd&gt;"
    assert texts.word("state.flow", "ready") == "prêt"


def test_a_name_that_runs_the_other_way_does_not_turn_its_sentence() -> None:
    texts = Texts.of("fr")
    key = next(key for key, text in catalogue("fr").items() if isinstance(text, str) and text.count("{") == 1)
    place = re.findall(r"{(\w+)}", str(catalogue("fr")[key]))[0]
    assert "\u2068\u202eTSET\u2069" in texts.say(key, **{place: "\u202eTSET"})
    assert "\u2068" not in texts.say(key, **{place: "TESTROSE"})
    assert "&lt;b&gt;" in texts.say(key, **{place: "<b>\u202e"})


def test_what_settings_mean_is_said_in_both_languages() -> None:
    """A reworded or new description is shown in English, marked as such; most of them must not be."""
    models: list[type[BaseModel] | None] = [SourceSection, DestinationSection, RouteSection]
    for one in connectors().values():
        models += [one.source_settings, one.destination_settings]
    found = {
        " ".join((info.description or "").split())
        for model in models
        if model is not None
        for info in model.model_fields.values()
    } - {""}
    french = Texts.of("fr")
    left = sorted(one for one in found if "lang=" in setting_words(one, texts=french))
    assert len(found) > 150
    assert len(left) < len(found) / 10, left
    assert all(setting_words(one, texts=Texts.of("en")) == escape(one) for one in found)
