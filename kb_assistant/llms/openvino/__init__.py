"""The openvino engine: OpenVINO folders and GGUF files through OpenVINO GenAI."""
