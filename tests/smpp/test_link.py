"""One bind kept alive: every delay on a clock of ours, every octet over a wire in memory; TLS over real sockets."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure

from gatewayd.core.errors import TemporaryFailure, Uncertain
from gatewayd.core.model import BindState
from gatewayd.sandbox.smsc import Behaviour
from gatewayd.smpp.codec.pdu import Bind, BindResp, Command, Status, encode
from memory_network import Reactor
from smpp_world import Memory, World, order, settings


def link_of(world: World) -> BindState:
    """The only bind's state."""
    ((link,),) = [way.binds for way in world.channel.states().values()]
    return link


def stop(memory: Memory, world: World) -> None:
    """Stop the channel, and let the time that it needs pass."""
    stopped = world.channel.stopService()
    memory.advance(30)
    assert stopped.called
    stopped.addErrback(lambda failure: failure.raiseException())
    assert memory.clock.getDelayedCalls() == [], "a timer was left behind"


def gaps(memory: Memory) -> list[float]:
    """Seconds between two tries to connect."""
    return [later - earlier for earlier, later in zip(memory.tried, memory.tried[1:], strict=False)]


def failure_of(sending: Deferred[Any]) -> BaseException:
    """What a send ended with."""
    found: list[Failure] = []
    sending.addErrback(found.append)
    assert found, "the send has not failed"
    return found[0].value


def test_the_link_binds_and_unbinds_when_stopped() -> None:
    """Start binds, stop unbinds first, and no timer stays behind."""
    memory = Memory()
    world = memory.world()
    assert link_of(world).phase == "bound"
    assert world.channel.routes() == {"world": True}
    session = memory.smsc.sessions[0]
    stop(memory, world)
    assert session.peer_unbound
    assert world.channel.routes() == {"world": False}


def test_back_off_grows_to_ten_seconds_in_the_first_minute_then_to_sixty() -> None:
    """A refused connection: first new try within 5 s, none over 10 s in the first minute, at most 60 s later."""
    memory = Memory()
    memory.refuses = True
    world = memory.world()
    memory.advance(900)
    delays = gaps(memory)
    assert delays[0] <= 5
    at = 0.0
    for delay in delays:
        if at < 60:
            assert delay <= 10.5
        at += delay
    assert max(delays) <= 60.5
    assert delays[-1] > 30
    assert "refused" in link_of(world).last_error
    memory.refuses = False
    memory.advance(61)
    assert link_of(world).phase == "bound"
    stop(memory, world)


def test_it_is_down_since_it_was_lost_and_not_since_the_latest_try() -> None:
    """Ten minutes of tries are ten minutes; bound again, that counts from its bind."""
    memory = Memory()
    world = memory.world()
    memory.advance(100)
    memory.refuses = True
    memory.smsc.reset()
    memory.pump()
    lost_at = memory.clock.seconds()
    memory.advance(600)
    assert link_of(world).since == lost_at
    memory.refuses = False
    memory.advance(61)
    assert link_of(world).phase == "bound"
    assert link_of(world).since > lost_at + 600 - 61
    stop(memory, world)


def test_that_it_is_down_is_said_once_for_each_reason() -> None:
    """An SMSC that is away for an hour is one line, then that it is bound again; each further try is at debug."""
    memory = Memory()
    memory.refuses = True
    with capturedLogs() as logs:
        world = memory.world()
        memory.advance(3600)
        memory.refuses = False
        memory.advance(61)
        memory.smsc.reset()
        memory.advance(61)
    lines = [(event["log_level"], event["log_format"]) for event in logs if "SMPP" in event["log_format"]]
    down, bound = "SMPP {mode} {number} to {smsc} is down: {reason}", "SMPP {mode} {number} to {smsc} is bound"
    wanted = [(LogLevel.warn, down), (LogLevel.info, bound), (LogLevel.warn, down), (LogLevel.info, bound)]
    assert [line for line in lines if line[0] is not LogLevel.debug] == wanted
    assert lines.count((LogLevel.debug, down)) > 30
    stop(memory, world)


