from __future__ import annotations

import json

import pytest

from pdstore.leases.owner import Owner, this_process
from pdstore.leases.record import LeaseRecord

PATH = "leases/crf/f00d/00005.0.json"


def test_a_record_is_read_as_it_was_written() -> None:
    """With its holder and its time to live; no two have the same token."""
    record = LeaseRecord.new(120.0)
    assert LeaseRecord.from_json(record.to_json(PATH), PATH) == record
    assert record.owner == this_process() and record.token != LeaseRecord.new(120.0).token


def test_every_flipped_bit_is_noticed() -> None:
    """None of the changed files is believed, and none raises anything."""
    data = LeaseRecord.new(120.0).to_json(PATH)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert LeaseRecord.from_json(bytes(flipped), PATH) is None, bytes(flipped)


def test_a_shorter_file_is_noticed() -> None:
    """At whatever byte it was cut."""
    data = LeaseRecord.new(120.0).to_json(PATH)
    assert [length for length in range(len(data)) if LeaseRecord.from_json(data[:length], PATH)] == []


def test_a_record_belongs_to_its_path() -> None:
    """The file of another lease is not taken for this one."""
    data = LeaseRecord.new(120.0).to_json(PATH)
    assert LeaseRecord.from_json(data, PATH.replace("00005", "00006")) is None


@pytest.mark.parametrize("pid", [17, "17", None, 1e999])
def test_a_record_of_an_earlier_release_is_read(pid: object) -> None:
    """Its holder is shown, and nothing follows from the number of its process, as it does not say of which machine."""
    data = json.dumps({"host": "node7", "pid": pid, "beat": 1.0, "started": 1.0}).encode()
    number = pid if isinstance(pid, int) else 0
    assert LeaseRecord.from_json(data, PATH) == LeaseRecord("", Owner("node7", number, "", ""), None)
