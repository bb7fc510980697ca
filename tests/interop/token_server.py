"""A token server as registries expect it, run as a program: `python token_server.py SETTINGS.json`.

Answers GET with Basic credentials (docker, skopeo, crane) and POST with a form (containerd, oras), and prints one
JSON line per request. Written for tests: it knows its users from a file and forgets nothing it printed.
"""

import asyncio
import base64
import fnmatch
import json
import secrets
import signal
import sys
import time
from pathlib import Path

from aiohttp import BasicAuth, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Knows who may do what, and signs tokens that say so."""

    def __init__(self, settings: dict[str, object]) -> None:
        key = serialization.load_pem_private_key(Path(str(settings["key"])).read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.key = key
        certificate = x509.load_pem_x509_certificate(Path(str(settings["certificate"])).read_bytes())
        der = certificate.public_bytes(serialization.Encoding.DER)
        self.header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        self.users: dict[str, str] = settings["users"]  # type: ignore[assignment]
        self.grants: dict[str, list[list[str]]] = settings["grants"]  # type: ignore[assignment]
        self.life = int(str(settings["life"]))
        self.refresh: dict[str, str] = {}

    def access(self, account: str, scopes: list[str]) -> list[dict[str, object]]:
        """What the account gets of what it asked for; less than asked is not an error, as in the specification."""
        granted: list[dict[str, object]] = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, wanted = rest.rpartition(":")
            allowed: set[str] = set()
            for pattern, actions in [*self.grants.get("", []), *(self.grants.get(account, []) if account else [])]:
                if fnmatch.fnmatchcase(name, pattern.replace("**", "*")):
                    allowed |= set(actions.split(","))
            actions_given = [action for action in wanted.split(",") if action in allowed]
            if actions_given:
                granted.append({"type": kind, "name": name, "actions": actions_given})
        return granted

    def token(self, account: str, service: str, scopes: list[str]) -> dict[str, object]:
        """The reply of the token endpoint, under both of the names clients look for."""
        now = int(time.time())
        claims = {
            "iss": "countersign-tests",
            "sub": account,
            "aud": service,
            "iat": now,
            "nbf": now - 120,
            "exp": now + self.life,
            "jti": secrets.token_hex(8),
            "access": self.access(account, scopes),
        }
        signed = f"{b64(json.dumps(self.header).encode())}.{b64(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        token = f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
        issued = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        return {"token": token, "access_token": token, "expires_in": max(self.life, 1), "issued_at": issued}

    def knows(self, account: str, password: str) -> bool:
        return self.users.get(account) == password


def note(method: str, account: str, scopes: list[str], status: int) -> None:
    print(json.dumps({"method": method, "account": account, "scope": " ".join(scopes), "status": str(status)}))


def application(issuer: Issuer) -> web.Application:
    """The endpoint, ready to serve."""

    def refuse(method: str, account: str, scopes: list[str]) -> web.Response:
        note(method, account, scopes, 401)
        details = {"errors": [{"code": "UNAUTHORIZED", "message": "wrong name or password"}]}
        return web.json_response(details, status=401)

    async def by_get(request: web.Request) -> web.Response:
        scopes = [one for several in request.query.getall("scope", []) for one in several.split()]
        account = ""
        if "Authorization" in request.headers:
            try:
                given = BasicAuth.decode(request.headers["Authorization"])
            except ValueError:
                return refuse("GET", account, scopes)
            account = given.login
            if not issuer.knows(account, given.password):
                return refuse("GET", account, scopes)
        note("GET", account, scopes, 200)
        return web.json_response(issuer.token(account, request.query.get("service", ""), scopes))

    async def by_post(request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        scopes = form.get("scope", "").split()
        account = form.get("username", "")
        if form.get("grant_type") == "refresh_token":
            account = issuer.refresh.get(form.get("refresh_token", ""), "")
            known = bool(account)
        else:
            known = issuer.knows(account, form.get("password", ""))
        if not known:
            return refuse("POST", account, scopes)
        reply = issuer.token(account, form.get("service", ""), scopes)
        again = secrets.token_hex(16)
        issuer.refresh[again] = account
        note("POST", account, scopes, 200)
        return web.json_response({**reply, "refresh_token": again})

    app = web.Application()
    app.add_routes([web.get("/token", by_get), web.post("/token", by_post)])
    return app


async def serve(settings: dict[str, object]) -> None:
    """Serves until told to stop; the first line printed says where."""
    long = 1 << 20  # as servers in Go take them
    runner = web.AppRunner(application(Issuer(settings)), access_log=None, max_line_size=long, max_field_size=long)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", int(str(settings["port"])))
    await site.start()
    host, port = runner.addresses[0][:2]
    print(f"listening on {host}:{port}")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text())))
