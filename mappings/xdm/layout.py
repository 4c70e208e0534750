"""Where things are in an IHE_XDM.ZIP: submission sets, their metadata, and the files that the metadata name.

    INDEX.HTM  README.TXT  IHE_XDM/SUBSET01/METADATA.XML  IHE_XDM/SUBSET01/DOC00001.XML …

Senders write small letters, backslashes, a folder around it all, other names than SUBSET01, and paths in URI; all of it
is found, and told. (IHE ITI TF-2 §3.32; ISO 9660 level 1 names.)
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from mappings.archive import Archive, Entry
from mappings.notes import Notes

ROOT = "IHE_XDM"
METADATA = "METADATA.XML"
LEAFLETS = frozenset({"INDEX.HTM", "INDEX.HTML", "README.TXT"})


@dataclass(frozen=True, slots=True)
class Subset:
    """One submission set: its folder (with its last `/`), its metadata if it has any, and all its other files."""

    folder: str
    metadata: Entry | None
    files: tuple[Entry, ...]


def stem(name: str) -> str:
    """Give a file's name without folders and extension, in capitals."""
    return base(name).rpartition(".")[0].upper() or base(name).upper()


def base(name: str) -> str:
    """Give a file's name without its folders."""
    return name.rpartition("/")[2]


def folder_of(name: str) -> str:
    """Give the folder of a file, with its last `/`; empty at the root."""
    return name[: len(name) - len(base(name))]


def subsets(archive: Archive, notes: Notes) -> list[Subset]:
    """List the submission sets; a folder with documents and no METADATA.XML is one without metadata."""
    files = _usable(archive, notes)
    folders: dict[str, list[Entry]] = {}
    for entry in files:
        folders.setdefault(folder_of(entry.name).upper(), []).append(entry)
    named = {folder for folder in folders if any(base(one.name).upper() == METADATA for one in folders[folder])}
    expected = {folder for folder in folders if _is_submission_set(folder, folders[folder])}
    chosen = expected | named
    if not chosen:
        chosen = {folder for folder in folders if f"/{folder}".endswith(f"/{ROOT}/")} or set(folders)
    _tell_deviations(archive, named, expected, notes)
    found: list[Subset] = []
    for folder in sorted(chosen):
        inside = [one for one in files if folder_of(one.name).upper().startswith(folder)]
        inside = [one for one in inside if not _belongs_elsewhere(one, folder, chosen)]
        metadata = next((one for one in folders[folder] if base(one.name).upper() == METADATA), None)
        others = tuple(one for one in inside if one is not metadata and not _is_leaflet(one))
        if metadata is not None or others:
            found.append(Subset(folder_of(folders[folder][0].name), metadata, others))
    taken = {id(one) for subset in found for one in (*subset.files, subset.metadata)}
    for entry in files:
        if id(entry) not in taken and not _is_leaflet(entry):
            notes.leave(entry.name, f"{entry.size} bytes")
    return found


def resolve(uri: str, subset: Subset, archive: Archive, notes: Notes) -> Entry | None:
    """Find the file that a URI names: beside the metadata, else from IHE_XDM or the root, whatever the case.

    A URI that leads out of the archive is told and not followed.
    """
    path = unquote(uri.replace("\\", "/")) if "%" in uri else uri.replace("\\", "/")
    path = path.removeprefix("./")
    where = f"{subset.folder}{METADATA} URI"
    if ".." in path.split("/") or path.startswith("/") or ":" in path:
        notes.error("xdm.uri.outside", where, "a URI leads out of its submission set: it is not followed")
        return None
    parent = folder_of(subset.folder.rstrip("/"))
    top = folder_of(parent.rstrip("/"))
    for start in dict.fromkeys((subset.folder, parent, top, "")):
        wanted = f"{start}{path}".upper()
        found = [one for one in archive.entries if one.name.upper() == wanted and not one.outside and not one.is_folder]
        if found:
            if start != subset.folder:
                notes.info("xdm.uri.path", where, "a URI is not relative to the folder of its metadata")
            return found[0]
    return None


def _usable(archive: Archive, notes: Notes) -> list[Entry]:
    """Give the files with a name that stays inside; of several with one name, the first."""
    usable: list[Entry] = []
    seen: set[str] = set()
    for rank, entry in enumerate(archive.entries, 1):
        if entry.outside:
            notes.error("xdm.name.outside", f"entry {rank}", "the name of an entry leads outside: it is not followed")
            notes.leave(f"entry {rank}", entry.raw_name[:256] or "(no name)")
        elif entry.is_folder:
            continue
        elif entry.name.upper() in seen:
            notes.error("xdm.name.duplicate", f"entry {rank}", "two entries have one name: only the first counts")
            notes.leave(f"entry {rank}", entry.name)
        else:
            seen.add(entry.name.upper())
            usable.append(entry)
    return usable


def _is_submission_set(folder: str, files: list[Entry]) -> bool:
    """Say whether a folder right below IHE_XDM may be one: a folder of style sheets or pictures is not."""
    below_root = folder.split("/")[-3:-2] == [ROOT]
    return below_root and any(base(one.name).upper().endswith((".XML", ".PDF")) for one in files)


def _belongs_elsewhere(entry: Entry, folder: str, chosen: set[str]) -> bool:
    """Say whether a file below a folder is in a deeper one that is a submission set itself."""
    own = folder_of(entry.name).upper()
    return any(own.startswith(other) for other in chosen if len(other) > len(folder) and other.startswith(folder))


def _is_leaflet(entry: Entry) -> bool:
    return base(entry.name).upper() in LEAFLETS


def _tell_deviations(archive: Archive, named: set[str], expected: set[str], notes: Notes) -> None:
    names = [one.name for one in archive.entries]
    if any("\\" in one.raw_name for one in archive.entries):
        notes.info("xdm.layout.backslash", "", "names have backslashes instead of slashes")
    below = (name[f"/{name.upper()}".rindex(f"/{ROOT}/") :] for name in names if f"/{ROOT}/" in f"/{name.upper()}")
    if any(name != name.upper() for name in below):
        notes.info("xdm.layout.case", "", "names are not in capitals")
    if any(folder.split("/")[:-3] for folder in expected):
        notes.info("xdm.layout.wrapped", "", f"{ROOT} is not at the root of the archive")
    if named - expected:
        notes.warning("xdm.layout.place", "", f"metadata are elsewhere than in a folder of {ROOT}")
    present = {name.upper() for name in names}
    if not {"INDEX.HTM", "README.TXT"} <= {base(name) for name in present}:
        notes.info("xdm.layout.leaflet", "", "INDEX.HTM or README.TXT is missing")
