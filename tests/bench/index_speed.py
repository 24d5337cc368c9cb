"""How fast the inbox becomes rows: 5,000 MR objects of 130 KB, ten series of one study.

    .venv/bin/python tests/bench/index_speed.py [--count 5000] [--postgres] [--profile]

Prints instances a second of one `Indexer.catch_up`, on SQLite, or on a PostgreSQL that the script
starts (durability on).
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness import film, new_uid
from servers import running_postgres

from core import database, log, migration
from core.blobs import InstanceFiles
from dicom_node.index import Indexer
from dicom_node.receive import Reception, Status, StorePolicy, StoreRequest

SIDE = 256
SERIES = 10


def mr_object(study_uid: str) -> Dataset:
    """Return an MR slice with as many elements as a scanner writes: some 120."""
    slice_ = film(
        study_uid,
        SOPClassUID=uid.MRImageStorage,
        Modality="MR",
        BodyPartExamined="BRAIN",
        ImageType=["ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D"],
        SeriesDescription="T2 TSE TRA",
        StudyDescription="Brain",
        Manufacturer="Maker",
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=[-120.5, -120.5, 10.25],
        PatientPosition="HFS",
        SeriesNumber=3,
        InstanceNumber=1,
        ContentDate="20240203",
        ContentTime="101512.123",
        AcquisitionDate="20240203",
        AcquisitionTime="101512.1",
        PixelSpacing=[0.9375, 0.9375],
        SliceThickness=5,
        RepetitionTime=4000,
        EchoTime=90,
    )
    del slice_.ViewPosition
    slice_.Rows = slice_.Columns = SIDE
    slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit = 16, 12, 11
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.3", new_uid()
    slice_.ReferencedImageSequence = [reference, reference, reference]
    private = slice_.private_block(0x0019, "MAKER HEADER", create=True)
    for offset in range(60):
        private.add_new(offset, "LO", f"a private value {offset}")
    noise = np.random.default_rng(1).integers(0, 4096, SIDE * SIDE, dtype=np.uint16)
    slice_.PixelData = noise.tobytes()
    return slice_


def _encoded(dataset: Dataset) -> tuple[bytes, StoreRequest]:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    body = buffer.getvalue()
    request = StoreRequest(
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        transfer_syntax_uid=str(uid.ExplicitVRLittleEndian),
        calling_ae_title="MODALITY",
        called_ae_title="TAQRIR",
    )
    return body[144 + int.from_bytes(body[140:144], "little") :], request


def fill_inbox(files: InstanceFiles, count: int) -> None:
    """Receive `count` objects, as the node does."""
    study = new_uid()
    policy = StorePolicy(is_synced=False)
    for series in range(SERIES):
        slice_ = mr_object(study)
        # All of one length, so that one encoded object can be made into every other.
        slice_.SOPInstanceUID = f"1.2.3.{series + 100}.{10**6}"
        body, request = _encoded(slice_)
        for number in range(series * count // SERIES, (series + 1) * count // SERIES):
            sop = f"1.2.3.{series + 100}.{10**6 + number}"
            this = StoreRequest(**{**request.__dict__, "sop_instance_uid": sop})
            reception = Reception(files, this, policy, "00bench")
            reception.write([body.replace(request.sop_instance_uid.encode(), sop.encode())])
            assert reception.finish() is Status.SUCCESS
    os.sync()


@contextmanager
def _database(folder: Path, *, is_postgres: bool) -> Iterator[str]:
    if not is_postgres:
        yield f"sqlite:///{folder / 'taqrir.db'}"
        return
    with running_postgres() as url:
        yield url


def _timed(work: Callable[[], object], *, is_profiled: bool) -> tuple[float, float]:
    profile = cProfile.Profile()
    if is_profiled:
        profile.enable()
    begin, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    profile.disable()
    if is_profiled:
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    return seconds, cpu


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(_database(folder, is_postgres=options.postgres))
        lines = stack.enter_context((folder / "log.jsonl").open("w"))
        log.configure(lines)
        engine = database.open_engine(url)
        migration.migrate(engine)
        files = InstanceFiles(folder)
        files.prepare()
        fill_inbox(files, options.count)
        indexer = Indexer(engine, files)
        seconds, cpu = _timed(indexer.catch_up, is_profiled=options.profile)
        engine.dispose()
    kind = "PostgreSQL" if options.postgres else "SQLite"
    print(
        f"{kind}: {options.count} objects in {seconds:.1f} s, {options.count / seconds:.0f}/s, "
        f"{1e3 * cpu / options.count:.2f} ms of our CPU an object"
    )


if __name__ == "__main__":
    main()
