"""Fetches one schema by the API shared by Confluent's registry, Apicurio, Karapace and Redpanda.

    GET /schemas/ids/7    GET /schemas/guids/89791762-...    GET /subjects/NAME/versions/2 (references)

confluent-kafka's own client is not used: it takes fourteen packages more, for what are three requests whose
answers never change. Redirects are not followed, answers are bounded, a question ends after TOTAL_SECS.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from base64 import b64encode
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import aiohttp
import orjson

from pipeline.decode.framed.schemas import Registry, Stored
from pipeline.language.secrets import PlaceholderError, Secrets
from pipeline.model.errors import ConfigError
from pipeline.model.masking import Masks

TOTAL_SECS: Final = 15.0
MOST_BYTES: Final = 2 << 20
"""Of one answer: the text of a schema, as JSON."""
MOST_REFERENCES: Final = 64
_NOT_FOUND: Final = (40401, 40402, 40403)
"""What Confluent's API calls an unknown subject, version, schema."""
_HEADERS: Final = {
    "Accept": "application/vnd.schemaregistry.v1+json, application/json",
    "Accept-Encoding": "identity",
}


class Unanswered(Exception):
    """A registry cannot say now what a schema is; the text is the reason, with the remedy if one is known."""


class _Unknown(Exception):
    """It has said that it has no such schema."""


async def fetch(registry: Registry, id: str, base: Path) -> Stored:
    """Return a schema with all that it refers to; one that the registry does not have says so.

    base: where files that `registry` names are looked for. Raises Unanswered.
    """
    try:
        async with asyncio.timeout(2 * TOTAL_SECS), _Session(registry, base) as session:
            return await session.schema(id)
    except TimeoutError:
        raise Unanswered(f"no answer within {TOTAL_SECS:.0f} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise Unanswered(str(error) or type(error).__name__) from None
    except ConfigError as error:
        raise Unanswered(str(error)) from None
    except (PlaceholderError, ValueError) as error:
        # A secret that is no header: its text must not be shown.
        raise Unanswered(f"its credentials or its URL cannot be sent ({type(error).__name__})") from None


class _Session:
    """The questions that one schema takes."""

    def __init__(self, registry: Registry, base: Path) -> None:
        self._registry = registry
        secrets = Secrets(os.environ, base)
        headers = dict(_HEADERS)
        self._masks = Masks()
        """Of answers: some repeat what they were asked with."""
        if registry.token is not None:
            token = secrets.expand(registry.token)
            self._masks.add(token, "***")
            headers["Authorization"] = f"Bearer {token}"
        elif registry.username is not None:
            password = secrets.expand(registry.password or "")
            pair = b64encode(f"{secrets.expand(registry.username)}:{password}".encode()).decode()
            self._masks.add(password, "***")
            self._masks.add(pair, "***")
            headers["Authorization"] = f"Basic {pair}"
        trusted: ssl.SSLContext | bool = True
        if registry.ca is not None:
            trusted = ssl.create_default_context(cafile=base / registry.ca)
            trusted.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as for receivers
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=TOTAL_SECS),
            connector=aiohttp.TCPConnector(ssl=trusted),
            auto_decompress=False,
        )
        self._references: dict[tuple[str, int], str] = {}
        self._asked: set[tuple[str, int]] = set()

    async def __aenter__(self) -> _Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def schema(self, id: str) -> Stored:
        """Return the schema. Raises Unanswered."""
        url = self._registry.url
        try:
            found = await self._get(f"/schemas/{'ids' if id.isdigit() else 'guids'}/{_checked(id)}")
            text = self._text(found)
            kind = found.get("schemaType", "AVRO")
            await self._refer(found)
        except _Unknown as unknown:
            told = self._masks.mask(str(unknown))
            return Stored(version=1, registry=url, id=id, unknown=told, at=time.time())
        except Unanswered as error:
            raise Unanswered(self._masks.mask(str(error))) from None
        references = list(self._references.values())
        return Stored(version=1, registry=url, id=id, type=str(kind), schema=text, references=references)

    async def _refer(self, schema: dict[str, Any]) -> None:
        """Ask for what a schema names, each after what it names itself."""
        references = schema.get("references") or []
        if not isinstance(references, list):
            raise Unanswered("the answer is none of a Schema Registry: `references` is no list")
        for one in references:
            subject, version = (one.get("subject"), one.get("version")) if isinstance(one, dict) else (0, 0)
            if not isinstance(subject, str) or not isinstance(version, int):
                raise Unanswered("the answer is none of a Schema Registry: a reference has no subject")
            if (subject, version) in self._asked:
                continue
            self._asked.add((subject, version))
            if len(self._asked) > MOST_REFERENCES:
                raise _Unknown(f"it refers to more than {MOST_REFERENCES} other schemas")
            found = await self._get(f"/subjects/{quote(subject, safe='')}/versions/{version}")
            await self._refer(found)
            self._references[subject, version] = self._text(found)

    def _text(self, found: dict[str, Any]) -> str:
        text = found.get("schema")
        if not isinstance(text, str):
            raise Unanswered("the answer is none of a Schema Registry: it has no `schema`")
        return text

    async def _get(self, path: str) -> dict[str, Any]:
        status, body = await self._answer(path)
        found = _parsed(body)
        if status == 200:
            if not isinstance(found, dict):
                raise Unanswered(f"the answer to {path} is no JSON object: {_shown(body)}")
            return found
        if status == 404:
            code = found.get("error_code") if isinstance(found, dict) else None
            if code in _NOT_FOUND or await self._is_registry():
                said = found.get("message") if isinstance(found, dict) else None
                raise _Unknown(f"the registry does not have it ({path}: {said or 'Not Found'!s:.200})")
            raise Unanswered(
                f"404 for {path}, and for /schemas/types: the URL may lack its path (Apicurio's ends in "
                "/apis/ccompat/v7)"
            )
        if status in (401, 403):
            raise Unanswered(f"{status}: it wants other credentials (`username` and `password`, or `token`)")
        if 300 <= status < 400:
            raise Unanswered(f"{status}: redirects are not followed, `registry` must be where they lead")
        raise Unanswered(f"{status} for {path}: {_shown(body)}")

    async def _is_registry(self) -> bool:
        status, body = await self._answer("/schemas/types")
        return status == 200 and isinstance(_parsed(body), list)

    async def _answer(self, path: str) -> tuple[int, bytes]:
        url = self._registry.url.rstrip("/") + path
        async with self._session.get(url, allow_redirects=False) as response:
            body = b""
            async for part in response.content.iter_any():
                body += part
                if len(body) > MOST_BYTES:
                    raise _Unknown(f"the answer to {path} has more than {MOST_BYTES:,} bytes")
            return response.status, body


def _checked(id: str) -> str:
    return id if id.isdigit() else str(UUID(id))


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _shown(body: bytes) -> str:
    return " ".join(body[:200].decode("utf-8", "replace").split())
