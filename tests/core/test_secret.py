"""Secrets do not show."""

import pickle

import pytest

from telcoflow_proto.secret import Secret


def test_a_secret_shows_nowhere_but_where_it_is_revealed() -> None:
    secret = Secret("hush")
    assert secret.reveal() == "hush"
    assert "hush" not in f"{secret} {secret!r} {secret!s} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_secrets_compare_by_what_they_hide() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