def test_only_a_stable_minute_begins_the_back_off_anew() -> None:
    """A peer that binds and hangs up at once is tried ever more slowly; one that stayed a minute, quickly again."""
    memory = Memory()
    world = memory.world()
    delays = []
    for _ in range(7):
        memory.smsc.reset()
        lost = memory.clock.seconds()
        tries = len(memory.tried)
        while len(memory.tried) == tries:
            memory.advance(0.25)
        delays.append(memory.tried[-1] - lost)
        memory.advance(9)
        assert link_of(world).phase == "bound"
    assert delays == sorted(delays)
    assert delays[0] <= 1.0
    assert delays[-1] > 20
    memory.advance(52)
    memory.smsc.reset()
    lost = memory.clock.seconds()
    memory.advance(5)
    assert memory.tried[-1] - lost <= 1
    stop(memory, world)


def test_connecting_that_never_ends_is_given_up_after_ten_seconds() -> None:
    """A black hole costs ten seconds a try, and the next try comes."""
    memory = Memory()
    memory.deaf = True
    world = memory.world()
    memory.advance(11.5)
    assert len(memory.tried) == 2
    assert "no answer in time" in link_of(world).last_error
    memory.deaf = False
    memory.advance(25)
    assert link_of(world).phase == "bound"
    stop(memory, world)


def test_stop_while_connecting_and_while_waiting() -> None:
    """Stop ends a try that never ends, and a pause, at once."""
    for refuses, deaf in ((True, False), (False, True)):
        memory = Memory()
        memory.refuses, memory.deaf = refuses, deaf
        world = memory.world()
        stopped = world.channel.stopService()
        assert stopped.called
        assert memory.clock.getDelayedCalls() == []


def test_a_bind_that_is_never_answered_is_tried_again() -> None:
    """The bind has fifteen seconds; then the connection is closed and made again."""
    memory = Memory(Behaviour(bind_mute=True))
    world = memory.world()
    memory.advance(14)
    assert len(memory.tried) == 1
    memory.advance(4)
    assert len(memory.tried) == 2
    assert "bind was not answered" in link_of(world).last_error
    memory.smsc.behaviour = Behaviour()
    memory.advance(30)
    assert link_of(world).phase == "bound"
    stop(memory, world)


@pytest.mark.parametrize("status", [Status.RINVPASWD, Status.RINVSYSID, Status.RINVSYSTYP])
def test_a_wrong_account_stops_trying_fast_and_says_so(status: int) -> None:
    """What only the operator can mend is tried once in most of a minute, with an error in log and state."""
    memory = Memory(Behaviour(bind_status=status))
    with capturedLogs() as logs:
        world = memory.world()
        memory.advance(40)
    assert len(memory.tried) == 1
    assert "system_id, password or system_type" in link_of(world).last_error
    assert world.channel.states()["world"].reason == link_of(world).last_error
    said = [event for event in logs if event["log_level"] is LogLevel.error]
    assert len(said) == 1
    assert "secret" not in str(logs)
    memory.advance(25)
    assert len(memory.tried) == 2
    stop(memory, world)


def test_the_address_range_is_the_receivers_and_the_transceivers() -> None:
    """What a bind serves is named where texts and receipts come in, and nowhere else."""
    for kind, ranges in (("transceiver", [b"12345"]), ("transmitter+receiver", [b"", b"12345"])):
        binds: list[bytes] = []

        def judge(bind: Bind, binds: list[bytes] = binds) -> int:
            binds.append(bind.address_range)
            return 0

        memory = Memory(Behaviour(judge_bind=judge))
        world = memory.world(bind=kind, address_range="12345")
        assert binds == ranges
        world.channel.stopService()
        memory.advance(10)


def test_already_bound_is_no_fault_of_the_account() -> None:
    """RALYBND: the old session still lives over there; we come back soon."""
    memory = Memory(Behaviour(bind_status=Status.RALYBND))
    world = memory.world()
    memory.advance(5)
    assert len(memory.tried) >= 2
    memory.smsc.behaviour = Behaviour()
    memory.advance(12)
    assert link_of(world).phase == "bound"
    stop(memory, world)


def test_a_mute_peer_is_left_and_bound_anew() -> None:
    """No answer to enquire_link: the connection is dropped, its submits are uncertain, a new bind comes."""
    memory = Memory(Behaviour(mute_after=1))
    world = memory.world()
    sending = [world.send(order(n, now=memory.clock.seconds())) for n in range(3)]
    memory.advance(39)
    assert link_of(world).phase == "bound"
    memory.smsc.behaviour = Behaviour()
    memory.advance(10)
    failures = [failure_of(each) for each in sending[1:]]
    assert [type(each) for each in failures] == [Uncertain, Uncertain]
    assert link_of(world).phase == "bound"
    assert link_of(world).reconnects == 1
    stop(memory, world)


