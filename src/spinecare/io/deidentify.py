"""DICOM files without the person: the Basic Application Level Confidentiality Profile (PS3.15 Annex E).

The table of the profile (E.1-1) is that of the package dicomanonymizer. Its code is not used: it leaves nested items
alone, makes UIDs that no second run can repeat, and writes dates of the year 1 where the profile says "remove".

Here the new file is built, not cleaned: what the table names is treated as it says, and what it does not name comes
over only when it is one of `KEPT`, which describe the picture. So nothing comes over that nobody has thought of. The
pixels are decoded and written again: what hides in a compressed stream or behind the last row stays behind.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import re
import uuid
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from spinecare import __version__
from spinecare.errors import ScanError, SpineCareError, UnreadableCode
from spinecare.io.decode import decode_first_frame
from spinecare.io.dicom import GREY_SPACES, open_dicom
from spinecare.io.limits import USUAL, damaged
from spinecare.io.profile import CODES, IN_SEQUENCES, KEPT, NAMES_OTHERWISE, NUMBERS, SEQUENCES, TABLES, table
from spinecare.io.view import read_view
from spinecare.scan import View
from spinecare.settings import ReadLimits

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

_SHORTEST_NAME = 3
# CID 7050: the profile that was followed. No option of it is claimed; above all not Clean Pixel Data.
_PROFILE = ("113100", "DCM", "Basic Application Confidentiality Profile")
_DUMMIES = {"DA": "19000101", "TM": "000000", "DT": "19000101000000", "AS": "000Y", "DS": "0", "IS": "0"}
_VIEWS = {View.AP_SPINE: ("LSPINE", "AP"), View.LATERAL_SPINE: ("SPINE", "LL"), View.FEMUR: ("HIP", "")}
_DUMMY_TEXT = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"})


class LookFirstError(SpineCareError):
    """A picture that may hold a name: a person has to look at it. `reason` and `hint` are sentences."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.hint = "Look at the picture first: no program finds every name in it."
        super().__init__(f"{reason} {self.hint}")


def deidentify(
    data: bytes, secret: bytes, patient: str | None = None, looked: bool = False, limits: ReadLimits = USUAL
) -> bytes:
    """A DICOM file of the same picture that does not say whose it is.

    Parameters
    ----------
    data
        The file as it came.
    secret
        Of this installation. UIDs and the patient's pseudonym follow from it: the same in each file and each
        export, and not to be had by anybody without it.
    patient
        What the pseudonym is made from; the file's PatientID when None.
    looked
        A person has looked at the picture and found no writing in it that tells who it is. It is then marked so.

    Returns
    -------
    bytes
        A Part 10 file with an empty preamble, explicit VR little endian, uncompressed.

    Raises
    ------
    ScanError
        When it is no readable DICOM picture.
    LookFirstError
        When the picture may hold a name and nobody has looked.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _written(_built(data, secret, patient, looked, limits))
        except (ScanError, LookFirstError):
            raise
        except Exception as error:
            raise damaged("scan", "its contents contradict each other or break off") from error


def new_uid(secret: bytes, uid: str) -> str:
    """The UID that stands for `uid` in everything that this installation gives out (PS3.5 B.2)."""
    digest = hmac.new(secret, b"uid:" + uid.strip("\0 ").encode(), hashlib.sha256).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}"


def pseudonym(secret: bytes, patient: str) -> str:
    """What a patient is called in everything that this installation gives out: "SC-" and 16 hex digits."""
    digest = hmac.new(secret, b"patient:" + patient.strip().encode(), hashlib.sha256).hexdigest()
    return f"SC-{digest[:16].upper()}"


def _built(data: bytes, secret: bytes, patient: str | None, looked: bool, limits: ReadLimits) -> Dataset:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

    source = open_dicom(data, "scan", limits)
    kind = UID(str(source.get("SOPClassUID", "")))
    if kind.type != "SOP Class":
        raise ScanError(
            UnreadableCode.UNSUPPORTED_ENCODING,
            "The file does not say which kind of DICOM picture it is.",
            "Export the scan again from the scanner or the archive.",
        )
    _check_writing(source, looked)
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    names = _names(source)
    for element in _elements(source):
        action = table().get(element.tag)
        if action:
            _follow(action, element, made, secret)
        elif element.keyword in KEPT:
            _keep(element, made, names)
    made.SOPClassUID = kind
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        if not made.get(keyword):  # without one, the file's own contents stand in
            setattr(made, keyword, new_uid(secret, f"{keyword}:{hashlib.sha256(data).hexdigest()}"))
    # PatientID may be the name in disguise, so only what it is turned into is given.
    whose = patient or str(source.get("PatientID") or "") or hashlib.sha256(data).hexdigest()
    made.PatientID = made.PatientName = pseudonym(secret, whose)
    if seen := _VIEWS.get(read_view(source)):  # the protocol's name is gone, but not what it said
        made.BodyPartExamined, made.ViewPosition = seen
    _put_pixels(made, source, data)
    _put_method(made, looked)
    return made


def _check_writing(source: Dataset, looked: bool) -> None:
    if looked:
        return
    said = str(source.get("BurnedInAnnotation") or "").strip().upper()
    if said == "YES":
        raise LookFirstError("The file says that writing in its picture names the patient.")
    captured = source.SOPClassUID.startswith("1.2.840.10008.5.1.4.1.1.7") or "ConversionType" in source
    coloured = str(source.PhotometricInterpretation) not in GREY_SPACES
    if said != "NO" and (captured or coloured):
        raise LookFirstError("The picture is a capture of a screen, where a name may stand.")


def _elements(dataset: Dataset) -> Iterator[DataElement]:
    """The elements whose values can be read."""
    for tag in sorted(dataset.keys()):
        try:
            yield dataset[tag]
        except Exception:  # a value that breaks its own rules tells nothing worth keeping
            continue


def _follow(action: str, element: DataElement, made: Dataset, secret: bytes) -> None:
    """Do what the profile's table says. Of a choice, the one that keeps least and still conforms for a picture."""
    if action == "U" and element.VR == "UI":
        values = [element.value] if isinstance(element.value, str) else list(element.value or [])
        if new := [new_uid(secret, str(uid)) for uid in values if uid]:
            made.add_new(element.tag, "UI", new)
    elif action in {"Z", "Z_D", "X_Z", "X_Z_D"} and element.VR != "SQ":
        made.add_new(element.tag, element.VR, "" if element.VR not in {"OB", "OW", "UN"} else b"")
    elif action == "D" and (dummy := _DUMMIES.get(element.VR, "REMOVED" if element.VR in _DUMMY_TEXT else None)):
        made.add_new(element.tag, element.VR, dummy)


