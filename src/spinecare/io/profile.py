"""What PS3.15 Annex E says of an attribute, and what may stay of those that it does not name."""

from __future__ import annotations

from functools import cache

TABLE = "dicomfields_2026c"

# What describes the picture and how it was taken. All of these stand outside of the profile's table.
_NUMBERS = """
    SamplesPerPixel PlanarConfiguration Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation
    PixelAspectRatio PixelSpacing ImagerPixelSpacing NominalScannedPixelSpacing SmallestImagePixelValue
    LargestImagePixelValue PixelPaddingValue PixelPaddingRangeLimit WindowCenter WindowWidth RescaleIntercept
    RescaleSlope LUTDescriptor LossyImageCompressionRatio RedPaletteColorLookupTableDescriptor
    GreenPaletteColorLookupTableDescriptor BluePaletteColorLookupTableDescriptor PixelIntensityRelationshipSign
    KVP ExposureTime XRayTubeCurrent Exposure ExposureInuAs ExposureTimeInuS XRayTubeCurrentInuA ExposedArea
    DistanceSourceToDetector DistanceSourceToPatient EstimatedRadiographicMagnificationFactor FieldOfViewDimensions
    EntranceDoseInmGy TotalNumberOfExposures FocalSpots SeriesNumber InstanceNumber AcquisitionNumber
"""
_CODES = """
    Modality ImageType BodyPartExamined ViewPosition Laterality ImageLaterality PatientOrientation PatientPosition
    PresentationIntentType PresentationLUTShape PixelIntensityRelationship LossyImageCompression
    LossyImageCompressionMethod VOILUTFunction PixelSpacingCalibrationType ConversionType QualityControlImage
    BurnedInAnnotation RecognizableVisualFeatures FieldOfViewShape DetectorType RescaleType ModalityLUTType
"""
_TEXTS = "Manufacturer ManufacturerModelName SoftwareVersions"
_TABLES = """
    RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData LUTData
"""
_SEQUENCES = "ModalityLUTSequence VOILUTSequence"

IN_SEQUENCES = frozenset({"LUTDescriptor", "LUTData", "ModalityLUTType"})

NUMBERS, CODES, TEXTS, TABLES, SEQUENCES = (
    frozenset(words.split()) for words in (_NUMBERS, _CODES, _TEXTS, _TABLES, _SEQUENCES)
)
KEPT = NUMBERS | CODES | TEXTS | TABLES | SEQUENCES

# What a person or a place is called, beside every attribute of type PN: none of it may stand in a kept text.
NAMES_OTHERWISE = (
    *("PatientID", "OtherPatientIDs", "IssuerOfPatientID", "PatientAddress", "PatientTelephoneNumbers"),
    *("AccessionNumber", "AdmissionID", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
    *("StationName", "DeviceSerialNumber", "MedicalRecordLocator", "Occupation"),
)


@cache
def table() -> dict[int, str]:
    """Tag -> action of the profile: D, Z, X, U, or a choice of them as `X_Z_D`."""
    from importlib import import_module

    from pydicom.tag import Tag

    module = import_module(f"dicomanonymizer.dicom_anonymization_databases.{TABLE}")
    lists = {name.removesuffix("_TAGS"): tags for name, tags in vars(module).items() if name.endswith("_TAGS")}
    # Repeating groups have a mask as well; they are curves and overlays, of which nothing is kept.
    return {Tag(tag): action for action, tags in lists.items() if action != "ALL" for tag in tags if len(tag) == 2}
