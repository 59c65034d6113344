"""Files in: DICOM, pictures and datasets become values of `spinecare.scan`."""
