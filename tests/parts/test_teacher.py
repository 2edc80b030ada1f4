"""The slow copy that is asked."""

from torch import nn

from unmask.parts.nets.teacher import Teacher


def test_what_was_found_of_a_thing_is_remembered_while_it_is_asked_once_and_no_longer():
    teacher, found = Teacher(nn.Linear(2, 2)), []

    def ask(thing):
        return teacher.answer(thing, lambda: found.append(thing) or len(found))

    one, other = [0], [0]  # equal, and not the same
    with teacher.asked_once():
        assert [ask(one), ask(one), ask(other), ask(one)] == [1, 1, 2, 1]
    assert [ask(one), ask(one)] == [3, 4]
