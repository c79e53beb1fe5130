"""One at a time, in the order of their coming, with who is ahead told."""

import threading
import time

from kb_assistant.llms.turns import Turns


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_first_come_first_served_one_at_a_time():
    turns, order, inside = Turns(), [], []

    def take(number):
        with turns.turn(threading.Event()) as mine:
            assert mine
            inside.append(number)
            assert len(inside) == 1
            order.append(number)
            inside.remove(number)

    with turns.turn(threading.Event()):
        threads = []
        for number in range(8):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            wait_for(lambda number=number: len(turns) == number + 2)
        assert order == []
    for thread in threads:
        thread.join(10)
    assert order == list(range(8))
    assert len(turns) == 0


def test_how_many_are_ahead_is_told_as_it_changes():
    turns, told = Turns(), []
    gates = [threading.Event(), threading.Event()]

    def hold(gate):
        with turns.turn(threading.Event()):
            gate.wait(10)

    def last():
        with turns.turn(threading.Event(), told.append):
            pass

    for count, gate in enumerate(gates, start=1):
        threading.Thread(target=hold, args=(gate,)).start()
        wait_for(lambda count=count: len(turns) == count)
    thread = threading.Thread(target=last)
    thread.start()
    wait_for(lambda: told == [2])
    gates[0].set()
    wait_for(lambda: told == [2, 1])
    gates[1].set()
    thread.join(10)
    assert told == [2, 1]


def test_who_gives_up_leaves_the_queue():
    turns, given_up, got = Turns(), threading.Event(), []

    def waiting():
        with turns.turn(given_up) as mine:
            got.append(mine)

    with turns.turn(threading.Event()):
        thread = threading.Thread(target=waiting)
        thread.start()
        wait_for(lambda: len(turns) == 2)
        given_up.set()
        thread.join(10)
        assert got == [False]
        assert len(turns) == 1