def test_the_peers_enquire_link_is_answered() -> None:
    """A peer that asks every ten seconds is answered every time."""
    memory = Memory(Behaviour(enquire_every=10.0))
    world = memory.world()
    memory.advance(45)
    answers = [step for step in memory.smsc.steps if step.what == "enquire_link_resp"]
    assert len(answers) == 5
    assert len(memory.tried) == 1
    stop(memory, world)


def test_the_peers_unbind_is_answered_and_the_link_comes_back() -> None:
    """Answers on their way still count; then unbind_resp, close, and a new bind."""
    memory = Memory(Behaviour(unbind_after=1, answer_delay=0.5))
    world = memory.world()
    sending = world.send(order(now=memory.clock.seconds()))
    memory.advance(10)
    assert sending.called
    sending.addCallback(lambda handed: handed.route)
    assert sending.result == "world"
    assert [step.what for step in memory.smsc.steps].count("unbind_resp") == 1
    assert link_of(world).phase == "bound"
    assert link_of(world).reconnects == 1
    stop(memory, world)


def test_garbage_is_answered_and_the_link_comes_back() -> None:
    """A peer that begins to speak HTTP gets a generic_nack; the submit without answer is uncertain."""
    memory = Memory(Behaviour(garbage_after=1))
    world = memory.world()
    sending = world.send(order(now=memory.clock.seconds()))
    memory.advance(5)
    assert isinstance(failure_of(sending), Uncertain)
    assert [step.what for step in memory.smsc.steps].count("generic_nack") == 1
    assert link_of(world).phase == "bound"
    stop(memory, world)


def test_stop_waits_for_answers_on_their_way() -> None:
    """What is on the wire gets its answer before unbind; what is not written yet is sent back."""
    memory = Memory(Behaviour(answer_delay=8.0))
    world = memory.world(window=2)
    sending = [world.send(order(n, now=memory.clock.seconds())) for n in range(3)]
    memory.advance(1)
    stopped = world.channel.stopService()
    failure = failure_of(sending[2])
    assert isinstance(failure, TemporaryFailure)
    assert not failure.counts
    memory.advance(6)
    assert not stopped.called
    memory.advance(6)
    assert stopped.called
    assert [each.result.route for each in sending[:2]] == ["world", "world"]
    assert memory.clock.getDelayedCalls() == []


def test_stop_waits_no_longer_than_twenty_seconds() -> None:
    """A peer that answers nothing does not hold the daemon: within twenty seconds we unbind, and it is uncertain."""
    memory = Memory(Behaviour(submit_mute=True))
    world = memory.world()
    sending = world.send(order(now=memory.clock.seconds()))
    memory.advance(1)
    stopped = world.channel.stopService()
    memory.advance(18)
    assert not stopped.called
    memory.advance(2)
    assert stopped.called
    assert isinstance(failure_of(sending), Uncertain)


def test_transmitter_and_receiver_are_two_binds() -> None:
    """Submits go by the transmitter, receipts come by the receiver; a receiver that is down is degraded, not down."""
    memory = Memory()
    world = memory.world(bind="transmitter+receiver")
    sending = world.send(order(now=memory.clock.seconds()))
    memory.advance(1)
    assert sending.result.route == "world"
    assert len(world.evidence.receipts) == 1
    receiver = next(session for session in memory.smsc.sessions if session.receives)
    receiver.abort()
    memory.pump()
    assert world.channel.routes() == {"world": True}
    (state,) = world.channel.states().values()
    assert state.word.startswith("degraded")
    assert world.channel.states()["world"].word == "degraded: 1 of 2 bound"
    memory.advance(5)
    assert world.channel.states()["world"].word == "bound"
    stop(memory, world)


def test_a_password_longer_than_the_specifications_is_sent_as_it_is() -> None:
    """Carriers give out such ones; whether theirs is taken is theirs to say."""
    memory = Memory(Behaviour(password="much-longer-than-eight"))
    world = memory.world(password="much-longer-than-eight")
    assert link_of(world).phase == "bound"
    stop(memory, world)


