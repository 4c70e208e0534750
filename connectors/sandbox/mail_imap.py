"""A small IMAP4rev1 server on the sandbox's mailboxes: what a gateway and an ordinary mail program need, no more.

STARTTLS, LOGIN, AUTHENTICATE (PLAIN, XOAUTH2, EXTERNAL), folders, UID SEARCH, FETCH with partial bodies, STORE, COPY,
MOVE, APPEND, UID EXPUNGE, IDLE and QUOTA. What it does not know, it says (BAD).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from connectors.sandbox.mail_imap_messages import SHORTHANDS, fetched, matches
from connectors.sandbox.mail_imap_words import Malformed, Word, among, chosen, string, text_of, words
from connectors.sandbox.mail_store import Account, Folder, Mail

LONGEST_LINE = 64 * 1024
LARGEST_LITERAL = 64 * 1024 * 1024
PERMANENT = "\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*"
ABILITIES = "IMAP4rev1 LITERAL+ IDLE UIDPLUS MOVE QUOTA NAMESPACE UNSELECT ID SASL-IR"
_LITERAL = re.compile(rb"\{(\d+)(\+?)\}$")


class Doorkeeper(Protocol):
    """Who may open which mailbox."""

    def admits(self, user: str, secret: str) -> str | None:
        """Give the address of the mailbox that a password or token opens."""

    def admits_certificate(self, user: str, certificate: Any) -> str | None:
        """Give the address of the mailbox that a client certificate opens."""

    def opened(self, address: str) -> Account | None:
        """Give a mailbox by its address."""

    def now(self) -> datetime:
        """Tell the time."""


class Refused(Exception):
    """The command cannot be carried out (NO)."""


class ImapConnection:
    """One client, from its greeting to its end."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        door: Doorkeeper,
        context: ssl.SSLContext | None,
        able: str = ABILITIES,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._door = door
        self._context = context
        self._able = able
        self._account: Account | None = None
        self._folder: Folder | None = None
        self._read_only = False
        self._told: list[int] = []
        self._changed = asyncio.Event()
        self._over = False

    async def serve(self) -> None:
        """Answer until the client leaves."""
        self._send(f"* OK [CAPABILITY {self._abilities()}] sandbox ready")
        try:
            while not self._over:
                await self._writer.drain()
                segments = await self._command()
                if segments is None:
                    return
                await self._answer(segments)
            await self._writer.drain()
        finally:
            self._leave()
            self._writer.close()

    # --- lines ----------------------------------------------------------------------------------------------------

    async def _line(self) -> bytes | None:
        line = await self._reader.readline()
        return line.rstrip(b"\r\n") if line.endswith(b"\n") else None

    async def _command(self) -> list[bytes] | None:
        """Read one command: its text, with the literals between."""
        segments: list[bytes] = []
        while True:
            line = await self._line()
            if line is None:
                return None
            found = _LITERAL.search(line)
            if found is None:
                return [*segments, line]
            size = int(found.group(1))
            if size > LARGEST_LITERAL:
                return None
            if not found.group(2):
                self._send("+ go on")
                await self._writer.drain()
            segments += [line[: found.start()], await self._reader.readexactly(size)]

    def _send(self, line: str | bytes) -> None:
        self._writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")

    async def _answer(self, segments: list[bytes]) -> None:
        tag, _, rest = segments[0].partition(b" ")
        name = tag.decode("ascii", "replace")
        try:
            command, *arguments = words([rest, *segments[1:]])
            verb = text_of(command).upper()
            by_uid = verb == "UID" and bool(arguments)
            if by_uid:
                verb, arguments = text_of(arguments[0]).upper(), arguments[1:]
            handler: Callable[..., Any] | None = getattr(self, f"_do_{verb.lower()}", None)
            if handler is None or (by_uid and verb not in ("SEARCH", "FETCH", "STORE", "COPY", "MOVE", "EXPUNGE")):
                raise Malformed(f"{verb} is not known here")
            done = handler(arguments, by_uid) if verb in _NUMBERED else handler(arguments)
            said = await done if asyncio.iscoroutine(done) else done
        except Malformed as problem:
            self._send(f"{name} BAD {problem}")
        except (IndexError, ValueError):
            self._send(f"{name} BAD a word is missing or malformed")
        except Refused as problem:
            self._send(f"{name} NO {problem}")
        else:
            if verb not in ("FETCH", "STORE", "SEARCH") or by_uid:
                self._tell()
            self._send(f"{name} OK {said or verb + ' done'}")
            if verb == "STARTTLS":
                await self._go_secure()

    def _tell(self) -> None:
        """Say what changed in the folder since the last time."""
        if self._folder is None:
            return
        now = [mail.uid for mail in self._folder.mails]
        for rank in range(len(self._told), 0, -1):
            if self._told[rank - 1] not in now:
                self._send(f"* {rank} EXPUNGE")
                del self._told[rank - 1]
        if len(now) != len(self._told):
            self._send(f"* {len(now)} EXISTS")
        self._told = now

    # --- who is there ---------------------------------------------------------------------------------------------

    def _abilities(self) -> str:
        secure = self._secure()
        more = "AUTH=PLAIN AUTH=XOAUTH2 AUTH=EXTERNAL" if secure else "STARTTLS LOGINDISABLED"
        return f"{self._able} {more}"

    def _secure(self) -> bool:
        return self._writer.get_extra_info("ssl_object") is not None

    async def _go_secure(self) -> None:
        assert self._context is not None  # noqa: S101 - STARTTLS was refused otherwise
        await self._writer.drain()
        await self._writer.start_tls(self._context)

    def _do_starttls(self, _: list[Word]) -> str:
        if self._secure() or self._context is None:
            raise Malformed("TLS is there already")
        return "begin TLS now"

    def _do_capability(self, _: list[Word]) -> None:
        self._send(f"* CAPABILITY {self._abilities()}")

    def _do_noop(self, _: list[Word]) -> None:
        return None

    _do_check = _do_noop

    def _do_id(self, _: list[Word]) -> None:
        self._send('* ID ("name" "Passerelle sandbox")')

    def _do_logout(self, _: list[Word]) -> None:
        self._send("* BYE see you")
        self._over = True

    def _do_login(self, arguments: list[Word]) -> str:
        if not self._secure():
            raise Refused("[PRIVACYREQUIRED] STARTTLS first")
        return self._admitted(self._door.admits(text_of(arguments[0]), text_of(arguments[1])))

    async def _do_authenticate(self, arguments: list[Word]) -> str:
        if not self._secure():
            raise Refused("[PRIVACYREQUIRED] STARTTLS first")
        mechanism = text_of(arguments[0]).upper()
        said = text_of(arguments[1]) if len(arguments) > 1 else await self._challenge(b"")
        given = "" if said == "=" else base64.b64decode(said).decode("utf-8", "replace")
        if mechanism == "PLAIN":
            _, user, secret = given.split("\0")
            return self._admitted(self._door.admits(user, secret))
        if mechanism == "EXTERNAL":
            certificate = self._writer.get_extra_info("peercert")
            return self._admitted(self._door.admits_certificate(given, certificate))
        if mechanism == "XOAUTH2":
            fields = dict(part.partition("=")[::2] for part in given.split("\x01") if part)
            found = self._door.admits(fields.get("user", ""), fields.get("auth", "").removeprefix("Bearer "))
            if found is None:
                await self._challenge(b'{"status":"401","schemes":"bearer"}')
            return self._admitted(found)
        raise Refused("this mechanism is not known")

    async def _challenge(self, said: bytes) -> str:
        self._send(b"+ " + base64.b64encode(said))
        await self._writer.drain()
        return (await self._line() or b"").decode("ascii", "replace")

    def _admitted(self, address: str | None) -> str:
        self._account = self._door.opened(address) if address is not None else None
        if self._account is None:
            raise Refused("[AUTHENTICATIONFAILED] the login was refused")
        return f"[CAPABILITY {self._abilities()}] welcome"

    @property
    def _mine(self) -> Account:
        if self._account is None:
            raise Malformed("log in first")
        return self._account

    # --- folders --------------------------------------------------------------------------------------------------

    def _named(self, word: Word) -> Folder:
        found = self._mine.folder(text_of(word))
        if found is None:
            raise Refused("[NONEXISTENT] there is no such folder")
        return found

    def _do_list(self, arguments: list[Word]) -> None:
        pattern = text_of(arguments[0]) + text_of(arguments[1])
        if not pattern:
            self._send('* LIST (\\Noselect) "/" ""')
        shape = re.compile("^" + re.escape(pattern).replace(r"\*", ".*").replace("%", "[^/]*") + "$", re.IGNORECASE)
        for name in self._mine.folders:
            if shape.match(name):
                self._send(b'* LIST (\\HasNoChildren) "/" ' + string(name))

    def _do_lsub(self, arguments: list[Word]) -> None:
        for name in self._mine.folders if text_of(arguments[1]) in ("*", "%") else ():
            self._send(b'* LSUB () "/" ' + string(name))

    def _do_namespace(self, _: list[Word]) -> None:
        self._send('* NAMESPACE (("" "/")) NIL NIL')

    def _do_create(self, arguments: list[Word]) -> None:
        self._mine.create(text_of(arguments[0]))

    def _do_subscribe(self, arguments: list[Word]) -> None:
        self._named(arguments[0])

    _do_unsubscribe = _do_subscribe

    def _do_status(self, arguments: list[Word]) -> None:
        folder = self._named(arguments[0])
        figures = {
            "MESSAGES": len(folder.mails),
            "RECENT": 0,
            "UIDNEXT": folder.next_uid,
            "UIDVALIDITY": folder.validity,
            "UNSEEN": sum("\\Seen" not in mail.flags for mail in folder.mails),
        }
        names = arguments[1] if isinstance(arguments[1], list) else []
        wanted = [text_of(word).upper() for word in names]
        said = " ".join(f"{name} {figures[name]}" for name in wanted if name in figures)
        self._send(b"* STATUS " + string(folder.name) + f" ({said})".encode())

    def _do_select(self, arguments: list[Word], *, read_only: bool = False) -> str:
        folder = self._named(arguments[0])
        self._leave()
        self._folder, self._read_only = folder, read_only
        folder.watchers.append(self._changed.set)
        self._told = [mail.uid for mail in folder.mails]
        self._send(f"* {len(folder.mails)} EXISTS")
        self._send("* 0 RECENT")
        self._send("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)")
        self._send(f"* OK [PERMANENTFLAGS ({'' if read_only else PERMANENT})] kept")
        self._send(f"* OK [UIDVALIDITY {folder.validity}] these")
        self._send(f"* OK [UIDNEXT {folder.next_uid}] next")
        return f"[{'READ-ONLY' if read_only else 'READ-WRITE'}] {folder.name} opened"

    def _do_examine(self, arguments: list[Word]) -> str:
        return self._do_select(arguments, read_only=True)

    def _leave(self) -> None:
        if self._folder is not None:
            self._folder.watchers.remove(self._changed.set)
            self._folder = None

    def _do_unselect(self, _: list[Word]) -> None:
        self._leave()

    def _do_close(self, _: list[Word]) -> None:
        if not self._read_only:
            self._expunge(lambda _: True)
        self._leave()

    @property
    def _here(self) -> Folder:
        if self._folder is None:
            raise Malformed("open a folder first")
        return self._folder

    def _do_getquotaroot(self, arguments: list[Word]) -> None:
        self._send(b"* QUOTAROOT " + string(self._named(arguments[0]).name) + b' "box"')
        self._quota()

    def _do_getquota(self, _: list[Word]) -> None:
        self._quota()

    def _quota(self) -> None:
        self._send(f'* QUOTA "box" (STORAGE {self._mine.used // 1024} {self._mine.quota // 1024})')

    async def _do_idle(self, _: list[Word]) -> None:
        self._send("+ idling")
        done = asyncio.ensure_future(self._line())
        try:
            while not done.done():
                self._tell()
                await self._writer.drain()
                self._changed.clear()
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait((done, changed), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            done.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await done

    # --- mails ----------------------------------------------------------------------------------------------------

    def _which(self, word: Word, by_uid: bool) -> list[tuple[int, Mail]]:
        mails = self._here.mails
        highest = (mails[-1].uid if by_uid else len(mails)) if mails else 0
        ranges = chosen(text_of(word), highest)
        numbered = enumerate(mails, start=1)
        return [(rank, mail) for rank, mail in numbered if among(mail.uid if by_uid else rank, ranges)]

    def _do_search(self, arguments: list[Word], by_uid: bool) -> None:
        criteria = [*arguments]
        if criteria and text_of(criteria[0]).upper() == "CHARSET":
            criteria = criteria[2:]
        found = [
            mail.uid if by_uid else rank
            for rank, mail in enumerate(self._here.mails, start=1)
            if matches(criteria, rank, mail, self._here)
        ]
        self._send(" ".join(["* SEARCH", *map(str, found)]))

    async def _do_fetch(self, arguments: list[Word], by_uid: bool) -> None:
        wanted = arguments[1] if isinstance(arguments[1], list) else [arguments[1]]
        items: list[str] = []
        for word in wanted:
            items += SHORTHANDS.get(text_of(word).upper(), (text_of(word),))
        for rank, mail in self._which(arguments[0], by_uid):
            said = [f"UID {mail.uid}".encode()] if by_uid and "UID" not in items else []
            said += [fetched(item, mail, read_only=self._read_only) for item in items]
            self._send(f"* {rank} FETCH (".encode() + b" ".join(said) + b")")
            await self._writer.drain()

    def _do_store(self, arguments: list[Word], by_uid: bool) -> None:
        self._writable()
        how = text_of(arguments[1]).upper()
        given = arguments[2] if isinstance(arguments[2], list) else arguments[2:]
        flags = {text_of(word) for word in given}
        for rank, mail in self._which(arguments[0], by_uid):
            if how.startswith("+"):
                mail.flags |= flags
            elif how.startswith("-"):
                mail.flags -= flags
            else:
                mail.flags = set(flags)
            if not how.endswith(".SILENT"):
                uid = f"UID {mail.uid} " if by_uid else ""
                self._send(f"* {rank} FETCH ({uid}FLAGS ({' '.join(sorted(mail.flags))}))")

    def _do_copy(self, arguments: list[Word], by_uid: bool) -> str:
        return self._copied(self._which(arguments[0], by_uid), arguments[1])

    def _do_move(self, arguments: list[Word], by_uid: bool) -> None:
        self._writable()
        which = self._which(arguments[0], by_uid)
        self._send(f"* OK {self._copied(which, arguments[1])}")
        self._here.remove(mail.uid for _, mail in which)

    def _copied(self, which: list[tuple[int, Mail]], word: Word) -> str:
        target = self._mine.folder(text_of(word))
        if target is None:
            raise Refused("[TRYCREATE] there is no such folder")
        copies = [target.add(mail.content, mail.flags, mail.arrived).uid for _, mail in which]
        before = ",".join(str(mail.uid) for _, mail in which)
        return f"[COPYUID {target.validity} {before} {','.join(map(str, copies))}] copied" if copies else "nothing"

    def _do_expunge(self, arguments: list[Word], by_uid: bool) -> None:
        self._writable()
        highest = max((mail.uid for mail in self._here.mails), default=0)
        ranges = chosen(text_of(arguments[0]), highest) if by_uid else None
        self._expunge(lambda uid: ranges is None or among(uid, ranges))

    def _expunge(self, concerns: Callable[[int], bool]) -> None:
        self._here.remove(mail.uid for mail in self._here.mails if "\\Deleted" in mail.flags and concerns(mail.uid))

    def _do_append(self, arguments: list[Word]) -> str:
        target = self._named(arguments[0])
        flags = arguments[1] if len(arguments) > 2 and isinstance(arguments[1], list) else []
        content = arguments[-1]
        if not isinstance(content, bytes):
            raise Malformed("the mail comes as a literal")
        if self._mine.used + len(content) > self._mine.quota:
            raise Refused("[OVERQUOTA] the mailbox is full")
        mail = target.add(content, {text_of(flag) for flag in flags}, self._door.now())
        return f"[APPENDUID {target.validity} {mail.uid}] appended"

    def _writable(self) -> None:
        if self._read_only:
            raise Refused("[READ-ONLY] the folder was opened to be read")


_NUMBERED = frozenset({"SEARCH", "FETCH", "STORE", "COPY", "MOVE", "EXPUNGE"})


class ImapListener:
    """A listening server and its connections, closed together."""

    def __init__(self, door: Doorkeeper, context: ssl.SSLContext, implicit: bool, able: str) -> None:
        self._door = door
        self._context = context
        self._implicit = implicit
        self._able = able
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def listen(self, port: int) -> None:
        """Listen on loopback."""
        secure = self._context if self._implicit else None
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port, limit=LONGEST_LINE, ssl=secure)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None  # noqa: S101 - it listens
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many clients are there."""
        return len(self._tasks)

    async def close(self) -> None:
        """Listen no more, and end what is connected."""
        if self._server is not None:
            self._server.close()
        await self.drop()

    async def drop(self) -> None:
        """End what is connected, as a server does that restarts."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio made it
        self._tasks.add(task)
        try:
            await ImapConnection(
                reader, writer, self._door, None if self._implicit else self._context, self._able
            ).serve()
        except (OSError, asyncio.IncompleteReadError, ValueError, asyncio.CancelledError):
            # A client that leaves in the middle, or speaks no IMAP, is gone: there is nobody to tell.
            writer.transport.abort()
        finally:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._tasks.discard(task)


async def serve_imap(
    door: Doorkeeper, context: ssl.SSLContext, *, implicit: bool = False, port: int = 0, able: str = ABILITIES
) -> ImapListener:
    """Listen on loopback, with STARTTLS or, `implicit`, TLS from the first byte."""
    listener = ImapListener(door, context, implicit, able)
    await listener.listen(port)
    return listener
