"""What the tests of the sandbox share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectors.sandbox.dmp.pki import certificates_in


@pytest.fixture(scope="session")
def made_certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of a sandbox DMP, made once: four RSA keys take a second or two."""
    folder = tmp_path_factory.mktemp("certificates")
    certificates_in(folder)
    return folder


@pytest.fixture
def dmp_folder(tmp_path: Path, made_certificates: Path) -> Path:
    """A folder for a sandbox DMP that holds nothing but certificates."""
    shutil.copytree(made_certificates, tmp_path / "dmp" / "certificates")
    return tmp_path / "dmp"