def test_who_waits_too_long_for_a_window_is_sent_back() -> None:
    """An SMSC that answers nothing holds a window of messages, and no more: the others go back after five seconds."""
    memory = Memory(Behaviour(submit_mute=True))
    world = memory.world(window=3)
    sending = [world.send(order(n, now=memory.clock.seconds())) for n in range(10)]
    memory.advance(8)
    assert [each.called for each in sending] == [False] * 3 + [True] * 7
    failures = [failure_of(each) for each in sending[3:]]
    assert all(isinstance(failure, TemporaryFailure) and not failure.counts for failure in failures)
    assert len(world.marks) == 3
    memory.smsc.behaviour = Behaviour()
    memory.advance(60)
    assert [type(failure_of(each)) for each in sending[:3]] == [Uncertain] * 3
    stop(memory, world)


def test_an_answer_that_lay_in_the_socket_while_we_were_stopped_counts() -> None:
    """A process that is stopped for longer than response_timeout reads what came before it judges."""
    memory = Memory()
    world = memory.world(response_timeout="5s", enquire_link="30s")
    sending = world.send(order(1, now=memory.clock.seconds()))
    memory.clock.advance(0)
    memory.wires[0].pump()  # the submit is with the SMSC, and its answer on its way to us
    memory.clock.advance(60)
    memory.advance(1)
    assert sending.result.route == "world"
    stop(memory, world)


def test_an_answer_that_lay_in_the_socket_while_we_were_stopped_in_a_drain_counts() -> None:
    """SIGTERM, and then stopped for longer than the drain may take: what came meanwhile is read before the unbind."""
    memory = Memory()
    world = memory.world()
    sending = world.send(order(1, now=memory.clock.seconds()))
    memory.clock.advance(0)
    memory.wires[0].pump()  # the submit is with the SMSC, and its answer on its way to us
    stopped = world.channel.stopService()
    memory.clock.advance(60)
    memory.advance(1)
    assert sending.result.route == "world"
    assert stopped.called


def test_a_segment_whose_bind_is_gone_follows_another() -> None:
    """Mid-message the bind falls: the message is uncertain if its segment was written, and goes on if it was not."""
    memory = Memory(Behaviour(answer_delay=1.0))
    world = memory.world(binds=2, window=1)
    first = world.send(order(1, "x" * 300, now=memory.clock.seconds()))
    memory.advance(0.5)
    busy = [link for link in world.channel.states()["world"].binds if link.in_flight]
    assert len(busy) == 1
    carrier = memory.smsc.sessions[busy[0].number]
    carrier.abort()
    memory.pump()
    failure = failure_of(first)
    assert isinstance(failure, Uncertain)
    assert world.channel.routes() == {"world": True}
    second = world.send(order(2, now=memory.clock.seconds()))
    memory.advance(3)
    assert second.result.route == "world"
    stop(memory, world)


@pytest.mark.parametrize("seconds", [10, 30, 59])
def test_an_smsc_that_closes_idle_binds_is_bound_again_soon(seconds: int) -> None:
    """All night long: else the first SMS of the morning waits for up to a minute, and we are not ready till then."""
    memory = Memory()
    world = memory.world()
    for _ in range(50):
        memory.advance(seconds)
        memory.smsc.reset()
        lost, tries = memory.clock.seconds(), len(memory.tried)
        while len(memory.tried) == tries:
            memory.advance(0.25)
        assert memory.tried[-1] - lost <= 4.25
    stop(memory, world)


def test_a_new_window_counts_at_once() -> None:
    """A wider window lets waiting submits go without a new bind."""
    memory = Memory(Behaviour(answer_delay=3.0))
    world = memory.world(window=1)
    sending = [world.send(order(n, now=memory.clock.seconds())) for n in range(4)]
    memory.advance(1)
    assert link_of(world).in_flight == 1
    world.channel.reconfigure({"world": settings(2775, window=10)}, world.labels)
    memory.advance(0.5)
    assert link_of(world).in_flight == 4
    memory.advance(5)
    assert all(each.result.route == "world" for each in sending)
    assert len(memory.tried) == 1
    stop(memory, world)


def test_a_peer_that_resets_in_the_middle_of_work_is_bound_again_soon() -> None:
    """A hundred resets under load: no try waits longer than four seconds."""
    memory = Memory()
    world = memory.world()
    for number in range(100):
        sending = world.send(order(number, now=memory.clock.seconds()))
        memory.advance(0.25)
        assert sending.result.route == "world"
        memory.smsc.reset()
        reset_at = memory.clock.seconds()
        memory.advance(5)
        assert memory.tried[-1] - reset_at <= 4
        assert link_of(world).phase == "bound"
    stop(memory, world)


