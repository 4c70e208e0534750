"""The bodies of answers, written as text from what the registry holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.refusals import RegistryProblem

_SPACES = f'xmlns:rs="{names.RS}" xmlns:rim="{names.RIM}" xmlns:query="{names.QUERY}" xmlns:xds="{names.XDS}"'


def status_of(problems: Iterable[RegistryProblem]) -> str:
    """Give Failure when there is an error, else Success: warnings alone fail nothing."""
    return names.SUCCESS if all(one.warning for one in problems) else names.FAILURE


def registry_response(problems: Sequence[RegistryProblem], status: str | None = None) -> str:
    """Write a RegistryResponse."""
    said = status or status_of(problems)
    return f"<rs:RegistryResponse {_SPACES} status={quoteattr(said)}>{_errors(problems)}</rs:RegistryResponse>"


def query_response(objects: Sequence[str], problems: Sequence[RegistryProblem] = (), status: str | None = None) -> str:
    """Write an AdhocQueryResponse around objects that are XML already."""
    said = status or status_of(problems)
    return (
        f'<query:AdhocQueryResponse {_SPACES} status={quoteattr(said)} startIndex="0" '
        f'totalResultCount="{len(objects)}">{_errors(problems)}'
        f"<rim:RegistryObjectList>{''.join(objects)}</rim:RegistryObjectList></query:AdhocQueryResponse>"
    )


def reference(uuid: str) -> str:
    """Write an ObjectRef."""
    return f"<rim:ObjectRef id={quoteattr(uuid)}/>"


def retrieve_response(
    documents: Sequence[tuple[str, str, str]], problems: Sequence[RegistryProblem], status: str
) -> str:
    """Write a RetrieveDocumentSetResponse; a document is its uniqueId, its type and the href of its part."""
    held = "".join(
        f"<xds:DocumentResponse><xds:RepositoryUniqueId>{names.REPOSITORY_OID}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{escape(unique_id)}</xds:DocumentUniqueId><xds:mimeType>{escape(mime)}</xds:mimeType>"
        f'<xds:Document><xop:Include xmlns:xop="{names.XOP}" href={quoteattr(href)}/></xds:Document>'
        "</xds:DocumentResponse>"
        for unique_id, mime, href in documents
    )
    return (
        f"<xds:RetrieveDocumentSetResponse {_SPACES}>{registry_response(problems, status)}{held}"
        "</xds:RetrieveDocumentSetResponse>"
    )


def _errors(problems: Sequence[RegistryProblem]) -> str:
    if not problems:
        return ""
    highest = names.WARNING if all(one.warning for one in problems) else names.ERROR
    written = "".join(
        f"<rs:RegistryError errorCode={quoteattr(one.code)} codeContext={quoteattr(one.context)} "
        f"severity={quoteattr(names.WARNING if one.warning else names.ERROR)} location={quoteattr(one.location)}/>"
        for one in problems
    )
    return f"<rs:RegistryErrorList highestSeverity={quoteattr(highest)}>{written}</rs:RegistryErrorList>"
