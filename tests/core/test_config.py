"""Settings are checked before anything starts, and a fault names its setting."""

from pathlib import Path

import pytest

from miniapp.config import Config, SettingFault

KEY = "5a" * 32


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("MINIAPP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MINIAPP_ENV", "test")
    monkeypatch.setenv("MINIAPP_MASTER_KEY", KEY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENV", "staging"),
        ("DATABASE_URL", "mysql://x"),
        ("PORT", "99999"),
        ("PUBLIC_BASE", "http://x/"),
        ("THREADS", "one"),
        ("BILL_FETCH_AFTER", "25"),
    ],
)
def test_a_faulty_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MINIAPP_{name}", value)
    with pytest.raises(SettingFault, match=f"MINIAPP_{name}"):
        Config.load()


def test_what_is_only_for_tests_is_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIAPP_ENV", "production")
    monkeypatch.setenv("MINIAPP_PUBLIC_BASE", "https://shop.example.com")
    Config.load()
    for name, value in (("CLOCK_FILE", "/tmp/x"), ("FAILPOINTS", "claim.taken=kill")):
        with monkeypatch.context() as patch:
            patch.setenv(f"MINIAPP_{name}", value)
            with pytest.raises(SettingFault, match=name.lower()):
                Config.load()
    monkeypatch.setenv("MINIAPP_PUBLIC_BASE", "http://shop.example.com")
    with pytest.raises(SettingFault, match="https"):
        Config.load()


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "miniapp.toml"
    file.write_text('port = 1234\ninstance = "file"\n', "utf-8")
    monkeypatch.setenv("MINIAPP_CONFIG", str(file))
    monkeypatch.setenv("MINIAPP_PORT", "4321")
    found = Config.load()
    assert (found.port, found.instance) == (4321, "file")
    file.write_text("prot = 1\n", "utf-8")
    with pytest.raises(SettingFault, match="prot"):
        Config.load()


@pytest.mark.parametrize(
    ("content", "mode", "fault"),
    [(KEY, 0o644, "chmod"), ("zz", 0o400, "64 hexadecimal"), (None, 0, "cannot be read")],
)
def test_a_master_key_is_private_and_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, mode: int, fault: str
) -> None:
    file = tmp_path / "master"
    if content is not None:
        file.write_text(content, "ascii")
        file.chmod(mode)
    monkeypatch.delenv("MINIAPP_MASTER_KEY")
    monkeypatch.setenv("MINIAPP_MASTER_KEY_FILE", str(file))
    with pytest.raises(SettingFault, match=fault):
        _ = Config.load().master_secret


def test_no_secret_shows_in_a_repr() -> None:
    assert KEY not in repr(Config.load())
