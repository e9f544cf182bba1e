"""Making rows and cells up: values drawn by the embedded synthesizer, texts written by a model."""
