"""Model bundles: a folder of ONNX files and one JSON, verified before use."""