def test_stop_waits_for_a_message_that_is_being_marked() -> None:
    """Between mark and answer a message is on its way: stop lets it be written and answered, then unbinds."""
    memory = Memory(Behaviour(answer_delay=1.5))
    world = memory.world()
    marking: Deferred[None] = Deferred()
    sending = world.send(order(now=memory.clock.seconds()), lambda route: marking)
    other = world.send(order(2, now=memory.clock.seconds()))
    memory.advance(1)
    stopped = world.channel.stopService()
    memory.advance(2)
    assert other.result.route == "world"
    assert not stopped.called
    marking.callback(None)
    memory.advance(2)
    assert sending.result.route == "world"
    assert stopped.called
    assert [step.what for step in memory.smsc.steps][-3:].count("unbind") == 1


def test_a_backlog_comes_back_spread_and_each_message_about_once() -> None:
    """Fifteen hundred at 100/s, each sent again at the time it was given: few are sent back a second time."""
    memory = Memory()
    world = memory.world(rate="100/s", window=50)
    tries: dict[int, int] = {}
    done: list[int] = []

    def attempt(number: int) -> None:
        tries[number] = tries.get(number, 0) + 1
        sending = world.send(order(number, now=memory.clock.seconds()))
        sending.addCallbacks(lambda _: done.append(number), again, errbackArgs=(number,))

    def again(failure: Failure, number: int) -> None:
        failure.trap(TemporaryFailure)
        assert not failure.value.counts
        memory.clock.callLater(failure.value.not_before - memory.clock.seconds(), attempt, number)

    for number in range(1500):
        attempt(number)
    memory.advance(20, step=0.01)
    assert len(done) == len(set(done)) == 1500
    assert sum(tries.values()) <= 1500 * 2.5
    assert max(tries.values()) <= 6
    stop(memory, world)


@pytest.mark.parametrize("status", [Status.RINVCMDID, Status.RBINDFAIL])
def test_auto_binds_a_pair_where_there_is_no_transceiver(status: Status) -> None:
    """Refused with 0x03 or 0x0D, bind = "auto" goes on as transmitter and receiver; a message and its receipt pass."""
    memory = Memory(Behaviour(judge_bind=lambda bind: status * (bind.kind == Command.BIND_TRANSCEIVER)))
    world = memory.world(bind="auto")
    memory.advance(3)
    (state,) = world.channel.states().values()
    assert [(link.mode, link.phase) for link in state.binds] == [("transmitter", "bound"), ("receiver", "bound")]
    sending = world.send(order(now=memory.clock.seconds()))
    memory.advance(1)
    assert sending.result.route == "world"
    assert len(world.evidence.receipts) == 1
    world.channel.stopService()
    memory.advance(10)
    assert memory.smsc.sessions == []


def test_auto_goes_back_to_a_transceiver() -> None:
    """An SMSC that refuses the transmitter as well is asked for a transceiver again, at the pace of its back-off."""
    memory = Memory(Behaviour(bind_status=Status.RBINDFAIL))
    world = memory.world(bind="auto")
    memory.advance(60)
    assert len(memory.tried) < 40
    memory.smsc.behaviour = Behaviour()
    memory.advance(30)
    (state,) = world.channel.states().values()
    assert {link.phase for link in state.binds} == {"bound"}
    assert [link.mode for link in state.binds] in (["transceiver"], ["transmitter", "receiver"])
    world.channel.stopService()
    memory.advance(10)


def test_without_auto_no_other_bind_is_tried() -> None:
    """A transceiver that is refused stays a transceiver."""
    memory = Memory(Behaviour(bind_status=Status.RINVCMDID))
    world = memory.world()
    memory.advance(30)
    assert link_of(world).mode == "transceiver"
    world.channel.stopService()
    memory.advance(10)


