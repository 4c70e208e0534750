"""Order of queries, comparison of traits, pace: all pure, or on an injected clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from connectors.ins.answers import CertifiedTraits, Found, Matricule, NoAnswer, NotFound, Rejected, Reply, Several
from connectors.ins.codec import TraitsQuery
from connectors.ins.comparison import Likeness, compare, first_given_name
from connectors.ins.sought import Insufficient, Sought, sought_of
from connectors.ins.strategy import MOST_QUERIES, search
from connectors.ins.verifying import Verdict, judged
from connectors.pace import Breaker, Throttle
from schemas.identity import Ins, PatientIdentity, Sex

WHO = PatientIdentity(
    birth_name="Testrose",
    birth_given_names=("Rose", "Marie"),
    first_given_name="Rose",
    used_name="Testautre",
    birth_date="1938-05-12",
    sex=Sex.FEMALE,
    birth_place="35238",
    ins=Ins(matricule="238053523800096", oid="1.2.250.1.213.1.4.10"),
)
CERTIFIED = CertifiedTraits("TESTROSE", None, "ROSE MARIE", "F", "1938-05-12", "35238")
SOUGHT = Sought("TESTROSE", "ROSE", ("MARIE", "ANNE"), "F", "1938-05-12", "35238")
assert WHO.ins is not None
FOUND = Found(Matricule(WHO.ins), CERTIFIED)


def play(sought: Sought, replies: list[Reply]) -> tuple[list[TraitsQuery], Reply]:
    """Answer the queries one after another; the last reply goes on answering."""
    steps = search(sought)
    asked = [next(steps)]
    while True:
        try:
            asked.append(steps.send(replies[min(len(asked), len(replies)) - 1]))
        except StopIteration as ending:
            last: Reply = ending.value
            return asked, last


def test_one_person_at_once_is_one_query() -> None:
    asked, last = play(SOUGHT, [FOUND])
    assert asked == [TraitsQuery("TESTROSE", ("ROSE",), "F", "1938-05-12")]
    assert last is FOUND


def test_several_is_narrowed_by_names_then_place() -> None:
    asked, last = play(SOUGHT, [Several()])
    assert [(query.given_names, query.birth_place) for query in asked] == [
        (("ROSE",), None),
        (("ROSE", "MARIE", "ANNE"), None),
        (("ROSE",), "35238"),
        (("ROSE", "MARIE", "ANNE"), "35238"),
    ]
    assert isinstance(last, Several)


def test_nobody_after_several_is_still_several() -> None:
    _, last = play(SOUGHT, [Several(), NotFound()])
    assert isinstance(last, Several)


def test_nobody_is_sought_by_the_other_names() -> None:
    asked, last = play(SOUGHT, [NotFound()])
    assert len(asked) == MOST_QUERIES
    assert [query.given_names for query in asked] == [("ROSE",), ("MARIE",), ("ANNE",), ("ROSE MARIE ANNE",), ("ROSE",)]
    assert asked[-1].birth_place == "35238"
    assert isinstance(last, NotFound)


def test_the_other_spelling_of_a_compound_name_is_tried() -> None:
    asked, _ = play(Sought("LE TESTEUR", "ANNE-MARIE", (), "F", "1938-05-12", None), [NotFound()])
    assert [(query.birth_name, query.given_names) for query in asked] == [
        ("LE TESTEUR", ("ANNE-MARIE",)),
        ("LE TESTEUR", ("ANNE MARIE",)),
        ("LE-TESTEUR", ("ANNE-MARIE",)),
    ]


def test_several_found_by_another_name_is_narrowed_with_that_name() -> None:
    asked, last = play(SOUGHT, [NotFound(), Several(), NotFound(), FOUND])
    assert [query.given_names for query in asked[1:]] == [("MARIE",), ("ROSE", "MARIE", "ANNE"), ("MARIE",)]
    assert asked[-1].birth_place == "35238"
    assert last is FOUND


@pytest.mark.parametrize("trouble", [NoAnswer("siram_40", "x"), Rejected("desir_550", "x", True)])
def test_no_answer_ends_the_search_and_is_not_nobody(trouble: Reply) -> None:
    asked, last = play(SOUGHT, [NotFound(), trouble])
    assert len(asked) == 2
    assert last is trouble


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([FOUND, NotFound(), Several(), NoAnswer("x", "x")]), min_size=5, max_size=5),
    st.lists(st.sampled_from(["MARIE", "ANNE-MARIE", "ROSE", "LOUISE", "JEANNE", "PAULE"]), max_size=6, unique=True),
)
def test_a_search_is_short_and_never_asks_twice(replies: list[Reply], others: list[str]) -> None:
    asked, last = play(Sought("DE TEST", "ROSE", tuple(others), "F", "1938-05-12", "35238"), replies)
    assert len(asked) <= MOST_QUERIES
    assert len(set(asked)) == len(asked)
    given = replies[: len(asked)]
    ending = [reply for reply in given if isinstance(reply, Found | NoAnswer)]
    wanted = ending[0] if ending else next((one for one in given if isinstance(one, Several)), NotFound())
    assert last == wanted


def test_traits_are_normalised_and_used_names_never_asked() -> None:
    sought = sought_of(WHO.model_copy(update={"birth_name": "d’Exemple-Müller", "birth_date": "1938-00-00"}))
    assert sought == Sought("D'EXEMPLE-MULLER", "ROSE", ("MARIE",), "F", "1938-12-31", "35238")
    only_used = WHO.model_copy(update={"birth_name": None, "sex": Sex.UNKNOWN, "birth_date": "12/05/1938"})
    assert sought_of(only_used) == Insufficient(("birth_name", "sex", "birth_date"))
    unknown_place = sought_of(WHO.model_copy(update={"birth_place": "99999"}))
    assert isinstance(unknown_place, Sought)
    assert unknown_place.birth_place is None


@pytest.mark.parametrize(
    ("change", "different", "near"),
    [
        ({}, (), ()),
        ({"birth_place": None}, (), ()),
        ({"birth_place": "99999"}, (), ()),
        ({"birth_given_names": ("ROSE",)}, (), ()),
        ({"birth_given_names": ("ROSE", "MARIE", "ANNE")}, (), ()),
        ({"birth_name": "TESTRAUSE"}, ("birth_name",), ()),
        ({"birth_name": None}, ("birth_name",), ()),
        ({"first_given_name": "MARIE"}, ("birth_given_names",), ()),
        ({"birth_given_names": ("ROSE", "JEANNE")}, ("birth_given_names",), ()),
        ({"first_given_name": "ROSE-MARIE", "birth_given_names": ("ROSE-MARIE",)}, (), ("birth_given_names",)),
        ({"birth_date": "1938-05-21"}, ("birth_date",), ()),
        ({"sex": Sex.MALE}, ("sex",), ()),
        ({"sex": None}, ("sex",), ()),
        ({"birth_place": "35000"}, ("birth_place",), ()),
    ],
)
def test_comparison(change: dict[str, object], different: tuple[str, ...], near: tuple[str, ...]) -> None:
    compared = compare(WHO.model_copy(update=change), CERTIFIED)
    assert compared.different == different
    assert compared.near == near
    assert compared.agrees == (not different)


def test_a_reply_without_a_trait_confirms_nothing() -> None:
    empty = compare(WHO, CertifiedTraits())
    assert empty.different == ("birth_name", "birth_given_names", "birth_date", "sex")
    assert dict(empty.traits)["birth_place"] is Likeness.EQUAL


def test_corsica_before_1976() -> None:
    ours = WHO.model_copy(update={"birth_place": "20004"})
    island = CertifiedTraits("TESTROSE", None, "ROSE", "F", "1938-05-12", "2A004")
    assert compare(ours, island).near == ("birth_place",)
    assert compare(ours.model_copy(update={"birth_place": "20005"}), island).different == ("birth_place",)


@pytest.mark.parametrize(
    ("first", "listed", "wanted"),
    [
        ("Pierre-Alain", "PIERRE-ALAIN MURIEL", "PIERRE-ALAIN"),
        ("Pierre Alain", "PIERRE-ALAIN MURIEL", "PIERRE-ALAIN"),
        ("Anne Marie", "ANNE MARIE ROSE", "ANNE MARIE"),
        ("ZOE", "ANNE MARIE ROSE", "ANNE"),
    ],
)
def test_the_first_given_name_of_a_list(first: str, listed: str, wanted: str) -> None:
    ours = PatientIdentity(first_given_name=first)
    assert first_given_name(ours, CertifiedTraits(given_names=listed)) == wanted


def test_verdicts() -> None:
    other = Ins(matricule="238053523800100", oid="1.2.250.1.213.1.4.10")
    assert WHO.ins is not None
    changed = Found(Matricule(other), CERTIFIED, (Matricule(WHO.ins),))
    cases: list[tuple[Reply, Verdict, str]] = [
        (FOUND, Verdict.OK, "00"),
        (Found(Matricule(other), CERTIFIED), Verdict.KO, "insi.ins.other"),
        (changed, Verdict.KO, "insi.ins.changed"),
        (Found(Matricule(WHO.ins), CertifiedTraits()), Verdict.KO, "insi.traits.differ"),
        (NotFound(), Verdict.KO, "insi.nobody"),
        (Several(), Verdict.UNKNOWN, "02"),
        (NoAnswer("siram_40", "x"), Verdict.UNKNOWN, "siram_40"),
        (Rejected("desir_550", "x"), Verdict.UNKNOWN, "desir_550"),
    ]
    for reply, verdict, code in cases:
        found = judged(WHO, reply)
        assert (found.verdict, found.code) == (verdict, code)


class Time:
    """A clock that only moves when somebody sleeps, or when it is told to."""

    def __init__(self) -> None:
        self.at = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


async def test_the_throttle_spaces_calls() -> None:
    time = Time()
    throttle = Throttle(30, time, time.sleep)
    moments = []
    for _ in range(4):
        assert await throttle.turn(10)
        moments.append(time.at)
    assert moments == [0, 2, 4, 6]
    time.at = 100
    assert await throttle.turn(0)
    assert not await throttle.turn(1)
    assert await throttle.turn(2)


def test_the_breaker_opens_tries_once_and_closes() -> None:
    time = Time()
    breaker = Breaker(2, 60, time)
    assert breaker.enter()
    breaker.bad()
    assert breaker.enter()
    breaker.bad()
    assert not breaker.enter()
    assert breaker.remaining == 60
    time.at = 60
    assert breaker.enter()
    assert not breaker.enter(), "one call tries, the others wait for what it finds"
    breaker.left()
    assert breaker.enter()
    breaker.bad()
    assert not breaker.enter()
    time.at = 120
    assert breaker.enter()
    breaker.good()
    assert breaker.enter()
    breaker.bad()
    assert breaker.enter()


def test_a_refusal_opens_the_breaker_at_once() -> None:
    time = Time()
    breaker = Breaker(5, 60, time)
    assert breaker.enter()
    breaker.bad(10)
    assert not breaker.enter()
    time.at = 10
    assert breaker.enter()
