"""What a broker needs to let in only those it knows: TLS, passwords, client certificates, permissions.

    SASL_PLAINTEXT    PLAIN
    SASL_SSL          SCRAM-SHA-512
    SSL               a client certificate

Whoever comes through one of them may do what the tests permit, and nothing else; the PLAINTEXT listener is
open and may do everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.kafka.servers.broker import free_port
from tests.kit.receivers.certificates import Certificates

USER = "app"
CANARY = "c4n4ry"
"""In every password, right or wrong."""
PASSWORD = f"{CANARY}-password"
PRINCIPALS = {"SASL_PLAINTEXT": f"User:{USER}", "SASL_SSL": f"User:{USER}", "SSL": "User:CN=client"}
_JAAS = "org.apache.kafka.common.security"


@dataclass(slots=True)
class Security:
    """The secured listeners of a broker, and what a client needs for each of them."""

    folder: Path
    ports: dict[str, int]
    certificates: Certificates

    @classmethod
    def make(cls, folder: Path) -> Security:
        """Issue certificates and choose ports; nothing is started."""
        certificates = Certificates.make(folder)
        chain, key = certificates.issue("broker", ("127.0.0.1",))
        (folder / "keystore.pem").write_bytes(key.read_bytes() + chain.read_bytes())
        certificates.issue("client")
        return cls(
            folder, {name: free_port() for name in ("SASL_PLAINTEXT", "SASL_SSL", "SSL")}, certificates
        )

    @property
    def properties(self) -> dict[str, str]:
        """What to add to the broker's settings."""
        plain, scram = f"{_JAAS}.plain.PlainLoginModule", f"{_JAAS}.scram.ScramLoginModule"
        return {
            "listener.name.sasl_plaintext.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
                f'{plain} required user_{USER}="{PASSWORD}";'
            ),
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{scram} required;",
            "listener.name.ssl.ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "keystore.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.ca),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    def address(self, protocol: str) -> str:
        """Return where a listener is."""
        return f"127.0.0.1:{self.ports[protocol]}"

    def settings(self, protocol: str, **changes: Any) -> dict[str, Any]:
        """Return settings of librdkafka that get in; ``changes`` have underscores for dots."""
        found: dict[str, Any] = {"security.protocol": protocol}
        if protocol.endswith("SSL"):
            found["ssl.ca.location"] = str(self.certificates.ca)
        if protocol == "SSL":
            found["ssl.certificate.location"] = str(self.folder / "client.pem")
            found["ssl.key.location"] = str(self.folder / "client.key")
        else:
            mechanism = "PLAIN" if protocol == "SASL_PLAINTEXT" else "SCRAM-SHA-512"
            found |= {"sasl.mechanisms": mechanism, "sasl.username": USER, "sasl.password": PASSWORD}
        changed = {name.replace("_", "."): value for name, value in changes.items()}
        return {name: value for name, value in {**found, **changed}.items() if value is not None}


def permit(admin: AdminClient, *rules: tuple[str, str, str]) -> None:
    """Let every user of the secured listeners do something, e.g. ``("topic", "events", "READ")``."""
    bindings = [
        AclBinding(
            ResourceType[kind.upper()],
            name,
            ResourcePatternType.LITERAL,
            principal,
            "*",
            AclOperation[operation],
            AclPermissionType.ALLOW,
        )
        for kind, name, operation in rules
        for principal in set(PRINCIPALS.values())
    ]
    for done in admin.create_acls(bindings).values():
        done.result(20)


def forbid(admin: AdminClient, topic: str, operation: str) -> None:
    """Take away what everybody was permitted to do with a topic."""
    rule = AclBindingFilter(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL,
        None, None,  # type: ignore[arg-type]  # anybody, anywhere: so its documentation
        AclOperation[operation], AclPermissionType.ALLOW,
    )  # fmt: skip
    for done in admin.delete_acls([rule]).values():
        done.result(20)
