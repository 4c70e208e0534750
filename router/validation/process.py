"""The process that checks: it holds Saxon and the compiled schematrons, and answers one question after the other.

Started as `python -m router.validation.process PACKAGE CACHE PARENT`. Documents come and findings go through its pipes
only. It ends when its input does, or when its parent dies.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

import orjson

from mappings.contracts import FormatError
from router.following import follow
from router.validation.carried import carried_documents
from router.validation.faults import PackageFault
from router.validation.frames import framed, read_frame
from router.validation.package import Package, open_package
from schemas.finding import Finding, Severity

NICE = 10
"""How much less urgent it is than the process that acknowledges."""


def answer(package: Package, question: bytes, content: bytes, beside: list[bytes]) -> bytes:
    """Answer one question."""
    try:
        findings: list[Finding] = []
        for document in carried_documents(content, orjson.loads(question)["format"], beside):
            findings += package.validate(document)
    except PackageFault as fault:
        return orjson.dumps({"fault": str(fault)})
    except FormatError as problem:
        refused = Finding(severity=Severity.ERROR, code=problem.code, where=problem.where, message=problem.message)
        findings = [refused]
    return orjson.dumps({"findings": [finding.model_dump(mode="json") for finding in findings]})


def run(package: Path, cache: Path, questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more questions."""
    opened: Package | None = None
    while (question := read_frame(questions)) is not None:
        parts = [read_frame(questions) or b"" for _ in range(1 + orjson.loads(question)["beside"])]
        try:
            opened = opened or open_package(package, cache)
        except PackageFault as fault:
            reply = orjson.dumps({"fault": str(fault)})
        else:
            reply = answer(opened, question, parts[0], parts[1:])
        answers.write(framed(reply))
        answers.flush()


def main() -> None:
    """Run on the standard pipes, out of reach of whatever a library prints."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    package, cache, parent = sys.argv[1:]
    follow(int(parent))
    os.nice(NICE)
    answers = os.fdopen(os.dup(1), "wb")
    # Saxon may print what it met in a document.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    run(Path(package), Path(cache), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
