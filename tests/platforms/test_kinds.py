"""Kinds: one file is one kind, a broken one stops the start, and every message key has its sentence."""

import re
from pathlib import Path

import pytest

from miniapp.chat import senders
from miniapp.core import kinds, text
from miniapp.customers import logins
from miniapp.invoices import channels
from miniapp.payments import gateways
from miniapp.printing import drivers

PORTS = {
    gateways: gateways.Gateway,
    channels: channels.Channel,
    logins: logins.Login,
    senders: senders.Sender,
    drivers: drivers.Driver,
}


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_every_kind_found_answers_its_whole_port(port):
    wanted = {name for name in vars(PORTS[port]) if not name.startswith("_")}
    wanted |= set(PORTS[port].__annotations__)
    found = kinds.find(port.__name__)
    assert found
    for name, kind in found.items():
        missing = {one for one in wanted if not hasattr(kind, one)}
        assert not missing, (name, missing)


@pytest.mark.parametrize(
    ("source", "error"), [("X = 1\n", LookupError), ("import nothing_of_this_name\n", ModuleNotFoundError)]
)
def test_a_broken_kind_stops_the_start(tmp_path, monkeypatch, source, error):
    family = f"family_{error.__name__.lower()}"
    (tmp_path / family).mkdir()
    (tmp_path / family / "__init__.py").write_text("", "ascii")
    (tmp_path / family / "broken.py").write_text(source, "ascii")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(error):
        kinds.find(family)


def test_a_kind_that_is_not_there_is_said_with_those_that_are():
    with pytest.raises(LookupError, match="alipay, wechat"):
        kinds.one("miniapp.payments.gateways", "unionpay")


def test_every_message_key_of_an_answer_has_its_sentence():
    files = [file for port in PORTS for file in Path(port.__file__).parent.glob("*.py")]
    keys = {
        key
        for file in files
        for key in re.findall(r'"((?:gateway|channel|driver)\.[a-z_]+)"', file.read_text("utf-8"))
    }
    assert len(keys) > 20
    assert keys <= set(text.catalogue())
