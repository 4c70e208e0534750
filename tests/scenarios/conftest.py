"""One empty journal for all scenarios; a router of its own for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rose_scene import RoseScene, mail_sections, mailed_doctor, make_template, rose_scene, whole_circle

from connectors.sandbox.mail_operator import MailOperator
from schemas.circle import Member
from schemas.consent import ConsentKind
from schemas.habilitation import DataCategory


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rose")
    make_template(folder)
    return folder


@pytest.fixture
async def empty(template: Path, tmp_path: Path) -> AsyncIterator[RoseScene]:
    """A router without any dossier."""
    async with rose_scene(template, tmp_path / "router") as scene:
        yield scene


@pytest.fixture
async def scene(empty: RoseScene) -> RoseScene:
    """Mme FICTIVE-ROSE with the circle of the sheet; her daughter may know of events and read notes."""
    return await with_rose(empty)


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[MailOperator]:
    """An MSSanté operator."""
    async with MailOperator(tmp_path / "operator") as operator:
        yield operator


@pytest.fixture
async def empty_mailed(template: Path, tmp_path: Path, operator: MailOperator) -> AsyncIterator[RoseScene]:
    """A router that has a mailbox, and tells members with one by MSSanté; without any dossier."""
    async with rose_scene(template, tmp_path / "router", mail_sections(operator)) as scene:
        yield scene


@pytest.fixture
async def mailed(empty_mailed: RoseScene) -> RoseScene:
    """The same, with Mme FICTIVE-ROSE and a general practitioner who reads MSSanté alone."""
    return await with_rose(empty_mailed, gp=mailed_doctor())


async def with_rose(scene: RoseScene, **instead: Member) -> RoseScene:
    await scene.open(*(dict(whole_circle()) | instead).items())
    await scene.consent(
        ConsentKind.SHARE, members=(scene.members["daughter"],), categories=(DataCategory.EVENTS, DataCategory.NOTES)
    )
    return scene
