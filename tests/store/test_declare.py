import pytest

from gatepost.config.directive import Scene
from gatepost.errors import ConfigError
from gatepost.store.declare import declare_zone


def scene() -> Scene:
    return Scene("ssl_session_cache", None, "/", "/", pytest.fail)


def test_the_same_zone_may_be_named_again() -> None:
    here = scene()
    declare_zone(here, "SSL", 65536, "sessions")
    declare_zone(here, "SSL", 65536, "sessions")
    declare_zone(here, "other", 1, "limits")


def test_another_size() -> None:
    here = scene()
    declare_zone(here, "SSL", 2097152, "sessions")
    with pytest.raises(ConfigError) as caught:
        declare_zone(here, "SSL", 1048576, "sessions")
    assert str(caught.value) == (
        'the size 1048576 of shared memory zone "SSL" conflicts with already declared size 2097152'
    )


def test_another_use() -> None:
    here = scene()
    declare_zone(here, "X", 65536, "sessions")
    with pytest.raises(ConfigError) as caught:
        declare_zone(here, "X", 65536, "limits")
    assert str(caught.value) == 'the shared memory zone "X" is already declared for a different use'
