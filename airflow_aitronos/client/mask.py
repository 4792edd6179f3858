"""Secrets in texts that came from outside: found in every form, and replaced."""

from __future__ import annotations

import json
import re
from functools import cached_property
from html.entities import codepoint2name
from itertools import takewhile
from urllib.parse import quote

_MASKABLE_LENGTH = 5
"""Shorter secrets are not masked, as in Airflow: every text is full of their likes."""

_LONGEST_SENT = 512
"""Keys are shorter by far, and the pattern of a longer one would take its time."""

_SHORTEST_PART = 8
"""Characters of the beginning of a secret, a third of it at least, that are masked without its end: texts
break off, and servers abbreviate. Less than that tells which key it is, and opens nothing."""

_ESCAPES = frozenset("\\%&")
"""What every escaped form of a character begins with."""


class Mask:
    """
    Replace every form of some secrets in a text by ``***``.

    :param secrets: stripped.
    """

    def __init__(self, *secrets: str) -> None:
        self._secrets = [_Secret(one) for one in secrets if len(one) >= _MASKABLE_LENGTH]
        self._known: frozenset[str] = frozenset()

    def __call__(self, text: str) -> str:
        """
        Return a text without the secrets.

        :param text: the text.
        """
        if text in self._known:
            return text
        for secret in self._secrets:
            text = secret.masked(text)
        return text

    def beginnings(self, text: str) -> str:
        """
        Return a text without what looks like a secret broken off.

        Only for a text that is shown as it is: what comes after the beginning would not be found any more.

        :param text: without whole secrets.
        """
        if text in self._known:
            return text
        for secret in self._secrets:
            text = secret.without_beginning(text)
        return text

    def also(self, *secrets: str) -> Mask:
        """
        Return a mask that replaces more secrets.

        :param secrets: stripped.
        """
        more = Mask(*secrets)
        more._secrets[:0] = self._secrets
        return more

    def but_for(self, *known: str) -> Mask:
        """
        Return a mask that leaves some texts as they are.

        :param known: whole texts that a caller has named: a short key may stand in an id, which would then be
            taken for another one.
        """
        less = Mask()
        less._secrets = self._secrets
        less._known = frozenset(known) - {secret.value for secret in self._secrets}
        return less


NO_SECRETS = Mask()
"""The mask of one who knows no secret."""


class _Secret:
    """
    One secret.

    :param value: the secret.
    """

    def __init__(self, value: str) -> None:
        self.value = value
        # The forms in which a library might repeat it, the longest first.
        self._forms = sorted(
            {value, quote(value, safe="", errors="replace"), json.dumps(value)[1:-1], repr(value)[1:-1]},
            key=len,
            reverse=True,
        )

    @cached_property
    def _escaped(self) -> re.Pattern[str]:
        return re.compile("".join(map(_any_form, self.value)))

    def masked(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, "***")
        if len(self.value) <= _LONGEST_SENT and not _ESCAPES.isdisjoint(text):
            text = self._escaped.sub("***", text)
        return text

    def without_beginning(self, text: str) -> str:
        for form in self._forms:
            shortest = max(_SHORTEST_PART, len(form) // 3)
            first, *others = text.split(form[:shortest])
            rest = form[shortest:]
            text = first + "".join("***" + other[_alike(other, rest) :] for other in others)
        return text


def _alike(one: str, other: str) -> int:
    """Return with how many characters two texts begin alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _any_form(char: str) -> str:
    r"""
    Return a pattern of a character in any escape that a server might put it into.

    PHP writes ``\/``, .NET ``\u002B``, Gson ``\u003d``, templates ``&amp;``, ``&#39;`` and ``&#x27;``, and
    others ``%2b``; each escapes other characters, so each character may or may not be escaped.

    :param char: one character of the secret.
    """
    code = ord(char)
    forms = [f"\\\\u{code:04x}", f"%{code:02x}", f"&#x0{{0,4}}{code:x};", f"&#0{{0,4}}{code};"]
    patterns = [f"(?i:{form})" for form in forms]
    if name := codepoint2name.get(code):
        patterns.append(f"&{name};")
    if not char.isalnum():
        patterns.append(rf"\\{re.escape(char)}")
    return f"(?:{'|'.join(patterns)}|{re.escape(char)})"
