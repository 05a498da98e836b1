"""Files of a config are saved as they were read, whole, and only where nothing breaks."""

from __future__ import annotations

import os
import threading

import pytest

from pipeline.model.errors import ConfigError
from pipeline.operate.check import check
from pipeline.operate.files.edits import Changed, create, file_of, read, remove, save

BIG = """\
# of sales
id: big   # stays
trigger: {events: [Purchase]}
request:
  url: https://example.com/x
"""
FILE = "webhooks/big.yaml"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / FILE).write_bytes(BIG.encode())
    return tmp_path


def codes(error):
    return [one.code for one in error.value.findings]


def test_what_was_read_is_saved_with_its_mode_and_nothing_lies_beside_it(config):
    os.chmod(config / FILE, 0o640)
    found = read(config, FILE)
    assert (found.text, found.data["id"], found.findings) == (BIG, "big", ())
    saved = save(config, FILE, BIG.replace("/x", "/y"), found.etag)
    assert (config / FILE).read_text() == BIG.replace("/x", "/y")
    assert saved.etag == read(config, FILE).etag != found.etag
    assert "-  url: https://example.com/x\n+  url: https://example.com/y\n" in saved.diff
    assert (config / FILE).stat().st_mode & 0o777 == 0o640
    assert os.listdir(config / "webhooks") == ["big.yaml"]


def test_a_stale_tag_writes_nothing(config):
    found = read(config, FILE)
    (config / FILE).write_text(BIG + "# mine\n")
    for change in (lambda: save(config, FILE, BIG, found.etag), lambda: remove(config, FILE, found.etag)):
        with pytest.raises(Changed) as error:
            change()
        assert codes(error) == ["changed-meanwhile"]
    assert (config / FILE).read_text() == BIG + "# mine\n"


def test_an_editor_that_saves_while_the_config_is_checked_is_not_overwritten(config):
    found = read(config, FILE)

    def slow(*args, **given):
        (config / FILE).write_text(BIG + "# mine\n")
        return check(*args, **given)

    with pytest.raises(Changed):
        save(config, FILE, BIG.replace("/x", "/y"), found.etag, checker=slow)
    assert (config / FILE).read_text() == BIG + "# mine\n"


