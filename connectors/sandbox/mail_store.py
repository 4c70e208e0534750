"""The mailboxes of the sandbox's mail operator, in memory: one store that submission writes to and IMAP serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

INBOX = "INBOX"
RECENT_NOTHING: frozenset[str] = frozenset()


class MailboxFull(Exception):
    """The quota of the mailbox does not allow one more mail."""


@dataclass(slots=True)
class Mail:
    """A mail in a folder: its number there, its bytes, its flags and when it came."""

    uid: int
    content: bytes
    flags: set[str]
    arrived: datetime


@dataclass(slots=True)
class Folder:
    """A folder: its mails in the order of their numbers; whoever watches it is called at each change."""

    name: str
    validity: int
    mails: list[Mail] = field(default_factory=list)
    next_uid: int = 1
    watchers: list[Callable[[], None]] = field(default_factory=list)

    def add(self, content: bytes, flags: Iterable[str], arrived: datetime) -> Mail:
        """Append a mail."""
        mail = Mail(self.next_uid, content, set(flags), arrived)
        self.next_uid += 1
        self.mails.append(mail)
        self.changed()
        return mail

    def remove(self, uids: Iterable[int]) -> None:
        """Take mails out."""
        gone = set(uids)
        self.mails = [mail for mail in self.mails if mail.uid not in gone]
        self.changed()

    def changed(self) -> None:
        """Tell those who watch."""
        for watcher in list(self.watchers):
            watcher()

    def renumber(self) -> None:
        """Give a new UIDVALIDITY and new numbers, as a server does that was restored."""
        self.validity += 1
        self.next_uid = 1000
        for mail in self.mails:
            mail.uid = self.next_uid
            self.next_uid += 1


@dataclass(slots=True)
class Account:
    """A mailbox: who may open it (password), how much it holds, its folders by name."""

    address: str
    password: str
    quota: int = 100 * 1024 * 1024
    folders: dict[str, Folder] = field(default_factory=dict)

    def folder(self, name: str) -> Folder | None:
        """Give a folder; the name of the inbox is the same in any case."""
        return self.folders.get(INBOX if name.upper() == INBOX else name)

    def create(self, name: str) -> Folder:
        """Give a folder, made if need be."""
        name = INBOX if name.upper() == INBOX else name
        return self.folders.setdefault(name, Folder(name, 1700000000 + len(self.folders)))

    @property
    def used(self) -> int:
        """Bytes of all its mails."""
        return sum(len(mail.content) for folder in self.folders.values() for mail in folder.mails)

    def contents(self, folder: str = INBOX) -> list[bytes]:
        """Give the bytes of the mails of a folder, in order."""
        found = self.folder(folder)
        return [] if found is None else [mail.content for mail in found.mails]


class MailStore:
    """Accounts by address, in any case."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.accounts: dict[str, Account] = {}
        self.now = now

    def open(self, address: str, password: str, *, quota: int = 100 * 1024 * 1024) -> Account:
        """Make a mailbox with its inbox."""
        account = Account(address, password, quota)
        account.create(INBOX)
        self.accounts[address.lower()] = account
        return account

    def account(self, address: str) -> Account | None:
        """Give a mailbox."""
        return self.accounts.get(address.lower())

    def deliver(self, address: str, content: bytes, return_path: str | None = None) -> Mail:
        """Put a mail into an inbox. Raises KeyError for an unknown mailbox, MailboxFull for a full one."""
        account = self.accounts[address.lower()]
        if return_path is not None:
            content = f"Return-Path: <{return_path}>\r\n".encode() + content
        if account.used + len(content) > account.quota:
            raise MailboxFull(account.address)
        return account.create(INBOX).add(content, RECENT_NOTHING, self.now())
