"""The model of formats whose records name a schema in a Schema Registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from pipeline.config.models.field_types import Section, checked, problem
from pipeline.config.models.shape import InlineShape
from pipeline.language.formats import FORMATS


def _url(value: object) -> object:
    if not isinstance(value, str):
        return value  # pydantic says that it must be a text
    from yarl import URL  # not for who has no registry

    try:
        url = URL(value)
    except ValueError as error:
        raise ValueError(f"`{value}` is no URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"`{value}` is no URL of a registry: expected http://HOST:PORT with its path")
    if url.user is not None or url.password is not None:
        raise ValueError("a URL with a password would be shown: write `username` and `password` beside it")
    if url.query_string or url.fragment:
        raise ValueError(f"`{value}` has a query: the paths of schemas are put behind the URL")
    return value.rstrip("/")


RegistryUrl = Annotated[
    str,
    BeforeValidator(checked(_url)),
    WithJsonSchema({"type": "string", "pattern": "^(https?://|\\$\\{)", "title": "URL"}),
]
"""``http://`` or ``https://``, with the path before ``/schemas/ids``; without a slash at its end."""


def kind_of_shape(value: object) -> str:
    """Return which form a shape has."""
    return "inline" if isinstance(value, (dict, InlineShape)) else "name"


Then = Annotated[
    Annotated[str, Tag("name"), Field(examples=list(FORMATS))] | Annotated[InlineShape, Tag("inline")],
    Discriminator(kind_of_shape),
]
"""The name of a shape (a built-in one, or a custom one in shapes/), or a custom shape itself."""


class Asking(Section):
    """How a registry is asked, and what reads the records then."""

    then: Then = Field(
        default="auto",
        description="The shape that reads the record once it is JSON.",
        examples=["shop", "debezium"],
    )
    username: str | None = Field(
        default=None, description="With `password`: for basic authentication.", examples=["hookline"]
    )
    password: str | None = Field(
        default=None, description="A secret.", examples=["${REGISTRY_PASSWORD}", "${file:secrets/registry}"]
    )
    token: str | None = Field(
        default=None, description="Instead of them: a bearer token.", examples=["${REGISTRY_TOKEN}"]
    )
    ca: str | None = Field(
        default=None,
        description="A PEM file of authorities for this registry; relative to the config directory.",
        examples=["registry-ca.pem"],
    )

    @model_validator(mode="after")
    def _one_way(self) -> Asking:
        if self.token is not None and (self.username is not None or self.password is not None):
            raise problem("one-of", "`token` and `username`/`password` exclude each other: keep one")
        if (self.username is None) != (self.password is None):
            raise problem("missing-field", "`username` and `password` stand together")
        return self


class AvroSettings(Asking):
    """Avro, by the schema that each record names."""

    registry: RegistryUrl = Field(
        description="URL of the Schema Registry, with its path (Apicurio's ends in /apis/ccompat/v7).",
        examples=["http://registry:8081"],
    )


class JsonSchemaSettings(Asking):
    """JSON behind the id of its JSON Schema; the schema is not needed to read it."""

    registry: RegistryUrl | None = Field(
        default=None,
        description="Only documents where the schemas are: it is never asked, as records are JSON already.",
    )


class AvroFormat(Section):
    """Records of Avro in the frame of a Schema Registry."""

    avro: AvroSettings = Field(description="Which registry, and what reads the records then.")


class JsonSchemaFormat(Section):
    """Records of JSON in the frame of a Schema Registry."""

    json_schema: JsonSchemaSettings = Field(description="What reads the records.")
