"""A virtual scan as a DICOM file, with the tags that a densitometer writes."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from spinecare.scan import Scan


def write_dicom(scan: Scan, file: BinaryIO) -> None:
    """Write a grey scan as a Computed Radiography image (PS3.3 A.2), 8 bits; UIDs follow the key."""
    data = Dataset()
    data.SOPClassUID = ComputedRadiographyImageStorage
    data.SOPInstanceUID, data.StudyInstanceUID, data.SeriesInstanceUID = (
        generate_uid(entropy_srcs=[scan.patient.key, part]) for part in ("instance", "study", "series")
    )
    data.Modality = "CR"
    data.ProtocolName = "AP Spine"
    data.BodyPartExamined = "LSPINE"
    data.ViewPosition = "AP"
    data.Manufacturer = "SpineCare (virtual patient)"
    data.ManufacturerModelName = scan.device or ""
    data.PatientID = data.PatientName = scan.patient.key
    data.PatientSex = scan.patient.sex or "O"
    data.PatientAge = f"{int(scan.patient.age_years or 0):03d}Y"
    data.PatientSize = f"{(scan.patient.height_cm or 0) / 100:.2f}"
    data.PatientWeight = f"{scan.patient.weight_kg or 0:.1f}"
    data.ImageComments = "Simulated: no real person."
    data.Rows, data.Columns = scan.pixels.shape
    if scan.spacing_mm is not None:
        data.PixelSpacing = [f"{mm:g}" for mm in scan.spacing_mm]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = np.rint(scan.pixels).astype(np.uint8).tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(file, enforce_file_format=True)
