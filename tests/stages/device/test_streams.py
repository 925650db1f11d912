from __future__ import annotations

import threading

import pytest
import torch

from stages.device.streams import aside, beside, moment

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_other_devices_are_never_behind() -> None:
    """On a CPU there is nothing to wait for."""
    cpu = torch.device("cpu")
    assert moment(cpu) is None
    with beside(cpu, None):
        assert torch.ones(3).sum() == 3


def test_on_a_cpu_work_is_done_at_once_and_once() -> None:
    """In the thread of the network, before the call that gives its result."""
    done: list[int] = []

    def work() -> int:
        done.append(threading.get_ident())
        return len(done)

    answer = aside(CPU, work)
    assert done == [threading.get_ident()]
    assert [answer(), answer()] == [1, 1] and len(done) == 1


@pytest.mark.gpu
def test_on_a_gpu_work_is_done_by_who_calls_and_as_often() -> None:
    """It reads what the device was told to compute before, and can be tried once more."""
    values = torch.arange(5, device=CUDA) + 1
    answer = aside(CUDA, lambda: (threading.get_ident(), (2 * values).tolist()))
    values_after = values + 1
    said: list[tuple[int, list[int]]] = []
    thread = threading.Thread(target=lambda: said.extend([answer(), answer()]))
    thread.start()
    thread.join()
    assert said == [(thread.ident, [2, 4, 6, 8, 10])] * 2
    assert values_after.tolist() == [2, 3, 4, 5, 6]


@pytest.mark.gpu
def test_work_does_not_wait_for_what_comes_after_its_moment() -> None:
    """It reads tensors that are ready, and its result is there while the default stream is still busy."""
    large = torch.ones(4096, 4096, device=CUDA)
    values = torch.arange(5, device=CUDA) + 1
    for turn in range(2):  # the first turn loads the kernels, for which the whole device is waited for
        ready = moment(CUDA)
        for _ in range(300):
            large = large @ large / 4096
        busy = moment(CUDA)
        assert ready is not None and busy is not None
        with beside(CUDA, ready):
            assert (2 * values).tolist() == [2, 4, 6, 8, 10]
        assert turn == 0 or not busy.query()
        torch.cuda.synchronize()


@pytest.mark.gpu
def test_threads_have_streams_of_their_own() -> None:
    """Two at once never share one; one after the other they do, and so does what is beside already."""
    both, streams = threading.Barrier(2), list[torch.cuda.Stream]()

    def work() -> None:
        with beside(CUDA, None):
            streams.append(torch.cuda.current_stream())
            both.wait(20)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(streams)) == 2 and torch.cuda.current_stream() not in streams
    with beside(CUDA, None):
        outer = torch.cuda.current_stream()
        with beside(CUDA, None):
            assert torch.cuda.current_stream() == outer
    assert outer in streams
