"""Counting connections, and giving up what is only kept."""

from gatepost.net.room import Place, Room


def test_places_up_to_the_limit() -> None:
    room = Room(2)
    first, second = room.take(), room.take()
    assert first is not None
    assert second is not None
    assert room.held == 2
    assert room.is_full()
    assert room.take() is None
    first.leave()
    first.leave()
    assert room.held == 1
    assert room.take() is not None
    assert room.is_full()


def test_what_is_counted_elsewhere_counts() -> None:
    room = Room(3)
    sessions = [1, 2]
    room.counted = lambda: len(sessions)
    assert room.take() is not None
    assert room.take() is None
    sessions.clear()
    assert room.take() is not None


def test_spares_are_given_up_one_by_one_before_anything_is_refused() -> None:
    room = Room(3)
    kept: list[Place] = []

    def spare() -> bool:
        if kept:
            kept.pop().leave()
            return True
        return False

    for _ in range(2):
        place = room.take()
        assert place is not None
        kept.append(place)
    room.spares += [lambda: False, spare]
    assert room.take() is not None
    assert len(kept) == 2  # there was room
    assert room.take() is not None
    assert len(kept) == 1
    assert room.take() is not None
    assert room.held == 3
    assert room.take() is None


def test_without_a_limit() -> None:
    room = Room()
    assert all(room.take() for _ in range(1000))
