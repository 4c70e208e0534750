"""Mail: documents, notes and reports in RFC 5322 messages (MSSanté, HPRIM.Net), read and written."""

from __future__ import annotations

from mappings.mail.format import FORMAT, MailFormat

__all__ = ["FORMAT", "MailFormat"]
