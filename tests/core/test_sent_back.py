"""Which "slow down" is about the pace, and which about its message."""

from gatewayd.core.sent_back import SentBack


def refused(sent_back: SentBack, *moments: float, message_id: str = "a") -> list[bool]:
    """What a "slow down" to this message is said to be at each of these moments."""
    return [sent_back.is_refused_for_itself(message_id, at) for at in moments]


def test_a_message_that_is_refused_while_others_pass_is_refused_for_itself() -> None:
    """The third time in a row with a later submit of another accepted in between, and from then on."""
    sent_back = SentBack()
    for at, verdict in ((10.0, False), (12.0, False), (14.0, True), (16.0, True)):
        assert refused(sent_back, at) == [verdict]
        sent_back.accepted("b", at + 0.5)


def test_a_next_hop_that_refuses_all_means_the_pace() -> None:
    """However often: nobody passes, or only what was written before."""
    sent_back = SentBack()
    sent_back.accepted("b", 1.0)
    assert refused(sent_back, 10.0) == [False]
    sent_back.accepted("b", 9.0)
    assert refused(sent_back, *range(11, 30)) == [False] * 19


def test_a_message_that_was_accepted_begins_anew() -> None:
    """A long SMS may have segments of which one is throttled."""
    sent_back = SentBack()
    for at in (10.0, 12.0):
        assert refused(sent_back, at) == [False]
        sent_back.accepted("b", at + 0.5)
    sent_back.accepted("a", 13.0)
    assert refused(sent_back, 14.0) == [False]


def test_numbers_whose_queues_are_full_are_known_by_their_words_once_many_were() -> None:
    """Words that may be about one number are so at once then, while others are taken; and not any more once those that
    were refused are taken when they come again, as by a queue of the next hop's own."""
    sent_back = SentBack()

    def at_once(message_id: str, at: float) -> bool:
        return sent_back.is_refused_for_itself(message_id, at, by_number=True)

    for message_id in ("a", "b", "c"):
        assert not at_once(message_id, 10.0)
    for at in (12.0, 14.0):
        sent_back.accepted("other", at - 0.5)
        for message_id in ("a", "b", "c"):
            assert sent_back.is_refused_for_itself(message_id, at) is (at == 14.0)
    assert at_once("d", 14.5)
    assert not sent_back.is_refused_for_itself("e", 14.5)
    assert not at_once("f", 20.0)  # nobody is taken any more
    sent_back.accepted("d", 20.0)
    assert not at_once("g", 20.5)


def test_who_takes_more_than_it_refuses_is_known() -> None:
    """Over some answers, whatever came before."""
    sent_back = SentBack()
    assert sent_back.most_pass()
    refused(sent_back, *range(20))
    assert not sent_back.most_pass()
    for _ in range(20):
        sent_back.accepted("b", 30.0)
    assert sent_back.most_pass()
