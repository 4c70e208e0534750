"""How an answer is wrapped: one part, or multipart with its documents; and the ways in which a wrapping may be odd."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.service import Answer, Outgoing
from connectors.sandbox.dmp.trouble import Trouble


@dataclass(frozen=True, slots=True)
class Package:
    """The bytes of an answer around its documents: head, then for each document what stands before it, then tail."""

    content_type: str
    head: bytes
    documents: tuple[tuple[bytes, str], ...] = ()
    tail: bytes = b""


def packaged(answer: Answer, trouble: Trouble | None) -> Package:
    """Wrap an answer."""
    content, charset = _odd(answer.content, trouble)
    kind = "text/xml" if trouble is Trouble.SOAP_11 else "application/soap+xml"
    if not answer.multipart and not answer.documents and trouble not in (Trouble.MULTIPART, Trouble.BOUNDARY):
        return Package(f"{kind}; charset={charset}", content)
    boundary, root = f"uuid:{uuid4()}", f"root.message@{uuid4()}"
    start = f'start="<{root}>"; start-info="{kind}"'
    content_type = f'multipart/related; type="application/xop+xml"; boundary="{boundary}"; {start}'
    delimiter = f"\r\n--{boundary}\r\n".encode()
    described = (
        f'Content-Type: application/xop+xml; charset={charset}; type="{kind}"\r\n'
        f"Content-Transfer-Encoding: binary\r\nContent-ID: <{root}>\r\n\r\n"
    ).encode()
    documents = tuple((_headers(one), one.unique_id) for one in answer.documents)
    end = f"\r\n--{boundary}--".encode()
    if trouble is Trouble.BOUNDARY:
        return _tricky(content_type, boundary, described, content, documents)
    return Package(
        content_type,
        delimiter + described + content,
        tuple((delimiter + headers, unique_id) for headers, unique_id in documents),
        end,
    )


def _headers(one: Outgoing) -> bytes:
    said = f"Content-Type: {one.mime}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{one.cid}>\r\n\r\n"
    return said.encode()


def _tricky(
    content_type: str, boundary: str, described: bytes, content: bytes, documents: tuple[tuple[bytes, str], ...]
) -> Package:
    """Write what RFC 2046 and 5322 allow and few expect."""
    line = f"--{boundary} \t\r\n".encode()
    folded = described.replace(b"; type=", b";\r\n type=").replace(b"Content-ID:", b"CONTENT-ID:")
    decoy = f"A preamble.\r\n--{boundary}x is no delimiter\r\n".encode()
    parts = [(b"\r\n" + line + headers, unique_id) for headers, unique_id in documents]
    if parts:
        parts[0] = (decoy + line + parts[0][0].removeprefix(b"\r\n" + line), parts[0][1])
        head, before_root = b"", b"\r\n" + line
    else:
        head, before_root = decoy, line
    tail = before_root + folded + content + f"\r\n--{boundary}--  \r\nAn epilogue.\r\n--{boundary}\r\n".encode()
    return Package(content_type, head, tuple(parts), tail)


def _odd(content: bytes, trouble: Trouble | None) -> tuple[bytes, str]:
    if trouble is Trouble.WRONG_RELATES_TO:
        start, end = content.index(b"<RelatesTo"), content.index(b"</RelatesTo>")
        open_tag = content[start : content.index(b">", start) + 1]
        return content[:start] + open_tag + f"urn:uuid:{uuid4()}".encode() + content[end:], "UTF-8"
    if trouble is Trouble.LATIN_1:
        text = content.decode().replace('encoding="UTF-8"', 'encoding="ISO-8859-1"', 1)
        return text.replace("<soap:Body>", "<soap:Body><!-- Réponse accentuée -->", 1).encode(
            "iso-8859-1", "xmlcharrefreplace"
        ), "ISO-8859-1"
    if trouble is Trouble.INVALID_UTF8:
        return content.replace(b"<soap:Body>", b"<soap:Body><!-- M\xe9decin -->", 1), "UTF-8"
    if trouble is Trouble.SOAP_11:
        return content.replace(names.SOAP.encode(), names.SOAP_11.encode()), "UTF-8"
    return content, "UTF-8"