def test_receipts_can_come_since_the_receiver_is_bound() -> None:
    """A second copy waits for what they may tell; an SMSC that is down tells nothing, and the timeline says why."""
    memory = Memory()
    world = memory.world(bind="transmitter+receiver")
    began = memory.clock.seconds()
    assert world.channel.heard_since("world") == began
    assert world.channel.heard_since("unknown") == 0
    assert world.channel.why_not(("other", "world")) == ""
    memory.advance(5)
    memory.smsc.sessions[1].abort()
    memory.advance(5)
    assert began + 5 < world.channel.heard_since("world") <= began + 10
    memory.refuses = True
    for session in list(memory.smsc.sessions):
        session.abort()
    memory.advance(1)
    assert world.channel.heard_since("world") == 0
    failure = failure_of(world.send(order(now=memory.clock.seconds())))
    assert isinstance(failure, TemporaryFailure)
    assert failure.reason.startswith("world is down: no connection: refused")
    assert world.channel.why_not(("world", "other")) == f"{failure.reason}; other is configured no more"
    stop(memory, world)


def test_a_transmitter_without_its_receiver_is_degraded() -> None:
    """It sends, and says that the receipts' bind is missing, and why."""
    memory = Memory(Behaviour(judge_bind=lambda bind: Status.RALYBND * (bind.kind == Command.BIND_RECEIVER)))
    world = memory.world(bind="transmitter+receiver")
    memory.advance(1)
    way = world.channel.states()["world"]
    assert (way.up, way.word, way.reason) == (True, "degraded: 1 of 2 bound", "bind refused, ESME_RALYBND")
    assert [(bind.mode, bind.phase) for bind in way.binds] == [("transmitter", "bound"), ("receiver", "waiting")]
    world.channel.stopService()
    memory.advance(10)


def test_binds_are_spread_over_the_hosts_and_go_on_to_the_next() -> None:
    """Each bind begins at a host of its own; one whose host is gone is bound at another, and receipts are one map."""
    memory = Memory()
    dialled: list[str] = []
    gone = {"b.example:2776"}

    def endpoint_of(_: Any, smsc: Any) -> Memory:
        dialled.append(f"{smsc.host}:{smsc.port}")
        memory.refuses = dialled[-1] in gone
        return memory

    table = settings(2775, host="a.example", more_hosts=["b.example:2776", "[::1]"], binds=3)
    world = World({"world": table}, memory.clock, endpoint_of=endpoint_of)
    world.channel.startService()
    memory.pump()
    assert dialled == ["a.example:2775", "b.example:2776", "::1:2775"]
    assert world.channel.states()["world"].word == "degraded: 2 of 3 bound"
    memory.advance(3)
    assert dialled[3:] == ["::1:2775"]
    assert world.all_bound()
    world.channel.stopService()
    memory.advance(10)


@pytest.mark.parametrize("host", ["", "a b", "a:", "a:b", "a:0", "a:65536", "[::1", "::1"])
def test_a_further_host_must_be_one(host: str) -> None:
    """A host, or a host and a port; an IPv6 address in brackets."""
    with pytest.raises(ValueError, match="more_hosts"):
        settings(2775, more_hosts=[host])


@pytest.mark.parametrize("bind", ["silence", "hang-up"])
def test_an_address_that_takes_connections_and_no_bind_is_not_tried_for_ever(bind: str) -> None:
    """One of a balanced name's nodes is out of order: the next try goes to another, and stays there."""
    network = Reactor("192.0.2.1", "192.0.2.2")
    world = World({"world": settings(2775, host="smsc.example")}, network)
    world.channel.startService()
    _, transport = network.connect()
    if bind == "hang-up":
        transport.closed()  # type: ignore[attr-defined]
    for _ in range(2):
        network.until_tried()
        protocol, transport = network.connect()
        protocol.dataReceived(encode(BindResp(1, Status.ROK)))
        assert world.all_bound()
        network.advance(1.0)
        transport.closed()  # type: ignore[attr-defined]
    assert [host for host, *_ in network.tcpClients] == ["192.0.2.1", "192.0.2.2", "192.0.2.2"]


def test_an_smsc_that_hangs_up_on_each_bind_is_one_line() -> None:
    """Whether an end comes as a reset is chance; and the line has no words of the library's."""
    network = Reactor("192.0.2.1")
    world = World({"world": settings(2775, host="smsc.example")}, network)
    with capturedLogs() as logs:
        world.channel.startService()
        for end in (ConnectionDone(), ConnectionLost(), ConnectionDone()):
            protocol, _ = network.connect()
            protocol.connectionLost(Failure(end))
            network.until_tried()
    said = [event["reason"] for event in logs if event["log_level"] is LogLevel.warn]
    assert said == ["connection lost: the other side hung up"]
