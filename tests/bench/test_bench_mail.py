"""The bench of mails, with a few of them."""

from __future__ import annotations

import re

import pytest

from connectors.sandbox.mail_people import HOSPITAL, ROUTER
from connectors.sandbox.mail_servers import missing
from mappings.contracts import ReadContext
from mappings.registry import format_named
from router.bench.mail import numbered, run_mail_bench, samples


def test_the_mails_are_documents_with_names_of_their_own() -> None:
    mails = list(numbered(samples(HOSPITAL, ROUTER, 2, 2_000), 5, "in"))
    names = [re.search(rb"^Message-ID: <(.+)>\r$", one, re.MULTILINE) for one in mails]
    assert [name and name.group(1) for name in names] == [f"in-{number}@bench.invalid".encode() for number in range(5)]
    for one in mails[:2]:
        [item] = format_named("mail").read(one, ReadContext()).items
        assert item.kind == "document"


@pytest.mark.mail_servers
@pytest.mark.slow
def test_a_small_run_is_sound() -> None:
    if said := missing():
        pytest.skip(f"the real mail servers cannot be run: {said} (see tests/system_packages.sh)")
    figures = run_mail_bench(5, lambda _: None)
    assert figures.sound
    assert figures.mail_bytes > 250_000
    assert 0 < figures.first_seconds <= figures.journal_seconds <= figures.filed_seconds
