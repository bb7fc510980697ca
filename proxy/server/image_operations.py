"""Operations on one image: what a pull of it gets now, why, and a signature for what is upstream already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from proxy.admin.operation import Argument, Call, Command, Given, Printed, Row, operation
from proxy.admin.shapes import DECISION_ID, Explained, ImageName, Shape, Why
from proxy.oci.faults import Fault, NotFound, Unavailable
from proxy.trust.roles import Permission

if TYPE_CHECKING:
    from proxy.oci.operation import PullManifest
    from proxy.registry.request import Request
    from proxy.trust.decision import Decision

REF = "repo[:tag|@digest], with or without the proxy's name in front"


class VerifyQuery(Shape, frozen=True):
    """An image to judge."""

    ref: Annotated[ImageName, Argument("REF")] = Field(description=REF)


class WhyQuery(Shape, frozen=True):
    """A decision to explain."""

    question: Annotated[Explained, Argument("REF|DECISION-ID")] = Field(description="an image, or the id from an error")


class DecisionShown(Shape, frozen=True):
    """A decision."""

    outcome: Literal["passed", "failed", "inconclusive"]
    allowed: bool = Field(description="also if the policy only warns, or an exception allows it")
    decision: dict[str, Any] = Field(description="criteria, checks, signatures and revisions")
    text: str = Field(description="the same as text")


class SignRequest(Why, frozen=True):
    """An image upstream, to be signed."""

    ref: Annotated[ImageName, Argument("REF")] = Field(description=REF)


class SignatureShown(Shape, frozen=True):
    """One signature that was made."""

    digest: str
    format: str
    bound: str
    key: str


class SignedShown(Shape, frozen=True):
    """The signed image and its signatures."""

    digest: str
    signatures: tuple[SignatureShown, ...]
    already: bool = Field(description="true: it was signed before, and nothing was added")


def shown(decision: Decision, name: str, url: str) -> DecisionShown:
    """Return the decision in the form of the admin API."""
    from proxy.trust.explain import as_json, text

    return DecisionShown(
        outcome=decision.outcome.value,
        allowed=decision.allowed,
        decision=as_json(decision),
        text=text(decision, name, url),
    )


def _explained(row: Row, _: Given) -> Printed:
    code = {"passed": 0, "inconclusive": 5}.get(row["outcome"], 1)
    return Printed(row["text"].splitlines(), json=row["decision"], code=code)


async def _repository(call: Call) -> str:
    return _named((call.body or call.query).ref, call).repository


_VERIFY = Command("verify", shows=_explained)


@operation("GET /verify", Permission.VERIFY, _VERIFY, about=_repository, query=VerifyQuery, unrecorded=True)
async def verify(call: Call) -> DecisionShown:
    """Judge an image as a pull of it would now. Exit code 0: allowed, 1: blocked, 5: not known."""
    return await _judged(call.query.ref, call)


async def _recorded(call: Call) -> Decision | None:
    """Return the decision with this id; None for a name, and for decisions on repositories of others."""
    question = call.query.question
    found = None if "/" in question or ":" in question else await call.ports.journal.decision(question)
    return found if found is not None and call.may_see(found.question.repository) else None


async def _repository_in_question(call: Call) -> str:
    found = await _recorded(call)
    return found.question.repository if found else _image_in_question(call).repository


def _image_in_question(call: Call) -> PullManifest:
    question = call.query.question
    try:
        return _named(question, call)
    except Fault:
        if DECISION_ID.fullmatch(question) is None:
            raise
        raise NotFound(_no_decision(question)) from None


def _no_decision(question: str) -> str:
    return f"no decision has the id {question}, or it is no longer kept; find others with: countersign journal"


_WHY = Command("why", shows=_explained, fallback=("proxy.server.offline_record:why", "this is from its record"))


@operation("GET /why", Permission.VERIFY, _WHY, about=_repository_in_question, query=WhyQuery, unrecorded=True)
async def why(call: Call) -> DecisionShown:
    """Explain a decision: each check, the verdict and the fix. Exit codes as for verify."""
    question, found = call.query.question, await _recorded(call)
    if found is not None:
        return shown(found, call.ports.name, call.ports.url)
    _image_in_question(call)
    try:
        return await _judged(question, call)
    except Unavailable as away:
        if DECISION_ID.fullmatch(question) is None:
            raise
        raise Unavailable(f"{_no_decision(question)}; whether it names an image is not known: {away.what}") from None
    except Fault as unknown:
        if unknown.code != "MANIFEST_UNKNOWN" or DECISION_ID.fullmatch(question) is None:
            raise
        raise NotFound(f"{_no_decision(question)}; an image {question} is not in the registry either") from None


def _signed(row: Row) -> list[str]:
    made = [f"  {each['format']} by key {each['key'][:12]} for {each['bound']}" for each in row["signatures"]]
    return [f"{row['digest']} is signed already" if row["already"] else f"signed {row['digest']}", *made]


@operation("POST /sign", Permission.SIGN, Command("sign", _signed), about=_repository)
async def sign(call: Call, body: SignRequest) -> SignedShown:
    """Sign an image that is already upstream."""
    from proxy.registry.signing.sign_existing import sign_existing

    done = await sign_existing(_named(body.ref, call), call.actor, _own_request(call), call.ports)
    made = (
        SignatureShown(digest=e.key.digest, format=e.key.format, bound=e.key.bound, key=e.key.fingerprint)
        for e in done.entries
    )
    return SignedShown(digest=done.digest, signatures=tuple(made), already=not done.new)


OPERATIONS = (verify, why, sign)


async def _judged(ref: str, call: Call) -> DecisionShown:
    """Return the decision that any caller's pull of this name gets now. Raises Fault, Unavailable, Corrupt."""
    from proxy.registry.judging.judge import judge
    from proxy.registry.reading.resolve import not_given
    from proxy.registry.request import Response

    ports = call.ports
    judged = await judge(_named(ref, call), _own_request(call), ports)
    if isinstance(judged, Response):
        raise not_given(ref, judged.status)
    return shown(judged.decision, ports.name, ports.url)


def _named(ref: str, call: Call) -> PullManifest:
    from proxy.oci.image_name import parse_name

    return parse_name(ref, call.ports.hosts)


def _own_request(call: Call) -> Request:
    """Return a request of our own, with our account at upstream and the budget of one pull."""
    from proxy.registry.ports.upstream import Credential
    from proxy.registry.request import Request

    return Request(
        Credential(ours=True), call.actor.request_id, address="socket" if call.actor.on_the_host else "admin"
    )
