"""Users' sockets and their instances."""

from chat_service.contracts.records import Departure, UserConfig
from chat_service.testing.store_suite.base import (
    ALICE,
    BOB,
    HALL,
    NOW,
    ROOM,
    S1,
    S2,
    S3,
    S4,
    Peer,
    Peers,
    StoreTests,
    raises_error,
    told,
    user_topic,
)
from chat_service.types import InstanceId

DEAD = InstanceId("dead")


class SocketSuite(StoreTests):
    """Connects, disconnects, instances and their heartbeats."""

    # Users' sockets

    async def test_connect_counts_and_echoes(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        for peer in (one, other):
            await peer.hear(user_topic(ALICE))
        assert await one.store.socket_connect(ALICE, S1, one.instance_id) == 1
        for peer in (one, other):
            # There is no other socket to receive it.
            assert await peer.user_told(ALICE) in ([], [told("socketConnectEcho", S1, 1, exclude=[S1])])
        assert await other.store.socket_connect(ALICE, S2, other.instance_id) == 2
        assert await one.store.socket_connect(BOB, S3, one.instance_id) == 1
        assert await one.store.socket_connect(ALICE, S4, one.instance_id) == 3
        for peer in (one, other):
            assert await peer.user_told(ALICE) == [
                told("socketConnectEcho", S2, 2, exclude=[S2]),
                told("socketConnectEcho", S4, 3, exclude=[S4]),
            ]

    async def test_connect_again_changes_nothing(self, peer: Peer) -> None:
        await peer.enter(ALICE, S1)
        await peer.connect(ALICE, S2)
        await peer.user_told(ALICE)
        assert await peer.store.socket_connect(ALICE, S1, peer.instance_id) == 2
        assert await peer.user_told(ALICE) == []
        assert await peer.indexed(ALICE) == {S1: {ROOM}, S2: set()}

    async def test_sockets_of_all_instances(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        await one.connect(ALICE, S1)
        await other.connect(ALICE, S2)
        await other.connect(BOB, S3)
        for peer in (one, other):
            found = await peer.store.user_sockets(ALICE)
            assert {socket_id: info.instance_id for socket_id, info in found.items()} == {
                S1: one.instance_id,
                S2: other.instance_id,
            }
            assert all(info.rooms == frozenset() for info in found.values())

    async def test_user_without_sockets(self, peer: Peer) -> None:
        await peer.store.user_create(ALICE, UserConfig())
        assert dict(await peer.store.user_sockets(ALICE)) == {}

    async def test_answers_with_sockets_are_bounded(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1)
        await peer.enter(ALICE, S2)
        assert set(await peer.store.user_sockets(ALICE, limit=3)) == {S1, S2}
        with raises_error("limitExceeded", "sockets of a user and their rooms"):
            await peer.store.user_sockets(ALICE, limit=2)

    async def test_disconnect_counts_and_echoes(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1, S2)
        await peer.user_told(ALICE)
        assert await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, []) == 1
        assert await peer.user_told(ALICE) == [told("socketDisconnectEcho", S1, 1, exclude=[S1])]
        assert await peer.indexed(ALICE) == {S2: set()}
        assert await peer.store.socket_disconnect(ALICE, S2, peer.instance_id, []) == 0
        # There is no other socket to receive it.
        assert await peer.user_told(ALICE) in ([], [told("socketDisconnectEcho", S2, 0, exclude=[S2])])
        assert await peer.indexed(ALICE) == {}
        assert await peer.store.socket_connect(ALICE, S3, peer.instance_id) == 1

    async def test_disconnect_publishes_departures_first(self, peer: Peer) -> None:
        await peer.connect(ALICE, S1, S2)
        await peer.user_told(ALICE)
        departures = [Departure(room=ROOM, njoined=1), Departure(room=HALL, njoined=0)]
        assert await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, departures) == 1
        assert await peer.user_told(ALICE) == [
            told("roomLeftEcho", ROOM, S1, 1, exclude=[S1]),
            told("roomLeftEcho", HALL, S1, 0, exclude=[S1]),
            told("socketDisconnectEcho", S1, 1, exclude=[S1]),
        ]

    async def test_disconnect_of_missing_socket_changes_nothing(self, peer: Peer) -> None:
        departures = [Departure(room=ROOM, njoined=0)]
        assert await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, departures) == 0
        assert await peer.store.user_exists(ALICE) is False
        await peer.connect(ALICE, S1, S3)
        await peer.user_told(ALICE)
        assert await peer.store.socket_disconnect(ALICE, S2, peer.instance_id, departures) == 2
        assert await peer.user_told(ALICE) == []
        assert await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, []) == 1
        assert await peer.store.socket_disconnect(ALICE, S1, peer.instance_id, departures) == 1
        assert await peer.user_told(ALICE) == [told("socketDisconnectEcho", S1, 1, exclude=[S1])]
        assert dict(await peer.store.instance_sockets(peer.instance_id)) == {S3: ALICE}

    # Instances

    async def test_heartbeats(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        assert await one.store.instance_get_heartbeat(DEAD) is None
        assert DEAD not in await one.store.instances()
        await one.store.instance_heartbeat(one.instance_id, NOW)
        await one.store.instance_heartbeat(DEAD, NOW - 60_000)
        await one.store.instance_heartbeat(one.instance_id, NOW + 1)
        for peer in (one, other):
            assert await peer.store.instance_get_heartbeat(one.instance_id) == NOW + 1
            assert await peer.store.instance_get_heartbeat(DEAD) == NOW - 60_000
            assert dict(await peer.store.instances()) == {one.instance_id: NOW + 1, DEAD: NOW - 60_000}

    async def test_sockets_of_an_instance(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        await one.store.instance_heartbeat(one.instance_id, NOW)
        await one.connect(ALICE, S1, S2)
        await one.connect(BOB, S3)
        await other.connect(ALICE, S4)
        assert dict(await other.store.instance_sockets(one.instance_id)) == {S1: ALICE, S2: ALICE, S3: BOB}
        assert dict(await one.store.instance_sockets(other.instance_id)) == {S4: ALICE}
        assert dict(await one.store.instance_sockets(DEAD)) == {}
        # Another instance may disconnect the sockets of a dead one.
        assert await other.store.socket_disconnect(ALICE, S1, one.instance_id, []) == 2
        assert dict(await one.store.instance_sockets(one.instance_id)) == {S2: ALICE, S3: BOB}

    async def test_instance_is_forgotten_only_without_sockets(self, peer: Peer) -> None:
        store, instance_id = peer.store, peer.instance_id
        await store.instance_heartbeat(instance_id, NOW)
        await store.instance_heartbeat(DEAD, NOW)
        await peer.connect(ALICE, S1, S2)
        await store.socket_disconnect(ALICE, S1, instance_id, [])
        await store.instance_forget(instance_id)
        assert await store.instance_get_heartbeat(instance_id) == NOW
        assert dict(await store.instance_sockets(instance_id)) == {S2: ALICE}
        await store.socket_disconnect(ALICE, S2, instance_id, [])
        await store.instance_forget(instance_id)
        await store.instance_forget(instance_id)
        assert await store.instance_get_heartbeat(instance_id) is None
        assert dict(await store.instance_sockets(instance_id)) == {}
        assert dict(await store.instances()) == {DEAD: NOW}

    # Leases

    async def test_renewal_requires_a_known_instance(self, peer: Peer) -> None:
        assert await peer.store.instance_renew(DEAD, NOW) is False
        assert await peer.store.instance_get_heartbeat(DEAD) is None
        await peer.store.instance_heartbeat(DEAD, NOW)
        assert await peer.store.instance_renew(DEAD, NOW + 5) is True
        assert await peer.store.instance_get_heartbeat(DEAD) == NOW + 5
        await peer.store.instance_forget(DEAD)
        assert await peer.store.instance_renew(DEAD, NOW + 6) is False
        assert dict(await peer.store.instances()) == {}

    async def test_pulses_change_with_every_heartbeat(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)

        async def pulses() -> list[int | None]:
            found = await other.store.instance_pulses()
            return [found.get(peer.instance_id) for peer in (one, other)]

        assert await pulses() == [None, None]
        await one.store.instance_heartbeat(one.instance_id, NOW)
        await other.store.instance_heartbeat(other.instance_id, NOW + 10)
        seen = [await pulses()]
        assert dict(await one.store.instance_pulses()) == dict(await other.store.instance_pulses())
        # Whatever the instance's clock shows: the same time, an earlier one, or one long ago.
        for now in (NOW, NOW - 1, 1, NOW):
            assert await one.store.instance_renew(one.instance_id, now) is True
            seen.append(await pulses())
        await one.store.instance_heartbeat(one.instance_id, NOW)
        seen.append(await pulses())
        assert len({first for first, _ in seen}) == len(seen)
        assert len({second for _, second in seen}) == 1
        await one.store.instance_forget(one.instance_id)
        assert set(await one.store.instance_pulses()) == {other.instance_id}

    async def test_an_instance_that_only_has_sockets_has_no_pulse(self, peer: Peer) -> None:
        await peer.store.socket_connect(ALICE, S1, DEAD)
        assert DEAD not in await peer.store.instance_pulses()
        assert await peer.store.instance_claim(DEAD, NOW, 0) is None

    async def test_claims_require_the_current_pulse(self, peers: Peers) -> None:
        one, other = await peers.open_many(2)
        await one.store.socket_connect(ALICE, S1, DEAD)
        await one.store.instance_heartbeat(DEAD, NOW)
        before = (await one.store.instance_pulses())[DEAD]
        assert await one.store.instance_renew(DEAD, NOW) is True
        pulse = (await one.store.instance_pulses())[DEAD]
        # Heartbeat since then; unknown instance.
        assert await one.store.instance_claim(DEAD, NOW + 100, before) is None
        assert await one.store.instance_claim(InstanceId("unknown"), NOW + 100, pulse) is None
        claimed = await one.store.instance_claim(DEAD, NOW + 100, pulse)
        assert claimed is not None and claimed != pulse
        assert await other.store.instance_claim(DEAD, NOW + 100, pulse) is None
        # It no longer counts as alive and cannot renew.
        assert await other.store.instance_renew(DEAD, NOW + 101) is False
        assert await other.store.instance_get_heartbeat(DEAD) is None
        assert dict(await other.store.instances()) == {}
        assert dict(await other.store.instance_sockets(DEAD)) == {S1: ALICE}
        # A claim has a pulse too, in case the claimer dies: the claimer continues, then another takes over.
        assert dict(await other.store.instance_pulses()) == {DEAD: claimed}
        again = await one.store.instance_claim(DEAD, NOW + 50, claimed)
        assert again is not None and again != claimed
        assert await other.store.instance_claim(DEAD, NOW + 200, claimed) is None
        assert await other.store.instance_claim(DEAD, NOW + 200, again) is not None
        await other.store.socket_disconnect(ALICE, S1, DEAD, [])
        await other.store.instance_forget(DEAD)
        assert dict(await one.store.instance_pulses()) == {}
        assert await one.store.instance_claim(DEAD, NOW + 2000, again) is None

    async def test_heartbeat_ends_a_claim(self, peer: Peer) -> None:
        await peer.store.instance_heartbeat(DEAD, NOW)
        pulse = (await peer.store.instance_pulses())[DEAD]
        claimed = await peer.store.instance_claim(DEAD, NOW + 100, pulse)
        assert claimed is not None
        await peer.store.instance_heartbeat(DEAD, NOW + 60)
        assert dict(await peer.store.instances()) == {DEAD: NOW + 60}
        assert await peer.store.instance_claim(DEAD, NOW + 100, claimed) is None
        assert await peer.store.instance_renew(DEAD, NOW + 70) is True
        (record,) = await peer.store.list_instances()
        assert (record.heartbeat, record.claimed) == (NOW + 70, None)

    async def test_forget_unknown_instance(self, peer: Peer) -> None:
        await peer.store.instance_forget(DEAD)
        assert dict(await peer.store.instances()) == {}
