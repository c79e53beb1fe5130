"""Answers under way are told to stop together, and waited for, but not for ever."""

import threading
import time

from kb_assistant.web.running_answers import UnderWay


def test_all_are_stopped_and_waited_for():
    under_way, ended = UnderWay(), []

    def answer(stop, number):
        stop.wait()
        time.sleep(0.2)
        ended.append(number)

    for number in range(5):
        stop = threading.Event()
        under_way.start(lambda stop=stop, number=number: answer(stop, number), stop, "an answer")
    assert under_way.close()
    assert sorted(ended) == [0, 1, 2, 3, 4]
    assert under_way.close()  # again, with none left


def test_one_that_does_not_listen_is_left_after_a_moment():
    under_way, release = UnderWay(), threading.Event()
    under_way.start(lambda: release.wait(60) and None, threading.Event(), "deaf")
    started = time.monotonic()
    assert not under_way.close()
    assert 2 < time.monotonic() - started < 10
    release.set()
    assert under_way.close()


def test_one_that_fails_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    under_way = UnderWay()
    under_way.start(lambda: 1 / 0, threading.Event(), "failing")
    assert under_way.close()