def test_of_two_who_save_at_once_exactly_one_wins(config):
    found, done = read(config, FILE), []

    def one(path):
        try:
            save(config, FILE, BIG.replace("/x", path), found.etag)
        except Changed:
            done.append("lost")
        else:
            done.append(path)

    threads = [threading.Thread(target=one, args=(f"/{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [path for path in done if path != "lost"]
    assert (config / FILE).read_text() == BIG.replace("/x", won)


def test_what_would_break_the_config_is_refused_with_its_place(config):
    found = read(config, FILE)
    with pytest.raises(ConfigError) as error:
        save(config, FILE, BIG.replace("url", "ulr"), found.etag)
    assert "unknown-field" in codes(error)
    assert f"{config}/webhooks/big.yaml:5:3" in str(error.value)
    assert (config / FILE).read_text() == BIG


def test_what_another_file_needs_cannot_be_taken_away(config):
    (config / "webhooks" / "_base.yaml").write_text("request: {url: https://example.com/x}\n")
    (config / FILE).write_text("id: big\nextends: _base\ntrigger: {events: [Purchase]}\n")
    (config / "shapes").mkdir()
    (config / "shapes" / "own.yaml").write_text("event: {name: e, user_id: u}\n")
    (config / "pipeline.yaml").write_text("source: {jsonl: {paths: [x.jsonl], format: own}}\n")
    for file, code in ("webhooks/_base.yaml", "unknown-base"), ("shapes/own.yaml", "unknown-format"):
        with pytest.raises(ConfigError) as error:
            remove(config, file, read(config, file).etag)
        assert code in codes(error)
        assert (config / file).exists()


def test_an_error_elsewhere_stands_in_nobodys_way_but_a_new_one_does(config):
    (config / "webhooks" / "other.yaml").write_text("id: other\n")
    found = read(config, FILE)
    saved = save(config, FILE, BIG.replace("/x", "/y"), found.etag)
    assert {one.file for one in saved.findings} == {"webhooks/other.yaml"}
    with pytest.raises(ConfigError) as error:
        save(config, FILE, BIG.replace("id: big", "id: BIG!"), saved.etag)
    assert {one.file for one in error.value.findings} == {FILE}


def test_a_new_webhook_gets_the_name_of_its_id_and_replaces_nothing(config):
    text = BIG.replace("id: big", "id: new-one")
    assert create(config, "new-one", text, dry_run=True).diff.startswith(
        "--- /dev/null\n+++ b/webhooks/new-one.yaml"
    )
    assert not (config / "webhooks" / "new-one.yaml").exists()
    create(config, "new-one", text)
    assert (config / file_of(config, "new-one")).read_text() == text
    with pytest.raises(Changed) as error:
        create(config, "new-one", text)
    assert codes(error) == ["file-exists"]
    with pytest.raises(ConfigError) as broken:
        create(config, "big-two", BIG)
    assert "duplicate" in codes(broken)[0]
    removed = remove(config, "webhooks/new-one.yaml", read(config, "webhooks/new-one.yaml").etag)
    assert removed.etag == ""
    assert os.listdir(config / "webhooks") == ["big.yaml"]


@pytest.mark.parametrize("id", ["", "../x", "a/b", "x" * 65, "a\0b", "é", "...", "a b"])
def test_what_is_no_id_makes_no_file(config, id):
    with pytest.raises(ConfigError, match="cannot be an id"):
        create(config, id, BIG)


@pytest.mark.parametrize(
    ("id", "name"),
    [(".hidden", "hidden"), ("_base", "base"), ("-a", "a"), ("Big.Two", "Big.Two"), ("a.test", "a-test")],
)
def test_whatever_an_id_may_be_its_file_is_that_of_a_webhook(config, id, name):
    saved = create(config, id, BIG.replace("id: big", f"id: {id}"))
    assert saved.file == f"webhooks/{name}.yaml"
    assert file_of(config, id) == saved.file


@pytest.mark.parametrize("name", ["Käufe", "a b", "-a", "新しい", "a'b\"c<d>", "x" * 200])
def test_files_of_other_names_are_edited_as_well(config, name):
    file = f"webhooks/{name}.yaml"
    (config / file).write_text(BIG.replace("id: big", "id: other"))
    save(config, file, BIG.replace("id: big", "id: another"), read(config, file).etag)
    assert "id: another" in (config / file).read_text()


@pytest.mark.parametrize(
    "file",
    ["pipeline.yaml", "webhooks/../pipeline.yaml", "../x.yaml", "/etc/x.yaml", "webhooks/x",
     "webhooks/.x.yaml", "webhooks/x.test.yaml", "secrets/x.yaml", "webhooks/a/b.yaml", "webhooks/a\n.yaml",
     "", "webhooks/" + "x" * 216 + ".yaml", "webhooks/a\udcff.yaml", "webhooks/..yaml", "webhooks/.yaml"],
)  # fmt: skip
def test_nothing_but_the_files_of_its_folders_can_be_reached(config, file):
    with pytest.raises(ConfigError):
        read(config, file)
    with pytest.raises(ConfigError):
        save(config, file, BIG, "")


def test_symbolic_links_are_not_followed(config, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x.yaml").write_text(BIG.replace("id: big", "id: x"))
    (config / "webhooks" / "x.yaml").symlink_to(outside / "x.yaml")
    for change in (
        lambda: read(config, "webhooks/x.yaml"),
        lambda: save(config, "webhooks/x.yaml", BIG, ""),
        lambda: create(config, "x", BIG),
    ):
        with pytest.raises(ConfigError):
            change()
    (config / "labels").rmdir()
    (config / "labels").symlink_to(outside)
    with pytest.raises(ConfigError, match="symbolic link"):
        read(config, "labels/x.yaml")


def test_a_full_disk_leaves_the_old_file_and_says_so(config, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    found = read(config, FILE)
    with pytest.raises(ConfigError, match="No space left"):
        save(config, FILE, BIG.replace("/x", "/y"), found.etag)
    assert (config / FILE).read_text() == BIG
    assert os.listdir(config / "webhooks") == ["big.yaml"]


def test_a_file_that_cannot_be_given_to_its_owner_is_not_replaced(config, monkeypatch):
    def refused(*args):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refused)
    own, fstat = os.stat(config / FILE), os.fstat
    other = os.stat_result((*own[:4], own.st_uid + 1, *own[5:]))
    monkeypatch.setattr(os, "fstat", lambda one: other if fstat(one).st_size == 0 else fstat(one))
    found = read(config, FILE)
    with pytest.raises(ConfigError, match="owner and group"):
        save(config, FILE, BIG.replace("/x", "/y"), found.etag)
    assert (config / FILE).read_text() == BIG


def test_byte_order_mark_and_line_ends_come_through(config):
    raw = ("\ufeff" + BIG.replace("\n", "\r\n")).encode()
    (config / FILE).write_bytes(raw)
    found = read(config, FILE)
    save(config, FILE, found.text.replace("/x", "/y"), found.etag)
    assert (config / FILE).read_bytes() == raw.replace(b"/x", b"/y")


def test_what_a_kill_has_left_of_a_save_is_gone_after_the_next_one(config):
    folder = config / "webhooks"
    killed, young, theirs, years = (
        folder / "big.yaml.4711.partial",
        folder / "big.yaml.4712.partial",
        folder / "my.partial",
        folder / "report.2024.partial",
    )
    for path in (killed, young, theirs, years):
        path.write_text("x")
    (folder / "linked.yaml.1.partial").symlink_to(theirs)
    for path in (killed, theirs, years):
        os.utime(path, (0, 0))
    found = read(config, FILE)
    save(config, FILE, BIG.replace("/x", "/y"), found.etag)
    assert sorted(os.listdir(folder)) == [
        "big.yaml",
        "big.yaml.4712.partial",  # somebody else may be saving
        "linked.yaml.1.partial",
        "my.partial",  # no name of ours
        "report.2024.partial",
    ]
