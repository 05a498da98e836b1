"""Certificates that are renewed while a job runs: used at the next request, and nothing adds up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.config.models.webhooks.receiver import MtlsSettings, ReceiverSettings
from pipeline.deliver.http.tls import KEPT, CertificateError, Contexts, build_context
from tests.kit.receivers.certificates import Certificates


@pytest.fixture
def settings(tmp_path: Path) -> ReceiverSettings:
    certificates = Certificates.make(tmp_path)
    cert, key = certificates.issue("us", ("hookline",))
    return ReceiverSettings(ca=str(certificates.ca), mtls=MtlsSettings(str(cert), str(key)))


def renewed(path: str, hour: int) -> None:
    os.utime(path, (3600 * hour, 3600 * hour))


def test_those_before_the_last_are_let_go(settings: ReceiverSettings) -> None:
    contexts = Contexts()
    assert settings.mtls is not None
    assert settings.ca is not None
    names, token_names = [], []
    for hour in range(10):
        renewed(settings.mtls.cert, hour)
        renewed(settings.ca, hour)
        names.append(contexts.name(settings, str))
        token_names.append(contexts.name_for_tokens(settings, str))
        assert contexts.name(settings, str) == names[-1]
    assert len({*names}) == 10
    for made in (names, token_names):
        assert len({id(contexts.get(name)) for name in made[-KEPT:]}) == KEPT
        with pytest.raises(OSError, match="renewed meanwhile"):
            contexts.get(made[-KEPT - 1])


def test_one_with_the_time_of_the_old_one_is_used(tmp_path: Path, settings: ReceiverSettings) -> None:
    """As where all files of an image or a store have one time, and a link leads to the present one."""
    assert settings.ca is not None
    folder, link = tmp_path / "new", tmp_path / "link.pem"
    folder.mkdir()
    new = Certificates.make(folder).ca
    for path in (settings.ca, new):
        renewed(str(path), 1)
    link.symlink_to(settings.ca)
    contexts = Contexts()
    linked = ReceiverSettings(ca=str(link))
    name = contexts.name(linked, str)
    assert not contexts.changed()
    link.unlink()
    link.symlink_to(new)
    assert contexts.changed()
    assert contexts.name(linked, str) != name


@pytest.mark.parametrize("wrong", ["mismatch", "cert", "key", "ca"])
def test_a_file_that_is_no_certificate_is_told_by_name(
    tmp_path: Path, settings: ReceiverSettings, wrong: str
) -> None:
    _, other_key = Certificates.make(tmp_path).issue("other", ("hookline",))
    assert settings.mtls is not None
    files = {"ca": settings.ca, "cert": settings.mtls.cert, "key": settings.mtls.key}
    if wrong == "mismatch":
        files["key"] = str(other_key)
        told = f"{other_key} is not the key of the certificate in {files['cert']}"
    else:
        bad = tmp_path / "bad.pem"
        bad.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
        files[wrong] = str(bad)
        what = "private key" if wrong == "key" else "certificate"
        told = f"{bad} holds no {what} that can be read"
    with pytest.raises(CertificateError) as found:
        build_context(files["ca"], files["cert"], files["key"])
    assert str(found.value).startswith(told)
    assert found.value.field == ("key" if wrong == "mismatch" else wrong)
