"""Versions that nothing names any more are forgotten, in memory and on disk."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.compile.versions import COMPILED, KEEP, RECENT, Versions
from pipeline.config.files import ConfigText
from pipeline.model.errors import StateError

WEBHOOK = "id: {id}\nvars: {{n: {n}}}\ntrigger: {{events: E}}\nrequest: {{url: 'https://a.example/'}}\n"


def edit(number: int, *ids: str) -> Snapshot:
    """Return the version of the n-th edit."""
    files: Mapping[str, str] = {
        f"webhooks/{name}.yaml": WEBHOOK.format(id=name, n=number) for name in ids or ("w",)
    }
    return compile_config(ConfigText(files), secrets=None).require()


def texts(state: Path) -> set[str]:
    return {path.stem for path in (state / "versions").glob("*.config")}


def alive() -> int:
    gc.collect()
    return sum(isinstance(one, Snapshot) for one in gc.get_objects())


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path / "versions", edit(0), lambda specs: None)


def test_a_hundred_edits_leave_a_few_versions_in_memory_and_the_last_ones_on_disk(
    tmp_path: Path, versions: Versions
):
    before = alive()
    hashes = [versions.latest.hash]
    for number in range(1, 100):
        snapshot = edit(number)
        hashes.append(snapshot.hash)
        versions.install(snapshot)
        del snapshot
    assert alive() - before <= COMPILED
    assert texts(tmp_path) == set(hashes[-RECENT:])
    newest = versions.specs["w"]
    assert versions.get(hashes[-RECENT]).hash == hashes[-RECENT]  # compiled anew
    assert versions.specs["w"] is newest
    with pytest.raises(StateError, match="is not in"):
        versions.get(hashes[0])


def test_what_a_history_names_stays(tmp_path: Path, versions: Versions):
    named = versions.latest.hash
    folder = tmp_path / "source" / "recording"
    folder.mkdir(parents=True)
    (folder / "switches").write_text(f"0 {named}\n")
    for number in range(1, 2 * RECENT):
        versions.install(edit(number))
    assert named in texts(tmp_path)
    (folder / "switches").write_text(f"0 {versions.latest.hash}\n")
    versions.install(edit(1000))
    assert named not in texts(tmp_path)


def test_the_last_version_of_a_webhook_that_is_gone_stays(tmp_path: Path, versions: Versions):
    gone = edit(1, "gone", "w")
    versions.install(gone)
    for number in range(2, 2 * RECENT):
        versions.install(edit(number))
    assert gone.hash in texts(tmp_path)
    again = Versions(tmp_path / "versions", edit(9999), lambda specs: None)
    again.learn({"gone"})
    assert "gone" in again.specs


def test_of_an_old_version_only_what_is_asked_for_is_learnt(tmp_path: Path, versions: Versions):
    versions.install(edit(1, "gone", "unasked", "w"))
    again = Versions(tmp_path / "versions", edit(2), lambda specs: None)
    again.learn({"gone"})
    assert again.gone == {"gone"}


def test_a_stored_version_that_this_one_does_not_understand_is_named(versions: Versions):
    broken = ConfigText({"webhooks/w.yaml": "id: [w"})
    with pytest.raises(StateError, match="was written by another version"):
        versions.get(broken.hash, broken.to_bytes())


def test_names_that_change_with_each_edit_fill_no_disk(tmp_path: Path, versions: Versions):
    for number in range(1, KEEP + 50):
        versions.install(edit(number, f"w{number}"))
    assert len(texts(tmp_path)) <= KEEP + 1


def test_an_old_version_in_use_is_compiled_once(versions: Versions):
    first, second = versions.latest, edit(1)
    versions.install(second)
    for number in range(2, 10):
        versions.install(edit(number))
        assert versions.get(first.hash) is first
    assert versions.get(versions.latest.hash) is versions.latest


def test_a_text_that_another_process_deleted_is_written_again(tmp_path: Path, versions: Versions):
    found = versions.latest
    (tmp_path / "versions" / f"{found.hash}.config").unlink()
    versions.named(found.hash)
    assert texts(tmp_path) == {found.hash}


def test_a_version_is_in_use_once_every_source_partition_has_come_to_it(versions: Versions):
    old, new = versions.latest.hash, edit(1)
    for partition in ("a", "b"):
        versions.enter(partition, old)
    assert versions.in_use == old
    versions.install(new)
    versions.enter("a", new.hash)
    assert versions.in_use == old, "what comes in `b` runs under it"
    versions.enter("b", new.hash)
    assert versions.in_use == new.hash


def test_what_is_forgotten_is_found_again_and_its_text_stays_as_other_processes_may_owe_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.compile.versions.KEEP", most := 2 * RECENT)
    told: list[set[str]] = []
    left: list[set[str]] = []
    versions = Versions(tmp_path / "versions", edit(0), lambda specs: told.append(set(specs)))
    last = edit(1, "gone", "w")
    versions.install(last)
    assert told == [{"w"}, {"gone", "w"}]
    versions.install(edit(2))
    assert versions.gone == {"gone"}
    versions.forget({"gone", "w"}, lambda ids: left.append(set(ids)))  # the latest version has `w`
    assert left == [{"gone"}]
    assert set(versions.specs) == {"w"}
    assert not versions.gone
    told.clear()
    versions.learn({"gone"})
    assert told == [{"gone"}]
    assert versions.gone == {"gone"}
    versions.forget({"gone"}, lambda ids: left.append(set(ids)))
    versions.learn({"gone"})
    assert versions.gone == {"gone"}, "once more"
    versions.forget({"gone"}, lambda ids: left.append(set(ids)))
    for number in range(3, 2 * RECENT):
        versions.install(edit(number))
    assert last.hash in texts(tmp_path)
    after_a_kill = Versions(tmp_path / "versions", versions.latest, lambda specs: None)
    after_a_kill.learn({"gone"})
    assert "gone" in after_a_kill.specs
    versions.install(edit(1000, "gone", "w"))  # it is back
    assert "gone" in versions.specs
    for number in range(1001, 1001 + most):
        versions.install(edit(number))
    assert last.hash not in texts(tmp_path)
