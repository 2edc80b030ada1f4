import pytest
import torch
from torch import nn

from unmask.parts.nets.teacher import Teacher


def pair() -> tuple[nn.Module, Teacher]:
    torch.manual_seed(0)
    student = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    return student, Teacher(student)


def test_a_step_moves_the_teacher_by_its_share_of_the_way():
    student, teacher = pair()
    before = teacher.network[0].weight.clone()
    with torch.no_grad():
        student[0].weight += 1.0
    teacher.follow(student, 0.9)
    torch.testing.assert_close(teacher.network[0].weight, before + 0.1)


def test_buffers_are_copied():
    student, teacher = pair()
    student(torch.randn(8, 3))
    teacher.follow(student, 0.9)
    assert torch.equal(teacher.network[1].running_mean, student[1].running_mean)


def test_it_is_never_trained_and_never_in_training_mode():
    _, teacher = pair()
    teacher.train()
    assert not any(module.training for module in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not teacher(torch.randn(2, 3, requires_grad=True)).requires_grad


@pytest.mark.parametrize("decay", [-0.1, 1.1])
def test_a_decay_that_is_no_share_is_refused(decay):
    student, teacher = pair()
    with pytest.raises(ValueError, match="decay"):
        teacher.follow(student, decay)


def test_what_was_found_of_a_thing_is_remembered_while_it_is_asked_once_and_no_longer():
    teacher, found = Teacher(nn.Linear(2, 2)), []

    def ask(thing):
        return teacher.answer(thing, lambda: found.append(thing) or len(found))

    one, other = [0], [0]  # equal, and not the same
    with teacher.asked_once():
        assert [ask(one), ask(one), ask(other), ask(one)] == [1, 1, 2, 1]
    assert [ask(one), ask(one)] == [3, 4]
