"""Why a person decided as they did: stable codes for each action, shown in words by the dashboard."""

from __future__ import annotations

from enum import StrEnum

from router.journal.decisions import DeskAction


class Why(StrEnum):
    """A person's own reason. `other` asks for a note."""

    TRAITS = "traits_compared"
    SENDER = "confirmed_by_sender"
    PERSON = "confirmed_by_person"
    DOCUMENT = "identity_document"
    ASK_SENDER = "ask_sender"
    ASK_REGISTRATION = "ask_registration"
    ASK_DOCUMENT = "ask_document"
    CONTRADICTION = "contradicting_traits"
    SHARED_NUMBER = "number_of_another"
    IMPERSONATION = "impersonation"
    NOT_FOLLOWED = "not_followed"
    MISDIRECTED = "misdirected"
    TEST = "test_message"
    NOBODY = "cannot_be_identified"
    MISTAKE = "mistake"
    OTHER = "other"


CHOICES: dict[DeskAction, tuple[Why, ...]] = {
    DeskAction.ATTACH: (Why.TRAITS, Why.SENDER, Why.PERSON, Why.DOCUMENT, Why.OTHER),
    DeskAction.TASK: (Why.ASK_SENDER, Why.ASK_REGISTRATION, Why.ASK_DOCUMENT, Why.OTHER),
    DeskAction.DOUBTFUL: (Why.CONTRADICTION, Why.SHARED_NUMBER, Why.IMPERSONATION, Why.OTHER),
    DeskAction.REFUSE: (Why.NOT_FOLLOWED, Why.MISDIRECTED, Why.TEST, Why.NOBODY, Why.OTHER),
    DeskAction.UNDO: (Why.MISTAKE, Why.OTHER),
}
"""The reasons that go with each action; the first one is proposed, as it is the usual one."""


def reason_of(action: DeskAction, text: str) -> Why | None:
    """Give the reason of a code, None when it does not go with the action."""
    return next((why for why in CHOICES[action] if why.value == text), None)
