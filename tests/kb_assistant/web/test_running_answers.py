"""Running answers are stopped together and waited for, but not for ever."""

import threading
import time

from kb_assistant.web.running_answers import RunningAnswers


def test_all_are_stopped_and_waited_for():
    answers, ended = RunningAnswers(), []

    def answer(stop, number):
        stop.wait()
        time.sleep(0.2)
        ended.append(number)

    for number in range(5):
        stop = threading.Event()
        answers.start(lambda stop=stop, number=number: answer(stop, number), stop, "an answer")
    assert answers.close()
    assert sorted(ended) == [0, 1, 2, 3, 4]
    assert answers.close()  # again, with none left


def test_an_answer_that_does_not_stop_is_left_after_a_moment():
    answers, release = RunningAnswers(), threading.Event()
    answers.start(lambda: release.wait(60) and None, threading.Event(), "deaf")
    started = time.monotonic()
    assert not answers.close()
    assert 2 < time.monotonic() - started < 10
    release.set()
    assert answers.close()


def test_an_answer_that_failed_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    answers = RunningAnswers()
    answers.start(lambda: 1 / 0, threading.Event(), "failing")
    assert answers.close()
