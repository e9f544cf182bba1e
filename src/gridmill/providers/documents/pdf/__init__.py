"""PDF pages by PDFium: words with places, drawn lines, what is hidden. Scans go on to OCR."""
