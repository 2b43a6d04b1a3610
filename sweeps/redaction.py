"""Finding and hiding credentials in text, so that none reaches the ledger, MLflow, a log or an error message.

Owns what a credential looks like. Refuses to know where the text comes from or goes to.
"""

import re

HIDDEN = "***"

_WORDS = ("pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|"
          "credentials?|sig(?:nature)?|auth")
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)[^/\s?#'\"]+@")
_ASSIGNED = re.compile(rf"((?:^|[\s?&;,{{\"'._-])(?:{_WORDS})[\"']?\s*[=:]\s*[\"']?)[^\s&;,\"'}}]+", re.IGNORECASE)
_KNOWN = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\b(?:gh[posu]|glpat|hf|xox[abp]|sk)[_-][A-Za-z0-9_-]{10,}")
_KEY = re.compile(rf"(?:^|[._-])(?:{_WORDS})$|password|passwd|secret|apikey", re.IGNORECASE)


def redact(text: str) -> str:
    """`text` with the credentials in it replaced by `***`; URLs keep their host and path."""
    text = _USERINFO.sub(rf"\g<1>{HIDDEN}@", text)
    text = _ASSIGNED.sub(rf"\g<1>{HIDDEN}", text)
    return _KNOWN.sub(HIDDEN, text)


def holds_credential(text: str) -> bool:
    """Whether `text` has a user part in a URL, an assignment such as token=..., or a key of a known form."""
    return redact(text) != text


def names_credential(key: str) -> bool:
    """Whether a key such as `db_password` or `api_key` says that its value is a credential."""
    return bool(_KEY.search(key))
