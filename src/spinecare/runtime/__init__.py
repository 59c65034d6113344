"""Members, stack, calibration and abstention on ONNX Runtime."""