def _keep(element: DataElement, made: Dataset, names: frozenset[str]) -> None:
    """Take over an attribute of `KEPT`, when its value is what it should be."""
    from pydicom.dataset import Dataset

    keyword = element.keyword
    if keyword in SEQUENCES and element.VR == "SQ":
        items = []
        for item in element.value:
            items.append(Dataset())
            for inner in _elements(item):
                if inner.keyword in IN_SEQUENCES:
                    _keep(inner, items[-1], names)
        setattr(made, keyword, items)
    elif keyword in TABLES:
        if isinstance(element.value, bytes):
            made.add_new(element.tag, "OW", element.value)
    elif keyword in NUMBERS:
        if (numbers := _numbers(element)) is not None:
            made.add_new(element.tag, element.VR, numbers)
    else:
        pattern = r"[A-Z0-9_ ]{0,16}" if keyword in CODES else r"[^\x00-\x1f\x7f-\x9f]{0,64}"
        values = [element.value] if isinstance(element.value, str) else list(element.value or [])
        texts = [str(value) for value in values]
        whole = " ".join(texts).casefold()
        if all(re.fullmatch(pattern, text) for text in texts) and not any(name in whole for name in names):
            made.add_new(element.tag, element.VR, texts if len(texts) != 1 else texts[0])


def _numbers(element: DataElement) -> Any:
    """The value as numbers, written anew: text beside a number is gone. None when it is none."""
    from pydicom.valuerep import DSfloat

    if element.VR not in {"US", "SS", "UL", "SL", "FL", "FD", "DS", "IS"}:
        return None
    value = element.value
    many = [value] if isinstance(value, int | float | str) else list(value or [])
    try:
        if element.VR == "DS":
            new: list[Any] = [DSfloat(float(one), auto_format=True) for one in many if str(one)]
        else:
            new = [float(one) if element.VR in {"FL", "FD"} else int(one) for one in many if str(one)]
    except (TypeError, ValueError, OverflowError):
        return None
    return new if len(new) != 1 else new[0]


def _names(source: Dataset) -> frozenset[str]:
    """Words that people, places and numbers of the file are called by, in lower case."""
    texts = [str(e.value) for e in _all_elements(source) if e.VR == "PN" or e.keyword in NAMES_OTHERWISE]
    words = re.split(r"[^\w]+", " ".join(texts).casefold())
    return frozenset(word for word in words if len(word) >= _SHORTEST_NAME)


def _all_elements(dataset: Dataset) -> Iterator[DataElement]:
    for element in _elements(dataset):
        if element.VR == "SQ":
            for item in element.value:
                yield from _all_elements(item)
        else:
            yield element


def _put_pixels(made: Dataset, source: Dataset, data: bytes) -> None:
    """The first frame, decoded, and the attributes that follow from that."""
    stored = np.ascontiguousarray(decode_first_frame(source, data, "scan"))
    if stored.dtype.byteorder == ">":
        stored = stored.astype(stored.dtype.newbyteorder("<"))
    space = str(source.PhotometricInterpretation)
    made.PhotometricInterpretation = "RGB" if stored.ndim == 3 else space
    made.SamplesPerPixel = 3 if stored.ndim == 3 else 1
    if stored.ndim == 3:
        made.PlanarConfiguration = 0
    made.Rows, made.Columns = stored.shape[:2]
    made.BitsAllocated = 8 * stored.dtype.itemsize
    made.BitsStored = min(int(source.BitsStored), made.BitsAllocated)
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(np.issubdtype(stored.dtype, np.signedinteger))
    made.add_new("PixelData", "OB" if made.BitsAllocated == 8 else "OW", stored.tobytes() + b"\0" * (stored.nbytes % 2))


def _put_method(made: Dataset, looked: bool) -> None:
    """Say what was done (PS3.15 E.1.1)."""
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = _PROFILE
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = f"SpineCare {__version__}: pixels unchanged"[:64]
    made.DeidentificationMethodCodeSequence = [code]
    made.LongitudinalTemporalInformationModified = "REMOVED"
    if looked:
        made.BurnedInAnnotation = "NO"


def _written(made: Dataset) -> bytes:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()
