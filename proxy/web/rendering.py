"""Renders pages as HTML: everything escaped, no scripts, one small style sheet, a policy that forbids all else."""

from __future__ import annotations

import base64
import hashlib
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from proxy.oci.faults import inert
from proxy.registry.request import Response

if TYPE_CHECKING:
    from jinja2 import Environment

WORDS = {"passed": "Yes", "failed": "No", "inconclusive": "Unknown"}


class Rendering:
    """Templates filled with the name and address of this proxy."""

    def __init__(self, name: str, url: str) -> None:
        """Load no template yet. `url` is the public URL, without a trailing slash."""
        css = (files("proxy.web") / "static" / "page.css").read_text()
        self.url = url
        self.name = name
        self.host = url.partition("://")[2]
        # The style sheet is ours and contains no markup; the policy allows it by its hash.
        self._globals = {"name": name, "url": url, "host": self.host, "css": Markup(css), "words": WORDS}  # noqa: S704
        hashed = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
        self._policy = (
            f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'self'; "
            "frame-ancestors 'none'"
        )

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # imported late: a start needs no page

        environment = Environment(
            loader=PackageLoader("proxy.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            finalize=_shown,
        )
        environment.filters["code"] = code
        environment.globals |= self._globals
        return environment

    def html(self, template: str, status: int = 200, **values: Any) -> Response:
        """Return the page."""
        body = self._environment.get_template(template).render(**values)
        return self.answer(status, "text/html; charset=utf-8", body)

    def answer(self, status: int, content_type: str, body: str) -> Response:
        """Return our own text with the headers of every page."""
        headers = (
            ("content-type", content_type),
            ("cache-control", "no-store"),
            ("content-security-policy", self._policy),
            ("referrer-policy", "no-referrer"),
            ("vary", "accept, authorization"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        )
        return Response(status, headers, body.encode("utf-8", "backslashreplace"))


def _shown(value: object) -> object:
    """Return a value without control characters and bidirectional marks; our own markup stays as it is."""
    return inert(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def code(text: str) -> Markup:
    """Return the text escaped, with text between backquotes as code."""
    parts = text.split("`")
    marked = [Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts)]
    return Markup("").join(marked)
