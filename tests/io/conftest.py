"""Synthetic DICOM files, written by pydicom and compressed by gdcm and Pillow: nothing of ours takes part."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

DicomMaker = Callable[..., bytes]


def dataset_of(pixels: np.ndarray, bits: int | None = None, **tags: Any) -> Dataset:
    """A complete data set around `pixels`: (rows, cols) grey, signed or not, or uint8 (rows, cols, 3) RGB."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    dataset.Modality = "CR"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated == 16 else "OB"
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def file_of(dataset: Dataset) -> bytes:
    """The bytes of a Part 10 file."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Dataset]:
    return dataset_of


@pytest.fixture(scope="session")
def to_file() -> Callable[[Dataset], bytes]:
    return file_of


@pytest.fixture(scope="session")
def make_dicom() -> DicomMaker:
    """make_dicom(pixels, bits=None, **tags) -> bytes of a file."""
    return lambda pixels, bits=None, **tags: file_of(dataset_of(pixels, bits, **tags))


@pytest.fixture(scope="session")
def spine_like() -> np.ndarray:
    """A smooth 12-bit picture (uint16 (60, 48)) that uses 100 ... 3900."""
    rows, cols = np.mgrid[0:60, 0:48]
    wave = np.sin(rows / 7.0) + np.cos(cols / 5.0)
    return (100 + 3800 * (wave - wave.min()) / np.ptp(wave)).round().astype(np.uint16)


@pytest.fixture(scope="session")
def recompress(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes, str], bytes]:
    """recompress(file, name of a gdcm transfer syntax) -> the file, compressed by gdcm."""

    def run(data: bytes, syntax: str) -> bytes:
        import gdcm

        folder: Path = tmp_path_factory.mktemp("gdcm")
        (folder / "in.dcm").write_bytes(data)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(folder / "in.dcm"))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(folder / "out.dcm"))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return (folder / "out.dcm").read_bytes()

    return run
