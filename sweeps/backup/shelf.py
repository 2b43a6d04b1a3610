"""Where copies of a study's ledger lie in a storage: each a whole database file, with a card beside it that is written last.

Owns names, order and digests. Knows neither when a copy is due nor what becomes of it.
"""

import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass

import fsspec

from sweeps.ledger.snapshot import Standing
from sweeps.storage import write_whole

FOLDER = "ledger-copies"


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of a copy without reading it: which one it is, its content's digest, and how far the study is in it.

    `written_at` is renewed while the driver lives, also where nothing has changed.
    """

    number: int
    digest: str
    written_at: float
    standing: Standing

    @property
    def name(self) -> str:
        return f"{self.number:06d}-{self.digest}"

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Card":
        values = json.loads(text)
        return cls(**{**values, "standing": Standing(**values["standing"])})


class Shelf:
    """The copies of one study's ledger in a storage. Every method raises what the storage raises: OSError, ValueError."""

    def __init__(self, storage: str, study: str) -> None:
        self.url = f"{storage.rstrip('/')}/{FOLDER}/{study}"
        self._filesystem, self._folder = fsspec.url_to_fs(self.url)

    def cards(self) -> list[Card]:
        """Of every complete copy, the newest first. One that cannot be read is left out."""
        found = []
        for name in sorted(self._names(), reverse=True):
            if name.endswith(".json"):
                with suppress(ValueError, KeyError, TypeError, FileNotFoundError):
                    found.append(Card.from_json(self._filesystem.cat_file(f"{self._folder}/{name}")))
        return found

    def read(self, card: Card) -> bytes | None:
        """The copy, or None where it is gone or not what its card says."""
        try:
            content: bytes = self._filesystem.cat_file(f"{self._folder}/{card.name}.db")
        except FileNotFoundError:
            return None
        return content if digest_of(content) == card.digest else None

    def write(self, card: Card, content: bytes | None) -> None:
        """The copy first and its card last; without content the card alone, anew."""
        if content is not None:
            write_whole(f"{self.url}/{card.name}.db", content)
        write_whole(f"{self.url}/{card.name}.json", card.to_json())

    def keep(self, cards: Collection[Card]) -> None:
        """Remove every other copy, halves of copies included."""
        kept = {card.name for card in cards}
        for name in sorted(self._names(), reverse=True):  # the card of a copy before the copy
            if name.partition(".")[0] not in kept:
                with suppress(FileNotFoundError):
                    self._filesystem.rm_file(f"{self._folder}/{name}")

    def _names(self) -> list[str]:
        self._filesystem.invalidate_cache()
        try:
            return [path.rpartition("/")[2] for path in self._filesystem.ls(self._folder, detail=False)]
        except FileNotFoundError:
            return []


def digest_of(content: bytes) -> str:
    """16 hex digits that name the content."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()
